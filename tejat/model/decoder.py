"""The decoder-only Transformer, weight-compatible with Gemma 4.

Blocks normalise before and after attention and MLP (RMSNorm), normalise queries, keys and values per head instead of
scaling the scores, gate the MLP with a tanh GELU, and mix sliding-window layers with full ones (5 : 1, the last one
full). The definition followed is `transformers.models.gemma4`; names are this project's.

Layers of one kind are stacked, so that a periodic pattern of kinds is scanned: compile time grows with the pattern,
not with the depth.
"""

import functools
from dataclasses import dataclass
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from tejat.model import experts, narrow
from tejat.model.attention import Intervals, windowed
from tejat.model.experts import ExpertsConfig
from tejat.model.layers import look_up, rms_norm, rope_frequencies, rope_tables, rotate
from tejat.model.narrow import Narrow
from tejat.model.params import Param, Tree, linear, scale, stack, temper
from tejat.model.passes import SCANNED, Pass, layers_of
from tejat.model.placing import placed
from tejat.model.spread_attention import attend

AttentionType = Literal["sliding", "full"]

_STREAM = "rows", "sequence", None
"""Axes of what layers add to."""


@dataclass(frozen=True)
class DecoderConfig:
    """Shape of the decoder. Letters as everywhere: D `width`, H `heads`, K key heads, N head width, F `mlp`."""

    vocabulary: int
    width: int
    layers: int
    heads: int
    mlp: int
    head_width: int
    key_heads: int = 1
    full_head_width: int | None = None  # None: as on sliding layers
    full_key_heads: int | None = None
    window: int = 1024
    period: int = 6  # every period-th layer sees everything, and the last one always does
    pattern: tuple[AttentionType, ...] | None = None  # names every layer where `period` does not say it
    sliding_base: float = 10_000.0
    full_base: float = 1_000_000.0
    full_rotated: float = 0.25
    position_scale: float = 1.0  # positions are divided by this on full layers (linear context extension)
    soft_cap: float | None = None
    bidirectional_images: bool = False
    shared_key_layers: int = 0  # the last layers reuse the keys and values of earlier ones
    shared_mlp_factor: int = 1  # width of the MLP on those layers, in units of `mlp`
    keys_are_values: bool = False  # full layers without a value projection
    per_layer_width: int = 0  # width of the per-layer input embeddings; 0: none
    per_layer_vocabulary: int = 0
    experts: ExpertsConfig | None = None  # beside the dense MLP of every layer
    epsilon: float = 1e-6

    @property
    def attention_types(self) -> tuple[AttentionType, ...]:
        if self.pattern is not None:
            return self.pattern
        last = self.layers - 1
        return tuple("full" if (i + 1) % self.period == 0 or i == last else "sliding" for i in range(self.layers))

    @property
    def kinds(self) -> tuple["Kind", ...]:
        first_shared = self.layers - self.shared_key_layers
        return tuple(Kind(t, i >= first_shared) for i, t in enumerate(self.attention_types))


class Kind(NamedTuple):
    """What distinguishes layers: their attention, and whether they borrow keys and values."""

    attention: AttentionType
    shares: bool = False

    @property
    def name(self) -> str:
        return f"{self.attention}_shared" if self.shares else self.attention


class Context(NamedTuple):
    """What every layer of a forward pass shares: per attention type, the intervals and rotary tables."""

    intervals: dict[str, Intervals]
    rope: dict[str, tuple[Array, Array]]


def head_shape(config: DecoderConfig, attention: AttentionType) -> tuple[int, int]:
    """(K, N): key heads and head width of a layer."""
    if attention == "sliding":
        return config.key_heads, config.head_width
    return config.full_key_heads or config.key_heads, config.full_head_width or config.head_width


