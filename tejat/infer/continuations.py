"""How likely each of several continuations of a prompt is; what prompts share is read once.

A question with four choices is read once and not four times. Prompts of text that begin alike, as the same examples
before every question, are read from where they part. The numbers are those of `likelihoods`, but for the rounding of
sums of other shapes.
"""

import functools
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from tejat.codecs.framing import Encoded
from tejat.data.packing import pack_prompts
from tejat.errors import BadInput
from tejat.infer.cache import Cache, run_cached
from tejat.infer.engine import READ, Engine, _head, _prefill
from tejat.infer.likelihood import ROWS, Likelihood
from tejat.infer.room import coarse, coarse_room, coarse_rows
from tejat.model import decoder, multimodal, narrow
from tejat.model.attention import Intervals
from tejat.model.multimodal import Inputs, ModelConfig
from tejat.model.params import Tree

if TYPE_CHECKING:
    from tejat.infer.onnx_engine import OnnxEngine

SHARED = 32
"""Tokens that prompts must have in common for it to be worth a step of its own."""

Ids = Sequence[int]


def continuations(
    engine: "Engine | OnnxEngine", prompts: Sequence[Encoded], wanted: Sequence[Sequence[Ids]]
) -> list[list[Likelihood]]:
    """For each prompt, the likelihoods of the tokens of each of its continuations.

    Raises BadInput for a prompt that with a continuation exceeds the context, and for a continuation of no tokens.
    """
    context = engine.config.context
    for prompt, mine in zip(prompts, wanted, strict=True):
        if not all(len(ids) for ids in mine):
            raise BadInput("a continuation is empty; give at least one token")
        longest = len(prompt) + max(map(len, mine), default=0)
        if longest > context:
            raise BadInput(
                f"the prompt and its continuation have {longest:,} tokens, and the context holds {context:,}; "
                "shorten them"
            )
    if not isinstance(engine, Engine):
        return engine.continuations(prompts, wanted)
    found: list[list[Likelihood]] = [[] for _ in prompts]
    for group in _groups(engine, prompts, wanted):
        mine = [wanted[i] for i in group]
        for i, likelihoods in zip(group, _of_group(engine, [prompts[i] for i in group], mine), strict=True):
            found[i] = likelihoods
    return found


def _groups(engine: Engine, prompts: Sequence[Encoded], wanted: Sequence[Sequence[Ids]]) -> Iterator[list[int]]:
    """Numbers of prompts that are read together: alike in what they begin with, media and length."""
    families: dict[Any, list[int]] = defaultdict(list)
    for i, prompt in enumerate(prompts):
        families[() if prompt.media else tuple(prompt.tokens[:SHARED].tolist())].append(i)
    alone = [i for family in families.values() if len(family) < 4 for i in family]
    for family in (*(f for f in families.values() if len(f) >= 4), alone):
        extra = [max(map(len, wanted[i]), default=0) for i in family]
        for group in engine._groups([prompts[i] for i in family], extra):
            yield [family[n] for n in group]


def _of_group(
    engine: Engine, prompts: Sequence[Encoded], wanted: Sequence[Sequence[Ids]]
) -> Iterator[list[Likelihood]]:
    params, config = engine.params, engine.config
    longest = max(len(p) + max(map(len, mine), default=0) for p, mine in zip(prompts, wanted, strict=True))
    space = min(coarse(longest, 256), config.context)
    cache = _read_prompts(params, config, prompts, space)
    # The last token of a prompt is not in the cache: it gives the first of each continuation.
    pairs = [(row, ids) for row, mine in enumerate(wanted) for ids in mine]
    size = coarse_rows(min(engine.rows, len(pairs)))
    order = sorted(range(len(pairs)), key=lambda n: len(pairs[n][1]))
    places: dict[int, Likelihood] = {}
    for begin in range(0, len(order), size):
        chosen = order[begin : begin + size]
        width = coarse(max(len(pairs[n][1]) for n in chosen), 4)
        rows, start = np.zeros(size, np.int32), np.zeros(size, np.int32)
        tokens, targets = np.zeros((size, width), np.int32), np.zeros((size, width), np.int32)
        count = np.zeros(size, np.int32)
        for at, n in enumerate(chosen):
            row, ids = pairs[n]
            rows[at], start[at], count[at] = row, len(prompts[row]) - 1, len(ids)
            tokens[at, : len(ids)] = [prompts[row].tokens[-1], *ids[:-1]]
            targets[at, : len(ids)] = ids
        columns = [np.asarray(a) for a in _score(params, config, cache, rows, start, tokens, count, targets)]
        for at, n in enumerate(chosen):
            places[n] = Likelihood(*(column[at, : count[at]] for column in columns))
    made = [places[n] for n in range(len(pairs))]
    at = 0
    for mine in wanted:
        yield made[at : at + len(mine)]
        at += len(mine)


