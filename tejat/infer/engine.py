"""The engine: answers, scores and vectors for batches of encoded documents, on any bundle.

Shapes are fixed and few: rows, tokens, media and caches come in a few sizes (`room`), so that a handful of compiled
functions serves everything. They are cached by the shape of the model, and two engines of one shape share them. An
answer is written in two stages: `_prefill` reads all of a prompt but its last token into the cache, a chunk at a
time, and `_decode` runs a loop whose step takes one token in and gives the next one out.

Rows do not know of each other: an answer depends on its prompt and options alone, down to the rounding of sums, which
may differ between shapes.
"""

import functools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from tejat.bundle import Bundle
from tejat.codecs.framing import Encoded
from tejat.codecs.vocabulary import EOS
from tejat.data.packing import Batch, Row, collate, pack_prompts, sizes
from tejat.errors import BadInput
from tejat.infer import constraints, guidance, sampling
from tejat.infer.cache import Cache, chunks, empty_cache, run_cached
from tejat.infer.constraints import Rule
from tejat.infer.limits import limit_of
from tejat.infer.options import Options
from tejat.infer.pieces import FinishReason, Piece, joined
from tejat.infer.reading import TextReader
from tejat.infer.room import coarse, coarse_room
from tejat.infer.sampling import Needs
from tejat.infer.steps import embed_prompt, next_logits
from tejat.model import decoder, multimodal, narrow
from tejat.model.attention import Intervals, causal_intervals, windowed
from tejat.model.cross_entropy import token_losses
from tejat.model.multimodal import Inputs, ModelConfig
from tejat.model.params import Tree

CHUNK = 32
"""Tokens written between two looks of the host."""

READ = 1024
"""Tokens of a prompt that are read at a time: what bounds the memory of a long one."""

STREAMED = 4
"""The same for a stream, whose reader waits for every token."""

LOOKED_AFTER = 4
"""Tokens after which a device that is no CPU is asked whether all is written; it waits for the host meanwhile."""


class Generation(NamedTuple):
    """An answer. The token that ended it, `<turn|>` or `<eos>`, is its last; a stop string is in its last tokens."""

    tokens: Int[np.ndarray, " n"]
    logprobs: Float[np.ndarray, " n"]  # at temperature 1, over the ids that were allowed
    finish_reason: FinishReason


class State(NamedTuple):
    """A batch of answers being written."""

    cache: Cache
    token: Int[Array, " B"]  # the last token, not in the cache yet
    position: Int[Array, " B"]  # where it stands
    left: Int[Array, " B"]  # tokens that may still be written; 0: the row is done
    picture: constraints.State
    unasked: Cache | None  # rows of `guidance`, where an answer wants it


