"""The conformer in ONNX: a piece of one sound, and what the piece before it left.

Inputs: `mel` [1, F, M], padded to a multiple of four frames, and `real` [1, F], 1 for a frame and 0 for padding; the
state, as `audio.State` has it: `frame`, `half`, `heard` [left] (1 for a token that there was), `keys`, `values`,
`gated`. Outputs: `soft` [F / 4, D], and the state after it under the names new_*, which means something where no frame
was padding.
"""

import math

import numpy as np

from tejat.errors import BadInput
from tejat.export.onnx_graph import Graph, Value, layer
from tejat.export.onnx_vision import config_layers
from tejat.model import audio as network
from tejat.model.audio import AudioConfig
from tejat.model.params import Tree

USUAL = 1e-6
"""Of the norms that do not go by the configuration's epsilon."""

STATE = ("frame", "half", "heard", "keys", "values", "gated")


def state_shapes(config: AudioConfig) -> dict[str, tuple[int, ...]]:
    """Of the state before a sound, which is all zeros."""
    heads, left = config.heads, config.left - 1
    return {
        "frame": (1, 1, config.mels),
        "half": (1, 1, config.mels // 2, config.channels[0]),
        "heard": (left,),
        "keys": (config.layers, left, heads, config.width // heads),
        "values": (config.layers, left, heads, config.width // heads),
        "gated": (config.layers, config.kernel - 1, config.width),
    }


def audio(params: Tree, config: AudioConfig, width: int) -> Graph:
    """The tower to soft tokens `width` wide. Raises BadInput for a tower that is none or looks ahead."""
    if config.front_end != "conformer":
        raise BadInput(f"the audio front end is {config.front_end!r}, and the ONNX export writes only 'conformer'")
    if config.right:
        raise BadInput(f"the audio tower sees {config.right} tokens ahead, which the ONNX export does not write")
    g = Graph("audio", config.epsilon)
    mel, real = g.input("mel", "float32", (1, "F", config.mels)), g.input("real", "float32", (1, "F"))
    state = {name: g.input(name, "float32", shape) for name, shape in state_shapes(config).items()}
    x, kept = _subsample(g, params, config, state, mel, real)
    places = _Places(g, config, x, state["heard"])
    tails: dict[str, list[Value]] = {"keys": [], "values": [], "gated": []}
    for at in range(config_layers(params["blocks"])):
        weights = {name: layer(leaf, at) for name, leaf in params["blocks"].items()}
        before = {name: g.op("Gather", state[name], g.weight(np.asarray(at, np.int64)), axis=0) for name in tails}
        x, after = _block(g, weights, config, x, places, before)
        for name, tail in after.items():
            tails[name].append(g.op("Unsqueeze", tail, g.whole(0)))
    x = g.op("Add", g.product(x, params["frame_out"]), g.floats(params["frame_out_bias"]))
    g.output(g.product(g.rms_norm(x, config.output), params["out"]), "soft", "float32", ("S", width))
    kept |= {"heard": places.heard} | {name: g.op("Concat", *each, axis=0) for name, each in tails.items()}
    for name in STATE:
        g.output(kept[name], f"new_{name}", "float32", state_shapes(config)[name])
    return g


def _last(g: Graph, x: Value, count: int, axis: int) -> Value:
    return g.op("Slice", x, g.whole(-count), g.whole(2**62), g.whole(axis))


def _subsample(g: Graph, params: Tree, config: AudioConfig, state: dict[str, Value], mel: Value, real: Value):
    """(features [T, W], the tails of the inputs of either convolution): `audio._subsample`, channels first."""
    x = g.op("Unsqueeze", mel, g.whole(1))
    before = g.op("Unsqueeze", state["frame"], g.whole(1)), g.op("Transpose", state["half"], perm=[0, 3, 1, 2])
    tails = []
    for i in range(2):
        x = g.op("Mul", x, g.op("Unsqueeze", real, g.whole(1, 3)))
        x = g.op("Concat", before[i], x, axis=2)
        tails.append(_last(g, x, 1, 2))
        kernel = g.floats(np.asarray(params[f"conv{i}"]).transpose(3, 2, 0, 1))
        x = g.op("Conv", x, kernel, strides=[2, 2], pads=[0, 1, 0, 1])
        x = g.op("Transpose", x, perm=[0, 2, 3, 1])
        scale = g.floats(params[f"conv{i}_norm"])
        x = g.op("Relu", g.op("LayerNormalization", x, scale, axis=-1, epsilon=config.epsilon))
        if i == 0:
            x = g.op("Transpose", x, perm=[0, 3, 1, 2])
        real = g.op("Slice", real, g.whole(0), g.whole(2**62), g.whole(1), g.whole(2))
    features = g.product(g.reshape(x, -1, config.mels // 4 * config.channels[1]), params["frame_in"])
    kept = {
        "frame": g.op("Squeeze", tails[0], g.whole(1)),
        "half": g.op("Transpose", tails[1], perm=[0, 2, 3, 1]),
    }
    return features, kept


class _Places:
    """What all layers share of T tokens that look at K = left + T keys: who sees whom, and shapes."""

    def __init__(self, g: Graph, config: AudioConfig, x: Value, heard: Value):
        left = config.left - 1
        count = g.op("Slice", g.op("Shape", x), g.whole(0), g.whole(1))
        self.tokens, self.keys = count, g.op("Add", count, g.whole(left))
        ones = g.op("ConstantOfShape", count, value=_one())
        seen = g.op("Concat", heard, ones, axis=0)
        self.heard = _last(g, seen, left, 0)
        zero, one = g.weight(np.asarray(0, np.int64)), g.weight(np.asarray(1, np.int64))
        query = g.op("Range", zero, g.op("Squeeze", self.tokens), one)
        key = g.op("Range", zero, g.op("Squeeze", self.keys), one)
        distance = g.op("Sub", g.op("Add", g.reshape(query, -1, 1), g.whole(left)), g.reshape(key, 1, -1))
        near = g.op("And", g.op("GreaterOrEqual", distance, g.whole(0)), g.op("Less", distance, g.whole(left)))
        visible = g.op("And", near, g.op("Cast", seen, to=9))
        self.hidden = g.op("Where", visible, g.number(0.0), g.number(-1e9))


def _one():
    from onnx import helper

    return helper.make_tensor("one", 1, [1], [1.0])


def _block(g: Graph, weights: Tree, config: AudioConfig, x: Value, places: _Places, before: dict[str, Value]):
    """`audio._block`; its clipping, at 1e10 and more, is left out: float32 has room."""
    x = _feed_forward(g, weights["first"], config, x)
    attention = weights["attention"]
    y = g.rms_norm(x, attention["norm"], USUAL)
    y, keys, values = _attention(g, attention, config, y, places, before)
    x = g.op("Add", x, g.rms_norm(y, attention["post_norm"], USUAL))
    x, gated = _convolution(g, weights["convolution"], config, x, before["gated"])
    x = _feed_forward(g, weights["second"], config, x)
    return g.rms_norm(x, weights["norm"], USUAL), {"keys": keys, "values": values, "gated": gated}


def _silu(g: Graph, x: Value) -> Value:
    return g.op("Mul", x, g.op("Sigmoid", x))


def _feed_forward(g: Graph, weights: Tree, config: AudioConfig, x: Value) -> Value:
    y = g.rms_norm(x, weights["norm"], USUAL)
    y = g.product(_silu(g, g.product(y, weights["up"])), weights["down"])
    return g.op("Add", x, g.op("Mul", g.rms_norm(y, weights["post_norm"], USUAL), g.number(config.residual)))


def _convolution(g: Graph, weights: Tree, config: AudioConfig, x: Value, before: Value) -> tuple[Value, Value]:
    w, kernel = config.width, config.kernel
    y = g.product(g.rms_norm(x, weights["norm"]), weights["in"])
    left, right = g.several("Split", y, g.whole(w, w), outputs=2, axis=-1)
    y = g.op("Concat", before, g.op("Mul", left, g.op("Sigmoid", right)), axis=0)
    tail = _last(g, y, kernel - 1, 0)
    y = g.op("Unsqueeze", g.op("Transpose", y, perm=[1, 0]), g.whole(0))
    depthwise = g.floats(np.asarray(weights["depthwise"]).T[:, None])
    y = g.op("Conv", y, depthwise, group=w)
    y = g.op("Transpose", g.op("Squeeze", y, g.whole(0)), perm=[1, 0])
    y = _silu(g, g.rms_norm(y, weights["inner_norm"]))
    return g.op("Add", x, g.product(y, weights["out"])), tail


def _attention(g: Graph, weights: Tree, config: AudioConfig, x: Value, places: _Places, before: dict[str, Value]):
    """`audio._attention` with all keys of the piece at once: what is out of reach is hidden."""
    heads, n = config.heads, config.width // config.heads
    scale = n**-0.5 / math.log(2) * np.logaddexp(0, np.asarray(weights["dimension_scale"], np.float32))

    def split(name: str) -> Value:
        return g.reshape(g.product(x, weights[name]), -1, heads, n)

    q = g.op("Mul", split("q"), g.floats(scale))
    k = g.op("Mul", split("k"), g.number(math.log(1 + math.e) / math.log(2)))
    k, v = (g.op("Concat", before[name], new, axis=0) for name, new in (("keys", k), ("values", split("v"))))
    tails = [_last(g, each, config.left - 1, 0) for each in (k, v)]

    q = g.op("Transpose", q, perm=[1, 0, 2])
    scores = g.op("MatMul", q, g.op("Transpose", k, perm=[1, 2, 0]))
    table = network._relative_table(config, np.float32)
    relative = g.product(g.floats(table), weights["relative"])
    by_row = g.op("MatMul", q, g.op("Transpose", g.reshape(relative, -1, heads, n), perm=[1, 2, 0]))
    scores = g.op("Add", scores, _shifted(g, by_row, places, heads, table.shape[0]))
    cap = g.number(config.score_cap)
    scores = g.op("Mul", g.op("Tanh", g.op("Div", scores, cap)), cap)
    shares = g.op("Softmax", g.op("Add", scores, places.hidden), axis=-1)
    y = g.op("MatMul", shares, g.op("Transpose", v, perm=[1, 0, 2]))
    y = g.reshape(g.op("Transpose", y, perm=[1, 0, 2]), -1, config.width)
    return g.product(y, weights["o"]), *tails


def _shifted(g: Graph, by_row: Value, places: _Places, heads: int, distances: int) -> Value:
    """[H, T, R] by distance to [H, T, K] by key: row t moves right by t. Padded to K + 1, cut to rows of K."""
    more = g.op("Sub", places.keys, g.whole(distances - 1))
    padded = g.op("Pad", by_row, g.op("Concat", g.whole(0, 0, 0, 0, 0), more, axis=0))
    end = g.op("Mul", places.tokens, places.keys)
    flat = g.op("Slice", g.reshape(padded, heads, -1), g.whole(0), end, g.whole(1))
    return g.op("Reshape", flat, g.op("Concat", g.whole(heads), places.tokens, places.keys, axis=0))