def _read_prompts(params: Tree, config: ModelConfig, prompts: Sequence[Encoded], space: int) -> Cache:
    """The cache of all but the last token of each prompt."""
    rows = coarse_rows(len(prompts))
    shared = 0 if any(prompt.media for prompt in prompts) or len(prompts) < 2 else _in_common(prompts)
    if shared < SHARED:
        heads = [_head(prompt) for prompt in prompts]
        room = coarse_room(heads, config)
        return _prefill(params, config, pack_prompts(heads, config, room), space)
    one = Encoded(*(column[:shared] for column in prompts[0][:-1]), ())
    room = coarse_room([one], config)
    cache = _prefill(params, config, pack_prompts([one], config, room), space)
    cache = _spread(cache, np.zeros(rows, np.int32))
    rest = [prompt.tokens[shared:-1] for prompt in prompts]
    done = 0
    while done < max(map(len, rest)):
        width = min(coarse(max(map(len, rest)) - done), READ)
        tokens, count = np.zeros((rows, width), np.int32), np.zeros(rows, np.int32)
        for row, ids in enumerate(rest):
            piece = ids[done : done + width]
            tokens[row, : len(piece)], count[row] = piece, len(piece)
        start = np.full(rows, shared + done, np.int32)
        cache = _extend(params, config, cache, start, tokens, count)
        done += width
    return cache


def _in_common(prompts: Sequence[Encoded]) -> int:
    """How many tokens all prompts begin with, less than the shortest has."""
    first = prompts[0].tokens
    shared = min(map(len, prompts)) - 1
    for prompt in prompts[1:]:
        differs = np.flatnonzero(first[:shared] != prompt.tokens[:shared])
        shared = int(differs[0]) if len(differs) else shared
    return shared


@jax.jit
def _spread(cache: Cache, rows: Int[Array, " R"]) -> Cache:
    return jax.tree.map(lambda a: a[rows], cache)


@functools.partial(jax.jit, static_argnames="config", donate_argnames="cache")
def _extend(params: Tree, config: ModelConfig, cache: Cache, start, tokens, count) -> Cache:
    return _run(params, config, cache._replace(length=start), start, tokens, count)[1]


@functools.partial(jax.jit, static_argnames="config")
def _score(
    params: Tree, config: ModelConfig, cache: Cache, rows, start, tokens, count, targets: Int[Array, "R C"]
) -> tuple[Float[Array, "R C"], Int[Array, "R C"], Float[Array, "R C"]]:
    mine = Cache(jax.tree.map(lambda a: a[rows], cache.layers), start)
    hidden, _ = _run(params, config, mine, start, tokens, count)
    whole = narrow.whole(params)["decoder"]  # its table is used for hundreds of places at a time

    def place(both: tuple[Array, Array]) -> tuple[Array, Array, Array]:
        state, target = both
        scores = jax.nn.log_softmax(decoder.logits(whole, config.decoder, state).astype(jnp.float32))
        best = jnp.argmax(scores).astype(jnp.int32)
        return scores[target], best, scores[best]

    flat = hidden.reshape(-1, hidden.shape[-1]), targets.reshape(-1)
    return tuple(column.reshape(targets.shape) for column in jax.lax.map(place, flat, batch_size=ROWS))


def _run(
    params: Tree, config: ModelConfig, cache: Cache, start: Int[Array, " R"], tokens: Int[Array, "R C"], count
) -> tuple[Float[Array, "R C D"], Cache]:
    """Hidden states of the first `count` of some tokens, which go on from `start`, and the cache with them in it."""
    index = start[:, None] + jnp.arange(tokens.shape[1], dtype=jnp.int32)
    real = jnp.arange(tokens.shape[1]) < count[:, None]
    positions = jnp.where(real, index, 0)
    full = Intervals(jnp.zeros_like(positions), jnp.where(real, index + 1, 0))
    sliding = Intervals(jnp.maximum(positions - config.decoder.window + 1, 0), jnp.where(real, index + 1, 0))
    inputs = Inputs(tokens, jnp.full_like(tokens, -1), positions, real.astype(jnp.int32), jnp.zeros_like(tokens), None)
    x = multimodal.embed(params, config, inputs)
    extra = multimodal.per_layer(params, config, inputs, x)
    shared = decoder.context(config.decoder, full, positions, sliding=sliding)
    return run_cached(params["decoder"], config.decoder, x, shared, jnp.where(real, index, -1), cache, extra)