class Engine:
    """Answers, scores and vectors from one bundle. `rows` bounds a batch, `tokens` its rows times their length.

    `params` are those of the bundle where a device has them already, their layers apart (`Service.params`).
    """

    def __init__(self, bundle: Bundle, *, rows: int = 64, tokens: int = 65_536, params: Tree | None = None):
        self.bundle, self.config, self.rule = bundle, bundle.config, Rule.of(bundle.vocabulary, bundle.config.picture)
        self.params = apart_on_device(bundle.params) if params is None else params
        self.rows, self.tokens = rows, tokens

    def generate(self, prompts: Sequence[Encoded], options: Options | Sequence[Options]) -> list[Generation]:
        """An answer for each prompt; options are one for all or one for each. Raises BadInput as `check` does."""
        chosen = [options] * len(prompts) if isinstance(options, Options) else list(options)
        limits = [self.check(prompt, wish) for prompt, wish in zip(prompts, chosen, strict=True)]
        answers: dict[int, Generation] = {}
        for group in self._groups(prompts, limits):
            pieces: list[list[Piece]] = [[] for _ in group]
            for written in self._write([(prompts[i], chosen[i], limits[i]) for i in group], CHUNK):
                for r, piece in written:
                    pieces[r].append(piece)
            for i, mine in zip(group, pieces, strict=True):
                whole = joined(mine)
                answers[i] = Generation(whole.tokens, whole.logprobs, whole.finish_reason or "length")
        return [answers[i] for i in range(len(prompts))]

    def stream(self, prompt: Encoded, options: Options) -> Iterator[Piece]:
        """The answer of `generate`, a few tokens at a time. Raises BadInput as `check` does, before anything runs."""
        limit = self.check(prompt, options)
        return (piece for written in self._write([(prompt, options, limit)], STREAMED) for _, piece in written)

    def score(self, documents: Sequence[Encoded]) -> list[Float[np.ndarray, " n"]]:
        """For each document, the log-probability of every token after the first whose `loss` is true, in order.

        Over the whole vocabulary, as in training. Raises BadInput for a document longer than the context.
        """
        scores: list[np.ndarray] = [np.zeros(0, np.float32)] * len(documents)
        for group, batch in self.batches(documents):
            found = np.asarray(_score(self.params, self.config, batch))
            for i, row, real in zip(group, found, batch.weights, strict=False):
                scores[i] = row[real > 0]
        return scores

    def embed(self, documents: Sequence[Encoded]) -> Float[np.ndarray, "n D"]:
        """A vector of length 1 for each document: the mean of its final hidden states.

        Raises BadInput for a document longer than the context.
        """
        vectors = np.zeros((len(documents), self.config.decoder.width), np.float32)
        for group, batch in self.batches(documents):
            vectors[group] = np.asarray(_embed(self.params, self.config, batch.inputs))[: len(group)]
        return vectors

    def check(self, prompt: Encoded, options: Options) -> int:
        """The tokens that the answer may take. Raises BadInput where they do not fit, or the picture asked for not."""
        not_offered(options)
        return limit_of(prompt, options, self.config, self.rule, self.config.context)

    def _write(self, pick: Sequence[tuple[Encoded, Options, int]], count: int) -> Iterator[list[tuple[int, Piece]]]:
        """Steps of a batch of answers, `count` tokens each: (row, Piece) for every row that was not done before."""
        prompts = [prompt for prompt, _, _ in pick]
        room = coarse_room(prompts, self.config)
        inputs = pack_prompts([_head(prompt) for prompt in prompts], self.config, room)
        # Room that is not used costs little, another compilation some seconds: caches begin at 256 places.
        space = min(coarse(max(len(prompt) + limit for prompt, _, limit in pick), 256), self.config.context)

        def column(values: Sequence, dtype: type = np.int32) -> Array:
            return jnp.asarray(np.asarray([*values] + [0] * (room.rows - len(values)), dtype))

        wishes = [wish for _, wish, _ in pick]
        settings = sampling.Settings(
            column([w.seed for w in wishes], np.uint32),
            column([w.temperature for w in wishes], np.float32),
            column([w.top_k for w in wishes]),
            column([w.top_p for w in wishes], np.float32),
            column([w.picture_temperature for w in wishes], np.float32),
            column([w.picture_top_k for w in wishes]),
            column([w.picture_min_p for w in wishes], np.float32),
        )
        shapes = [w.picture_size or (0, 0) for w in wishes]
        draws = [w.pictures and self.bundle.pictures is not None for w in wishes]
        asked = constraints.Asked(
            column(draws, bool), column([rows for rows, _ in shapes]), column([columns for _, columns in shapes])
        )
        state = State(
            cache=_prefill(self.params, self.config, inputs, space),
            token=column([prompt.tokens[-1] for prompt in prompts]),
            position=column([len(prompt) - 1 for prompt in prompts]),
            left=column([limit for _, _, limit in pick]),
            picture=constraints.start(room.rows),
            unasked=None,
        )
        strengths = [w.picture_guidance for w in wishes]
        if any(draws and strength != 1 for draws, strength in zip(draws, strengths, strict=True)):
            one = guidance.unasked(self.params, self.config, self.rule, 1, state.cache.layers[0][0].dtype)
            state = state._replace(unasked=jax.tree.map(lambda a: jnp.repeat(a, room.rows, axis=0), one))
        strength = column(strengths, np.float32)
        readers = [TextReader(self.bundle.vocabulary, wish.stop) for wish in wishes]
        needs = _needs(wishes, draws)
        alive = np.arange(room.rows) < len(pick)
        while alive.any():
            state = state._replace(left=jnp.where(alive, state.left, 0))
            state, tokens, logprobs = _decode(
                self.params, self.config, self.rule, needs, state, settings, asked, strength, count
            )
            tokens, logprobs, left = np.asarray(tokens), np.asarray(logprobs), np.asarray(state.left)
            pieces = []
            for r in np.flatnonzero(alive).tolist():
                piece = self._piece(tokens[r], logprobs[r], readers[r] if wishes[r].stop else None, left[r] == 0)
                pieces.append((r, piece))
                alive[r] = piece.finish_reason is None
            yield pieces

    def _piece(self, tokens, logprobs, reader: TextReader | None, ended: bool) -> Piece:
        """One row's share of a step, cut at the token that completes a stop string."""
        length = int((tokens >= 0).sum())
        if reader is not None:
            for at in range(length):
                reader.push(int(tokens[at]))
                if reader.hit is not None:
                    return Piece(tokens[: at + 1], logprobs[: at + 1], "stop")
        by_itself = ended and tokens[length - 1] in (self.rule.turn_end, EOS)
        reason: FinishReason | None = "stop" if by_itself else "length" if ended else None
        return Piece(tokens[:length], logprobs[:length], reason)

    def batches(self, documents: Sequence[Encoded]) -> Iterator[tuple[list[int], Batch]]:
        """(numbers of the documents, arrays), one document a row."""
        for document in documents:
            if len(document) > self.config.context:
                raise BadInput(
                    f"the document has {len(document):,} tokens, and the context holds {self.config.context:,}; "
                    "shorten it"
                )
        for group in self._groups(documents, [0] * len(documents)):
            room = coarse_room([documents[i] for i in group], self.config)
            rows = [Row(room) for _ in range(room.rows)]
            for row, i in zip(rows, group, strict=False):
                row.documents.append(documents[i])
            yield group, collate(rows, self.config, room)

    def _groups(self, documents: Sequence[Encoded], extra: Sequence[int]) -> Iterator[list[int]]:
        """Numbers of the documents that go into one batch: alike in media and length, so that little is padding."""

        def size(i: int) -> tuple[int, int, int]:
            mine = sizes(documents[i])
            return mine.sounds, mine.patches, mine.tokens + extra[i]

        group: list[int] = []
        longest = 0
        for i in sorted(range(len(documents)), key=size):
            longest = max(longest, coarse(size(i)[2]))
            if group and (len(group) == self.rows or (len(group) + 1) * longest > self.tokens):
                yield group
                group, longest = [], coarse(size(i)[2])
            group.append(i)
        if group:
            yield group


