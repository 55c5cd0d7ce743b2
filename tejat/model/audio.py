"""Sound in: a USM conformer over log-mel frames (Zhang et al. 2023), 25 soft tokens a second.

Two strided convolutions take 100 frames a second to 25; each block is half a feed-forward, chunked local attention
with relative positions, a light causal convolution and the other half. Follows the audio tower of
`transformers.models.gemma4`.
"""

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float, Int, Shaped

from tejat.errors import BadInput
from tejat.model.layers import layer_norm, project, rms_norm
from tejat.model.params import Param, Tree, linear, scale, stack
from tejat.model.passes import SCANNED, Pass
from tejat.model.placing import placed
from tejat.model.vision import clippable

_SOUNDS = "sounds", None, None
"""Axes of what blocks add to: a sound, or a piece of one, is on one device."""


@dataclass(frozen=True)
class AudioConfig:
    """Shape of the conformer. Frames come at 100 a second; every soft token stands for four of them (40 ms).

    With the front end "raw" there is none: waveform frames go straight into the decoder (tejat/model/unified.py), a
    frame a soft token, and `width`, `layers` and `heads` are 0.
    """

    width: int
    layers: int
    heads: int
    channels: tuple[int, int] = (128, 32)
    mels: int = 128
    kernel: int = 5
    chunk: int = 12
    left: int = 13  # a token sees left - 1, itself among them
    right: int = 0
    score_cap: float = 50.0
    residual: float = 0.5
    output: int = 1536
    front_end: Literal["conformer", "raw"] = "conformer"
    samples: int = 640  # of a raw frame
    frames: int = 3_000  # frames of the longest piece given to the tower at once; longer sound comes in pieces
    clipped: bool = False
    clip: float = 1e10
    epsilon: float = 1e-6

    @property
    def stride(self) -> int:
        """Frames of a soft token."""
        return 1 if self.front_end == "raw" else 4

    @property
    def features(self) -> int:
        """Numbers of a frame."""
        return self.samples if self.front_end == "raw" else self.mels

    @property
    def piece(self) -> int:
        """Frames of a whole piece of a long sound."""
        return self.frames - self.frames % self.stride

    @property
    def streams(self) -> bool:
        """Can a piece go on where the one before it ended?"""
        return self.front_end == "conformer" and self.right <= 1

    @property
    def context(self) -> int:
        return self.chunk + self.left - 1 + self.right