def params(config: DecoderConfig) -> Tree:
    """The Param tree: one stack of layers per kind, the tied embedding, the final norm."""
    kinds = config.kinds
    tree: Tree = {
        "embedding": Param((config.vocabulary, config.width), ("vocabulary", "embed"), "embedding", config.width),
        "final_norm": scale(config.width, "embed"),
        "blocks": {kind.name: stack(kinds.count(kind), _block_params(config, kind)) for kind in dict.fromkeys(kinds)},
    }
    if config.per_layer_width:
        packed = config.layers * config.per_layer_width
        tree["per_layer"] = {
            "embedding": Param(
                (config.per_layer_vocabulary, packed), ("vocabulary", None), "embedding", config.per_layer_width
            ),
            "projection": linear({"embed": config.width}, {"per_layer": packed}),
            "norm": scale(config.per_layer_width),
        }
    return tree


def _block_params(config: DecoderConfig, kind: Kind) -> Tree:
    d, h = config.width, config.heads
    k, n = head_shape(config, kind.attention)
    f = config.mlp * (config.shared_mlp_factor if kind.shares else 1)
    block: Tree = {
        "attention_norm": scale(d, "embed"),
        "q": linear({"embed": d}, {"heads": h, "head": n}),
        "q_norm": temper(n),
        "o": linear({"heads": h, "head": n}, {"embed": d}),
        "post_attention_norm": scale(d, "embed"),
        "mlp_norm": scale(d, "embed"),
        "gate": linear({"embed": d}, {"mlp": f}),
        "up": linear({"embed": d}, {"mlp": f}),
        "down": linear({"mlp": f}, {"embed": d}),
        "post_mlp_norm": scale(d, "embed"),
        "scalar": Param((), (), 1.0),
    }
    if not kind.shares:
        block["k"] = linear({"embed": d}, {"key_heads": k, "head": n})
        block["k_norm"] = temper(n)
        if not (config.keys_are_values and kind.attention == "full"):
            block["v"] = linear({"embed": d}, {"key_heads": k, "head": n})
    if config.experts:
        block["experts"] = experts.params(config.experts, d)
    if config.per_layer_width:
        block["per_layer_gate"] = linear({"embed": d}, {"per_layer": config.per_layer_width})
        block["per_layer_out"] = linear({"per_layer": config.per_layer_width}, {"embed": d})
        block["per_layer_norm"] = scale(d, "embed")
    return block


def embed(params: Tree, config: DecoderConfig, tokens: Int[Array, "B T"]) -> Float[Array, "B T D"]:
    """Rows of the tied embedding, times sqrt(D)."""
    table = params["embedding"]
    if isinstance(table, Narrow):
        x = narrow.look_up(table, tokens)
    else:
        x = look_up(placed(table, "vocabulary", None), tokens)
    return placed(x * jnp.asarray(config.width**0.5, x.dtype), *_STREAM)


def context(
    config: DecoderConfig,
    intervals: Intervals,
    positions: Int[Array, "B T"],
    blocks: Int[Array, "B T"] | None = None,
    sliding: Intervals | None = None,
) -> Context:
    """Prepares what layers share. `sliding` overrides the windowed intervals (a cache speaks in absolute positions)."""
    if sliding is None:
        sliding = windowed(intervals, config.window, blocks if config.bidirectional_images else None)
    _, n_sliding = head_shape(config, "sliding")
    _, n_full = head_shape(config, "full")
    return Context(
        intervals={"sliding": sliding, "full": intervals},
        rope={
            "sliding": rope_tables(positions, rope_frequencies(n_sliding, config.sliding_base)),
            "full": rope_tables(
                positions / config.position_scale, rope_frequencies(n_full, config.full_base, config.full_rotated)
            ),
        },
    )


