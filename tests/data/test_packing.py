"""Packing loses nothing and splits nothing, and a model computes of packed documents what it does of each alone."""

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tejat.codecs.framing import Encoded, Modality
from tejat.data.packing import Room, Row, collate, fits, pack_prompts, sizes
from tejat.model import audio, family, multimodal
from tejat.parts import Audio, Document, Image, Text, Turn, Video

ROOM = Room(rows=4, tokens=224, targets=128, patches=288, sounds=4, frames=128)


def picture(seed: int, height: int, width: int) -> Image:
    return Image(np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8))


def sound(seed: int, seconds: float) -> Audio:
    samples = np.random.default_rng(seed).uniform(-1, 1, int(16_000 * seconds))
    return Audio(samples.astype(np.float32))


@pytest.fixture(scope="module")
def documents(micro) -> list[Encoded]:
    """Every kind of part; sounds longer than one piece, images of several aspects, dialogue and plain text."""
    film = Video(np.stack([picture(s, 30, 40).pixels for s in range(3)]), (0.0, 0.3, 0.6), sound(0, 0.8))
    made = [
        Document.from_turns([Turn("user", (picture(1, 50, 90), Text("What?"))), Turn("model", (Text("A cat."),))]),
        Document((sound(1, 1.6), Text("then"), picture(2, 90, 30)), (False, True, False), (None,) * 3),
        Document.from_turns([Turn("user", (film, Text("Draw it"))), Turn("model", (Text("So:"), picture(3, 40, 60)))]),
        Document.of([Text("plain words, and nothing else")]),
    ]
    return [micro.framing.encode(document) for document in made]


def packed(documents, config, rows):
    """A batch with the given documents (by number) in each row."""
    filled = [Row(ROOM) for _ in range(ROOM.rows)]
    for row, numbers in zip(filled, rows, strict=True):
        assert all(row.take(documents[n]) for n in numbers)
    return collate(filled, config, ROOM)


@pytest.fixture(scope="module")
def hidden(micro):
    """The hidden states of a batch, by a network whose attention is as soft as a trained one's, so that rounding
    is not magnified."""
    params = dict(micro.params)
    blocks = {kind: block | {"q_norm": 0.2 * block["q_norm"]} for kind, block in params["decoder"]["blocks"].items()}
    params["decoder"] = params["decoder"] | {"blocks": blocks}
    forward = jax.jit(lambda inputs: multimodal.forward(params, micro.config, inputs))
    return lambda batch: np.asarray(forward(batch.inputs))


def test_packed_documents_equal_the_same_documents_alone(micro, documents, hidden):
    alone = hidden(packed(documents, micro.config, [[0], [1], [2], [3]]))
    together = hidden(packed(documents, micro.config, [[3, 2], [], [1, 0, 3], []]))
    for row, numbers in ((0, [3, 2]), (2, [1, 0, 3])):
        at = 0
        for n in numbers:
            span = slice(at, at := at + len(documents[n]))
            np.testing.assert_allclose(together[row, span], alone[n, : len(documents[n])], rtol=0, atol=1e-5)


def test_patches_as_bytes_are_seen_as_the_same_pictures(micro, documents):
    rows = [Row(ROOM), Row(ROOM)]
    assert rows[0].take(documents[0]) and rows[1].take(documents[1])
    none = {"mel": np.zeros((2, 0, 128, 64), np.float32)}  # no sounds
    floats, bytes_ = (collate(rows, micro.config, ROOM, dtype).inputs.media for dtype in (np.float32, np.uint8))
    assert bytes_.patches.dtype == np.uint8 and bytes_.patches.max() > 1
    np.testing.assert_array_equal(bytes_.patches.astype(np.float32) / 255.0, floats.patches)
    seen = jax.jit(lambda media: multimodal.soft_tokens(micro.params, micro.config, media))
    np.testing.assert_allclose(seen(bytes_._replace(**none)), seen(floats._replace(**none)), rtol=0, atol=1e-5)


def test_soft_tokens_in_another_order_are_noticed(micro, documents, hidden):
    """The control of the test above: one soft index off by one."""
    batch = packed(documents, micro.config, [[0], [1], [2], [3]])
    soft = batch.inputs.soft.copy()
    first = np.flatnonzero(soft[0] >= 0)[0]
    soft[0, first] += 1
    wrong = hidden(batch._replace(inputs=batch.inputs._replace(soft=soft)))
    assert np.abs(wrong - hidden(batch))[0, first:].max() > 1e-2


def test_targets_know_what_their_document_shows(micro, documents):
    batch = packed(documents, micro.config, [[0], [1, 3], [2], [3]])
    found = [set(about[weights > 0].tolist()) for about, weights in zip(batch.about, batch.weights, strict=True)]
    assert found == [{Modality.IMAGE}, {Modality.AUDIO, Modality.TEXT}, {Modality.VIDEO}, {Modality.TEXT}]


