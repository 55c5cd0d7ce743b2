"""Decontamination: every question is found wherever it stands, however it is written; like texts are not."""

import csv
import gzip
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tejat import sample
from tejat.data.cleaning import evaluations
from tejat.data.cleaning.contamination import Contamination, read
from tejat.data.cleaning.words import words
from tejat.data.shards import Item
from tejat.errors import BadInput
from tejat.parts import Document, Image, Text

QUESTIONS = {
    "sums": [
        ["A farmer has 17 sheep and buys 25 more at the market; how many sheep does the farmer have now?", "42 sheep"],
        ["Which river flows through Vienna and Budapest?", "Danube"],
        ["農夫は羊を十七匹飼っていて、市場でさらに二十五匹買いました。羊は全部で何匹ですか。"],
        ["Yes?", "No"],
    ],
}


RUN = 13  # words; of characters in scripts without spaces 26


def items(*texts: str) -> list[Item]:
    return [Item("text", {"text": text, "language": "en"}) for text in texts]


def test_questions_are_found_in_any_dress():
    step = Contamination(QUESTIONS)
    (sheep, _), (river, _), (japanese,), _ = QUESTIONS["sums"]
    dirty = items(
        f"Once: {sheep} So.",
        sheep.upper().replace(" ", "\n").replace(";", " --"),
        " ".join(sheep.split()[3:]),  # 15 of its words
        f"they asked: {river}",
        f"問題。{japanese[5:]}答え",
        "\u200b".join(sheep).replace(" ", "\u00a0"),
        "".join(chr(ord(c) + 0xFEE0) if c.isalpha() else c for c in sheep),  # of full width
        sheep.replace("fi", "\ufb01").replace("er", "e\u00adr"),
    )
    assert list(step(dirty, "web")) == []
    assert step.report.dropped["has a question of sums"] == {("web", "en"): 8}
    assert step.report.notes["questions of sums met"] == 3
    assert step.report.notes["questions of sums, too short to be looked for"] == 1


def test_what_is_only_like_a_question_stays():
    step = Contamination(QUESTIONS)
    sheep = QUESTIONS["sums"][0][0].split()
    clean = items(
        " ".join(sheep[: RUN - 1]),
        " ".join(sheep[:10]) + " goat " + " ".join(sheep[10:]),
        "Which river flows through Vienna?",
        "The answer is 42 sheep. Yes? No",
        "農夫は羊を十七匹飼っていて、市場でさらに買い",
    )
    assert list(step(clean)) == clean


def test_frames_figures_and_short_answers_are_no_sign():
    frame = "Read the following text with great care and then answer the question that is asked below it:"
    figures = "1 N 2 N 3 N 4 N 5 N 6 N 7 N 8 N"
    step = Contamination(
        {
            "frames": [[f"{frame} number {k} word{k} other{k}?"] for k in range(6)],
            "figures": [[f"What force is it that has moved this heavy box so far? {figures}"]],
            "answers": [["What is the highest court of the land?", "Supreme Court of the United States"]],
        }
    )
    clean = items(frame, figures, "He sat in the Supreme Court of the United States.")
    assert list(step(clean)) == clean


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 300), st.integers(0, 1_000), st.sampled_from(["en", "de", "ru", "ja"]))
def test_any_run_of_thirteen_words_of_a_question_is_found_and_no_other_text_is(line, at, language):
    lines = [text for text in sample.prose(language).splitlines() if words([text]).counts[0] >= 2 * RUN]
    question, size = lines[line % len(lines)], RUN
    pieces = [piece for piece in question.split() if words([piece]).counts[0]]
    if language == "ja":
        lines = [text for text in lines if not any(c.isascii() for c in text)]
        question = lines[line % len(lines)]
        pieces, size = [c for c in question if c.isalpha()], 2 * RUN
    first = at % max(len(pieces) - size + 1, 1)
    piece = ("" if language == "ja" else " ").join(pieces[first : first + size])
    others = items(*(text for text in lines if text != question))
    step = Contamination({"set": [[question]]})
    assert list(step([*items(f"Before it. {piece} And after."), *others])) == others


def test_pictures_of_evaluations_are_found():
    random = np.random.default_rng(0)
    shown, other = (
        Image(np.repeat(np.repeat(random.integers(0, 256, (6, 6, 3)), 9, 0), 9, 1).astype(np.uint8)) for _ in "ab"
    )
    step = Contamination({}, {"charts": [shown]})
    dirty, clean = Document.of([shown, Text("a")]), Document.of([other, Text("a")])
    assert list(step([dirty, clean])) == [clean]
    assert step.report.dropped["has a picture of charts"].total() == 1


def test_pictures_are_read_from_the_folders_of_their_sets(tmp_path):
    from PIL import Image as pillow

    random = np.random.default_rng(1)
    shown = pillow.fromarray(random.integers(0, 256, (9, 9, 3), np.uint8)).resize((90, 90), pillow.Resampling.NEAREST)
    for name, ending in (("vqa/images/a", "png"), ("vqa/images/b", "webp"), ("c", "jpg")):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shown.save(tmp_path / f"{name}.{ending}")
    (tmp_path / "notes.txt").write_text("no picture")
    found = evaluations.pictures(tmp_path)
    assert {name: len(kept) for name, kept in found.items()} == {"vqa/images": 2, tmp_path.name: 1}
    step = Contamination({}, found)
    again = Document.of([Image(np.asarray(shown.resize((64, 64)))), Text("what is it?")])
    assert list(step([again])) == [] and step.report.counts == (1, 1)
    (tmp_path / "d.png").write_bytes(b"\x89PNG half")
    with pytest.raises(BadInput, match="d.png cannot be read"):
        evaluations.pictures(tmp_path)


def test_sets_of_every_format_are_read(tmp_path):
    (tmp_path / "lines.jsonl").write_text('{"question": "a b", "choices": ["c", "d"], "n": 3}\n\n{"question": "e"}\n')
    nested = {"data": [{"context": "long", "qas": [{"question": "why", "answers": [{"text": "so"}]}]}]}
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "nested.json.gz").write_bytes(gzip.compress(json.dumps(nested).encode()))
    with (tmp_path / "table.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["a, b", "c\nd"], ["é", ""]])
    (tmp_path / "plain.tsv").write_bytes("x\ty\u00e9\n".encode("latin-1"))
    (tmp_path / "README.md").write_text("no set")
    assert read(tmp_path) == {
        "lines": [["a b", "c", "d"], ["e"]],
        "sub/nested": [["long"], ["why"]],
        "table": [["a, b", "c\nd"], ["é", ""]],
        "plain": [["x", "y\ufffd"]],
    }
    assert read(tmp_path / "lines.jsonl") == {"lines": [["a b", "c", "d"], ["e"]]}


@pytest.mark.parametrize("content", [b"{", b"[1, 2"])
def test_a_set_that_is_damaged_or_not_there_is_told(tmp_path, content):
    with pytest.raises(BadInput, match="there is no evaluation set in"):
        read(tmp_path / "none.json")
    with pytest.raises(BadInput, match="there is no evaluation set in"):
        read(tmp_path)
    (tmp_path / "bad.json").write_bytes(content)
    with pytest.raises(BadInput, match=r"bad\.json cannot be read"):
        read(tmp_path)
