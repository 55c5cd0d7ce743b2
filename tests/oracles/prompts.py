"""Prompts and weights from a seed, for our network; `make.py` turns the same into what `transformers` takes.

All is drawn as uniform numbers: of what NumPy draws they are the least likely to change with its version.
"""

import math
import zlib
from dataclasses import dataclass
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from tejat.codecs.audio import soft_count
from tejat.model import multimodal
from tejat.model.multimodal import Inputs, Media, ModelConfig
from tejat.model.params import Param, Tree, unflatten, walk

IMAGE, VIDEO, AUDIO, FIRST_TEXT = 5, 6, 7, 8
"""Ids of the three tokens that soft tokens replace, and the first of those that stand for text."""


@dataclass(frozen=True)
class Text:
    length: int


@dataclass(frozen=True)
class Picture:
    """An image of so many soft tokens across and down; a `video` is several, each behind its time as text."""

    rows: int
    columns: int


@dataclass(frozen=True)
class Film:
    frames: int
    rows: int
    columns: int


@dataclass(frozen=True)
class Sound:
    frames: int  # of log-mel, 10 ms each


Row = tuple[Text | Picture | Film | Sound, ...]


class Seen(NamedTuple):
    """One image or frame."""

    patches: np.ndarray  # [P, C]
    positions: np.ndarray  # [P, 2]
    slots: np.ndarray  # [P]
    video: int  # number of its video in the batch, -1: an image


class Prompt(NamedTuple):
    """A batch, still in its parts. `kinds`: 0 text, IMAGE, VIDEO or AUDIO for each token."""

    tokens: np.ndarray  # [B, T]
    kinds: np.ndarray
    blocks: np.ndarray
    real: np.ndarray
    positions: np.ndarray
    seen: list[list[Seen]]  # of each row
    heard: list[list[np.ndarray]]  # [frames, mels] each


def prompt(config: ModelConfig, rows: tuple[Row, ...], seed: int, *, left: bool = False) -> Prompt:
    """Rows padded on one side to the longest. Media stand between tokens of text, as begin and end marks would."""
    random = np.random.default_rng(seed)
    seen: list[list[Seen]] = [[] for _ in rows]
    heard: list[list[np.ndarray]] = [[] for _ in rows]
    lines = []
    videos = 0
    for number, row in enumerate(rows):
        line: list[tuple[int, int, int]] = []  # (token, kind, block)

        def write(kind: int, count: int, line=line) -> None:
            block = 1 + max((b for _, _, b in line), default=0) if kind in (IMAGE, VIDEO) else 0
            text = FIRST_TEXT + random.random(count) * (config.decoder.vocabulary - FIRST_TEXT)
            line.extend((kind or int(token), kind, block) for token in text)

        write(0, 1)
        for part in row:
            match part:
                case Text(length):
                    write(0, length)
                case Picture(height, width):
                    seen[number].append(_seen(config, random, height, width, -1))
                    write(IMAGE, height * width)
                case Film(frames, height, width):
                    for _ in range(frames):
                        write(0, 2)
                        seen[number].append(_seen(config, random, height, width, videos))
                        write(VIDEO, height * width)
                    videos += 1
                case Sound(frames):
                    mel = 6 * random.random((frames, config.audio.mels)) - 4
                    heard[number].append(mel.astype(np.float32))
                    write(AUDIO, soft_count(frames))
            write(0, 1)
        lines.append(line)
    length = max(map(len, lines))
    shape = (len(rows), length)
    columns = np.zeros((3, *shape), np.int64)
    real, positions = np.zeros(shape, bool), np.zeros(shape, np.int64)
    for number, line in enumerate(lines):
        span = slice(length - len(line), length) if left else slice(0, len(line))
        columns[:, number, span] = np.asarray(line).T
        real[number, span], positions[number, span] = True, np.arange(len(line))
    return Prompt(*columns, real, positions, seen, heard)


