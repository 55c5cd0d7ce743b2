"""Soft tokens of a prompt's images and sounds, made once for each and remembered by a hash of what they are made of."""

import hashlib
import itertools
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from tejat.codecs.audio import Continuation, soft_count
from tejat.codecs.framing import Encoded
from tejat.codecs.image import Patches
from tejat.data.packing import pack_prompts
from tejat.infer.room import room_for
from tejat.infer.steps import embed_prompt
from tejat.model.multimodal import ModelConfig
from tejat.model.params import Tree

Make = Callable[[Sequence[Any], Sequence[int]], Float[np.ndarray, "n D"]]
"""Makes the soft tokens of an image, or of the pieces of a whole sound; how many each has is given too."""


class SoftTokens:
    """Makes and remembers soft tokens; any thread may ask. Each image or whole sound is computed by itself.

    So they are the same whatever prompt they stand in.
    """

    def __init__(self, make: Make, config: ModelConfig, room: int):
        """`room`: bytes of host memory, at most."""
        self._make, self._config, self._room = make, config, room
        self._found: OrderedDict[bytes, Float[np.ndarray, "n D"]] = OrderedDict()
        self._bytes, self._lock = 0, threading.Lock()

    def known(self, digests: Sequence[bytes]) -> bool:
        """Are they all there?"""
        with self._lock:
            return all(digest in self._found for digest in digests)

    def of(self, prompt: Encoded, digests: Sequence[bytes]) -> list[Float[np.ndarray, "n D"]]:
        """The soft tokens of each of a prompt's media, whose `digests` these are."""
        found: list[Float[np.ndarray, "n D"]] = []
        for first, last in _wholes(prompt.media):
            pieces = prompt.media[first:last]
            counts = [self._count(piece) for piece in pieces]
            rows = self._whole(digests[first], pieces, counts)
            found += np.split(rows, np.cumsum(counts)[:-1])
        return found

    def _count(self, piece: Any) -> int:
        return piece.count if isinstance(piece, Patches) else soft_count(len(piece), self._config.audio.stride)

    def _whole(self, digest: bytes, pieces: Sequence[Any], counts: Sequence[int]) -> Float[np.ndarray, "n D"]:
        with self._lock:
            if digest in self._found:
                self._found.move_to_end(digest)
                return self._found[digest]
        rows = self._make(pieces, counts)
        with self._lock:
            if digest not in self._found:
                self._found[digest] = rows
                self._bytes += rows.nbytes
                while self._bytes > self._room and len(self._found) > 1:
                    self._bytes -= self._found.popitem(last=False)[1].nbytes
        return rows


def by_jax(params: Tree, config: ModelConfig) -> Make:
    """Shapes come in powers of two: a few programs are compiled."""

    def make(pieces: Sequence[Any], counts: Sequence[int]) -> Float[np.ndarray, "n D"]:
        alone = [_alone(pieces, counts)]
        inputs = pack_prompts(alone, config, room_for(alone, config))
        return np.asarray(embed_prompt(params, config, inputs))[0, : sum(counts)]

    return make


def digests(prompt: Encoded) -> list[bytes]:
    """A hash for each of a prompt's media. Pieces of one sound share that of the whole."""
    found: list[bytes] = []
    for first, last in _wholes(prompt.media):
        hashed = hashlib.blake2b(digest_size=24)
        for medium in prompt.media[first:last]:
            for array in medium[:3] if isinstance(medium, Patches) else (np.asarray(medium),):
                hashed.update(repr((array.shape, array.dtype.str)).encode() + np.ascontiguousarray(array).tobytes())
        found += [hashed.digest()] * (last - first)
    return found


def _wholes(media: Sequence[Any]) -> list[tuple[int, int]]:
    """[first, last) of each image, and of each sound with all the pieces that go on where the one before ended."""
    starts = [at for at, medium in enumerate(media) if not isinstance(medium, Continuation)]
    return list(itertools.pairwise([*starts, len(media)]))


def _alone(pieces: Sequence[Any], counts: Sequence[int]) -> Encoded:
    """A document of nothing but soft tokens."""
    item = np.repeat(np.arange(len(pieces), dtype=np.int32), counts)
    soft = np.concatenate([np.arange(count, dtype=np.int32) for count in counts])
    zeros = np.zeros(len(item), np.int32)
    return Encoded(zeros, zeros.astype(bool), zeros.astype(np.int8), zeros, item, soft, tuple(pieces))
