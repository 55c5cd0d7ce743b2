"""A batch's rows in ONNX Runtime, over one cache of keys and values."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from tejat.codecs.vocabulary import BOS
from tejat.infer import choice, guidance, sampling, steps
from tejat.infer.constraints import Rule
from tejat.infer.onnx_cache import Cache, Span, one_is_alike
from tejat.infer.onnx_model import OnnxModel


class OnnxRows:
    """`Rows` of the scheduler. A step computes as many rows as are written and no more; of several never one alone,
    where that would change its last bits (`one_is_alike`): an answer does not depend on its company.

    The unasked row of each (`guidance`) stands as far before the first as it stands behind, 2 1 0 | 0 1 2, so that
    those of one step lie side by side.
    """

    dtype: Any = np.dtype(np.float32)
    ahead = False
    every_need: Sequence[sampling.Needs] = (sampling.Needs(),)

    def __init__(self, model: OnnxModel, rule: Rule, *, slots: int, context: int):
        self._model, self._rule, self.slots, self._context = model, rule, slots, context
        self.widths = tuple(range(1 if slots == 1 or one_is_alike(model) else 2, slots + 1))
        self.reset()

    def reset(self) -> None:
        config = self._model.config
        self._first = self.slots if config.picture is not None else 0  # of the rows that are asked for
        filled = guidance.places(self._rule) if self._first else 0
        self._cache = Cache(self._model, self.slots, self._context, self._first, filled)
        self._unasked: set[int] = set()  # rows whose unasked ones have been begun
        self.state = choice.idle(self.slots, config.decoder.vocabulary)
        self._read = np.zeros(self.slots, np.int32)  # places of each row that hold something

    def on_device(self, array: Any) -> Any:
        return steps.Wishes(*(a.copy() for a in array)) if isinstance(array, steps.Wishes) else array.copy()

    def nothing_soft(self, shape: tuple[int, ...]) -> Any:
        return None

    def read(self, part: steps.Part) -> "OnnxRows":
        for r, row in enumerate(np.asarray(part.rows).tolist()):
            if row >= self.slots:
                continue
            count = int((part.ends[r] > 0).sum())
            soft = None
            if part.soft is not None:
                soft = part.is_soft[r : r + 1, :count], part.soft[r : r + 1, :count]
            mine = slice(self._first + row, self._first + row + 1)
            self._cache.run(mine, part.tokens[r : r + 1, :count], part.start[r : r + 1], [], soft)
            self._read[row] = part.start[r] + count
        return self

    def block_until_ready(self) -> None:
        """A step of this engine is over when it returns."""

    def cut(self, row: int, start: int, size: int) -> Span:
        return tuple((keys.copy(), values.copy()) for keys, values in self._cache.part(self._first + row, start, size))

    def put(self, row: int, start: int, count: int, block: Span) -> None:
        at = self._first + row
        self._cache.moved(slice(at, at + 1), np.asarray([start]))
        for pair, kept in zip(self._cache.part(at, start, count), block, strict=True):
            for array, part in zip(pair, kept, strict=True):
                array[...] = part[:, :count]
        self._read[row] = start + count

    def place(self, changes: Int[np.ndarray, "R 5"]) -> None:
        choice.place(self.state, changes)

    def forward(
        self, width: int, guided: Sequence[int] = ()
    ) -> tuple[Float[np.ndarray, "W V"], dict[int, Float[np.ndarray, " V"]]]:
        """(scores of the rows, those of unasked rows by their number)."""
        state = self.state
        writes = state.left[:width] > 0
        # A row that does not write leaves its token where it will write next, before anything looks there.
        start = np.where(writes, state.position[:width], np.minimum(self._read[:width], self._context - 1))
        self._read[:width] = np.where(writes, start + 1, self._read[:width])
        # A row between that is not guided leaves its token where its next picture will, before anything looks there.
        guided = [row for row in guided if state.picture.written[row] >= guidance.FIRST]
        tokens, places = np.zeros((2, max(guided, default=-1) + 1), np.int32)
        places[:] = guidance.FIRST
        for row in guided:
            self._begin(row)
            tokens[row], places[row] = state.token[row], state.picture.written[row]
        beside = len(tokens)
        scores = self._cache.step(
            self._first - beside,
            np.concatenate([tokens[::-1], state.token[:width]]),
            np.concatenate([places[::-1], start]),
        )
        return scores[beside:], {row: scores[beside - 1 - row] for row in guided}

    def _begin(self, row: int) -> None:
        """Reads what stands before every picture that nobody asked for; nothing ever overwrites it."""
        if row not in self._unasked:
            at = self._first - 1 - row
            tokens = np.asarray([[BOS, self._rule.picture_begin]])
            self._cache.run(slice(at, at + 1), tokens, np.zeros(1, np.int32), [])
            self._unasked.add(row)

    def choose(self, needs: sampling.Needs, scores: Any, wishes: steps.Wishes, words: Any) -> steps.Written:
        return choice.choose(self._rule, self.state, scores[0], wishes, words, scores[1])
