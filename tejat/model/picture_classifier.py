"""A small classifier of pictures: a residual network of convolutions (He et al. 2016), the norm before each of them."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from tejat.model.layers import rms_norm
from tejat.model.params import Param, Tree, linear, scale


@dataclass(frozen=True)
class ClassifierConfig:
    """Shape of the network: channels of its stages, each of half the side of the one before, and blocks in each."""

    channels: tuple[int, ...] = (24, 48, 96, 160)
    blocks: int = 2

    @property
    def features(self) -> int:
        return self.channels[-1]


def params(config: ClassifierConfig, classes: int) -> Tree:
    """The description of its weights."""

    def kernel(inputs: int, outputs: int, side: int = 3) -> Param:
        shape = (side, side, inputs, outputs)
        return Param(shape, (None, None, "vision", "vision"), fan_in=side * side * inputs)

    tree: Tree = {"stem": kernel(3, config.channels[0])}
    before = config.channels[0]
    for stage, width in enumerate(config.channels):
        part: Tree = {"in": kernel(before, width, 1 if stage == 0 else 2)}
        for block in range(config.blocks):
            first = {"norm_1": scale(width, "vision"), "conv_1": kernel(width, width)}
            # The second convolution's norm begins small: at first a block adds little.
            part[f"block_{block}"] = first | {"norm_2": scale(width, "vision", 0.2), "conv_2": kernel(width, width)}
        tree[f"stage_{stage}"] = part
        before = width
    head = {"norm": scale(before, "vision"), "out": linear({"vision": before}, {"classes": classes})}
    return tree | head


def stages(params: Tree, config: ClassifierConfig, pixels: Float[Array, "B H W 3"]) -> list[Float[Array, "B h w c"]]:
    """What each stage makes of pictures of any size (pixels in [0, 1]), half as wide and high as the one before."""
    x, found = _convolved(2 * pixels - 1, params["stem"]), []
    for stage in range(len(config.channels)):
        part = params[f"stage_{stage}"]
        x = _convolved(x, part["in"], 1 if stage == 0 else 2)
        for block in range(config.blocks):
            weights = part[f"block_{block}"]
            y = _convolved(jax.nn.gelu(rms_norm(x, weights["norm_1"])), weights["conv_1"])
            x = x + _convolved(jax.nn.gelu(rms_norm(y, weights["norm_2"])), weights["conv_2"])
        found.append(x)
    return found


def features(params: Tree, config: ClassifierConfig, pixels: Float[Array, "B H W 3"]) -> Float[Array, "B F"]:
    """What it sees in pictures (pixels in [0, 1]): the mean over the last stage, normed and activated before.

    The mean of what is not activated would be a linear map of the pixels' own mean as long as blocks add little, and
    colours would drown shapes.
    """
    return jax.nn.gelu(rms_norm(stages(params, config, pixels)[-1], params["norm"])).astype(jnp.float32).mean((1, 2))


def _convolved(x: Float[Array, "B H W I"], kernel: Float[Array, "s s I O"], stride: int = 1) -> Float[Array, "B h w O"]:
    numbers = ("NHWC", "HWIO", "NHWC")
    return jax.lax.conv_general_dilated(x, kernel, (stride, stride), "SAME", dimension_numbers=numbers)
