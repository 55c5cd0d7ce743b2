"""Pictures in: a ViT over patches at native aspect ratio, several images packed in one patch buffer.

Learned tables of x and y positions and axial rotary positions; k x k average pooling turns patches into soft tokens;
a norm and a projection carry them into the decoder's width. Follows the vision tower of `transformers.models.gemma4`.
"""

import math
from dataclasses import dataclass
from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from tejat.model.attention import Intervals, run_intervals
from tejat.model.layers import axial_positions, axial_tables, project, rms_norm, rotate_axial
from tejat.model.params import Param, Tree, linear, scale, stack, temper
from tejat.model.passes import SCANNED, Pass
from tejat.model.placing import placed
from tejat.model.spread_attention import attend


@dataclass(frozen=True)
class VisionConfig:
    """Shape of the vision tower. `budgets` are the soft tokens an image may take, most for the finest detail.

    The front end is "pooled": pool x pool patches become a soft token; or "resampled": latents look at all patches
    (tejat/model/resampler.py); or "raw": no tower, squares of patch x pool pixels go straight into the decoder
    (tejat/model/unified.py), and `layers`, `heads`, `head_width` and `mlp` are 0.
    """

    width: int
    layers: int
    heads: int
    head_width: int
    mlp: int
    patch: int = 16
    pool: int = 3
    table: int = 10_240  # rows of each position table: the longest side in patches
    rope_base: float = 100.0
    budgets: tuple[int, ...] = (70, 140, 280, 560, 1120)
    budget_by_size: bool = False  # an image takes the least that loses none of its pixels; else the middle one
    frame_budget: int = 70  # soft tokens of one frame of a video
    front_end: Literal["pooled", "resampled", "raw"] = "pooled"
    latents: int = 64  # soft tokens of an image or frame, where it is resampled; budgets set its size as ever
    resampler_layers: int = 6
    clipped: bool = False
    standardize: bool = False
    epsilon: float = 1e-6

    @property
    def side(self) -> int:
        """Pixels along a side of what the patch buffer holds."""
        return self.patch * self.pool if self.front_end == "raw" else self.patch

    @property
    def merged(self) -> int:
        """Patches of the buffer along a side of a soft token, where soft tokens are squares of the image."""
        return 1 if self.front_end == "raw" else self.pool


def params(config: VisionConfig, decoder_width: int) -> Tree:
    d = config.width
    tree: Tree = {
        "patch_in": linear({"pixels": 3 * config.patch**2}, {"vision": d}),
        "positions": Param((2, config.table, d), (None, None, "vision"), "embedding", fan_in=4),
        "blocks": stack(config.layers, encoder_block_params(config, mixed=0.3)),
        "out": linear({"vision": d}, {"embed": decoder_width}),
    }
    if config.standardize:
        tree["shift"] = Param((d,), ("vision",), 0.0, frozen=True)
        tree["spread"] = Param((d,), ("vision",), 1.0, frozen=True)
    return tree


def encoder_block_params(config, mixed: float = 1.0) -> Tree:
    """One bidirectional block; `config` needs width, heads, head_width and mlp (the picture tokenizer has them too).

    `mixed` starts the scale of what attention adds. Attention begins as a mean over the image: where three blocks add
    it at full size, a patch hardly says any more what is in it (docs/LOG.md: motions told from clips).
    """
    d, h, n, f = config.width, config.heads, config.head_width, config.mlp
    clipped = getattr(config, "clipped", False)

    def weight(inputs: dict[str, int], outputs: dict[str, int]):
        return clippable(linear(inputs, outputs), clipped)

    return {
        "attention_norm": scale(d, "vision"),
        "q": weight({"vision": d}, {"heads": h * n}),
        "k": weight({"vision": d}, {"heads": h * n}),
        "v": weight({"vision": d}, {"heads": h * n}),
        "o": weight({"heads": h * n}, {"vision": d}),
        "q_norm": temper(n),
        "k_norm": temper(n),
        "post_attention_norm": scale(d, "vision", start=mixed),
        "mlp_norm": scale(d, "vision"),
        "gate": weight({"vision": d}, {"mlp": f}),
        "up": weight({"vision": d}, {"mlp": f}),
        "down": weight({"mlp": f}, {"vision": d}),
        "post_mlp_norm": scale(d, "vision"),
    }