def run(
    params: Tree,
    config: DecoderConfig,
    x: Float[Array, "B T D"],
    context: Context,
    per_layer: Float[Array, "B T L E"] | None = None,
    how: Pass = SCANNED,
) -> Float[Array, "B T D"]:
    """All blocks and the final norm over embedded inputs, without a cache: training and scoring.

    Where `how` does not unroll them, periods of the pattern are scanned.
    """
    used = dict.fromkeys(params["blocks"], 0)
    shared = _empty_shared(config, x) if config.shared_key_layers else {}
    layer = 0
    for pattern, repeats in ((config.kinds, 1),) if how.unrolled else segments(config.kinds):
        stacks = {}
        for kind in dict.fromkeys(pattern):
            n = pattern.count(kind)
            lo = used[kind.name]
            used[kind.name] = hi = lo + n * repeats
            stacks[kind.name] = jax.tree.map(
                lambda a, lo=lo, hi=hi, n=n: a[lo:hi].reshape(-1, n, *a.shape[1:]), params["blocks"][kind.name]
            )
        extra = None
        if per_layer is not None:
            part = per_layer[:, :, layer : layer + len(pattern) * repeats]
            extra = jnp.moveaxis(part.reshape(*part.shape[:2], repeats, len(pattern), -1), (2, 3), (0, 1))
        body = functools.partial(_period, config=config, pattern=pattern, context=context, how=how)
        if how.unrolled:
            (x, shared), _ = body((x, shared), jax.tree.map(lambda a: a[0], (stacks, extra)))
        elif repeats == 1:
            (x, shared), _ = how.kept(body)((x, shared), jax.tree.map(lambda a: a[0], (stacks, extra)))
        else:
            (x, shared), _ = jax.lax.scan(how.kept(body), (x, shared), (stacks, extra))
        layer += len(pattern) * repeats
    return rms_norm(x, params["final_norm"], config.epsilon)


def _period(carry, inputs, *, config: DecoderConfig, pattern: tuple[Kind, ...], context: Context, how: Pass):
    x, shared = carry
    stacks, extra = inputs
    layers = {name: iter(layers_of(layers)) for name, layers in stacks.items()}
    for i, kind in enumerate(pattern):

        def layer(weights, x, keys, more, kind=kind):
            return block(weights, config, kind, x, context, more, keys, product=how.product)

        keys = shared.get(kind.attention) if kind.shares else None
        # Scanned, a whole period is kept or made again.
        layer = how.kept(layer) if how.unrolled else layer
        x, keys = layer(next(layers[kind.name]), x, keys, None if extra is None else extra[i])
        if config.shared_key_layers and not kind.shares:
            shared = {**shared, kind.attention: keys}
    return (x, shared), None


def _empty_shared(config: DecoderConfig, x: Float[Array, "B T D"]) -> dict[str, tuple[Array, Array]]:
    """Placeholders of the right shape: a scan's carry may not grow, and each is written before any layer reads it."""
    empty = {}
    for attention in dict.fromkeys(config.attention_types):
        zeros = jnp.zeros((*x.shape[:2], *head_shape(config, attention)), x.dtype)
        empty[attention] = (zeros, zeros)
    return empty


def apart(params: Tree) -> Tree:
    """The same parameters, each stack as a tuple of its layers: decoding would copy every slice of a stack each step.

    On a CPU that takes several times as long as the arithmetic of one token.
    """
    counts = {name: jax.tree.leaves(layers)[0].shape[0] for name, layers in params["blocks"].items()}
    blocks = {
        name: tuple(jax.tree.map(lambda a, at=at: a[at], params["blocks"][name]) for at in range(count))
        for name, count in counts.items()
    }
    return {**params, "blocks": blocks}


def together(params: Tree) -> Tree:
    """The inverse of `apart`: what `run` scans over."""
    blocks = {name: jax.tree.map(lambda *a: jnp.stack(a), *layers) for name, layers in params["blocks"].items()}
    return {**params, "blocks": blocks}


