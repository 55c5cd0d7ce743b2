"""The compiled steps of a batch whose rows come and go: read a part of a prompt, score the next token, choose it.

Every step has one shape for as long as a service lives. A row's numbers do not depend on which row it is, nor on what
stands in the others: a key that a query does not see has a weight of exactly zero, and sums run along a row. So an
answer has the same bits alone and in any company (`tests/infer/test_service.py` holds it to that), as long as shapes
do not vary: sums of other shapes are made in other orders.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, UInt16, UInt32

from tejat.codecs.vocabulary import EOS
from tejat.infer import constraints, sampling
from tejat.infer.cache import Cache, run_cached
from tejat.infer.constraints import Rule
from tejat.infer.options import TOP_LOGPROBS, Options
from tejat.infer.sampling import Needs, when
from tejat.model import decoder, multimodal
from tejat.model.attention import Intervals
from tejat.model.multimodal import Inputs, ModelConfig
from tejat.model.params import Tree

Block = tuple[tuple[Float[Array, "C K N"], Float[Array, "C K N"]], ...]
"""The keys and values of a part of a prompt, of every layer that has its own."""


class State(NamedTuple):
    """Where each row stands in its answer."""

    token: Int[Array, " B"]  # the last token, not in the cache yet
    position: Int[Array, " B"]  # where it stands
    left: Int[Array, " B"]  # tokens that may still be written; 0: the row writes nothing
    picture: constraints.State
    counts: UInt16[Array, "B V"]  # how often the answer has each id, outside pictures


class Wishes(NamedTuple):
    """What each row's caller asked for, in two arrays: a host sends two sooner than a dozen."""

    whole: Int[Array | np.ndarray, "B 7"]
    real: Float[Array | np.ndarray, "B 7"]

    @classmethod
    def of(cls, rows: int) -> "Wishes":
        """On the host, where nobody has asked for anything."""
        nobody = cls(np.zeros((rows, 7), np.int32), np.zeros((rows, 7), np.float32))
        nobody.real[:, [1, 5]] = 1.0
        return nobody

    def put(self, row: int, options: Options, draws: bool) -> None:
        """Of wishes on the host: those of one row."""
        size = options.picture_size or (0, 0)
        self.whole[row] = options.seed, options.top_k, options.picture_top_k, draws, *size, options.top_logprobs
        self.real[row] = (
            *(options.temperature, options.top_p, options.picture_temperature),
            *(options.presence_penalty, options.frequency_penalty, options.picture_guidance, options.picture_min_p),
        )

    @property
    def settings(self) -> sampling.Settings:
        seed, top_k, picture_top_k = (self.whole[:, n] for n in range(3))
        temperature, top_p, picture_temperature = (self.real[:, n] for n in range(3))
        pictures = picture_temperature, picture_top_k, self.real[:, 6]
        return sampling.Settings(seed.astype("uint32"), temperature, top_k, top_p, *pictures)

    @property
    def asked(self) -> constraints.Asked:
        return constraints.Asked(self.whole[:, 3] > 0, self.whole[:, 4], self.whole[:, 5])

    @property
    def presence(self) -> Float[Array, " B"]:
        return self.real[:, 3]

    @property
    def frequency(self) -> Float[Array, " B"]:
        return self.real[:, 4]

    @property
    def guidance(self) -> Float[Array, " B"]:
        return self.real[:, 5]

    @property
    def top(self) -> Bool[Array, " B"]:
        """Are the likeliest tokens wanted too?"""
        return self.whole[:, 6] > 0


class Part(NamedTuple):
    """Tokens of R prompts which are read together. `rows` says where in the batch each prompt stands.

    A prompt that has fewer tokens in this part than C is padded; a row past the batch's last is nobody's.
    """

    rows: Int[Array | np.ndarray, " R"]
    start: Int[Array | np.ndarray, " R"]  # the place of the first token
    tokens: Int[Array | np.ndarray, "R C"]
    ends: Int[Array | np.ndarray, "R C"]  # one past the last place that a token sees on sliding layers; 0: padding
    is_soft: Bool[Array | np.ndarray, "R C"]
    soft: Float[Array | np.ndarray, "R C D"]


class Written(NamedTuple):
    """One token of each row, meaningless where the row writes nothing."""

    token: Int[Array, " B"]
    logprob: Float[Array, " B"]
    top: Int[Array, "B TOP"]
    top_logprobs: Float[Array, "B TOP"]


