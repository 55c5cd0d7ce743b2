"""The encoder-free front end: pixels and waveform go straight into the decoder, and no tower stands before it.

A square of pixels, or 40 ms of sound, is normalised and projected to the decoder's width; what a tower would have
learned of them, the decoder has to. Follows `transformers.models.gemma4_unified`.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from tejat.model.audio import AudioConfig
from tejat.model.layers import axial_positions, layer_norm, rms_norm
from tejat.model.params import Param, Tree, linear, scale
from tejat.model.vision import VisionConfig


def vision_params(config: VisionConfig, decoder_width: int) -> Tree:
    d, pixels = config.width, 3 * config.side**2
    return {
        "pixel_norm": scale(pixels),
        "pixel_norm_bias": scale(pixels, start=0.0),
        "patch_in": linear({"pixels": pixels}, {"vision": d}),
        "patch_in_bias": scale(d, "vision", start=0.0),
        "patch_norm": scale(d, "vision"),
        "patch_norm_bias": scale(d, "vision", start=0.0),
        "positions": Param((2, config.table, d), (None, None, "vision"), "embedding", fan_in=4),
        "position_norm": scale(d, "vision"),
        "position_norm_bias": scale(d, "vision", start=0.0),
        "out": linear({"vision": d}, {"embed": decoder_width}),
    }


def audio_params(config: AudioConfig, decoder_width: int) -> Tree:
    return {"out": linear({"samples": config.samples}, {"embed": decoder_width})}


def see(
    params: Tree,
    config: VisionConfig,
    patches: Float[Array, "B P C"],
    positions: Int[Array, "B P 2"],
    images: Int[Array, "B P"],
) -> Float[Array, "B P D"]:
    """A soft token for each square: `patches` are pixels in [0, 1], the rest is as `vision.encode` takes it."""
    x = layer_norm(patches, params["pixel_norm"], params["pixel_norm_bias"]) @ params["patch_in"]
    x = layer_norm(x + params["patch_in_bias"].astype(x.dtype), params["patch_norm"], params["patch_norm_bias"])
    placed = axial_positions(params["positions"], jnp.maximum(positions, 0))
    x = x + jnp.where((images > 0)[..., None], placed, 0)
    x = layer_norm(x, params["position_norm"], params["position_norm_bias"])
    return rms_norm(x, eps=config.epsilon) @ params["out"]


def hear(params: Tree, config: AudioConfig, frames: Float[Array, "B F N"]) -> Float[Array, "B F D"]:
    """A soft token for each frame of the waveform, in [-1, 1]; a silent frame gives zeros."""
    return rms_norm(frames, eps=config.epsilon) @ params["out"]
