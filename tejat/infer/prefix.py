"""Beginnings of prompts that were read before: a shared system prompt or a shared image is computed once.

A prompt is read in parts that begin at fixed places. What a whole part leaves in the cache depends only on the tokens
up to its end, so it is kept under a hash of them, and the next prompt that begins alike takes it from there: the same
bits as if it had read them. A part that the end of its prompt cuts short is not kept.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from typing import NamedTuple

import jax
import numpy as np

from tejat.codecs.framing import Encoded
from tejat.infer.steps import Block


class Chunk(NamedTuple):
    """A part of a prompt: `count` tokens from `start` on, read by the program for `size` tokens.

    `key` is a hash of everything up to its end; None where the prompt ends before the part is full.
    """

    start: int
    count: int  # type: ignore[assignment]
    size: int
    key: bytes | None


def chunks(prompt: Encoded, digests: Sequence[bytes], sizes: Sequence[int], whole_images: bool) -> list[Chunk]:
    """The parts in which all but the last token of a prompt are read.

    `sizes` ascend; parts have the last, and the rest of a prompt the first that holds it. `digests` are hashes of the
    prompt's media. With `whole_images` none is cut: a part ends before one that does not fit.
    """
    found: list[Chunk] = []
    length, start, key = len(prompt) - 1, 0, b""
    while start < length:
        stop = min(start + sizes[-1], length)
        if whole_images and stop < length and prompt.blocks[stop] > 0:
            inside = prompt.blocks[start : stop + 1] == prompt.blocks[stop]
            stop = start + int(np.argmax(inside))
        shared = stop < length or stop - start == sizes[-1]
        key = _key(key, prompt, digests, start, stop)
        size = sizes[-1] if shared else next(size for size in sizes if size >= stop - start)
        found.append(Chunk(start, stop - start, size, key if shared else None))
        start = stop
    return found


def _key(before: bytes, prompt: Encoded, digests: Sequence[bytes], start: int, stop: int) -> bytes:
    hashed = hashlib.blake2b(before, digest_size=24)
    hashed.update(prompt.tokens[start:stop].tobytes())
    items = prompt.item[start:stop]
    if (items >= 0).any():
        # Media by the order in which they appear here: their numbers in the prompt do not matter, their content does.
        _, first, order = np.unique(items, return_index=True, return_inverse=True)
        hashed.update(order.astype(np.int32).tobytes() + prompt.soft[start:stop].tobytes())
        hashed.update(b"".join(digests[items[at]] if items[at] >= 0 else b"-" for at in first))
    return hashed.digest()


class PrefixCache:
    """Blocks of keys and values by the hash of all that leads to them; the longest unused go first."""

    def __init__(self, room: int):
        """`room`: bytes, at most."""
        self.room, self.bytes = room, 0
        self._blocks: OrderedDict[bytes, Block] = OrderedDict()

    def __contains__(self, key: bytes) -> bool:
        return key in self._blocks

    def __len__(self) -> int:
        return len(self._blocks)

    def find(self, parts: Sequence[Chunk]) -> list[Block]:
        """Blocks of the first parts, as many as are known."""
        found = []
        for part in parts:
            if part.key is None or part.key not in self._blocks:
                break
            found.append(self._blocks[part.key])
        self.touch(parts[: len(found)])
        return found

    def touch(self, parts: Sequence[Chunk]) -> None:
        """These were used just now; the first goes last, since the others are nothing without it."""
        for part in reversed(parts):
            if part.key is not None and part.key in self._blocks:
                self._blocks.move_to_end(part.key)

    def add(self, key: bytes, block: Block) -> None:
        """Keeps a block; those that were not asked for for longest make room."""
        size = sum(a.nbytes for a in jax.tree.leaves(block))
        if key in self._blocks or size > self.room:
            return
        self._blocks[key] = block
        self.bytes += size
        while self.bytes > self.room:
            _, gone = self._blocks.popitem(last=False)
            self.bytes -= sum(a.nbytes for a in jax.tree.leaves(gone))

    def clear(self) -> None:
        self._blocks.clear()
        self.bytes = 0
