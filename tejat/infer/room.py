"""Sizes of batches: powers of two, or of four and eight, so that a few compiled programs serve everything."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import jax

from tejat.codecs.framing import Encoded
from tejat.codecs.image import Patches
from tejat.data.packing import Room, Size, sizes
from tejat.model.multimodal import ModelConfig


def bucket(size: int, least: int = 16) -> int:
    """The power of two that holds `size`."""
    return max(least, 1 << (size - 1).bit_length())


def coarse(size: int, least: int = 16) -> int:
    """`bucket` on a CPU; on an accelerator `least` times the power of four that holds `size`.

    A program takes tens of seconds to compile for an accelerator, and what is added to a batch there next to nothing; a
    CPU compiles in a second or two what then takes longer.
    """
    return bucket(size, least) if _compiles_fast() else power(size, least, 2)


def coarse_rows(count: int) -> int:
    """`coarse` for rows, by powers of eight: a batch is of one answer, a few, or many."""
    return bucket(count, 1) if _compiles_fast() else power(count, 1, 3)


def power(size: int, least: int, bits: int) -> int:
    """`least` times the power of 2^bits that holds `size`."""
    doublings = (-(-max(size, 1) // least) - 1).bit_length()
    return least << bits * -(-doublings // bits)


def _compiles_fast() -> bool:
    return jax.default_backend() == "cpu"


def coarse_room(documents: Sequence[Encoded], config: ModelConfig) -> Room:
    """The smallest room of `coarse` sizes that holds one document a row."""
    room = room_for(documents, config, coarse)
    return replace(room, rows=coarse_rows(len(documents)), targets=min(room.targets, room.tokens))


def room_for(documents: Sequence[Encoded], config: ModelConfig, bucket: Callable[..., int] = bucket) -> Room:
    """The smallest of the usual sizes that holds one document a row."""
    most = Size(*map(max, zip(*map(sizes, documents), strict=True)))
    frames = max((len(m) for d in documents for m in d.media if not isinstance(m, Patches)), default=0)
    pool = config.vision.merged**2 if config.vision else 1
    return Room(
        rows=bucket(len(documents), 1),
        tokens=min(bucket(most.tokens), config.context),
        targets=bucket(most.targets),
        patches=bucket(most.patches // pool) * pool if most.patches else 0,
        sounds=bucket(most.sounds, 1) if most.sounds else 0,
        frames=min(bucket(frames), config.audio.frames) if config.audio and frames else 0,
        images=bucket(most.images, 1) if most.images else 0,
    )