def test_targets_are_the_tokens_to_predict_each_at_the_place_before(micro, documents):
    rows = [[3, 2], [], [1, 0, 3], []]
    batch = packed(documents, micro.config, rows)
    for row, numbers in enumerate(rows):
        wanted, at = [], 0
        for n in numbers:
            document = documents[n]
            wanted += [
                (at + i - 1, int(document.tokens[i]), int(document.modality[i]))
                for i in np.flatnonzero(document.loss)
                if i > 0
            ]
            at += len(document)
        due = batch.weights[row] > 0
        columns = (batch.target_at[row][due], batch.targets[row][due], batch.modality[row][due])
        assert list(zip(*(c.tolist() for c in columns), strict=True)) == wanted
        assert {m for _, _, m in wanted} <= {Modality.TEXT, Modality.PICTURE}


def test_every_document_is_whole(micro, documents):
    batch = packed(documents, micro.config, [[0, 1, 3], [2], [], []])
    inputs, at = batch.inputs, 0
    for number, n in enumerate([0, 1, 3], 1):
        span = slice(at, at := at + len(documents[n]))
        np.testing.assert_array_equal(inputs.tokens[0, span], documents[n].tokens)
        np.testing.assert_array_equal(inputs.positions[0, span], np.arange(len(documents[n])))
        assert set(inputs.segments[0, span].tolist()) == {number}
    assert not inputs.segments[0, at:].any() and not inputs.segments[2:].any() and not batch.weights[2:].any()
    patches = sum(sizes(documents[n])[2] for n in (0, 1, 3))
    assert (inputs.media.patch_images[0] > 0).sum() == (inputs.media.patch_slots[0] >= 0).sum() == patches
    frames = sum(len(m) for n in (0, 1, 3) for m in documents[n].media if isinstance(m, np.ndarray))
    assert inputs.media.mel_real[0].sum() == frames
    # Images of one row have numbers of their own, and so have their blocks of tokens.
    blocks = inputs.blocks[0]
    assert len(set(blocks[blocks > 0].tolist())) == inputs.media.patch_images[0].max() == 2


def text(length: int, due: int = 0) -> Encoded:
    column = np.zeros(length, np.int32)
    loss = np.arange(length) > length - 1 - due
    return Encoded(column + 5, loss, column, column, column - 1, column, ())


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 12), st.integers(0, 11)), max_size=8))
def test_a_row_takes_what_fits_and_nothing_else(shapes):
    room = Room(rows=1, tokens=20, targets=9, patches=0, sounds=0, frames=0)
    row, kept = Row(room), []
    for length, due in shapes:
        due = min(due, length - 1)
        tried = [*kept, (length, due)]
        fit = sum(n for n, _ in tried) <= 20 and sum(d for _, d in tried) <= 9
        assert row.take(text(length, due)) == fit
        kept = tried if fit else kept
    assert [(len(d), sizes(d)[1]) for d in row.documents] == kept
    batch = collate([row], family.preset("micro"), room)
    assert (batch.inputs.segments > 0).sum() == sum(n for n, _ in kept)
    assert batch.weights.sum() == sum(d for _, d in kept)


def test_a_sound_longer_than_the_buffers_fits_nowhere(documents):
    assert fits(documents[1], ROOM)
    assert not fits(documents[1], ROOM.__class__(**{**vars(ROOM), "frames": 100}))


def test_a_sound_longer_than_a_piece_is_heard_as_one(micro):
    """Soft tokens of all its pieces, behind another sound, against the tower's answer to the whole at once."""
    short, long = sound(1, 0.3), sound(2, 3.5)
    document = micro.framing.encode(Document.of([short, long], loss=False))
    assert [len(m) for m in document.media] == [29, 128, 128, 93]
    row = Row(ROOM)
    assert row.take(document)
    media = collate([row], micro.config, ROOM).inputs.media
    heard = jax.jit(lambda media: multimodal.soft_tokens(micro.params, micro.config, media))
    none = {"patches": np.zeros((1, 0, 192), np.float32)}  # no images
    found = np.asarray(heard(media._replace(**none)))[0]
    mel = np.concatenate([np.asarray(m) for m in document.media[1:]])[None]
    at_once = jax.jit(lambda mel: audio.encode(micro.params["audio"], micro.config.audio, mel, np.ones((1, 349), bool)))
    whole = at_once(mel)[0]
    per_piece = ROOM.frames // 4
    np.testing.assert_allclose(found[per_piece:][: len(whole)], whole, rtol=0, atol=1e-5)
    # Control: pieces that all begin anew differ, though not the first.
    apart = np.asarray(heard(media._replace(**none, mel_goes_on=None)))[0]
    np.testing.assert_allclose(apart[: 2 * per_piece], found[: 2 * per_piece], rtol=0, atol=1e-5)
    assert np.abs(apart - found)[2 * per_piece :][:8].max() > 1e-2


def test_prompts_stand_one_a_row(micro):
    prompts = [micro.framing.prompt([Turn("user", (Text(word),))]) for word in ("one", "two or three")]
    inputs = pack_prompts(prompts, micro.config, ROOM)
    for row, prompt in enumerate(prompts):
        np.testing.assert_array_equal(inputs.tokens[row, : len(prompt)], prompt.tokens)
        assert (inputs.segments[row] > 0).sum() == len(prompt)
    assert not inputs.segments[2:].any()
