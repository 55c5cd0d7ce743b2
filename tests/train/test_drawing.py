"""Codes made where a model trains are those that framing would have made, at the same places."""

import dataclasses

import jax
import numpy as np
import pytest

from tejat.codecs.framing import Framing
from tejat.data.cutting import pieces
from tejat.data.packing import Room, Row, collate, sizes
from tejat.parts import Document, Image, Text, Turn
from tejat.train import drawing

ROOM = Room(rows=2, tokens=400, targets=300, patches=288, sounds=0, frames=0, codes=192)


def picture(seed: int, height: int, width: int) -> Image:
    return Image(np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8))


DOCUMENTS = (
    Document.from_turns([Turn("user", (picture(0, 30, 30), Text("Draw"))), Turn("model", (picture(1, 40, 60),))]),
    Document((Text("two"), picture(2, 64, 64), picture(3, 80, 20)), (True, True, True), (None,) * 3),
    Document.of([Text("words")]),
)


@pytest.fixture(scope="module")
def framings(micro):
    return micro.framing, Framing(micro.config, micro.vocabulary, None, later=True)


def packed(documents, config, room, rows):
    filled = [Row(room) for _ in range(room.rows)]
    for row, numbers in zip(filled, rows, strict=True):
        assert all(row.take(documents[n]) for n in numbers)
    return collate(filled, config, room, np.uint8)


def test_codes_of_the_step_are_those_of_the_framing(micro, framings):
    now, later = ([framing.encode(document) for document in DOCUMENTS] for framing in framings)
    rows = [[2, 1, 2], [0, 2]]
    expected = packed(now, micro.config, dataclasses.replace(ROOM, codes=0), rows)
    batch = packed(later, micro.config, ROOM, rows)
    assert batch.inputs.tokens.max() >= micro.config.decoder.vocabulary
    found = jax.device_get(drawing.with_codes(micro.pictures.params, micro.config, batch))
    assert found.pictures is None
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_row_has_room_for_so_many_codes(framings):
    document = framings[1].encode(DOCUMENTS[1])
    assert sizes(document).codes == 64 + sum(len(m.positions) for m in document.media[1:])
    row = Row(dataclasses.replace(ROOM, codes=sizes(document).codes))
    assert row.take(document) and not row.take(document)


def test_a_long_document_is_cut_between_its_pictures(micro, framings):
    whole = framings[1].encode(Document.of([part for n in range(4) for part in (Text("then"), picture(n, 64, 64))]))
    room = dataclasses.replace(ROOM, codes=128)
    found = pieces(whole, room)
    assert [len(piece.media) for piece in found] == [2, 2]
    rows = [Row(room), Row(room)]
    assert all(row.take(piece) for row, piece in zip(rows, found, strict=True))
    batch = collate(rows, micro.config, room, np.uint8)
    beyond = batch.inputs.tokens[batch.inputs.tokens >= micro.config.decoder.vocabulary].reshape(2, -1)
    np.testing.assert_array_equal(beyond - micro.config.decoder.vocabulary, [range(128)] * 2)
    np.testing.assert_array_equal(batch.pictures.images, [[1] * 64 + [2] * 64] * 2)
