"""Pictures out: an image tokenizer with finite scalar quantisation (Mentzer et al. 2023), of any aspect ratio.

A ViT turns each patch into a few numbers, each rounded to one of a few levels; a second ViT turns them back into
pixels. There is no codebook to learn or to collapse: code = the digits of the rounded numbers. For comparison, it may
learn one of as many codes (`picture_vectors`).
"""

import math
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from tejat.model import picture_vectors
from tejat.model.attention import run_intervals
from tejat.model.layers import axial_positions, rms_norm
from tejat.model.params import Param, Tree, linear, scale, stack
from tejat.model.vision import encoder, encoder_block_params


@dataclass(frozen=True)
class PictureConfig:
    """Shape of the image tokenizer. One code stands for `patch` x `patch` pixels."""

    width: int
    encoder_layers: int
    decoder_layers: int
    heads: int
    head_width: int
    mlp: int
    patch: int
    levels: tuple[int, ...] = (8, 8, 8, 8)
    table: int = 64  # the longest side, in codes
    budget: int = 64  # codes of a picture, at most, where no other size is asked for
    rope_base: float = 100.0
    epsilon: float = 1e-6
    vectors: int | None = None  # width of the vectors of a learned codebook; none: numbers are rounded to `levels`

    @property
    def codes(self) -> int:
        """Size of the codebook."""
        return math.prod(self.levels)


def params(config: PictureConfig) -> Tree:
    d, pixels, digits = config.width, 3 * config.patch**2, config.vectors or len(config.levels)

    def side(layers: int, inputs: int, outputs: int) -> Tree:
        return {
            "in": linear({"pixels": inputs}, {"vision": d}),
            "positions": Param((2, config.table, d), (None, None, "vision"), "embedding", 2 * d),
            "blocks": stack(layers, encoder_block_params(config)),
            "norm": scale(d, "vision"),
            "out": linear({"vision": d}, {"pixels": outputs}),
            "out_bias": Param((outputs,), (None,), 0.0),
        }

    codebook = {"codebook": picture_vectors.params(config.codes, config.vectors)} if config.vectors else {}
    return codebook | {
        "encoder": side(config.encoder_layers, pixels, digits),
        "decoder": side(config.decoder_layers, digits, pixels),
    }


def encode(
    params: Tree,
    config: PictureConfig,
    patches: Float[Array, "B P C"],
    positions: Int[Array, "B P 2"],
    images: Int[Array, "B P"],
) -> Float[Array, "B P L"]:
    """The unrounded numbers of every patch (pixels in [0, 1]); `rounded` rounds them."""
    return _run(params["encoder"], config, 2.0 * patches - 1.0, positions, images)


def decode(
    params: Tree,
    config: PictureConfig,
    digits: Float[Array, "B P L"],
    positions: Int[Array, "B P 2"],
    images: Int[Array, "B P"],
) -> Float[Array, "B P C"]:
    """Pixels of every patch, about [0, 1], from what `rounded` or `numbers` give."""
    return (_run(params["decoder"], config, digits, positions, images) + 1.0) / 2.0


def _run(side: Tree, config: PictureConfig, x, positions, images):
    x = x @ side["in"] + axial_positions(side["positions"], positions)
    x = encoder(side["blocks"], config, x, positions, run_intervals(images))
    return rms_norm(x, side["norm"], config.epsilon) @ side["out"] + side["out_bias"].astype(x.dtype)


def rounded(params: Tree, config: PictureConfig, z: Float[Array, "... L"]) -> Float[Array, "... L"]:
    """What the decoder reads of what the encoder made; the gradient passes straight through."""
    return picture_vectors.rounded(params["codebook"], z) if config.vectors else quantise(config, z)


def codes(params: Tree, config: PictureConfig, z: Float[Array, "... L"]) -> Int[Array, "..."]:
    """The codes of what the encoder made."""
    return picture_vectors.nearest(params["codebook"], z) if config.vectors else codes_of(config, quantise(config, z))


def numbers(params: Tree, config: PictureConfig, codes: Int[Array, "..."]) -> Float[Array, "... L"]:
    """What the decoder reads of codes."""
    return picture_vectors.vectors(params["codebook"], codes) if config.vectors else digits_of(config, codes)


def quantise(config: PictureConfig, z: Float[Array, "... L"]) -> Float[Array, "... L"]:
    """Rounds each number to its levels, evenly spaced over [-1, 1); the gradient passes straight through."""
    levels = jnp.asarray(config.levels, jnp.float32)
    half = levels // 2
    # Even counts have no level in the middle: shift by half a step before the tanh and back after it, so that zero
    # input still falls between two levels' edges (section 3 of the paper).
    reach = (levels - 1) * 1.001 / 2
    offset = jnp.where(levels % 2 == 0, 0.5, 0.0)
    bounded = jnp.tanh(z.astype(jnp.float32) + jnp.arctanh(offset / reach)) * reach - offset
    rounded = bounded + jax.lax.stop_gradient(jnp.round(bounded) - bounded)
    return rounded / half


def codes_of(config: PictureConfig, digits: Float[Array, "... L"]) -> Int[Array, "..."]:
    """The code of rounded numbers: a mixed-radix integer, first level fastest."""
    levels = jnp.asarray(config.levels)
    index = jnp.round(digits * (levels // 2)).astype(jnp.int32) + levels // 2
    places = jnp.asarray([math.prod(config.levels[:i]) for i in range(len(config.levels))])
    return (index * places).sum(-1)


def digits_of(config: PictureConfig, codes: Int[Array, "..."]) -> Float[Array, "... L"]:
    """The rounded numbers of codes: the inverse of `codes_of`."""
    levels = jnp.asarray(config.levels)
    places = jnp.asarray([math.prod(config.levels[:i]) for i in range(len(config.levels))])
    index = codes[..., None] // places % levels
    return (index - levels // 2) / (levels // 2).astype(jnp.float32)
