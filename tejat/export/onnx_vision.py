"""The vision tower and the image tokenizer in ONNX: one image at a time, of any number of patches.

Vision: `patches` [P, C], pixels in [0, 1], and `positions` [P, 2] (x, y), those of one soft token side by side; `soft`
[S, D]. Pictures, encoding: patches and positions in any order; `codes` [P]. Decoding: `codes` [P] and positions;
`patches` [P, C].
"""

import math

import numpy as np

from tejat.errors import BadInput
from tejat.export.onnx_graph import Graph, Value, Weight, layer
from tejat.model.layers import rope_frequencies
from tejat.model.params import Tree, walk
from tejat.model.picture import PictureConfig
from tejat.model.vision import VisionConfig


def vision(params: Tree, config: VisionConfig, width: int) -> Graph:
    """The tower to soft tokens `width` wide. Raises BadInput for another front end than the pooled one."""
    if config.front_end != "pooled":
        raise BadInput(f"the vision front end is {config.front_end!r}, and the ONNX export writes only 'pooled'")
    g = Graph("vision", config.epsilon)
    patches, positions = _patches(g, 3 * config.patch**2)
    x = g.op("Mul", g.op("Sub", patches, g.number(0.5)), g.number(2.0))
    x = g.op("Add", g.product(x, params["patch_in"]), _placed(g, params["positions"], positions))
    x = _encoder(g, params["blocks"], config, x, positions)
    x = g.op("ReduceMean", g.reshape(x, -1, config.pool**2, config.width), g.whole(1), keepdims=0)
    x = g.op("Mul", x, g.number(config.width**0.5))
    if config.standardize:
        x = g.op("Mul", g.op("Sub", x, g.floats(params["shift"])), g.floats(params["spread"]))
    g.output(g.product(g.rms_norm(x, config.width), params["out"]), "soft", "float32", ("S", width))
    return g


