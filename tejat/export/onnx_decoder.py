"""The decoder in ONNX: tokens and soft tokens in, scores out, over a cache of keys and values.

Inputs: `tokens` [B, T]; `soft` [B, T, D] or [1, 1, D], taken instead of a token's embedding where `is_soft` [B, T];
`position` [B, T]; `last` [B], the place of the row's last token in the buffers of full layers (its length less one);
`most` [1], the longest row's length; `window_last` and `window_most`, the same for sliding layers, whose buffers may
begin at a later position; `at` [S], which of the T places are scored; `key.n` and `value.n` [B, K, P, N] for every
layer n, float32 or int8. Outputs: `scores` [B, S, V]; `hidden` [B, S, D], the states that they come from; `new_key.n`,
`new_value.n` [B, K, P', N].

Where the buffers of keys are given in and out as one, of a size that holds all, nothing is copied. Several tokens at
once (T > 1) are read of one row, B = 1.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from tejat.export.onnx_graph import Graph, Value, blocks_of, layer, matrix
from tejat.export.plain_decoder import check
from tejat.model.decoder import AttentionType, DecoderConfig, Kind, head_shape
from tejat.model.params import Tree
from tejat.model.quantised import BLOCK, Quantised

REACH = 5.0
"""Of eight bits in the cache: the largest key or value, in deviations of its channel."""


def decoder(params: Tree, config: DecoderConfig, context: int, cache_bits: int = 32) -> Graph:
    """The whole decoder. `context`: positions that rotary tables are made for; `cache_bits`: of a key's or a value's
    number, 32 or 8. Raises BadInput as `check` does."""
    check(config, "ONNX")
    g = Graph("decoder", config.epsilon)
    d = config.width
    tokens = g.input("tokens", "int64", ("B", "T"))
    soft = g.input("soft", "float32", ("SB", "ST", d))
    is_soft = g.input("is_soft", "bool", ("B", "T"))
    position = g.input("position", "int64", ("B", "T"))
    ends = {"full": (g.input("last", "int32", ("B",)), g.input("most", "int32", (1,)))}
    ends["sliding"] = g.input("window_last", "int32", ("B",)), g.input("window_most", "int32", (1,))
    at = g.input("at", "int64", ("S",))

    embedded, scored = _table(g, params["embedding"], d)
    x = g.op("Mul", embedded(tokens), g.number(float(np.float32(d) ** np.float32(0.5))))
    x = g.op("Where", g.op("Unsqueeze", is_soft, g.whole(-1)), soft, x)

    tables = {attention: _rope(g, config, attention, context) for attention in set(config.attention_types)}
    used = dict.fromkeys(params["blocks"], 0)
    stream = Stream(g, x)
    for n, kind in enumerate(config.kinds):
        weights = {name: layer(leaf, used[kind.name]) for name, leaf in params["blocks"][kind.name].items()}
        used[kind.name] += 1
        places = Places(position, *ends[kind.attention], *tables[kind.attention])
        _block(stream, weights, config, kind, n, places, cache_bits)
    x = g.op("Gather", stream.normed(params["final_norm"]), at, axis=1)
    scores = scored(x)
    if config.soft_cap is not None:
        cap = g.number(config.soft_cap)
        scores = g.op("Mul", g.op("Tanh", g.op("Div", scores, cap)), cap)
    g.output(scores, "scores", "float32", ("B", "S", config.vocabulary))
    g.output(x, "hidden", "float32", ("B", "S", d))
    return g


class Places(NamedTuple):
    """Where tokens stand: positions, the last place and the places of a layer's buffers, cosines and sines."""

    position: Value
    last: Value
    most: Value
    cosines: Value
    sines: Value


class Stream:
    """What layers add to. A sum waits for the norm that comes after it: one operator does both."""

    def __init__(self, graph: Graph, x: Value):
        self.graph, self.x = graph, x
        self._more: Value | None = None

    def add(self, more: Value) -> None:
        self._more = more

    def scale(self, by: float) -> None:
        if by != 1.0:
            self.x = self.graph.op("Mul", self._sum(), self.graph.number(by))

    def normed(self, scale) -> Value:
        if self._more is None:
            return self.graph.rms_norm(self.x, scale)
        self.x, normed = self.graph.add_and_norm(self.x, self._more, scale)
        self._more = None
        return normed

    def _sum(self) -> Value:
        if self._more is not None:
            self.x, self._more = self.graph.op("Add", self.x, self._more), None
        return self.x


