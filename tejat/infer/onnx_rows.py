"""A batch's rows in ONNX Runtime: every row a buffer of keys and values as long as the context, steps without copies.

A key's place is its position, on sliding layers too, whose attention sees no further than the window. What a row has
beyond its length means nothing: a place is written before anything looks at it.
"""

import contextlib
import math
import mmap
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from tejat.codecs.vocabulary import BOS
from tejat.infer import choice, guidance, sampling, steps
from tejat.infer.constraints import Rule
from tejat.infer.onnx_model import OnnxModel, enough, fitting
from tejat.model.decoder import head_shape

Span = tuple[tuple[np.ndarray, np.ndarray], ...]


def at_once(model: OnnxModel, slots: int, context: int) -> int:
    """How many of `slots` answers of up to `context` tokens half of the free memory holds; at least one."""
    return fitting(_of_a_place(model) * context, slots)


def _of_a_place(model: OnnxModel) -> float:
    """Bytes of the keys and values of one token in all layers."""
    config = model.config.decoder
    heads = (head_shape(config, kind.attention) for kind in config.kinds)
    return sum(2.0 * model.cached.itemsize * k * n for k, n in heads)


def room(shape: tuple[int, ...], dtype: Any = np.float32) -> Shaped[np.ndarray, "..."]:
    """Zeros that the system gives page by page when they are first written: what no answer needs costs nothing.

    NumPy would ask Linux for huge pages: a token would take two megabytes in every layer of its row.
    """
    if not hasattr(mmap, "MADV_NOHUGEPAGE"):
        return np.zeros(shape, dtype)
    held = mmap.mmap(-1, np.dtype(dtype).itemsize * math.prod(shape), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    with contextlib.suppress(OSError):  # a kernel without huge pages does not know what is meant
        held.madvise(mmap.MADV_NOHUGEPAGE)
    return np.frombuffer(held, dtype).reshape(shape)


class Cache:
    """Keys and values of some rows of `context` places, and runs of the decoder over them."""

    def __init__(self, model: OnnxModel, rows: int, context: int, beside: int = 0, filled: int = 0):
        """`beside` so many rows others stand before them, of which no more than `filled` places are ever written.

        Raises BadInput where memory is short.
        """
        config = model.config.decoder
        heads = [head_shape(config, kind.attention) for kind in config.kinds]
        shapes = [(beside + rows, k, context, n) for k, n in heads]
        written = rows * context + beside * filled
        enough(_of_a_place(model) * written, f"{rows} answers of {context:,} tokens")
        self.layers = [(room(shape, model.cached), room(shape, model.cached)) for shape in shapes]
        self._session, self.width, self.vocabulary = model.decoder, config.width, config.vocabulary
        self._nothing = np.zeros((1, 1, config.width), np.float32)
        self._steps: dict[tuple[int, int], _Step] = {}

    def step(self, first: int, tokens: Int[np.ndarray, " W"], start: Int[np.ndarray, " W"]) -> Float[np.ndarray, "W V"]:
        """Scores after one more token of each of W rows from `first` on. They are overwritten by the next step."""
        span = first, first + len(tokens)
        if span not in self._steps:
            self._steps[span] = _Step(self, self._session, slice(*span))
        return self._steps[span].run(tokens, start)

    def run(
        self,
        rows: slice,
        tokens: Int[np.ndarray, "B T"],
        start: Int[np.ndarray, " B"],
        at: Sequence[int],
        soft: tuple[Bool[np.ndarray, "B T"], Float[np.ndarray, "B T D"]] | None = None,
    ) -> tuple[Float[np.ndarray, "B S V"], Float[np.ndarray, "B S D"]]:
        """(scores, states) at the places `at` of tokens that go on from `start`; keys and values stay in the rows."""
        is_soft, given = soft or (np.zeros(tokens.shape, bool), self._nothing)
        length = start + tokens.shape[1]
        arrays: dict[str, np.ndarray] = {
            "tokens": tokens.astype(np.int64),
            "soft": np.ascontiguousarray(given, np.float32),
            "is_soft": is_soft,
            "last": (length - 1).astype(np.int32),
            "most": np.asarray([length.max()], np.int32),
            "at": np.asarray(at, np.int64),
        }
        shape = len(tokens), len(arrays["at"])
        scores = np.empty((*shape, self.vocabulary), np.float32)
        hidden = np.empty((*shape, self.width), np.float32)
        self._session.run_with_iobinding(self.bound(rows, arrays, {"scores": scores, "hidden": hidden}))
        return scores, hidden

    def bound(self, rows: slice, inputs: dict[str, np.ndarray], outputs: dict[str, np.ndarray]) -> Any:
        """What the session reads and writes: these arrays, and the keys and values of some rows."""
        binding = self._session.io_binding()
        kept = {name: a[rows] for n, pair in enumerate(self.layers) for name, a in zip(_names(n), pair, strict=True)}
        for name, array in (inputs | kept).items():
            binding.bind_input(name, "cpu", 0, array.dtype, array.shape, array.ctypes.data)
        # In and out the same memory: what was there stays, and what is new is written behind it.
        for name, array in (outputs | {f"new_{name}": array for name, array in kept.items()}).items():
            binding.bind_output(name, "cpu", 0, array.dtype, array.shape, array.ctypes.data)
        return binding


def one_is_alike(model: OnnxModel) -> bool:
    """Has a row by itself the very scores that it has beside another? ONNX Runtime multiplies one row by a kernel of
    its own, whose sums, on processors without AVX-512, come in another order than those of several."""
    start, token = np.zeros(2, np.int32), np.full(2, BOS, np.int32)
    cache = Cache(model, 2, 1)
    beside = cache.step(0, token, start)[0].copy()
    return bool((cache.step(0, token[:1], start[:1])[0] == beside).all())


def _names(layer: int) -> tuple[str, str]:
    return f"key.{layer}", f"value.{layer}"


class _Step:
    """One token of some rows: everything bound once, for to bind takes as long as a third of the step."""

    def __init__(self, cache: Cache, session: Any, rows: slice):
        self._session, width = session, rows.stop - rows.start
        self._inputs: dict[str, np.ndarray] = {
            "tokens": np.zeros((width, 1), np.int64),
            "soft": np.zeros((1, 1, cache.width), np.float32),
            "is_soft": np.zeros((width, 1), bool),
            "last": np.zeros(width, np.int32),
            "most": np.zeros(1, np.int32),
            "at": np.zeros(1, np.int64),
        }
        shapes = {"scores": cache.vocabulary, "hidden": cache.width}
        self._outputs = {name: np.zeros((width, 1, size), np.float32) for name, size in shapes.items()}
        self._binding = cache.bound(rows, self._inputs, self._outputs)

    def run(self, tokens: Int[np.ndarray, " W"], start: Int[np.ndarray, " W"]) -> Float[np.ndarray, "W V"]:
        self._inputs["tokens"][:, 0], self._inputs["last"][:] = tokens, start
        self._inputs["most"][0] = start.max() + 1
        self._session.run_with_iobinding(self._binding)
        return self._outputs["scores"][:, 0]


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
        at = self._first + row
        return tuple(
            (keys[at, :, start : start + size].copy(), values[at, :, start : start + size].copy())
            for keys, values in self._cache.layers
        )

    def put(self, row: int, start: int, count: int, block: Span) -> None:
        for pair, kept in zip(self._cache.layers, block, strict=True):
            for array, part in zip(pair, kept, strict=True):
                array[self._first + row, :, start : start + count] = part[:, :count]
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