def params(config: AudioConfig, decoder_width: int) -> Tree:
    d, (c0, c1) = config.width, config.channels
    return {
        "conv0": Param((3, 3, 1, c0), (None, None, None, None), fan_in=9),
        "conv0_norm": scale(c0),
        "conv1": Param((3, 3, c0, c1), (None, None, None, None), fan_in=9 * c0),
        "conv1_norm": scale(c1),
        "frame_in": linear({"mel": config.mels // 4 * c1}, {"audio": d}),
        "blocks": stack(config.layers, _block_params(config)),
        "frame_out": linear({"audio": d}, {"audio_out": config.output}),
        "frame_out_bias": Param((config.output,), (None,), 0.0),
        "out": linear({"audio_out": config.output}, {"embed": decoder_width}),
    }


def _block_params(config: AudioConfig) -> Tree:
    d, n = config.width, config.width // config.heads

    def weight(inputs: dict[str, int], outputs: dict[str, int]):
        return clippable(linear(inputs, outputs), config.clipped)

    def feed_forward() -> Tree:
        return {
            "norm": scale(d, "audio"),
            "up": weight({"audio": d}, {"mlp": 4 * d}),
            "down": weight({"mlp": 4 * d}, {"audio": d}),
            "post_norm": scale(d, "audio"),
        }

    return {
        "first": feed_forward(),
        "second": feed_forward(),
        "attention": {
            "norm": scale(d, "audio"),
            "q": weight({"audio": d}, {"heads": d}),
            "k": weight({"audio": d}, {"heads": d}),
            "v": weight({"audio": d}, {"heads": d}),
            "o": weight({"heads": d}, {"audio": d}),
            "relative": linear({"audio": d}, {"heads": d}),
            "dimension_scale": Param((n,), (None,), 0.0),
            "post_norm": scale(d, "audio"),
        },
        "convolution": {
            "norm": scale(d, "audio"),
            "in": weight({"audio": d}, {"audio2": 2 * d}),
            "depthwise": Param((config.kernel, d), (None, "audio"), fan_in=config.kernel),
            "inner_norm": scale(d, "audio"),
            "out": weight({"audio": d}, {"audio2": d}),
        },
        "norm": scale(d, "audio"),
    }


class State(NamedTuple):
    """What a stream of sound keeps of the past, so that its next piece goes on where the last one ended."""

    frame: Float[Array, "B 1 M"]  # the last log-mel frame
    half: Float[Array, "B 1 M/2 C"]  # the last output of the first convolution
    real: Bool[Array, "B left"]  # of the tokens before: False before the sound began
    keys: Float[Array, "L B left heads N"]
    values: Float[Array, "L B left heads N"]
    gated: Float[Array, "L B kernel W"]  # what the depthwise convolution saw last


def start(config: AudioConfig, batch: int, dtype: DTypeLike = jnp.float32) -> State:
    """The state before a sound: silence, and tokens that nobody looks at."""
    keys = config.layers, batch, config.left - 1, config.heads, config.width // config.heads
    return State(
        jnp.zeros((batch, 1, config.mels), dtype),
        jnp.zeros((batch, 1, config.mels // 2, config.channels[0]), dtype),
        jnp.zeros((batch, config.left - 1), bool),
        jnp.zeros(keys, jnp.float32),
        jnp.zeros(keys, jnp.float32),
        jnp.zeros((config.layers, batch, config.kernel - 1, config.width), dtype),
    )


def encode(
    params: Tree, config: AudioConfig, mel: Float[Array, "B F M"], real: Bool[Array, "B F"], how: Pass = SCANNED
) -> Float[Array, "B S D"]:
    """Soft tokens [B, ceil(F / 4), D] of log-mel frames; `real` is False on padding at a clip's end."""
    return _pass(params, config, start(config, mel.shape[0], params["conv0"].dtype), mel, real, how)[0]


def stream(
    params: Tree,
    config: AudioConfig,
    state: State,
    mel: Float[Array, "B F M"],
    real: Bool[Array, "B F"],
    how: Pass = SCANNED,
) -> tuple[Float[Array, "B S D"], State]:
    """(the soft tokens of the next piece of each sound, the state after it): a whole sound, whatever its length.

    Every piece but a sound's last has a multiple of four frames, padding apart; pieces together give what `encode`
    gives of the whole. No token waits for the next piece. Raises BadInput for a tower that looks ahead.
    """
    if not config.streams:
        raise BadInput(f"an audio tower that sees {config.right - 1} tokens ahead cannot be streamed; encode at once")
    return _pass(params, config, state, mel, real, how)


def encode_pieces(
    params: Tree,
    config: AudioConfig,
    mel: Float[Array, "B A F M"],
    real: Bool[Array, "B A F"],
    goes_on: Bool[Array, "B A"],
    how: Pass = SCANNED,
) -> Float[Array, "B A S D"]:
    """Soft tokens of the A pieces of each row, where a piece may go on where the one before it ended."""
    fresh = start(config, mel.shape[0], params["conv0"].dtype)
    batch_axis = State(0, 0, 0, 1, 1, 1)

    def step(state: State, piece):
        mel, real, goes_on = piece

        def kept(old, new, axis: int):
            return jnp.where(goes_on.reshape([-1 if at == axis else 1 for at in range(old.ndim)]), old, new)

        tokens, state = stream(params, config, jax.tree.map(kept, state, fresh, batch_axis), mel, real, how)
        return state, tokens

    pieces = jax.tree.map(lambda a: jnp.moveaxis(a, 1, 0), (mel, real, goes_on))
    return jnp.moveaxis(jax.lax.scan(step, fresh, pieces)[1], 0, 1)


def _pass(params: Tree, config: AudioConfig, state: State, mel, real, how: Pass) -> tuple[Float[Array, "B S D"], State]:
    short = -mel.shape[1] % config.stride
    mel, real = jnp.pad(mel, ((0, 0), (0, short), (0, 0))), jnp.pad(real, ((0, 0), (0, short)))
    x, real, frame, half = _subsample(params, config, state, mel, real)
    x = placed(x, *_SOUNDS)
    table = _relative_table(config, x.dtype)
    heard = real.sum(axis=1)
    real = jnp.concatenate([state.real, real], axis=1)

    def body(x, layer):
        weights, *tails = layer
        x, tails = _block(weights, config, x, table, real, heard, *tails)
        return placed(x, *_SOUNDS), tails

    x, tails = how.through(body, x, (params["blocks"], state.keys, state.values, state.gated))
    x = x @ params["frame_out"] + params["frame_out_bias"].astype(x.dtype)
    after = State(frame, half, _last(real, config.left - 1, heard), *tails)
    return rms_norm(x, eps=config.epsilon) @ params["out"], after


def _last(x: Float[Array, "B T ..."], count: int, heard: Int[Array, " B"]) -> Float[Array, "B count ..."]:
    """The last `count` along axis 1 before padding, where `count` of the past come first and then `heard` new ones."""
    at = heard[:, None] + jnp.arange(count)
    return jnp.take_along_axis(x, at.reshape(*at.shape, *[1] * (x.ndim - 2)), axis=1)


def _subsample(params: Tree, config: AudioConfig, state: State, mel, real):
    """Two 3 x 3 convolutions of stride 2 in time and frequency; padding frames are silenced before each.

    Returns (features, which of them are real, and the last input of either convolution).
    """
    x, tails = mel[..., None].astype(params["conv0"].dtype), [state.frame[..., None], state.half]
    for i in range(2):
        x = jnp.concatenate([tails[i].astype(x.dtype), x * real[:, :, None, None].astype(x.dtype)], axis=1)
        tails[i] = _last(x, 1, real.sum(axis=1))
        x = jax.lax.conv_general_dilated(
            x, params[f"conv{i}"], (2, 2), ((0, 0), (1, 1)), dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        x = jax.nn.relu(layer_norm(x, params[f"conv{i}_norm"], eps=config.epsilon))
        real = real[:, ::2]
    return x.reshape(*x.shape[:2], -1) @ params["frame_in"], real, tails[0][..., 0], tails[1]


def _relative_table(config: AudioConfig, dtype) -> Float[Array, "R W"]:
    """Sines then cosines of the distances context/2, ..., 1, 0."""
    half = config.width // 2
    step = math.log(10_000.0) / max(half - 1, 1)
    rates = jnp.exp(-step * jnp.arange(half, dtype=jnp.float32))
    angles = jnp.arange(config.context // 2, -1, -1, dtype=jnp.float32)[:, None] * rates
    return jnp.concatenate([jnp.sin(angles), jnp.cos(angles)], axis=-1).astype(dtype)


def _block(weights: Tree, config: AudioConfig, x, table, real, heard, keys, values, gated):
    """One block, and the ends of what it looks back on: keys, values, inputs of its convolution."""
    clip = min(config.clip, float(jnp.finfo(x.dtype).max))
    x = _feed_forward(weights["first"], config, x, clip)
    attention = weights["attention"]
    y = rms_norm(jnp.clip(x, -clip, clip), attention["norm"])
    y, keys, values = _attention(attention, config, y, table, real, heard, keys, values)
    x = x + rms_norm(jnp.clip(y, -clip, clip), attention["post_norm"])
    x, gated = _convolution(weights["convolution"], config, x, clip, heard, gated)
    x = _feed_forward(weights["second"], config, x, clip)
    return rms_norm(jnp.clip(x, -clip, clip), weights["norm"]), (keys, values, gated)


def _feed_forward(weights: Tree, config: AudioConfig, x, clip: float):
    y = rms_norm(jnp.clip(x, -clip, clip), weights["norm"])
    y = project(jax.nn.silu(project(y, weights["up"])), weights["down"])
    return x + config.residual * rms_norm(jnp.clip(y, -clip, clip), weights["post_norm"])


def _convolution(weights: Tree, config: AudioConfig, x, clip: float, heard, before):
    """Gated, then a causal depthwise convolution over time; `before` are its last inputs."""
    y = project(rms_norm(x, weights["norm"], config.epsilon), weights["in"])
    left, right = jnp.split(y, 2, axis=-1)
    y = jnp.concatenate([before.astype(x.dtype), left * jax.nn.sigmoid(right)], axis=1)
    before = _last(y, config.kernel - 1, heard)
    # A sum of shifted copies: for kernels this short it beats a grouped convolution on every backend we have.
    y = sum(y[:, i : i + x.shape[1]] * weights["depthwise"][i] for i in range(config.kernel))
    y = jax.nn.silu(rms_norm(jnp.clip(y, -clip, clip), weights["inner_norm"], config.epsilon))
    return x + project(y, weights["out"]), before


def _attention(weights: Tree, config: AudioConfig, x: Float[Array, "B S W"], table, real, heard, keys, values):
    """Local attention in chunks: queries of a chunk look at it and `left - 1` tokens before (Dai et al. 2019, app. B).

    `heard` counts those of x that are no padding. `keys` and `values` are those of the `left - 1` tokens before x, and
    `real` has these first; returned are the answer, and the keys and values of the last `left - 1`. Scores are capped
    by tanh; scales of q and k follow USM: softplus(learned) / log 2 and log(1 + e) / log 2.
    """
    batch, length, _ = x.shape
    heads, n = config.heads, config.width // config.heads
    chunk, span = config.chunk, config.context
    chunks = -(-length // chunk)

    def split(name: str) -> Array:
        return project(x, weights[name]).astype(jnp.float32).reshape(batch, length, heads, n)

    scale_q = n**-0.5 / math.log(2) * jax.nn.softplus(weights["dimension_scale"].astype(jnp.float32))
    q = split("q") * scale_q
    k, v = split("k") * (math.log(1 + math.e) / math.log(2)), split("v")
    q = jnp.pad(q, ((0, 0), (0, chunks * chunk - length), (0, 0), (0, 0))).reshape(batch, chunks, chunk, heads, n)

    k, v = jnp.concatenate([keys, k], axis=1), jnp.concatenate([values, v], axis=1)
    keys, values = _last(k, config.left - 1, heard), _last(v, config.left - 1, heard)
    k, v, real = (_reach(x, chunk, span, chunks) for x in (k, v, real))
    query_index, key_offset = jnp.arange(chunk)[:, None], jnp.arange(span)[None, :] - (config.left - 1)
    distance = query_index - key_offset
    near = (distance < config.left - 1) & (distance > -config.right) | (distance == 0)
    visible = near & real[:, :, None, :]

    scores = jnp.einsum("bcqhn,bckhn->bhcqk", q, k)
    relative = (table @ weights["relative"]).astype(jnp.float32).reshape(-1, heads, n)
    by_row = jnp.einsum("bcqhn,rhn->bhcqr", q, relative)
    # Shift row q right by q: entry (q, c) of the result is entry (q, c - q) of `by_row`, zero outside it.
    by_row = jnp.pad(by_row, (*[(0, 0)] * 4, (0, span + 1 - by_row.shape[-1])))
    by_row = by_row.reshape(*by_row.shape[:3], -1)[..., : chunk * span]
    scores = scores + by_row.reshape(*by_row.shape[:3], chunk, span)
    scores = jnp.tanh(scores / config.score_cap) * config.score_cap
    scores = jnp.where(visible[:, None], scores, -1e9)
    y = jnp.einsum("bhcqk,bckhn->bcqhn", jax.nn.softmax(scores, axis=-1), v)
    y = y.reshape(batch, chunks * chunk, config.width)[:, :length]
    return project(y.astype(x.dtype), weights["o"]), keys, values


def _reach(x: Shaped[Array, "B K ..."], chunk: int, span: int, chunks: int) -> Shaped[Array, "B chunks span ..."]:
    """For each chunk of queries, what it may look at: `span` keys from its own first one on; zeros past the end.

    Blocks side by side instead of a look-up, whose gradient would add up key by key.
    """
    more = -(-span // chunk)
    needed = (chunks + more - 1) * chunk
    x = jnp.pad(x[:, :needed], ((0, 0), (0, max(0, needed - x.shape[1])), *[(0, 0)] * (x.ndim - 2)))
    blocks = x.reshape(x.shape[0], -1, chunk, *x.shape[2:])
    return jnp.concatenate([blocks[:, i : i + chunks] for i in range(more)], axis=2)[:, :, :span]