def _seen(config: ModelConfig, random: np.random.Generator, rows: int, columns: int, video: int) -> Seen:
    pool, patch = config.vision.pool, config.vision.patch
    y, x = (a.ravel() for a in np.divmod(np.arange(rows * columns * pool**2), columns * pool))
    patches = random.random((len(x), 3 * patch**2)).astype(np.float32)
    return Seen(patches, np.stack([x, y], 1), x // pool + columns * (y // pool), video)


def inputs(config: ModelConfig, batch: Prompt) -> Inputs:
    """What our network reads: all media of a row in its buffers, soft tokens of images before those of sounds."""
    count = len(batch.tokens)
    pooled = config.vision.pool**2 if config.vision else 1
    room = max(sum(len(one.patches) for one in row) for row in batch.seen)
    clips = max(map(len, batch.heard))
    frames = max((len(mel) for row in batch.heard for mel in row), default=0)
    patches = np.zeros((count, room, 3 * config.vision.patch**2 if config.vision else 0), np.float32)
    places, images = np.zeros((count, room, 2), np.int32), np.zeros((count, room), np.int32)
    slots = np.full((count, room), -1, np.int32)
    mel = np.zeros((count, clips, frames, config.audio.mels if config.audio else 0), np.float32)
    mel_real = np.zeros((count, clips, frames), bool)
    soft = np.full(batch.tokens.shape, -1, np.int32)
    for row in range(count):
        at = 0
        for number, one in enumerate(batch.seen[row], 1):
            span = slice(at, at + len(one.patches))
            patches[row, span], places[row, span], images[row, span] = one.patches, one.positions, number
            slots[row, span] = one.slots + at // pooled
            at = span.stop
        visible = np.isin(batch.kinds[row], (IMAGE, VIDEO))
        soft[row, visible] = np.arange(visible.sum())
        order = []
        for number, sound in enumerate(batch.heard[row]):
            mel[row, number, : len(sound)], mel_real[row, number, : len(sound)] = sound, True
            first = room // pooled + number * soft_count(frames)
            order.extend(range(first, first + soft_count(len(sound))))
        soft[row, batch.kinds[row] == AUDIO] = order
    return Inputs(
        tokens=batch.tokens.astype(np.int32),
        soft=soft,
        positions=batch.positions.astype(np.int32),
        segments=batch.real.astype(np.int32),
        blocks=batch.blocks.astype(np.int32),
        media=Media(patches, places, images, slots, mel, mel_real),
    )


def weights(config: ModelConfig, seed: int) -> Tree:
    """Every number drawn: scales that are one and biases that are nought would hide that they are left out."""
    return unflatten({name: jnp.asarray(_drawn(name, p, seed)) for name, p in walk(multimodal.params(config))})


def _drawn(name: str, param: Param, seed: int) -> np.ndarray:
    random = np.random.default_rng([seed, zlib.crc32(name.encode())])
    noise = (random.random(param.shape) - 0.5) * math.sqrt(12)  # of variance one
    if not isinstance(param.init, float):
        found = noise / math.sqrt(param.fan_in)
    elif math.isinf(param.init):  # clipping bounds, where they bite
        found = math.copysign(1.0, param.init) * (1.0 + 0.3 * noise)
    else:
        found = param.init + 0.3 * noise
    return found.astype(np.float32)


def sums(params: Tree, batch: Prompt) -> dict[str, np.ndarray]:
    """Two numbers by which weights and prompts are known again."""
    media = [a for row in batch.seen for one in row for a in one[:2]] + [mel for row in batch.heard for mel in row]
    arrays = {"weights": [array for _, array in walk(params)], "prompt": [batch.tokens, batch.positions, *media]}
    return {name: np.asarray(sum(np.abs(np.asarray(a, np.float64)).sum() for a in of)) for name, of in arrays.items()}


def raw() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sizes of images with a budget each [300, 3], an image [33, 50, 3] and a quarter of a second of sound."""
    random = np.random.default_rng(2)
    sides = 1 + (random.random((300, 2)) ** 2 * 3000).astype(np.int64)
    budgets = np.asarray([70, 140, 280, 560, 1120])[(random.random(300) * 5).astype(np.int64)]
    image = (random.random((33, 50, 3)) * 256).astype(np.uint8)
    sound = (random.random(4_000) - 0.5).astype(np.float32)
    return np.column_stack([sides, budgets]), image, sound
