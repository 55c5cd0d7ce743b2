"""The lines of a file of one's own: by number, each once an epoch, read where they lie; and the room that they take."""

import json
import pickle

import numpy as np
import pytest

from tejat.data.sources import interleaved
from tejat.errors import BadInput
from tejat.parts import Document, Text, to_json
from tejat.posttrain import rooms
from tejat.posttrain.dialogues import Dialogues
from tejat.posttrain.lines import Lines


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "a.jsonl"
    # Of several lengths, with an empty line and characters of several bytes.
    texts = [f"Zeile {n} " + "é" * n for n in range(7)]
    path.write_text("\n\n".join(json.dumps({"text": text}, ensure_ascii=n % 2 == 0) for n, text in enumerate(texts)))
    return path


def test_lines_are_found_by_number(path):
    lines = Lines(path, interleaved.document)
    assert [lines[n].parts[0].text for n in (6, 0, 3)] == [f"Zeile {n} " + "é" * n for n in (6, 0, 3)]
    assert len(lines) == 7 and lines.unusable == 0
    assert pickle.loads(pickle.dumps(lines))[5] == lines[5]  # worker processes are given it


def test_every_document_comes_once_an_epoch_in_another_order(path, talker):
    source = Dialogues(path, talker.framing, seed=3)
    epochs = [[tuple(source(n).tokens.tolist()) for n in range(7 * e, 7 * e + 7)] for e in range(3)]
    assert len(set(epochs[0])) == 7 and all(set(epoch) == set(epochs[0]) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) > 1
    again = Dialogues(path, talker.framing, seed=3)
    assert tuple(again(9).tokens.tolist()) == epochs[1][2]


def test_room_for_what_is_there(painter, speckled):
    shown = [painter.framing.encode(Document((speckled, Text("x" * n)), (False, True), (None, None))) for n in (3, 30)]
    plain = [painter.framing.encode(Document.of([Text("word " * 8)])) for _ in range(3)]
    found = rooms.room([*shown, *plain], painter.config, rows=2, tokens=96)
    sizes = [len(medium.positions) for document in shown for medium in document.media]
    assert found.patches >= max(sizes) and found.patches % painter.config.vision.merged**2 == 0
    assert (found.sounds, found.codes, found.rows, found.tokens, found.images) == (0, 0, 2, 96, None)
    assert 0 < found.targets <= 96
    assert rooms.room(plain, painter.config, 2, 96).patches == 0
    with pytest.raises(BadInput, match="rows of 4 tokens hold none of the documents, of which the shortest has"):
        rooms.room(plain, painter.config, 2, 4)
    mute = [painter.framing.encode(Document((Text("word"),), (False,), (None,)))]
    with pytest.raises(BadInput, match="nothing in the documents is to be learnt"):
        rooms.room(mute, painter.config, 2, 96)


def test_media_lie_beside_the_lines(tmp_path, painter, speckled):
    record = to_json(Document((speckled, Text("dots")), (False, True), ("user", "model")), tmp_path)
    (tmp_path / "b.jsonl").write_text(json.dumps(record) + "\n")
    encoded = Dialogues(tmp_path / "b.jsonl", painter.framing, seed=0)(0)
    assert len(encoded.media) == 1 and np.count_nonzero(encoded.loss) == len(painter.vocabulary.encode("dots")) + 1
