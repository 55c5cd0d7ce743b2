"""What tests of training share: a model with every kind of Param, as small as it can be, and batches for it."""

import jax
import numpy as np
import pytest

from tejat.data.packing import Batch, Room
from tejat.model.audio import AudioConfig
from tejat.model.decoder import DecoderConfig
from tejat.model.multimodal import Inputs, Media, ModelConfig
from tejat.model.vision import VisionConfig
from tejat.train import step
from tejat.train.optimizer import Schedule


@pytest.fixture(scope="session")
def config() -> ModelConfig:
    """It has frozen Params too: clipping bounds and the standardisation of soft tokens."""
    return ModelConfig(
        name="smallest",
        text_vocabulary=40,
        context=64,
        decoder=DecoderConfig(vocabulary=56, width=16, layers=2, heads=2, mlp=24, head_width=8, window=8, period=2),
        vision=VisionConfig(
            width=16,
            layers=1,
            heads=2,
            head_width=8,
            mlp=24,
            patch=2,
            pool=2,
            table=8,
            budgets=(4,),
            clipped=True,
            standardize=True,
        ),
        audio=AudioConfig(width=16, layers=1, heads=2, channels=(4, 2), mels=8, output=16, frames=16, clipped=True),
        picture=None,
    )


@pytest.fixture(scope="session")
def schedule() -> Schedule:
    return Schedule(steps=60, peak=1e-2, warmup=5)


@pytest.fixture(scope="session")
def initial(config, schedule) -> step.TrainState:
    """The state before the first step, in NumPy arrays, since a step takes its state's memory."""
    return jax.device_get(step.initial_state(config, schedule, seed=0))


@pytest.fixture(scope="session")
def room() -> Room:
    return Room(rows=2, tokens=24, targets=14, patches=16, sounds=1, frames=16)


@pytest.fixture(scope="session")
def batch(config, room) -> Batch:
    """Two rows of random tokens, one of two documents; an image and a sound in the first; targets of both kinds."""
    random = np.random.default_rng(0)
    rows, length = room.rows, room.tokens
    tokens = random.integers(0, config.decoder.vocabulary, (rows, length)).astype(np.int32)
    soft = np.full_like(tokens, -1)
    soft[0, 2:6], soft[0, 8:12] = range(4), range(4, 8)
    segments, positions = np.ones_like(tokens), np.tile(np.arange(length, dtype=np.int32), (rows, 1))
    segments[1, 10:], positions[1, 10:] = 2, np.arange(length - 10)
    segments[1, 20:] = 0
    y, x = np.divmod(np.arange(16, dtype=np.int32), 4)
    media = Media(
        random.random((rows, 16, 12), np.float32),
        np.tile(np.stack([x, y], 1), (rows, 1, 1)),
        np.asarray([[1] * 16, [0] * 16], np.int32),
        np.stack([x // 2 + 2 * (y // 2), np.full(16, -1)]).astype(np.int32),
        random.standard_normal((rows, 1, 16, config.audio.mels), np.float32),
        np.asarray([[[True] * 16], [[False] * 16]]),
    )
    at = np.sort(random.permuted(np.tile(np.arange(18), (rows, 1)), axis=1)[:, : room.targets], axis=1).astype(np.int32)
    targets = np.take_along_axis(tokens, at + 1, axis=1)
    modality = np.where(targets >= config.text_vocabulary, 4, 0).astype(np.int32)
    weights = (random.random(at.shape) < 0.8).astype(np.float32)
    return Batch(
        Inputs(tokens, soft, positions, segments, np.zeros_like(tokens), media), at, targets, weights, modality
    )
