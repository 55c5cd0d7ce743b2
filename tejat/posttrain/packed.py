"""Documents of one batch in rows, in a given order, each target with the number of its document.

Streams of `tejat.data.filling` put a document wherever it fits; here documents belong together: two answers to a
prompt, or the answers of an iteration, whose advantages and old probabilities are laid beside their targets.
"""

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Int

from tejat.codecs.framing import Encoded
from tejat.data.packing import Batch, Room, Row, collate, fits, sizes
from tejat.model.multimodal import ModelConfig


class Packed(NamedTuple):
    """A batch, and whose each target is: the number of its document; where there is none, that after the last."""

    batch: Batch
    owner: Int[Array | np.ndarray, "B M"]


class Rows:
    """Rows being filled, by first fit: the same documents in the same order lie at the same places."""

    def __init__(self, config: ModelConfig, room: Room):
        self._config, self._room = config, room
        self._rows, self._whose = [Row(room) for _ in range(room.rows)], [list[int]() for _ in range(room.rows)]
        self.count = 0

    def take(self, documents: Sequence[Encoded]) -> bool:
        """Adds all of the documents, numbered on, or none."""
        placed: list[tuple[int, Row]] = []
        for document in documents:
            size = sizes(document)
            where = next((r for r, row in enumerate(self._rows) if row.fits(size)), None)
            if where is None or not fits(document, self._room):
                for r, before in reversed(placed):
                    self._rows[r] = before
                return False
            placed.append((where, self._rows[where]))
            self._rows[where] = _with(self._rows[where], document)
        for r, _ in placed:
            self._whose[r].append(self.count)
            self.count += 1
        return True

    def used(self) -> int:
        """Rows that hold something."""
        return sum(1 for row in self._rows if row.documents)

    def cut(self, rows: int) -> None:
        """Leaves so many rows; what is beyond must be empty."""
        self._rows, self._whose, self._room = self._rows[:rows], self._whose[:rows], replace(self._room, rows=rows)

    def finish(self, documents: int) -> Packed:
        """The arrays. `documents` is how many there may be in a batch of this kind."""
        batch = collate(self._rows, self._config, self._room, np.uint8)._replace(pictures=None, about=None)
        owner = np.full(batch.targets.shape, documents, np.int32)
        for r, (row, whose) in enumerate(zip(self._rows, self._whose, strict=True)):
            at = 0
            for number, document in zip(whose, row.documents, strict=True):
                due = sizes(document).targets
                owner[r, at : at + due] = number
                at += due
        return Packed(batch, owner)


def _with(row: Row, document: Encoded) -> Row:
    """A copy with one more."""
    made = copy.copy(row)
    made.documents = [*row.documents]
    made.add(document, sizes(document))
    return made


def beside(
    owner: Int[Array | np.ndarray, "B M"], values: Sequence[Float[np.ndarray, " n"]], dtype: DTypeLike = np.float32
) -> Float[np.ndarray, "B M"]:
    """Numbers of each document's targets, in order, laid beside them; zeros where there is no target."""
    every = np.concatenate([np.zeros(0), *values])
    found = np.zeros(owner.size, dtype)
    found[_in_order(owner)[: len(every)]] = every
    return found.reshape(owner.shape)


def apart(owner: Int[Array | np.ndarray, "B M"], values: Float[np.ndarray, "B M"], documents: int) -> list[np.ndarray]:
    """The inverse of `beside`."""
    counts = np.bincount(np.asarray(owner).ravel(), minlength=documents)[:documents]
    return np.split(values.ravel()[_in_order(owner)], np.cumsum(counts))[:-1]


def _in_order(owner: Int[Array | np.ndarray, "B M"]) -> Int[np.ndarray, " n"]:
    """Places by document: each lies in one row, its targets in order."""
    return np.argsort(np.asarray(owner).ravel(), kind="stable")
