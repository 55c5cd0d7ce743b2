"""The image tokenizer on pictures of one size, as it is trained: the arithmetic of `picture`, arranged for speed.

Where all pictures have one grid, the vectors of places are a sum of two short tables without a look-up, attention is
over all patches without a mask, and the products that share an input are one. Of a block, the backward pass keeps what
the products with weights gave and what attention read and wrote, and makes the rest again: norms, rotations and gates
cost less than to write them down and read them.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from tejat.model import picture
from tejat.model.layers import axial_tables, rms_norm, rotate_axial
from tejat.model.params import Tree
from tejat.model.picture import PictureConfig

Tables = tuple[tuple[Array, Array], tuple[Array, Array]]


class Reconstruction(NamedTuple):
    """Pictures, and of each piece the numbers that were rounded to draw it."""

    pixels: Float[Array, "B H W 3"]
    made: Float[Array, "B P L"]


def reconstruct(
    params: Tree,
    config: PictureConfig,
    pixels: Float[Array, "B H W 3"],
    upright: Bool[Array, ""] | bool = False,
    first: int | Array = 0,
) -> Reconstruction:
    """Pictures encoded, rounded and decoded in their own type; sides are multiples of the patch.

    `upright`: the network sees them with rows and columns exchanged, so that one program serves wide and tall ones.
    `first`: the place in the tables of the first column; columns beyond a picture's own are learned so.
    """
    batch, height, width, _ = pixels.shape
    rows, columns, patch = height // config.patch, width // config.patch, config.patch
    grid = pixels.reshape(batch, rows, patch, columns, patch, 3).transpose(0, 1, 3, 2, 4, 5)
    places = _Places(config, rows, columns, upright, first)
    patches = places.patches(grid).reshape(batch, rows * columns, -1)
    made = _run(params["encoder"], config, 2.0 * patches - 1.0, places)
    read = picture.rounded(params, config, made).astype(pixels.dtype)
    drawn = (_run(params["decoder"], config, read, places) + 1.0) / 2.0
    drawn = places.patches(drawn.reshape(grid.shape)).transpose(0, 1, 3, 2, 4, 5)
    return Reconstruction(drawn.reshape(batch, height, width, 3), made)


class _Places:
    """Where the patches of a grid are, in reading order."""

    def __init__(self, config: PictureConfig, rows: int, columns: int, upright, first):
        self.rows, self.columns, self.upright, self.first = rows, columns, upright, first
        y, x = jnp.divmod(jnp.arange(rows * columns, dtype=jnp.int32), columns)
        flat, tall = jnp.stack([x, y], axis=1), jnp.stack([y, x], axis=1)
        self.rotations = axial_tables(jnp.where(upright, tall, flat)[None], config.head_width, config.rope_base)

    def patches(self, grid: Float[Array, "B R C p p 3"]) -> Float[Array, "B R C p p 3"]:
        """Pixels of patches as the network sees them, and back again."""
        return jnp.where(self.upright, grid.swapaxes(3, 4), grid)

    def vectors(self, tables: Float[Array, "2 L D"]) -> Float[Array, "P D"]:
        """The sum of a learned vector for the column and one for the row."""
        along, down = jnp.where(self.upright, tables[::-1], tables)
        along = jax.lax.dynamic_slice_in_dim(along, self.first, self.columns)
        return (down[: self.rows, None] + along[None]).reshape(self.rows * self.columns, -1)


def _run(side: Tree, config: PictureConfig, x: Float[Array, "B P C"], places: _Places) -> Float[Array, "B P O"]:
    x = x @ side["in"] + places.vectors(side["positions"])
    kept = jax.checkpoint_policies.dots_with_no_batch_dims_saveable
    before = jax.checkpoint(lambda weights, x: _before_attention(weights, config, x, places.rotations), policy=kept)
    after = jax.checkpoint(lambda weights, x, y: _after_attention(weights, config, x, y), policy=kept)
    for layer in range(side["blocks"]["q"].shape[0]):  # one after the other: a loop would copy all that it keeps
        weights = jax.tree.map(lambda stacked, layer=layer: stacked[layer], side["blocks"])
        x = after(weights, x, attend(*before(weights, x)))
    return rms_norm(x, side["norm"], config.epsilon) @ side["out"] + side["out_bias"].astype(x.dtype)


def _before_attention(weights: Tree, config: PictureConfig, x: Float[Array, "B P D"], rotations: Tables):
    """Queries, keys and values [B, P, H, N], as in a block of `vision.encoder`."""

    def heads(y: Array, name: str | None = None) -> Array:
        y = y.reshape(*x.shape[:2], config.heads, config.head_width)
        return rms_norm(y, weights[name] if name else None, config.epsilon)

    y = rms_norm(x, weights["attention_norm"], config.epsilon)
    q, k, v = jnp.split(y @ jnp.concatenate([weights[name] for name in "qkv"], axis=1), 3, axis=-1)
    return rotate_axial(heads(q, "q_norm"), rotations), rotate_axial(heads(k, "k_norm"), rotations), heads(v)


def _after_attention(
    weights: Tree, config: PictureConfig, x: Float[Array, "B P D"], y: Float[Array, "B P H N"]
) -> Float[Array, "B P D"]:
    """The rest of the block."""
    x = x + rms_norm(y.reshape(*x.shape[:2], -1) @ weights["o"], weights["post_attention_norm"], config.epsilon)
    y = rms_norm(x, weights["mlp_norm"], config.epsilon)
    gate, up = jnp.split(y @ jnp.concatenate([weights["gate"], weights["up"]], axis=1), 2, axis=-1)
    y = (jax.nn.gelu(gate, approximate=True) * up) @ weights["down"]
    return x + rms_norm(y, weights["post_mlp_norm"], config.epsilon)


def attend(
    q: Float[Array, "B P H N"], k: Float[Array, "B P H N"], v: Float[Array, "B P H N"]
) -> Float[Array, "B P H N"]:
    """Every patch sees all of its picture; scale 1. On a GPU, 16-bit numbers are left to cuDNN."""
    fused = jax.default_backend() == "gpu" and q.dtype.itemsize == 2
    return jax.nn.dot_product_attention(q, k, v, scale=1.0, implementation="cudnn" if fused else "xla")