def idle(config: ModelConfig, rows: int) -> State:
    token, position, left = (jnp.zeros(rows, jnp.int32) for _ in range(3))  # three, since each is given away
    counts = jnp.zeros((rows, config.decoder.vocabulary), jnp.uint16)
    return State(token, position, left, constraints.start(rows), counts)


@functools.partial(jax.jit, static_argnames="config")
def embed_prompt(params: Tree, config: ModelConfig, inputs: Inputs) -> Float[Array, "B T D"]:
    """Embedded tokens, soft ones in their places."""
    return multimodal.embed(params, config, inputs)


@functools.partial(jax.jit, static_argnames="config", donate_argnames="cache")
def read(params: Tree, config: ModelConfig, cache: Cache, part: Part) -> tuple[Cache, Int[Array, " R"]]:
    """(the cache with a part of some prompts in it, how many tokens of each it now holds)."""
    real = part.ends > 0
    index = part.start[:, None] + jnp.arange(part.tokens.shape[1], dtype=jnp.int32)
    positions = jnp.where(real, index, 0)
    full = Intervals(jnp.zeros_like(positions), jnp.where(real, index + 1, 0))
    sliding = Intervals(jnp.maximum(positions - config.decoder.window + 1, 0), part.ends)
    blocks = jnp.zeros_like(positions)
    inputs = Inputs(part.tokens, jnp.where(part.is_soft, 0, -1), positions, real.astype(jnp.int32), blocks, None)
    x = decoder.embed(params["decoder"], config.decoder, part.tokens)
    x = jnp.where(part.is_soft[..., None], part.soft.astype(x.dtype), x)
    extra = multimodal.per_layer(params, config, inputs, x)
    shared = decoder.context(config.decoder, full, positions, sliding=sliding)
    mine = Cache(jax.tree.map(lambda a: a.at[part.rows].get(mode="clip"), cache.layers), part.start)
    _, mine = run_cached(params["decoder"], config.decoder, x, shared, jnp.where(real, index, -1), mine, extra)
    after = jax.tree.map(lambda a, b: a.at[part.rows].set(b, mode="drop"), cache, mine)
    return after, mine.length


@functools.partial(jax.jit, static_argnames="size")
def cut(cache: Cache, row: Int[Array, ""], start: Int[Array, ""], size: int) -> Block:
    """What a row keeps of the places from `start` on; where a ring holds fewer, those before are meaningless."""

    def pick(a: Float[Array, "B S K N"]) -> Float[Array, "C K N"]:
        return a[row, (start + jnp.arange(size)) % a.shape[1]]

    return jax.tree.map(pick, cache.layers)


@functools.partial(jax.jit, donate_argnames="cache")
def put(cache: Cache, row: Int[Array, ""], start: Int[Array, ""], count: Int[Array, ""], block: Block) -> Cache:
    """The cache as if the row had just read the first `count` places of a block, after all the blocks before it."""

    def write(a: Float[Array, "B S K N"], b: Float[Array, "C K N"]) -> Float[Array, "B S K N"]:
        at, slots = jnp.arange(b.shape[0]), a.shape[1]
        stays = (at < count) & (at >= count - slots)
        return a.at[row, jnp.where(stays, (start + at) % slots, slots)].set(b, mode="drop")

    return Cache(jax.tree.map(write, cache.layers, block), cache.length.at[row].set(start + count))


@functools.partial(jax.jit, donate_argnames=("state", "length"))
def place(state: State, length: Int[Array, " B"], changes: Int[Array, "R 5"]) -> tuple[State, Int[Array, " B"]]:
    """Rows begin to write, or stop. Of each: row (past the last: nobody's), token, position, left, begun.

    A row writes after `token`, which its cache does not hold yet; `left` 0: it stops. `begun` 1: the token is the first
    of a picture.
    """
    row, token, position, left, begun = changes.T

    def put(a: Array, b: Array | int) -> Array:
        return a.at[row].set(b, mode="drop")

    outside = constraints.State(*(put(a, 0) for a in state.picture))
    after = State(
        put(state.token, token),
        put(state.position, position),
        put(state.left, left),
        outside._replace(written=put(outside.written, begun)),
        put(state.counts, 0),
    )
    return after, put(length, position)


@functools.partial(jax.jit, static_argnames=("config", "width"), donate_argnames="cache")
def forward(
    params: Tree, config: ModelConfig, cache: Cache, token: Array, position: Array, left: Array, width: int
) -> tuple[Cache, Float[Array, "W V"]]:
    """Scores of the next token of the first `width` rows."""
    token, position, left, mine = jax.tree.map(lambda a: a[:width], (token, position, left, cache))
    mine, scores = next_logits(params, config, mine, token, jnp.where(left > 0, position, -1))
    return returned(cache, mine), scores