def _table(g: Graph, leaf, width: int):
    """(rows of the tied table by tokens, scores by states): one weight in the file."""
    if not isinstance(leaf, Quantised):
        table = g.floats(leaf)
        transposed = g.op("Transpose", table, perm=[1, 0])
        return (lambda tokens: g.op("Gather", table, tokens)), (lambda x: g.op("MatMul", x, transposed))
    rows, bits = leaf.codes.shape[0], leaf.bits
    table, scales = g.weight(blocks_of(leaf.codes, bits)), g.scales(leaf.scales)
    blocks = g.reshape(table, rows, width // BLOCK, BLOCK * bits // 8)

    def look_up(tokens: Value) -> Value:
        return g.op(
            "GatherBlockQuantized",
            *(table, tokens, scales),
            runtime=True,
            bits=bits,
            block_size=BLOCK,
            gather_axis=0,
            quantize_axis=1,
        )

    return look_up, lambda x: g.blocks_product(x, blocks, scales, (width, rows), bits)


def _rope(g: Graph, config: DecoderConfig, attention: AttentionType, context: int) -> tuple[Value, Value]:
    """Cosines and sines of every position, computed once, when the model is loaded: as weights they would be large."""
    from tejat.model.layers import rope_frequencies

    _, n = head_shape(config, attention)
    sliding = attention == "sliding"
    base, turned = (config.sliding_base, 1.0) if sliding else (config.full_base, config.full_rotated)
    places = g.op("Range", g.number(0.0), g.number(float(context)), g.number(1.0))
    places = g.op("Div", g.reshape(places, -1, 1), g.number(1.0 if sliding else config.position_scale))
    angles = g.op("Mul", places, g.floats(np.asarray(rope_frequencies(n, base, turned))[None]))
    return g.op("Cos", angles), g.op("Sin", angles)


def _steps(scale: Float[np.ndarray, " N"], heads: int) -> tuple[Float[np.ndarray, " KN"], Float[np.ndarray, " KN"]]:
    """What one of 127 steps is worth in each channel of the keys and of the values, before anything is read.

    Norms make it known: over its N channels a value has a mean square of one, and so has a key before its scale.
    Rotation mixes a channel with the one half a head away: both get the larger scale. What is beyond `REACH` is cut.
    """
    paired = np.maximum(scale, np.roll(scale, len(scale) // 2))
    return tuple(np.tile(each * (REACH / 127), heads).astype(np.float32) for each in (paired, np.ones_like(paired)))


def _block(
    stream: Stream, weights: Tree, config: DecoderConfig, kind: Kind, n: int, places: Places, cache_bits: int
) -> None:
    g, d, h = stream.graph, config.width, config.heads
    k, width = head_shape(config, kind.attention)
    y = stream.normed(weights["attention_norm"])
    qkv = g.product(y, *(matrix(weights[name], d) for name in "qkv"))
    # All heads as one: a norm of each, then the scales of their kinds, [H + 2 K, N].
    kinds = (weights["q_norm"], h), (weights["k_norm"], k), (np.ones(width, np.float32), k)
    scales = np.concatenate([np.tile(np.asarray(scale), (count, 1)) for scale, count in kinds])
    normed = g.rms_norm(g.reshape(qkv, 0, 0, h + 2 * k, width), width)
    heads = g.reshape(g.op("Mul", normed, g.floats(scales)), 0, 0, (h + 2 * k) * width)

    stored = "int8" if cache_bits == 8 else "float32"
    sliding = kind.attention == "sliding"
    before, behind = ("W", "WW") if sliding else ("P", "PP")
    past = [g.input(f"{name}.{n}", stored, ("B", k, before, width)) for name in ("key", "value")]
    after = [f"new_{name}" for name in past]
    inputs = [heads, "", "", *past, places.last, places.most, places.cosines, places.sines, places.position]
    eighths = {}
    if cache_bits == 8:
        inputs += ["", "", *(g.floats(step) for step in _steps(np.asarray(weights["k_norm"]), k))]
        eighths = {"kv_cache_bit_width": 8, "k_quant_type": "PER_CHANNEL", "v_quant_type": "PER_CHANNEL"}
    y, *_ = g.several(
        "GroupQueryAttention",
        *inputs,
        outputs=[f"attended.{n}", *after],
        runtime=True,
        num_heads=h,
        kv_num_heads=k,
        scale=1.0,
        do_rotary=1,
        local_window_size=config.window if sliding else -1,
        **eighths,
    )
    for name in after:
        g.declare(name, stored, ("B", k, behind, width))
    y = g.product(y, matrix(weights["o"], h * width))
    stream.add(g.rms_norm(y, weights["post_attention_norm"]))
    y = stream.normed(weights["mlp_norm"])
    y = g.gated_mlp(y, weights["gate"], weights["up"], weights["down"], config.mlp)
    stream.add(g.rms_norm(y, weights["post_mlp_norm"]))
    stream.scale(float(np.asarray(weights["scalar"])))
