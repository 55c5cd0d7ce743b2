"""A sample of a corpus: how much of each language, which pieces, and what is heard of each kind of item."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tejat.data import presenting, text_sample
from tejat.data.shards import Item, Writer
from tejat.data.text_sample import Group, Passage, allot, draw, passages
from tejat.errors import BadInput
from tejat.parts import Document, Image, Text, Turn

sizes = st.dictionaries(st.text("abcdef", min_size=1, max_size=3), st.integers(0, 10**9), min_size=1, max_size=9)


@settings(max_examples=200, deadline=None)
@given(available=sizes, total=st.integers(0, 10**10), temperature=st.floats(1, 100))
def test_a_share_is_never_more_than_there_is_nor_less_for_more(available, total, temperature):
    found = allot(available, total, temperature)
    assert found.keys() == available.keys()
    assert all(0 <= found[name] <= available[name] for name in available)
    due = min(total, sum(available.values()))
    assert due - len(available) <= sum(found.values()) <= due + len(available)
    ordered = [found[name] for name in sorted(available, key=available.get)]
    assert all(a <= b + 1 for a, b in zip(ordered, ordered[1:], strict=False))


def test_shares_by_hand():
    available = {"a": 8_000, "b": 1_000, "c": 0}
    assert allot(available, 900, 1.0) == {"a": 800, "b": 100, "c": 0}
    assert allot(available, 900, 3.0) == {"a": 600, "b": 300, "c": 0}  # cube roots: 20 to 10
    assert allot(available, 3_600, 1e9) == {"a": 2_600, "b": 1_000, "c": 0}  # what b lacks goes to a


def texts(language: str, count: int, domain: str = "prose") -> list[Passage]:
    random = np.random.default_rng(count)
    return [Passage(" ".join(map(str, random.integers(0, 10**6, 30))), Group(language, domain)) for _ in range(count)]


def test_a_draw_depends_on_the_text_and_the_seed_alone():
    there = texts("en", 2_000) + texts("en", 1_000, "code") + texts("fi", 125)
    total = sum(len(text.encode()) for text, _ in there)
    first = draw(lambda: there, total // 5, 3.0)
    assert sorted(draw(lambda: reversed(there), total // 5, 3.0).passages) == sorted(first.passages)
    assert draw(lambda: there, total // 5, 3.0, seed=1).passages != first.passages
    assert sum(first.available.values()) == total
    for group, size in first.taken.items():
        assert sum(len(text.encode()) for text, of in first.passages if of == group) == size
    # About a fifth in all; of Finnish everything, since a quarter of the sample would be its share and is not there.
    assert abs(sum(first.taken.values()) / total - 0.2) < 0.02
    assert first.taken[Group("fi", "prose")] == first.available[Group("fi", "prose")]
    shares = [first.taken[Group("en", name)] / first.available[Group("en", name)] for name in ("prose", "code")]
    assert abs(shares[0] - shares[1]) < 0.04


def test_long_passages_are_drawn_in_pieces():
    text = "".join(f"line {k}\n" for k in range(20_000))
    found = draw(lambda: [Passage(text, Group("en", "x"))], 50_000, 1.0)
    assert 30_000 < sum(found.taken.values()) < 70_000
    assert all(piece in text and len(piece.encode()) <= 4_192 for piece, _ in found.passages)


def test_nothing_to_draw_from_is_told():
    with pytest.raises(BadInput, match="no text to draw"):
        draw(lambda: [Passage("", Group("en", "x"))], 10, 1.0)


def test_text_that_changes_while_it_is_read_is_told():
    readings = iter([texts("en", 3), texts("en", 3, "new")])
    with pytest.raises(BadInput, match="the text changed while it was read .new is new."):
        draw(lambda: next(readings), 10, 1.0)


def test_every_kind_of_item_is_heard(tmp_path, monkeypatch):
    drawn = []

    def caption(items, k, random):
        drawn.append(k)
        return Document.of([Image(np.zeros((8, 8, 3), np.uint8)), Text(items[k].fields["name"])])

    monkeypatch.setitem(presenting.KINDS, "drawing", caption)
    monkeypatch.setattr(text_sample, "PRESENTED", 5)
    dialogue = Document.from_turns([Turn("user", (Text("How?"),)), Turn("model", (Text("So."),))])
    with Writer(tmp_path, "prose", "train") as writer:
        writer.write(Item("text", {"text": "Guten Tag.", "language": "de"}))
        writer.write(Item("text", {"text": "x = 1\n"}))
    with Writer(tmp_path, "talk", "train") as writer:
        writer.write(presenting.text.stored(dialogue, language="en"))
        writer.write(Item("parallel", {"texts": {"en": "cat", "sv": "katt"}}))
    with Writer(tmp_path, "drawings", "train") as writer:
        for k in range(20):
            writer.write(Item("drawing", {"name": f"thing {k}", "language": "en"}, {"svg": b"<svg/>"}))
    with pytest.raises(BadInput, match="build the corpus with"):
        next(passages(tmp_path, "train"))
    (tmp_path / "corpus.json").write_text(json.dumps({"sources": {"talk": {}, "prose": {}, "drawings": {}}}))
    found = list(passages(tmp_path, "train"))
    assert [(text, *group) for text, group in found if group.domain != "drawings"] == [
        ("How?\nSo.", "en", "talk"),
        ("cat", "en", "talk"),
        ("katt", "sv", "talk"),
        ("Guten Tag.", "de", "prose"),
        ("x = 1\n", "mul", "prose"),
    ]
    assert [text for text, group in found if group.domain == "drawings"] == [f"thing {k}" for k in (0, 4, 8, 12, 16)]
    assert drawn == [0, 4, 8, 12, 16]
    assert list(passages(tmp_path, "heldout")) == []
