"""`tejat data inspect` from the outside: what it says of documents on screen, in JSON and on a page."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from tejat import cli
from tejat.data.shards import Item, Writer
from tejat.parts import Audio, Document, Image, Text, Turn, Video, to_json


@pytest.fixture(scope="module")
def folder(tmp_path_factory, micro_vocabulary) -> Path:
    """Documents of every kind of part, two bad lines, and a tokenizer."""
    place = tmp_path_factory.mktemp("inspected")
    (place / "tokenizer.model").write_bytes(micro_vocabulary.model)
    picture = Image(np.full((48, 96, 3), 200, np.uint8))
    sound = Audio(np.linspace(-0.5, 0.5, 8_000, dtype=np.float32))
    film = Video(np.zeros((2, 32, 32, 3), np.uint8), (0.0, 0.5))
    documents = [
        Document.from_turns([Turn("user", (picture, Text("What is it?"))), Turn("model", (Text("A fog."), picture))]),
        Document((Text("<script>alert(1)</script> \x1b[31m"), sound, film), (True, False, False), (None,) * 3, "<b>"),
    ]
    lines = [json.dumps(to_json(document, place)) for document in documents]
    (place / "a.jsonl").write_text("\n".join([lines[0], "no json", lines[1], "{}"]) + "\n")
    return place


def inspect(capsys, *words: str) -> tuple[int, str, str]:
    code = cli.main(["data", "inspect", *words])
    return (code, *capsys.readouterr())


def test_documents_on_the_screen(capsys, folder):
    code, out, _ = inspect(capsys, str(folder / "a.jsonl"), "--tokenizer", str(folder / "tokenizer.model"))
    assert code == 0 and "\x1b" not in out
    assert "○ user: image, 96 × 48" in out and "● model: text, 6 characters" in out
    assert (
        "A fog." in out
        and "○ video, 0.5 s, 2 frames of 32 × 32" in out
        and "<script>alert(1)</script> \ufffd[31m" in out
    )
    assert "1 lines that are not JSON, as a.jsonl:2" in out
    assert "media as for mini" in out


def test_the_same_in_json(capsys, folder):
    _, out, _ = inspect(capsys, str(folder / "a.jsonl"), "--tokenizer", str(folder / "tokenizer.model"), "--json")
    found = json.loads(out)
    assert found["format"] == "jsonl" and [d["number"] for d in found["documents"]] == [1, 2]
    dialogue, plain = found["documents"]
    # The picture seen takes 2 x 5 soft tokens and two marks; the one drawn 11 x 23 codes, row ends, sizes and marks.
    assert dialogue["tokens"]["image"] == 12 == dialogue["parts"][0]["tokens"]
    assert dialogue["tokens"]["picture"] == 11 * (22 + 1) + 4 == dialogue["parts"][3]["tokens"]
    assert [part["learnt"] for part in dialogue["parts"]] == [False, False, True, True]
    assert plain["tokens"]["audio"] == plain["parts"][1]["tokens"] > 10 and plain["parts"][0]["role"] is None
    assert found["left_out"]["records that are no documents"]["count"] == 1


def test_a_page_with_everything_escaped_and_nothing_outside_it(capsys, folder, tmp_path):
    page = tmp_path / "new" / "page.html"
    words = ("--tokenizer", str(folder / "tokenizer.model"), "--html", str(page))
    assert inspect(capsys, str(folder / "a.jsonl"), *words)[0] == 0
    text = page.read_text()
    assert "<script" not in text and "&lt;script&gt;" in text and "&lt;b&gt;" in text
    assert text.count("<article") == 2 and text.count("<audio") == 1 and text.count("<img") == 4
    assert not re.search(r'(src|href)="(?!data:)', text)
    assert "lines that are not JSON" in text and "part learnt" in text


def test_a_corpus_shows_its_sources_in_turn(capsys, tmp_path):
    for name in ("one", "two"):
        with Writer(tmp_path, name, "train") as writer:
            for k in range(3):
                writer.write(Item("text", {"text": f"{name} {k}"}))
    (tmp_path / "corpus.json").write_text("{}")
    code, out, _ = inspect(capsys, str(tmp_path), "--limit", "2", "--skip", "1", "--json")
    texts = [document["parts"][0]["text"] for document in json.loads(out)["documents"]]
    assert code == 0 and texts == ["two 0", "one 1"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["{}/gone"], "there is nothing at"),
        (["{}/a.jsonl", "--skip", "7"], "has no document 8"),
        (["{}/a.jsonl", "--limit", "0"], "--limit is a count from 1"),
        (["{}/a.jsonl", "--format", "tfrecord"], "no format 'tfrecord'"),
        (["{}/a.jsonl", "--model", "giant"], "no model 'giant'"),
        (["{}/a.jsonl", "--tokenizer", "{}/gone.model"], "there is no tokenizer"),
    ],
)
def test_what_cannot_be_shown_is_told_in_a_sentence(capsys, folder, words, told):
    code, out, err = inspect(capsys, *(word.format(folder) for word in words))
    assert code == 2 and not out and told in err and err.count("\n") == 1
