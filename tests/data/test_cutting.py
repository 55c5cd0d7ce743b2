"""Pieces of long documents: all of the text, in order, each fits, and no medium is cut."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tejat.codecs.framing import Encoded, Modality
from tejat.codecs.image import Patches
from tejat.data.cutting import pieces
from tejat.data.filling import AHEAD, OVERDUE, Place, Stream
from tejat.data.packing import Room, fits

ROOM = Room(rows=1, tokens=20, targets=15, patches=8, sounds=2, frames=6, images=2)
BOS = 2


def image(number: int) -> Patches:
    return Patches(np.full((4, 3), number, np.uint8), np.zeros((4, 2), np.int32), np.zeros(4, np.int32), 4)


def document(runs: list[tuple[str, int]], learnt: bool = True) -> Encoded:
    """Runs of text of some length, images of six tokens with their marks, sounds of five."""
    columns: list[tuple[int, bool, int, int, int, int]] = [(BOS, False, Modality.TEXT, 0, -1, 0)]
    media: list = []
    for kind, length in runs:
        at = len(columns)
        if kind == "text":
            columns += [(100 + at + i, learnt, Modality.TEXT, 0, -1, 0) for i in range(length)]
            continue
        item, soft, modality = len(media), *((4, Modality.IMAGE) if kind == "image" else (3, Modality.AUDIO))
        media.append(image(item) if kind == "image" else np.full((6, 2), item, np.float32))
        columns.append((10, False, modality, 0, -1, 0))
        columns += [(11, False, modality, 1 + item, item, i) for i in range(soft)]
        columns.append((12, False, modality, 0, -1, 0))
    tokens, loss, modality, blocks, item, soft = np.asarray(columns, np.int32).T
    return Encoded(tokens, loss.astype(bool), modality.astype(np.int8), blocks, item, soft, tuple(media))


runs = st.lists(st.tuples(st.sampled_from(["text", "text", "image", "sound"]), st.integers(1, 50)), max_size=8)


@settings(max_examples=150, deadline=None)
@given(runs)
def test_pieces_hold_all_of_a_document_in_order(shape):
    whole = document(shape)
    found = pieces(whole, ROOM)
    if not found:  # media without text between them cannot be parted
        kinds = [kind for kind, _ in shape]
        assert any(a != "text" and b != "text" for a, b in zip(kinds, kinds[1:], strict=False))
        return
    assert all(fits(piece, ROOM) for piece in found)
    rests = [found[0], *(Encoded(*(column[1:] for column in p[:6]), p.media) for p in found[1:])]
    assert all(p.tokens[0] == BOS and not p.loss[:2].any() for p in found[1:])
    for name in ("tokens", "modality", "blocks", "soft"):
        np.testing.assert_array_equal(np.concatenate([getattr(r, name) for r in rests]), getattr(whole, name))
    # Nothing but the first token of a piece is no longer learnt, and every soft token has its own medium still.
    lost = np.concatenate([r.loss for r in rests]) != whole.loss
    assert set(np.flatnonzero(lost)) <= set(np.cumsum([len(r) for r in rests])[:-1])
    marks = [float(np.ravel(r.media[i][0] if isinstance(r.media[i], Patches) else r.media[i])[0])
             for r in rests for i in r.item[r.item >= 0]]  # fmt: skip
    assert marks == whole.item[whole.item >= 0].tolist()
    assert sum(len(p.media) for p in found) == len(whole.media)


def test_text_is_cut_into_whole_rows():
    found = pieces(document([("text", 60)]), dataclasses.replace(ROOM, targets=20))
    assert [len(piece) for piece in found] == [20, 20, 20, 4]


@pytest.mark.parametrize(
    "whole", [document([("text", 60)], learnt=False), document([("sound", 1), ("text", 60)])], ids=["asked", "sound"]
)
def test_what_is_not_to_be_cut_fits_nowhere(whole):
    """Text that is not learnt is somebody's question; a sound longer than the buffers stays so in every piece."""
    assert pieces(whole, dataclasses.replace(ROOM, frames=5)) == []


def test_almost_all_positions_are_used():
    """Lengths as those of 4,400 pages of manuals, handbooks and code: median 2,500 tokens, a tenth above 11,000."""

    def source(index: int) -> Encoded:
        length = int(np.exp(np.random.default_rng(index).normal(7.82, 1.2)))
        return document([("text", min(max(length, 8), 100_000))])

    room = Room(rows=1, tokens=8_192, targets=8_192, patches=0, sounds=0, frames=0)
    stream = Stream(source, room, 0, Place())
    used = []
    for step in range(60):
        used.append(stream.fill(step).tokens / room.tokens)
        place = stream.place
        # None waits for long: the one overdue begins a row, of which each needs a few new documents.
        assert place.drawn - min(index for index, _ in place.waiting) < OVERDUE + 4 * AHEAD
    assert np.mean(used) > 0.98
    assert place.dropped == place.damaged == 0


def test_almost_all_positions_are_used_where_pictures_and_sounds_have_buffers_of_their_own():
    """Documents of words, pictures and sounds in all proportions; buffers a fifth larger than what a row's documents
    need in the mean. With a quarter less than that, positions are left for want of room."""

    def source(index: int) -> Encoded:
        random = np.random.default_rng([7, index])
        words = max(8, int(np.exp(random.normal(5.5, 1.0))))
        kinds = random.choice(["image", "sound"], int(random.choice([0, 0, 1, 1, 2, 5])))
        return document([("text", words), *((str(kind), 1) for kind in kinds)])

    some = [source(index) for index in range(600)]
    tokens = sum(map(len, some))
    images, sounds = (
        sum(isinstance(medium, Patches) == is_image for one in some for medium in one.media)
        for is_image in (True, False)
    )

    def used(more: float) -> float:
        patches, heard = (int(more * 8_192 / tokens * count) for count in (4 * images, sounds))
        room = Room(rows=1, tokens=8_192, targets=8_192, patches=patches // 4 * 4, sounds=heard, frames=6)
        stream = Stream(source, room, 0, Place())
        found = [stream.fill(step).tokens / room.tokens for step in range(60)]
        assert stream.place.dropped == stream.place.damaged == 0
        return float(np.mean(found))

    assert used(1.2) > 0.97
    assert used(0.75) < 0.9  # the control
