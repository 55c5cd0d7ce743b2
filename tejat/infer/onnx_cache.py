"""Keys and values of some rows in ONNX Runtime: buffers of fixed size, in and out the same memory, no copies.

A full layer's buffer is as long as the context, and a key's place in it is its position. A sliding layer's holds the
window and what is read next: its first place is position `base` of the row, and what was there moves to the front as
the row grows. ONNX Runtime multiplies all that a buffer holds and only then hides what is outside the window: behind
30,000 tokens a sliding layer would cost as much as a full one.

What a row has beyond its length means nothing: a place is written before anything looks at it.
"""

import contextlib
import math
import mmap
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from tejat.codecs.vocabulary import BOS
from tejat.infer.onnx_model import OnnxModel, enough, fitting
from tejat.model.decoder import head_shape

AHEAD = 256
"""Tokens that may be read at once."""

STEP = 128
"""Places by which windows move on. Where they stand depends on the position alone, whatever room there is, for the last
bits of a score to be the same in any company."""

Span = tuple[tuple[np.ndarray, np.ndarray], ...]


def at_once(model: OnnxModel, slots: int, context: int) -> int:
    """How many of `slots` answers of up to `context` tokens half of the free memory holds; at least one."""
    return fitting(float(_bytes(model, _shapes(model, context, _slides(model, context)))), slots)


def _bytes(model: OnnxModel, shapes: Sequence[tuple[int, int, int]]) -> int:
    """Of the keys and values of a row."""
    return sum(2 * model.cached.itemsize * math.prod(shape) for shape in shapes)


def _slides(model: OnnxModel, context: int, ahead: int = AHEAD, behind: int = 0) -> int:
    """Places of a row in a sliding layer."""
    return min(context, model.config.decoder.window + behind + STEP + ahead)


def _shapes(model: OnnxModel, context: int, slides: int) -> list[tuple[int, int, int]]:
    """[K, places, N] of a row in each layer."""
    config = model.config.decoder
    heads = [(kind.attention, *head_shape(config, kind.attention)) for kind in config.kinds]
    return [(k, slides if attention == "sliding" else context, n) for attention, k, n in heads]


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
    """Keys and values of some rows of `context` places, and runs of the decoder over them.

    Args:
      beside: so many others stand before them, of which no more than `filled` places are ever written; windows do not
        move in these.
      ahead: tokens that are read at once, at most.
      behind: places by which a row may be taken back, so that something else follows them; to 0 it always may.

    Raises BadInput where memory is short.
    """

    def __init__(
        self,
        model: OnnxModel,
        rows: int,
        context: int,
        beside: int = 0,
        filled: int = 0,
        *,
        ahead: int = AHEAD,
        behind: int = 0,
    ):
        config = model.config.decoder
        slides = self._slides = max(_slides(model, context, ahead, behind), min(context, filled))
        shapes = _shapes(model, context, slides)
        written = rows * _bytes(model, shapes) + beside * _bytes(model, _shapes(model, filled, min(slides, filled)))
        enough(float(written), f"{rows} answers of {context:,} tokens")
        whole = [(beside + rows, *shape) for shape in shapes]
        self.layers = [(room(shape, model.cached), room(shape, model.cached)) for shape in whole]
        self._sliding = [n for n, kind in enumerate(config.kinds) if kind.attention == "sliding"]
        self._window, self._behind, self._beside = config.window, behind, beside
        self._base = np.zeros(beside + rows, np.int32)
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
        last = start + tokens.shape[1] - 1
        near = last - self.moved(rows, start)
        if near.max() >= self._slides:
            raise ValueError(f"{tokens.shape[1]} tokens are more than the cache has been made to read at once")
        arrays: dict[str, np.ndarray] = {
            "tokens": tokens.astype(np.int64),
            "soft": np.ascontiguousarray(given, np.float32),
            "is_soft": is_soft,
            "position": start[:, None] + np.arange(tokens.shape[1]),
            "last": last.astype(np.int32),
            "most": np.asarray([last.max() + 1], np.int32),
            "window_last": near.astype(np.int32),
            "window_most": np.asarray([near.max() + 1], np.int32),
            "at": np.asarray(at, np.int64),
        }
        shape = len(tokens), len(arrays["at"])
        scores = np.empty((*shape, self.vocabulary), np.float32)
        hidden = np.empty((*shape, self.width), np.float32)
        self._session.run_with_iobinding(self.bound(rows, arrays, {"scores": scores, "hidden": hidden}))
        return scores, hidden

    def moved(self, rows: slice, start: Int[np.ndarray, " B"]) -> Int[np.ndarray, " B"]:
        """The positions of the first places that sliding layers hold, once rows are ready to go on from `start`."""
        if self._sliding:
            for row, place in zip(range(rows.start, rows.stop), start.tolist(), strict=True):
                if row >= self._beside:
                    self._move(row, place)
        return self._base[rows]

    def _move(self, row: int, start: int) -> None:
        base, ahead = int(self._base[row]), start - self._window - self._behind
        by = max(0, ahead - ahead % STEP) - base
        if by > 0:
            for array in (array for n in self._sliding for array in self.layers[n]):
                array[row, :, :-by] = array[row, :, by:]
            self._base[row] += by
        elif self.reach(row, start) != start:
            raise ValueError(f"row {row} cannot go back to {start}: its windows begin at {base}")
        elif start == 0:
            self._base[row] = 0

    def reach(self, row: int, start: int) -> int:
        """Where a row must be read from to go on from `start`: there, or from 0 where its windows have gone."""
        return start if self._base[row] <= max(0, start + 1 - self._window) else 0

    def part(self, row: int, start: int, count: int) -> Span:
        """What the row holds of places that were read or put last, not as a copy."""
        first = start - int(self._base[row])
        spans = [slice(start, start + count)] * len(self.layers)
        for n in self._sliding:
            spans[n] = slice(first, first + count)
        return tuple((k[row, :, s], v[row, :, s]) for s, (k, v) in zip(spans, self.layers, strict=True))

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
        self._cache, self._session, self._rows = cache, session, rows
        width = rows.stop - rows.start
        self._inputs: dict[str, np.ndarray] = {
            "tokens": np.zeros((width, 1), np.int64),
            "soft": np.zeros((1, 1, cache.width), np.float32),
            "is_soft": np.zeros((width, 1), bool),
            "position": np.zeros((width, 1), np.int64),
            "last": np.zeros(width, np.int32),
            "most": np.zeros(1, np.int32),
            "window_last": np.zeros(width, np.int32),
            "window_most": np.zeros(1, np.int32),
            "at": np.zeros(1, np.int64),
        }
        shapes = {"scores": cache.vocabulary, "hidden": cache.width}
        self._outputs = {name: np.zeros((width, 1, size), np.float32) for name, size in shapes.items()}
        self._binding = cache.bound(rows, self._inputs, self._outputs)

    def run(self, tokens: Int[np.ndarray, " W"], start: Int[np.ndarray, " W"]) -> Float[np.ndarray, "W V"]:
        into, near = self._inputs, start - self._cache.moved(self._rows, start)
        into["tokens"][:, 0], into["position"][:, 0] = tokens, start
        into["last"][:], into["most"][0] = start, start.max() + 1
        into["window_last"][:], into["window_most"][0] = near, near.max() + 1
        self._session.run_with_iobinding(self._binding)
        return self._outputs["scores"][:, 0]