def returned(every: Any, first: Any) -> Any:
    """Arrays of all rows, with those of the first rows put back."""
    return jax.tree.map(lambda a, b: a.at[: b.shape[0]].set(b), every, first)


def next_logits(
    params: Tree, config: ModelConfig, cache: Cache, token: Array, position: Array
) -> tuple[Cache, Float[Array, "B V"]]:
    """One step of the decoder at `position` (-1: a row that is done, which sees and leaves nothing)."""
    tokens, positions = token[:, None], position[:, None]
    ordinary = Inputs(tokens, jnp.full_like(tokens, -1), positions, positions + 1, jnp.zeros_like(tokens), None)
    x = multimodal.embed(params, config, ordinary)
    extra = multimodal.per_layer(params, config, ordinary, x)
    full = Intervals(jnp.zeros_like(positions), positions + 1)
    sliding = Intervals(jnp.maximum(positions - config.decoder.window + 1, 0), positions + 1)
    shared = decoder.context(config.decoder, full, positions, sliding=sliding)
    x, cache = run_cached(params["decoder"], config.decoder, x, shared, positions, cache, extra)
    return cache, decoder.logits(params["decoder"], config.decoder, x[:, 0])


@functools.partial(jax.jit, static_argnames=("rule", "needs"), donate_argnames="state")
def choose(
    rule: Rule,
    needs: Needs,
    state: State,
    logits: Float[Array, "B V"],
    liked: Float[Array, "B V"],
    wishes: Wishes,
    words: UInt32[Array, "B W"],
) -> tuple[State, Written]:
    """The next token of every row that has scores. `words` are the masks of grammars, a bit for every text id.

    `liked` are the scores to choose by, as far as the model goes: `logits`, or what guidance made of them.
    """
    every = state
    state, wishes, words = jax.tree.map(lambda a: a[: logits.shape[0]], (state, wishes, words))
    may = constraints.allowed(rule, state.picture, wishes.asked, state.left, logits.shape[-1])
    may &= _bits(words, logits.shape[-1])
    in_text = state.picture.written == 0

    def penalised(liked):
        often = jnp.where(in_text[:, None], state.counts, 0)
        taken = wishes.presence[:, None] * (often > 0) + wishes.frequency[:, None] * often
        return liked - taken

    place = state.position + 1
    anyone = jnp.any((wishes.presence != 0) | (wishes.frequency != 0))
    liked = when(needs.penalties, anyone, penalised, lambda a: a, liked)
    due = constraints.code_due(state.picture)
    token, logprob = sampling.choose(logits, may, due, place, wishes.settings, liked, needs)
    top = when(needs.top, jnp.any(wishes.top), _likeliest, _nothing, jnp.where(may, logits, -jnp.inf))

    alive = state.left > 0
    ends = (token == rule.turn_end) | (token == EOS)
    rows = jnp.arange(token.shape[0])
    after = State(
        jnp.where(alive, token, state.token),
        jnp.where(alive, place, state.position),
        jnp.where(alive & ~ends, state.left - 1, 0),
        constraints.advance(rule, state.picture, token),
        state.counts.at[rows, token].add((alive & in_text).astype(jnp.uint16)),
    )
    return returned(every, after), Written(token, logprob, *top)


def _bits(words: UInt32[Array, "B W"], size: int) -> Bool[Array, "B V"]:
    """Bit by bit, lowest first; ids past the last word are free."""
    bits = (words[:, :, None] >> jnp.arange(32, dtype=jnp.uint32)) & 1
    bits = bits.reshape(words.shape[0], -1)[:, :size].astype(bool)
    return jnp.pad(bits, ((0, 0), (0, size - bits.shape[1])), constant_values=True)


def _likeliest(scores: Float[Array, "B V"]) -> tuple[Int[Array, "B TOP"], Float[Array, "B TOP"]]:
    values, ids = jax.lax.top_k(scores, TOP_LOGPROBS)
    return ids.astype(jnp.int32), values - jax.nn.logsumexp(scores, axis=-1, keepdims=True)


def _nothing(scores: Float[Array, "B V"]) -> tuple[Any, Any]:
    shape = scores.shape[0], TOP_LOGPROBS
    return jnp.zeros(shape, jnp.int32), jnp.zeros(shape, scores.dtype)