def block(
    weights: Tree,
    config: DecoderConfig,
    kind: Kind,
    x,
    context: Context,
    per_layer,
    keys,
    remember=None,
    product=jnp.einsum,
):
    """One layer. Returns (x, keys): what later sharing layers look at, as (k, v) or (k, v, places).

    `remember` turns the keys and values of these tokens into those that they look at, out of a cache. `product`
    multiplies by attention's matrices and the MLP's, of which those with the same inputs may be one
    (`narrow.together`).
    """
    norm = functools.partial(rms_norm, eps=config.epsilon)
    cos, sin = context.rope[kind.attention]
    y = norm(x, weights["attention_norm"])
    if "qkv" in weights:
        every = product("btd,dhn->bthn", y, weights["qkv"])
        q, k, v = jnp.split(every, (config.heads, (config.heads + every.shape[2]) // 2), axis=2)
    else:
        q = product("btd,dhn->bthn", y, weights["q"])
        k = product("btd,dkn->btkn", y, weights["k"]) if keys is None else None
        v = product("btd,dkn->btkn", y, weights["v"]) if "v" in weights else k
    q = rotate(norm(q, weights["q_norm"]), cos, sin)
    if keys is None:
        keys = rotate(norm(k, weights["k_norm"]), cos, sin), norm(v)
        if remember is not None:
            keys = tuple(remember(*keys))
    k, v, *key_positions = keys
    reach = config.window if kind.attention == "sliding" and not config.bidirectional_images else None
    k, v = k.astype(q.dtype), v.astype(q.dtype)
    whole = kind.attention == "full"
    y = attend(q, k, v, context.intervals[kind.attention], *key_positions, reach=reach, whole=whole)
    x = x + norm(placed(product("bthn,hnd->btd", y, weights["o"]), *_STREAM), weights["post_attention_norm"])

    y = norm(x, weights["mlp_norm"])
    if "gate_up" in weights:
        gate, up = jnp.split(product("btd,df->btf", y, weights["gate_up"]), 2, axis=-1)
    else:
        gate, up = (product("btd,df->btf", y, weights[name]) for name in ("gate", "up"))
    y = product("btf,fd->btd", jax.nn.gelu(gate, approximate=True) * up, weights["down"])
    if config.experts:
        y = experts.beside(weights["experts"], config.experts, x, y, config.epsilon)
    x = x + norm(placed(y, *_STREAM), weights["post_mlp_norm"])

    if per_layer is not None:
        y = jax.nn.gelu(x @ weights["per_layer_gate"], approximate=True) * per_layer
        x = x + norm(y @ weights["per_layer_out"], weights["per_layer_norm"])
    return x * weights["scalar"].astype(x.dtype), keys


def per_layer_inputs(params: Tree, config: DecoderConfig, tokens: Int[Array, "B T"], x: Float[Array, "B T D"]):
    """[B, T, L, E] per-layer inputs: half from the token's own table, half projected from the embedded input."""
    part, width = params["per_layer"], config.per_layer_width
    shape = (*tokens.shape, config.layers, width)
    identity = part["embedding"][tokens].reshape(shape) * jnp.asarray(width**0.5, x.dtype)
    projected = (x @ part["projection"]) * jnp.asarray(config.width**-0.5, x.dtype)
    projected = rms_norm(projected.reshape(shape), part["norm"], config.epsilon)
    return (projected + identity) * jnp.asarray(2.0**-0.5, x.dtype)


def logits(params: Tree, config: DecoderConfig, x: Float[Array, "... D"]) -> Float[Array, "... V"]:
    """Scores of every token, float32, from the tied embedding, soft-capped where the configuration says so."""
    table = params["embedding"]
    if isinstance(table, Narrow):
        scores = narrow.multiplied(x.reshape(-1, x.shape[-1]), table).reshape(*x.shape[:-1], -1)
    else:
        scores = jnp.einsum("...d,vd->...v", x, table, preferred_element_type=jnp.float32)
    if config.soft_cap is None:
        return scores
    return jnp.tanh(scores / config.soft_cap) * config.soft_cap


@functools.cache
def segments(kinds: tuple[Kind, ...]) -> tuple[tuple[tuple[Kind, ...], int], ...]:
    """The layer sequence as (pattern, repeats): longest repetition first, so that scans cover most of the depth."""
    found = []
    at = 0
    while at < len(kinds):
        best_period, best_repeats = 1, 1
        for period in range(1, (len(kinds) - at) // 2 + 1):
            pattern = kinds[at : at + period]
            repeats = 1
            while kinds[at + repeats * period : at + (repeats + 1) * period] == pattern:
                repeats += 1
            if repeats > 1 and period * repeats > best_period * best_repeats:
                best_period, best_repeats = period, repeats
        found.append((kinds[at : at + best_period], best_repeats))
        at += best_period * best_repeats
    return tuple(found)