def apart_on_device(params: Tree) -> Tree:
    """Parameters as steps of decoding take them."""
    return jax.device_put({**params, "decoder": decoder.apart(params["decoder"])})


def not_offered(options: Options) -> None:
    """Raises BadInput for what only a service offers."""
    offered = "presence_penalty", "frequency_penalty", "top_logprobs", "json_schema", "regex", "ends_with_picture"
    for name in offered:
        if getattr(options, name):
            raise BadInput(f"{name} is asked for, and only a service (tejat serve) offers it; leave it out")


def _head(prompt: Encoded) -> Encoded:
    """All but the last token, which starts the decoding. It is never a soft one: a mark closes every medium."""
    tokens, loss, modality, blocks, item, soft = (column[:-1] for column in prompt[:-1])
    return Encoded(tokens, loss, modality, blocks, item, soft, prompt.media)


def _prefill(params: Tree, config: ModelConfig, inputs: Inputs, space: int) -> Cache:
    """The cache, with room for `space` tokens, of prompts that stand at the left of their rows, read in chunks."""
    ordinary = inputs._replace(media=None)
    x = embed_prompt(params, config, inputs)
    cache = empty_cache(config.decoder, x.shape[0], space, x.dtype)
    whole = inputs.blocks if config.decoder.bidirectional_images else None
    for places in chunks(np.asarray(inputs.segments) > 0, None if whole is None else np.asarray(whole), READ):
        cache = _read(params, config, *_pick(config, x, ordinary, places), places, cache)
    return cache


@functools.partial(jax.jit, static_argnames="config")
def _pick(config: ModelConfig, x: Float[Array, "B T D"], inputs: Inputs, places: Int[Array, "B C"]):
    """The embeddings, inputs and intervals (full, sliding) of the tokens at `places`; nothing is seen from -1."""
    full = causal_intervals(inputs.segments)
    sliding = windowed(full, config.decoder.window, inputs.blocks if config.decoder.bidirectional_images else None)
    at = jnp.maximum(places, 0)

    def pick(row: Int[Array, "B T"]) -> Int[Array, "B C"]:
        return jnp.where(places >= 0, jnp.take_along_axis(row, at, axis=1), 0)

    return jnp.take_along_axis(x, at[..., None], axis=1), *jax.tree.map(pick, (inputs, full, sliding))


@functools.partial(jax.jit, static_argnames="config", donate_argnames="cache")
def _read(
    params: Tree,
    config: ModelConfig,
    x: Float[Array, "B C D"],
    inputs: Inputs,
    full: Intervals,
    sliding: Intervals,
    places: Int[Array, "B C"],
    cache: Cache,
) -> Cache:
    extra = multimodal.per_layer(params, config, inputs, x)
    shared = decoder.context(config.decoder, full, inputs.positions, sliding=sliding)
    return run_cached(params["decoder"], config.decoder, x, shared, places, cache, extra)[1]


