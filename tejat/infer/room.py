"""Sizes of batches: powers of two, so that a few compiled programs serve everything."""

from collections.abc import Sequence

from tejat.codecs.framing import Encoded
from tejat.codecs.image import Patches
from tejat.data.packing import Room, Size, sizes
from tejat.model.multimodal import ModelConfig


def room_for(documents: Sequence[Encoded], config: ModelConfig) -> Room:
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


def bucket(size: int, least: int = 16) -> int:
    """The power of two that holds `size`."""
    return max(least, 1 << (size - 1).bit_length())