def picture_encoder(params: Tree, config: PictureConfig) -> Graph:
    """`picture.encode`, `quantise` and `codes_of`. Raises BadInput for a learned codebook."""
    _rounded(config)
    g = Graph("picture_encoder", config.epsilon)
    patches, positions = _patches(g, 3 * config.patch**2)
    x = g.op("Sub", g.op("Mul", patches, g.number(2.0)), g.number(1.0))
    z = _side(g, params["encoder"], config, x, positions)
    levels = np.asarray(config.levels, np.float32)
    reach, offset = (levels - 1) * 1.001 / 2, np.where(levels % 2 == 0, 0.5, 0.0)
    bounded = g.op("Tanh", g.op("Add", z, g.floats(np.arctanh(offset / reach))))
    bounded = g.op("Sub", g.op("Mul", bounded, g.floats(reach)), g.floats(offset))
    digits = g.op("Add", g.op("Round", bounded), g.floats(levels // 2))
    codes = g.op("MatMul", digits, g.floats(_radix(config)[:, None]))
    g.output(g.op("Cast", g.reshape(codes, -1), to=7), "codes", "int64", ("P",))
    return g


def picture_decoder(params: Tree, config: PictureConfig) -> Graph:
    """`digits_of` and `picture.decode`. Raises BadInput for a learned codebook."""
    _rounded(config)
    g = Graph("picture_decoder", config.epsilon)
    codes, positions = g.input("codes", "int64", ("P",)), g.input("positions", "int64", ("P", 2))
    levels = np.asarray(config.levels, np.int64)
    index = g.op("Div", g.reshape(codes, -1, 1), g.weight(_radix(config).astype(np.int64)))
    index = g.op("Cast", g.op("Mod", index, g.weight(levels)), to=1)
    half = g.floats(levels // 2)
    x = _side(g, params["decoder"], config, g.op("Div", g.op("Sub", index, half), half), positions)
    x = g.op("Div", g.op("Add", x, g.number(1.0)), g.number(2.0))
    g.output(x, "patches", "float32", ("P", 3 * config.patch**2))
    return g


def _rounded(config: PictureConfig) -> None:
    if config.vectors:
        raise BadInput("the image tokenizer has learned vectors, and the ONNX export writes only rounded numbers")


def _radix(config: PictureConfig) -> np.ndarray:
    return np.asarray([math.prod(config.levels[:i]) for i in range(len(config.levels))], np.float32)


def _patches(g: Graph, pixels: int) -> tuple[Value, Value]:
    return g.input("patches", "float32", ("P", pixels)), g.input("positions", "int64", ("P", 2))


def _side(g: Graph, side: Tree, config: PictureConfig, x: Value, positions: Value) -> Value:
    """`picture._run`."""
    x = g.op("Add", g.product(x, side["in"]), _placed(g, side["positions"], positions))
    x = _encoder(g, side["blocks"], config, x, positions)
    return g.op("Add", g.product(g.rms_norm(x, side["norm"]), side["out"]), g.floats(side["out_bias"]))


def _column(g: Graph, positions: Value, axis: int) -> Value:
    return g.op("Gather", positions, g.weight(np.asarray(axis, np.int64)), axis=1)


def _placed(g: Graph, tables: Weight, positions: Value) -> Value:
    """The sum of a learned vector for x and one for y."""
    x, y = (g.op("Gather", g.floats(np.asarray(tables)[axis]), _column(g, positions, axis)) for axis in (0, 1))
    return g.op("Add", x, y)


def _encoder(g: Graph, blocks: Tree, config, x: Value, positions: Value) -> Value:
    """`vision.encoder` over the patches of one image, each of which sees all."""
    h, n = config.heads, config.head_width
    frequencies = g.floats(np.asarray(rope_frequencies(n // 2, config.rope_base))[None])
    angles = [
        g.op("Mul", g.op("Cast", g.reshape(_column(g, positions, axis), -1, 1), to=1), frequencies) for axis in (0, 1)
    ]
    # [P, 1, N / 4] for every head, in x and in y.
    tables = [[g.op("Unsqueeze", g.op(kind, a), g.whole(1)) for kind in ("Cos", "Sin")] for a in angles]

    def rotated(y: Value) -> Value:
        """`layers.rotate_axial` of [P, H, N]."""
        quarters = g.several("Split", y, g.whole(*[n // 4] * 4), outputs=4, axis=-1)
        found = []
        for (left, right), (cos, sin) in zip((quarters[:2], quarters[2:]), tables, strict=True):
            found.append(g.op("Sub", g.op("Mul", left, cos), g.op("Mul", right, sin)))
            found.append(g.op("Add", g.op("Mul", right, cos), g.op("Mul", left, sin)))
        return g.op("Concat", *found, axis=-1)

    def heads(y: Value, scale) -> Value:
        return g.rms_norm(g.reshape(y, -1, h, n), scale)

    def flat(y: Value) -> Value:
        return g.reshape(y, 1, -1, h * n)

    for at in range(config_layers(blocks)):
        weights = {name: layer(leaf, at) for name, leaf in blocks.items()}
        y = g.rms_norm(x, weights["attention_norm"])
        q, k, v = (g.product(y, weights[name]) for name in "qkv")
        q, k = (flat(rotated(heads(y, weights[f"{name}_norm"]))) for name, y in (("q", q), ("k", k)))
        y = g.op("MultiHeadAttention", q, k, flat(heads(v, n)), runtime=True, num_heads=h, scale=1.0)
        y = g.product(g.reshape(y, -1, h * n), weights["o"])
        x, y = g.add_and_norm(x, g.rms_norm(y, weights["post_attention_norm"]), weights["mlp_norm"])
        y = g.gated_mlp(y, weights["gate"], weights["up"], weights["down"], config.mlp)
        x = g.op("Add", x, g.rms_norm(y, weights["post_mlp_norm"]))
    return x


def config_layers(blocks: Tree) -> int:
    """How many layers are stacked."""
    _, norms = next((name, leaf) for name, leaf in walk(blocks) if name.endswith("norm"))
    return len(norms)
