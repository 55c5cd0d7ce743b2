"""Every front end, all the way: documents are framed, packed, trained on and answered; packed means as alone."""

import dataclasses

import jax
import numpy as np
import pytest

from tejat.bundle import Bundle
from tejat.codecs.framing import Encoded
from tejat.codecs.image import Patches
from tejat.data.packing import Batch, Room, Row, collate, fits
from tejat.errors import BadInput
from tejat.infer.engine import Engine
from tejat.infer.options import Options
from tejat.model import multimodal
from tejat.model.audio import AudioConfig
from tejat.model.decoder import DecoderConfig
from tejat.model.multimodal import ModelConfig
from tejat.model.vision import VisionConfig
from tejat.parts import Audio, Document, Image, Text, Turn, Video
from tejat.train import step
from tejat.train.optimizer import Schedule

ROOM = Room(rows=3, tokens=160, targets=64, patches=80, sounds=3, frames=64, images=6)
VISION = VisionConfig(
    width=16, layers=1, heads=2, head_width=8, mlp=24, patch=4, pool=2, table=32, budgets=(4,), frame_budget=4
)
AUDIO = AudioConfig(width=16, layers=1, heads=2, channels=(4, 4), mels=8, output=16, frames=64)
TOWERLESS = {"layers": 0, "heads": 0}
RAW_VISION = dataclasses.replace(VISION, **TOWERLESS, head_width=0, mlp=0, front_end="raw")
RAW_AUDIO = dataclasses.replace(AUDIO, **TOWERLESS, front_end="raw")
CHOICES = {
    "pooled": (VISION, AUDIO),
    "resampled": (dataclasses.replace(VISION, front_end="resampled", latents=3, resampler_layers=1), RAW_AUDIO),
    "raw": (RAW_VISION, RAW_AUDIO),
    "raw images": (RAW_VISION, AUDIO),
}


SLOW = {"pooled", "raw images"}  # the one is what all other tests use, the other is made of the rest


@pytest.fixture(scope="module", params=[pytest.param(c, marks=pytest.mark.slow if c in SLOW else ()) for c in CHOICES])
def bundle(request, micro, drawn) -> Bundle:
    vision, audio = CHOICES[request.param]
    shape = DecoderConfig(
        vocabulary=micro.config.decoder.vocabulary, width=16, layers=2, heads=2, mlp=24, head_width=8, window=64
    )
    config = ModelConfig(request.param, shape, vision, audio, None, micro.config.text_vocabulary, 512)
    return Bundle(config, micro.vocabulary, drawn(multimodal.params(config), seed=0), None)


def image(seed: int, height: int, width: int) -> Image:
    return Image(np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8))


def sound(seed: int, seconds: float) -> Audio:
    return Audio(np.random.default_rng(seed).uniform(-1, 1, int(16_000 * seconds)).astype(np.float32))


@pytest.fixture(scope="module")
def documents(bundle) -> list[Encoded]:
    film = Video(np.stack([image(s, 12, 16).pixels for s in range(3)]), (0.0, 0.3, 0.5), sound(0, 0.6))
    made = [
        Document.from_turns([Turn("user", (image(1, 9, 40), Text("What?"))), Turn("model", (Text("A cat."),))]),
        Document((sound(1, 0.9), Text("and"), image(2, 20, 20)), (False, True, False), (None,) * 3),
        Document.from_turns([Turn("user", (film, Text("Then?"))), Turn("model", (Text("Night."),))]),
    ]
    return [bundle.framing.encode(document) for document in made]


def packed(bundle: Bundle, documents: list[Encoded], rows: list[list[int]]) -> Batch:
    filled = [Row(ROOM) for _ in range(ROOM.rows)]
    for row, numbers in zip(filled, rows, strict=True):
        assert all(row.take(documents[n]) for n in numbers)
    return collate(filled, bundle.config, ROOM)