def clippable(weight: Param, clipped: bool):
    """The weight alone, or with the clipping bounds that some checkpoints carry (infinite until one sets them)."""
    if not clipped:
        return weight
    low, high = Param((), (), -math.inf, frozen=True), Param((), (), math.inf, frozen=True)
    return {"w": weight, "input_min": low, "input_max": high, "output_min": low, "output_max": high}


def encode(
    params: Tree,
    config: VisionConfig,
    patches: Float[Array, "B P C"],
    positions: Int[Array, "B P 2"],
    images: Int[Array, "B P"],
    how: Pass = SCANNED,
) -> Float[Array, "B P W"]:
    """Features of every patch. `patches` are pixels in [0, 1], row-major (y, x, channel) within a patch; `positions`
    their (x, y) in the image's grid; `images` numbers the images of a buffer along each row, 0 is padding."""
    real = (images > 0)[..., None]
    x = project(2.0 * (patches - 0.5), params["patch_in"])
    x = x + jnp.where(real, axial_positions(params["positions"], jnp.maximum(positions, 0)), 0)
    return encoder(params["blocks"], config, x, positions, run_intervals(images), how)


def encoder(
    blocks: Tree,
    config,
    x: Float[Array, "B P W"],
    positions: Int[Array, "B P 2"],
    intervals: Intervals,
    how: Pass = SCANNED,
) -> Float[Array, "B P W"]:
    """The stack of bidirectional blocks."""
    tables = axial_tables(positions, config.head_width, config.rope_base)
    stream = "rows", "sequence", None

    def body(x, weights):
        return placed(_block(weights, config, x, tables, intervals), *stream), None

    return how.through(body, placed(x, *stream), blocks)[0]


def _block(weights: Tree, config, x, tables, intervals: Intervals):
    def heads(y: Array) -> Array:
        return y.reshape(*y.shape[:-1], config.heads, config.head_width)

    y = rms_norm(x, weights["attention_norm"], config.epsilon)
    q = rotate_axial(rms_norm(heads(project(y, weights["q"])), weights["q_norm"], config.epsilon), tables)
    k = rotate_axial(rms_norm(heads(project(y, weights["k"])), weights["k_norm"], config.epsilon), tables)
    v = rms_norm(heads(project(y, weights["v"])), eps=config.epsilon)
    y = attend(q, k, v, intervals)
    y = project(y.reshape(*y.shape[:-2], -1), weights["o"])
    x = x + rms_norm(y, weights["post_attention_norm"], config.epsilon)
    return feed_forward(weights, config, x)


def feed_forward(weights: Tree, config, x: Float[Array, "B P W"]) -> Float[Array, "B P W"]:
    """The second half of a block: a gated MLP, added to what it was given."""
    y = rms_norm(x, weights["mlp_norm"], config.epsilon)
    y = jax.nn.gelu(project(y, weights["gate"]), approximate=True) * project(y, weights["up"])
    return x + rms_norm(project(y, weights["down"]), weights["post_mlp_norm"], config.epsilon)


def soft_tokens(
    params: Tree,
    config: VisionConfig,
    features: Float[Array, "B P W"],
    slots: Int[Array, "B P"],
    count: int,
) -> Float[Array, "B S D"]:
    """Average-pools patches into soft tokens and carries them to the decoder's width.

    `slots` says which of the row's `count` soft tokens each patch belongs to (-1: none); each gets pool^2 patches.
    """
    x = features.astype(jnp.float32)
    slots = jnp.where(slots < 0, count, slots)  # beyond the end, where nothing is added
    pooled = jax.vmap(lambda values, at: jax.ops.segment_sum(values, at, count))(x, slots)
    pooled = pooled * (config.width**0.5 / config.pool**2)
    if config.standardize:
        pooled = (pooled - params["shift"]) * params["spread"]
    return rms_norm(pooled.astype(features.dtype), eps=config.epsilon) @ params["out"]
