"""What a model may write next: text, the end of its turn, or a picture that is sure to be whole.

Outside a picture a model writes text ids, `<turn|>`, `<eos>` and, where it may draw, `<|picture>`. Never `<pad>`,
`<bos>`, `<unk>`, `<|turn>`, the marks of media that it only reads, or a code. Inside a picture each place admits one
kind of token, so a picture is a counter, not a parse:

    written   1       2       3 ..                              3 + rows (columns + 1)
    due       rows    columns rows x (columns codes, <|row|>)   <picture|>

The number of tokens that may still be written is a hard limit, for a cache has room for so many and a caller counts on
it. So a picture is begun only where at least the smallest one fits, and its sides are chosen among those that fit:
every picture begun is finished within the limit, whatever is sampled.

Arrays of NumPy are taken as well as those of JAX, and then NumPy computes: an engine on the host follows the same rule.
"""

from dataclasses import dataclass
from types import ModuleType
from typing import Any, NamedTuple, TypeVar

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int

from tejat.codecs.vocabulary import EOS, LARGEST_SIDE, Vocabulary
from tejat.model.picture import PictureConfig

Sides = TypeVar("Sides", int, Array)


@dataclass(frozen=True)
class Rule:
    """The ids that the rule speaks of. Hashable, so that it can be a static argument of compiled functions."""

    text_size: int
    codes: int
    first_written: int  # from here to text_size, every id may appear in running text
    turn_end: int
    picture_begin: int
    picture_end: int
    row_end: int
    size_one: int
    longest: int  # codes along a side, at most; 0: the model does not draw
    budget: int  # codes of a picture whose size nobody asked for, at most

    @classmethod
    def of(cls, vocabulary: Vocabulary, picture: PictureConfig | None) -> "Rule":
        return cls(
            text_size=vocabulary.text_size,
            codes=vocabulary.codes if picture else 0,
            first_written=vocabulary.first_written,
            turn_end=vocabulary["<turn|>"],
            picture_begin=vocabulary["<|picture>"],
            picture_end=vocabulary["<picture|>"],
            row_end=vocabulary["<|row|>"],
            size_one=vocabulary.size_id(1),
            longest=min(picture.table, LARGEST_SIDE) if picture else 0,
            budget=picture.budget if picture else 0,
        )


class State(NamedTuple):
    """Where each row of a batch stands; all zeros outside a picture."""

    written: Int[Array, " B"]  # tokens of the picture so far
    rows: Int[Array, " B"]
    columns: Int[Array, " B"]


class Asked(NamedTuple):
    """What each row's caller asked for."""

    draws: Bool[Array, " B"]  # may the model begin a picture?
    rows: Int[Array, " B"]  # sides of every picture, in codes; both 0: the model chooses
    columns: Int[Array, " B"]


def start(batch: int) -> State:
    return State(*(jnp.zeros(batch, jnp.int32) for _ in range(3)))


def _computing(array: Any) -> ModuleType | Any:
    return np if isinstance(array, np.ndarray) else jnp


def picture_tokens(rows: Sides, columns: Sides) -> Sides:
    """Tokens of a whole picture: its two marks, its two sides, and a mark after every row of codes."""
    return 4 + rows * (columns + 1)


def code_due(state: State) -> Bool[Array, " B"]:
    """Is the next token a picture code?"""
    place = state.written - 3
    inside = (place >= 0) & (place < state.rows * (state.columns + 1))
    return inside & (place % (state.columns + 1) < state.columns)


def allowed(
    rule: Rule, state: State, asked: Asked, left: Int[Array | np.ndarray, " B"], vocabulary: int
) -> Bool[Array, "B V"]:
    """The ids that may come next, where `left` tokens may still be written, this one included.

    `vocabulary` is the number of scores, which may exceed the ids in use; ids that stand for nothing are not allowed.
    """
    xp = _computing(left)
    ids = xp.arange(vocabulary, dtype=xp.int32)[None, :]
    written, rows, columns, left = (a[:, None] for a in (*state, left))
    asked_rows, asked_columns = asked.rows[:, None], asked.columns[:, None]
    free = asked_rows == 0

    smallest = picture_tokens(xp.maximum(asked_rows, 1), xp.maximum(asked_columns, 1))
    begins = asked.draws[:, None] & (rule.longest > 0) & (left >= smallest)
    text = (ids >= rule.first_written) & (ids < rule.text_size) & ((ids != rule.picture_begin) | begins)

    side = ids - rule.size_one + 1
    is_side = (side >= 1) & (side <= rule.longest)
    # `left` is 1 less after `<|picture>` and 2 less after the first side; a row of one code takes two tokens.
    fits_rows = (side <= rule.budget) & (picture_tokens(side, xp.ones_like(side)) <= left + 1)
    fits_columns = (rows * side <= rule.budget) & (picture_tokens(rows, side) <= left + 2)
    first = is_side & xp.where(free, fits_rows, side == asked_rows)
    second = is_side & xp.where(free, fits_columns, side == asked_columns)

    code = (ids >= rule.text_size) & (ids < rule.text_size + rule.codes)
    over = written - 3 >= rows * (columns + 1)
    return xp.select(
        [written == 0, written == 1, written == 2, over, code_due(state)[:, None]],
        [text | (ids == EOS), first, second, ids == rule.picture_end, code],
        ids == rule.row_end,
    )


def advance(rule: Rule, state: State, token: Int[Array | np.ndarray, " B"]) -> State:
    """The state after an allowed token."""
    xp = _computing(token)
    outside = xp.where(state.written == 0, token != rule.picture_begin, token == rule.picture_end)
    side = token - rule.size_one + 1
    after = State(
        state.written + 1,
        xp.where(state.written == 1, side, state.rows),
        xp.where(state.written == 2, side, state.columns),
    )
    return State(*(xp.where(outside, 0, a) for a in after))
