"""The choice of the next tokens where scores are on the host: what `steps.choose` does, by NumPy, without a compiler.

The rule of pictures is the one in `constraints`, and chance comes from (seed, position) alone, though from another
generator than JAX's: at a temperature above 0 the two engines write different answers to one seed.
"""

import functools
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from jaxtyping import Bool, Float, Int

from tejat.codecs.vocabulary import EOS
from tejat.infer import constraints
from tejat.infer.constraints import Rule
from tejat.infer.options import TOP_LOGPROBS
from tejat.infer.steps import State, Wishes, Written


def idle(rows: int, vocabulary: int) -> State:
    """`steps.idle`, on the host."""
    outside = constraints.State._make(np.zeros(rows, np.int32) for _ in range(3))
    columns = (np.zeros(rows, np.int32) for _ in range(3))
    return State._make((*columns, outside, np.zeros((rows, vocabulary), np.uint16)))


def place(state: State, changes: Int[np.ndarray, "R 5"]) -> None:
    """`steps.place`, into the state itself."""
    for row, token, position, left, begun in changes[changes[:, 0] < len(state.token)]:
        state.token[row], state.position[row], state.left[row] = token, position, left
        state.picture.written[row], state.picture.rows[row], state.picture.columns[row] = begun, 0, 0
        state.counts[row] = 0


def choose(
    rule: Rule,
    state: State,
    scores: Float[np.ndarray, "W V"],
    wishes: Wishes,
    words: Int[np.ndarray, "B W"],
    unasked: Mapping[int, Float[np.ndarray, " V"]] = MappingProxyType({}),
) -> Written:
    """The next token of each of the first W rows, which `state` then has. `unasked`: scores of rows that are guided, as
    if nobody had asked (`guidance`)."""
    width, vocabulary = scores.shape
    token, logprob = np.zeros(width, np.int32), np.zeros(width, np.float32)
    top = np.zeros((width, TOP_LOGPROBS), np.int32)
    top_logprobs = np.full((width, TOP_LOGPROBS), -np.inf, np.float32)
    for row in np.flatnonzero(state.left[:width] > 0).tolist():
        place, asked = (tuple(int(a[row]) for a in both) for both in (state.picture, wishes.asked))
        ids, due = _admitted(rule, place, asked, _that_matters(int(state.left[row]), place, asked), vocabulary)
        bound = words[row]
        if not (bound == 0xFFFFFFFF).all():
            bits = np.unpackbits(bound.astype("<u4").view(np.uint8), bitorder="little").astype(bool)
            ids = ids[(ids >= len(bits)) | bits[np.minimum(ids, len(bits) - 1)]]
        mine = scores[row, ids]
        liked = _penalised(mine, ids, row, state, wishes) if place[0] == 0 else mine
        if due and row in unasked:
            free = unasked[row][ids]
            liked = free + wishes.guidance[row] * (mine - free)
        if due:
            with np.errstate(divide="ignore"):
                least = mine.max() + np.log(wishes.settings.picture_min_p[row])
            liked = np.where(mine >= least, liked, -np.inf)
        at = _one(liked, row, int(state.position[row]) + 1, due, wishes)
        best = mine.max(initial=-np.inf)
        total = best + np.log(np.exp(mine - best).sum())
        token[row], logprob[row] = ids[at], mine[at] - total
        if wishes.top[row]:
            order = np.argsort(-mine, kind="stable")[:TOP_LOGPROBS]
            top[row, : len(order)], top_logprobs[row, : len(order)] = ids[order], mine[order] - total
        _advance(rule, state, row, token[row : row + 1])
    return Written._make((token, logprob, top, top_logprobs))


@functools.lru_cache(64)
def _admitted(
    rule: Rule, place: tuple[int, ...], asked: tuple[int, ...], left: int, vocabulary: int
) -> tuple[Int[np.ndarray, " n"], bool]:
    """(the ids that may come next in a row, whether a code is due): the same at most places, and made once for them."""
    state = constraints.State._make(np.asarray([number], np.int32) for number in place)
    draws, *sides = (np.asarray([number], np.int32) for number in asked)
    wanted = constraints.Asked._make((draws > 0, *sides))
    may = constraints.allowed(rule, state, wanted, np.asarray([left], np.int32), vocabulary)[0]
    return np.flatnonzero(may), bool(constraints.code_due(state)[0])


def _that_matters(left: int, place: tuple[int, ...], asked: tuple[int, ...]) -> int:
    """Tokens that are left, as far as they decide what may come: in text whether a picture still fits, and after a
    picture's sides nothing."""
    if place[0] == 0:
        return min(left, constraints.picture_tokens(max(asked[1], 1), max(asked[2], 1)))
    return left if place[0] <= 2 else 0


def _advance(rule: Rule, state: State, row: int, token: Int[np.ndarray, " 1"]) -> None:
    one = slice(row, row + 1)
    if state.picture.written[row] == 0:
        state.counts[row, token[0]] += 1
    after = constraints.advance(rule, constraints.State._make(a[one] for a in state.picture), token)
    for mine, new in zip(state.picture, after, strict=True):
        mine[row] = new[0]
    state.token[row] = token[0]
    state.position[row] += 1
    ends = token[0] in (rule.turn_end, EOS)
    state.left[row] = 0 if ends else state.left[row] - 1


def _penalised(mine, ids, row: int, state: State, wishes: Wishes) -> Float[np.ndarray, " n"]:
    presence, frequency = float(wishes.presence[row]), float(wishes.frequency[row])
    if presence == 0 and frequency == 0:
        return mine
    often = state.counts[row, ids]
    return mine - presence * (often > 0) - frequency * often


def _one(liked: Float[np.ndarray, " n"], row: int, place: int, due: bool, wishes: Wishes) -> int:
    """Which of the allowed ids is taken: `sampling.choose`."""
    asked = wishes.settings
    temperature = float(asked.picture_temperature[row] if due else asked.temperature[row])
    if temperature <= 0 or len(liked) == 1:
        return int(liked.argmax())
    scaled = liked / max(temperature, 1e-6)
    weights = np.exp(scaled - scaled.max())
    top_k = int(asked.picture_top_k[row] if due else asked.top_k[row])
    kept = _kept(weights, top_k, 1.0 if due else float(asked.top_p[row]))
    # A uniform number from (seed, place), and where it falls among the sums of what is left.
    random = np.random.Generator(np.random.Philox(key=np.asarray([int(asked.seed[row]), place], np.uint64)))
    sums = np.cumsum(np.where(kept, weights, 0.0), dtype=np.float64)
    return int(np.searchsorted(sums, random.random() * sums[-1], side="right"))


def _kept(weights: Float[np.ndarray, " n"], top_k: int, top_p: float) -> Bool[np.ndarray, " n"]:
    """The k likeliest, and of them the fewest whose probabilities reach p; equals of the last one are kept too."""
    kept = np.ones(len(weights), bool)
    if 0 < top_k < len(weights):
        kept = weights >= np.partition(weights, -top_k)[-top_k]
    if top_p < 1.0:
        order = np.sort(weights[kept])[::-1]
        enough = int(np.searchsorted(np.cumsum(order, dtype=np.float64), top_p * order.sum(dtype=np.float64)))
        kept &= weights >= order[min(enough, len(order) - 1)]
    return kept