def test_soft_tokens_are_as_many_as_the_front_end_gives(bundle, documents):
    vision, audio = bundle.config.vision, bundle.config.audio
    for document in documents:
        for item, medium in enumerate(document.media):
            count = (document.item == item).sum()
            if not isinstance(medium, Patches):
                assert count == -(-len(medium) // (1 if audio.front_end == "raw" else 4))
            elif vision.front_end == "resampled":
                assert count == vision.latents
            else:
                assert count * (1 if vision.front_end == "raw" else vision.pool**2) == len(medium.patches)


def test_packed_documents_equal_the_same_documents_alone(bundle, documents):
    forward = jax.jit(lambda inputs: multimodal.forward(bundle.params, bundle.config, inputs))
    alone = np.asarray(forward(packed(bundle, documents, [[0], [1], [2]]).inputs))
    batch = packed(bundle, documents, [[1, 0], [], [2]])
    together = np.asarray(forward(batch.inputs))
    at = 0
    for n in (1, 0):
        span = slice(at, at := at + len(documents[n]))
        np.testing.assert_allclose(together[0, span], alone[n, : len(documents[n])], rtol=0, atol=1e-4)
    np.testing.assert_allclose(together[2, : len(documents[2])], alone[2, : len(documents[2])], rtol=0, atol=1e-4)
    # Control: each soft token taken from the place beside its own.
    soft = np.where(batch.inputs.soft >= 0, batch.inputs.soft ^ 1, -1)
    wrong = np.asarray(forward(batch.inputs._replace(soft=soft)))
    assert np.abs(wrong - together)[0].max() > 1e-2


def test_two_steps_of_training_move_every_part(bundle, documents):
    schedule = Schedule(steps=4, peak=1e-2, warmup=0, decay=0.0)  # so that only a gradient moves anything
    batch = packed(bundle, documents, [[1, 0], [2], []])
    state = step.initial_state(bundle.config, schedule, seed=0)
    before = jax.device_get(state.params)
    advance = step.build(bundle.config, schedule)
    losses = []
    for _ in range(2):
        state, sums = advance(state, batch)
        losses.append(float(sums["text_loss"]))
    assert np.isfinite(losses).all() and losses[1] < losses[0]
    after = jax.device_get(state.params)
    for (path, old), new in zip(jax.tree_util.tree_flatten_with_path(before)[0], jax.tree.leaves(after), strict=True):
        assert not np.array_equal(old, new), jax.tree_util.keystr(path)


def test_the_engine_answers_each_by_its_own_media(bundle):
    """Prompts of equal shapes, so that all is compiled once: in another order, and with one of the images changed."""

    def prompt(seed: int) -> Encoded:
        return bundle.framing.prompt([Turn("user", (sound(seed, 0.5), image(seed, 9, 40), Text("?")))])

    engine, wish = Engine(bundle), Options(max_tokens=4)
    first, second = engine.generate([prompt(1), prompt(2)], wish)
    turned = engine.generate([prompt(2), prompt(1)], wish)
    other, same = engine.generate([prompt(3), prompt(2)], wish)
    for found, expected in ((turned[1], first), (turned[0], second), (same, second)):
        np.testing.assert_array_equal(found.tokens, expected.tokens)
        np.testing.assert_allclose(found.logprobs, expected.logprobs, atol=1e-5)
    assert not np.allclose(other.logprobs, first.logprobs, atol=1e-4)


def test_a_batch_of_resampled_images_needs_a_bound(micro, bundle, documents):
    unbounded = dataclasses.replace(ROOM, images=None)
    rows = [Row(unbounded) for _ in range(ROOM.rows)]
    if bundle.config.vision.front_end != "resampled":
        assert collate(rows, bundle.config, unbounded).inputs.media.image_patches is None
        return
    with pytest.raises(BadInput, match="resamples its images; give the room of a batch a number of images"):
        collate(rows, bundle.config, unbounded)
    assert not fits(documents[2], dataclasses.replace(ROOM, images=2))
    assert fits(documents[2], dataclasses.replace(ROOM, images=3))