def _needs(wishes: Sequence[Options], draws: Sequence[bool]) -> Needs:
    """What a batch's choices need. A CPU finds out at run time, at no cost, and compiles one program for all."""
    if jax.default_backend() == "cpu":
        return Needs()
    chance = [w.temperature > 0 or (d and w.picture_temperature > 0) for w, d in zip(wishes, draws, strict=True)]
    bounds = [w.top_k > 0 or w.top_p < 1 or (d and w.picture_top_k > 0) for w, d in zip(wishes, draws, strict=True)]
    return Needs(chance=any(chance), bounds=any(bounds) and any(chance))


@functools.partial(jax.jit, static_argnames=("config", "rule", "needs"), donate_argnames="state")
def _decode(
    params: Tree,
    config: ModelConfig,
    rule: Rule,
    needs: Needs,
    state: State,
    settings: sampling.Settings,
    asked: constraints.Asked,
    strength: Float[Array, " B"],
    count: Int[Array, ""],
) -> tuple[State, Int[Array, "B CHUNK"], Float[Array, "B CHUNK"]]:
    """Up to `count` tokens of every row with their log-probabilities; -1 where a row was done."""
    batch = state.token.shape[0]

    def body(carry):
        step, state, tokens, logprobs = carry
        alive = state.left > 0
        cache, logits = next_logits(params, config, state.cache, state.token, jnp.where(alive, state.position, -1))
        may = constraints.allowed(rule, state.picture, asked, state.left, logits.shape[-1])
        place, due, liked, unasked = state.position + 1, constraints.code_due(state.picture), logits, state.unasked
        if unasked is not None:
            at = jnp.where(strength != 1.0, guidance.place(state.picture, state.left), -1)

            def read(cache: Cache) -> tuple[Cache, Array]:
                return next_logits(params, config, cache, state.token, at)

            # Nothing is computed where every row writes text.
            unasked, free = jax.lax.cond(jnp.any(at >= 0), read, lambda cache: (cache, jnp.zeros_like(logits)), unasked)
            liked = sampling.guided(logits, free, strength, due)
        token, logprob = sampling.choose(logits, may, due, place, settings, liked, needs)
        ends = (token == rule.turn_end) | (token == EOS)
        after = State(
            cache,
            jnp.where(alive, token, state.token),
            jnp.where(alive, place, state.position),
            jnp.where(alive & ~ends, state.left - 1, 0),
            constraints.advance(rule, state.picture, token),
            unasked,
        )
        tokens = tokens.at[:, step].set(jnp.where(alive, token, -1))
        logprobs = logprobs.at[:, step].set(jnp.where(alive, logprob, 0.0))
        return step + 1, after, tokens, logprobs

    def goes_on(carry):
        step, state, _, _ = carry
        return (step < jnp.minimum(count, CHUNK)) & jnp.any(state.left > 0)

    def several(carry):
        return jax.lax.fori_loop(0, LOOKED_AFTER, lambda _, carry: body(carry), carry)

    tokens, logprobs = jnp.full((batch, CHUNK), -1, jnp.int32), jnp.zeros((batch, CHUNK), jnp.float32)
    step = body if jax.default_backend() == "cpu" else several
    _, state, tokens, logprobs = jax.lax.while_loop(goes_on, step, (0, state, tokens, logprobs))
    return state, tokens, logprobs


def forward(params: Tree, config: ModelConfig, inputs: Inputs) -> Float[Array, "B T D"]:
    """Final hidden states. The layers, kept apart for decoding, are put together: one copy for a whole batch, in which
    what is narrow is whole."""
    params = narrow.whole(params)
    return multimodal.forward({**params, "decoder": decoder.together(params["decoder"])}, config, inputs)


@functools.partial(jax.jit, static_argnames="config")
def _score(params: Tree, config: ModelConfig, batch: Batch) -> Float[Array, "B M"]:
    """Log-probability of every target."""
    params = narrow.whole(params)
    hidden = forward(params, config, batch.inputs)
    hidden = jnp.take_along_axis(hidden, batch.target_at[..., None], axis=1)
    return -token_losses(params["decoder"]["embedding"], hidden, batch.targets, config.decoder.soft_cap).losses


@functools.partial(jax.jit, static_argnames="config")
def _embed(params: Tree, config: ModelConfig, inputs: Inputs) -> Float[Array, "B D"]:
    """Means of the hidden states over each row, divided by their lengths."""
    hidden = forward(params, config, inputs).astype(jnp.float32)
    real = (inputs.segments > 0)[..., None]
    total = jnp.where(real, hidden, 0.0).sum(axis=1)  # of the mean's direction; its length goes away
    return total / jnp.maximum(jnp.linalg.norm(total, axis=-1, keepdims=True), 1e-30)
