"""Pairs of answers: written and read again, and what is none."""

import json

import pytest

from tejat.errors import BadInput
from tejat.parts import Text, Turn
from tejat.posttrain import pairing, preferences
from tejat.posttrain.preferences import Pair

GOOD = {"prompt": "Why?", "chosen": "Because.", "rejected": "No."}


def lines(path, *records):
    path.write_text("".join((r if isinstance(r, str) else json.dumps(r)) + "\n" for r in records))
    return path


def test_written_and_read_again(tmp_path, speckled):
    pairs = [
        Pair(
            (Turn("user", (speckled, Text("What is this?"))),), (Text("dots"),), (Text("a cat"),), 1.5, "hedging", "me"
        ),
        Pair(
            (Turn("user", (Text("Draw."),)), Turn("model", (speckled,)), Turn("user", (Text("Again!"),))),
            (speckled, Text("There.")),
            (Text("No."),),
        ),
    ]
    for media in (None, tmp_path):
        path = tmp_path / "pairs.jsonl"
        assert preferences.write(path, pairs, media) == 2
        found = preferences.needed(path)
        assert [found[0], found[1]] == pairs


def test_only_the_last_answer_is_to_be_learnt():
    turns = (Turn("user", (Text("a"),)), Turn("model", (Text("b"),)), Turn("user", (Text("c"),)))
    chosen, rejected = Pair(turns, (Text("d"), Text("e")), (Text("f"),)).documents()
    assert chosen.loss == (False, False, False, True, True)
    assert rejected.loss == (False, False, False, True)
    assert chosen.roles == ("user", "model", "user", "model", "model")


def test_other_ways_to_say_it(tmp_path):
    messages = [{"role": "user", "content": "Why?"}]
    for prompt in (messages, {"messages": messages}, {"parts": ["Why?"]}, {"parts": ["Why?"], "roles": ["user"]}):
        found = preferences.read(
            lines(tmp_path / "a.jsonl", GOOD | {"prompt": prompt, "chosen": [{"text": "Because."}]})
        )
        assert found[0] == Pair((Turn("user", (Text("Why?"),)),), (Text("Because."),), (Text("No."),), source="a.jsonl")


@pytest.mark.parametrize(
    ("record", "kind", "told"),
    [
        ({"prompt": "a", "chosen": "b"}, "that lack a side", 'lacks "rejected"'),
        (GOOD | {"chosen": ""}, "that lack a side", 'lacks "chosen"'),
        (GOOD | {"rejected": None}, "that lack a side", 'lacks "rejected"'),
        (GOOD | {"rejected": [{"text": "  "}]}, "that lack a side", '"rejected" is empty'),
        (GOOD | {"rejected": "Because."}, "that tie", "are the same"),
        (GOOD | {"rejected": " Because.\n"}, "that tie", "are the same"),
        (GOOD | {"margin": -1}, "with a wrong margin", "-1"),
        (GOOD | {"margin": float("nan")}, "with a wrong margin", "nan"),
        (GOOD | {"margin": 10**400}, "with a wrong margin", "1000000000"),
        (GOOD | {"prompt": ""}, "without a prompt", 'lacks a "prompt"'),
        (
            GOOD | {"prompt": [{"role": "assistant", "content": "a"}]},
            "without a prompt",
            "ends with a turn of the model",
        ),
        (GOOD | {"chosen": [{"image": {"file": "none.png"}}]}, "with a damaged answer", "none.png"),
        (GOOD | {"chosen": 3}, "with a damaged answer", "neither words nor"),
        (GOOD | {"winner": 1}, "with unknown keys", "winner"),
        ([1], "that are no objects", "list"),
        ('{"prompt": "a"', "that are not JSON in UTF-8", "line 2: Expecting ',' delimiter, at column 15"),
        ('{"margin": ' + "9" * 5000 + "}", "that are not JSON in UTF-8", "line 2: Exceeds the limit"),
    ],
)
def test_what_is_no_pair_is_counted_and_listed_and_refused(tmp_path, record, kind, told):
    path = lines(tmp_path / "pairs.jsonl", GOOD, record, GOOD | {"prompt": "Why not?"})
    found = preferences.read(path)
    assert (len(found), found.unusable, dict(found.dropped.counts)) == (2, 1, {kind: 1})
    assert told in found.dropped.examples[kind][0] and found.refused.startswith("line 2: ")
    with pytest.raises(BadInput, match=r"has lines that are no preferences \(.*: 1\), the first of them line 2: "):
        preferences.needed(path)


def test_a_file_of_nothing(tmp_path):
    with pytest.raises(BadInput, match="has no record; the first line that cannot be used: line 1"):
        preferences.read(lines(tmp_path / "pairs.jsonl", {}))
    with pytest.raises(BadInput, match="cannot be read"):
        preferences.read(tmp_path / "none.jsonl")


def test_held_out_pairs_are_not_those_of_training(tmp_path):
    training = preferences.read(lines(tmp_path / "a.jsonl", GOOD))
    pairing.apart(training, preferences.read(lines(tmp_path / "b.jsonl", GOOD | {"chosen": "So."})))
    turned = {"prompt": "Why?", "chosen": "No.", "rejected": "Because."}
    with pytest.raises(BadInput, match="1 pairs of .*b.jsonl are in .*a.jsonl too"):
        pairing.apart(training, preferences.read(lines(tmp_path / "b.jsonl", turned)))


def test_a_behaviour_that_no_head_learns(tmp_path):
    with pytest.raises(BadInput, match="behaviour 'wit', which no head learns; there are helpful"):
        pairing.checked(lines(tmp_path / "a.jsonl", GOOD | {"behaviour": "wit"}), {"helpful": 0})
