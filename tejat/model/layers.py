"""The few operations which every tower shares: RMS norm, rotary positions, clipped linear maps."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Num


def rms_norm(x: Float[Array, "... D"], weight: Float[Array, " D"] | None = None, eps: float = 1e-6):
    """x / rms(x), times `weight` if there is one; in float32, returned in x's type (Zhang & Sennrich 2019)."""
    x32 = x.astype(jnp.float32)
    y = x32 * jax.lax.rsqrt(jnp.mean(jnp.square(x32), axis=-1, keepdims=True) + eps)
    if weight is not None:
        y = y * weight.astype(jnp.float32)
    return y.astype(x.dtype)


def layer_norm(
    x: Float[Array, "... D"], weight: Float[Array, " D"], bias: Float[Array, " D"] | None = None, eps: float = 1e-5
):
    """(x - mean) / deviation, times `weight`, plus `bias` if there is one; in float32 (Ba et al. 2016)."""
    x32 = x.astype(jnp.float32)
    centred = x32 - x32.mean(-1, keepdims=True)
    y = centred * jax.lax.rsqrt(jnp.square(centred).mean(-1, keepdims=True) + eps) * weight.astype(jnp.float32)
    return (y if bias is None else y + bias.astype(jnp.float32)).astype(x.dtype)


def rope_frequencies(width: int, base: float, rotated: float = 1.0) -> Float[Array, " half"]:
    """Angular frequencies [width / 2] of rotary positions (Su et al. 2021), in radians per position.

    `rotated` < 1 turns that share of the dimensions only ("proportional" in Gemma 4): frequencies are spaced over the
    whole width, and the dimensions past the share have frequency zero.
    """
    turning = int(rotated * width // 2)
    exponents = jnp.arange(0, 2 * turning, 2, dtype=jnp.float32) / width
    return jnp.concatenate([base**-exponents, jnp.zeros(width // 2 - turning, jnp.float32)])


def rope_tables(
    positions: Num[Array, "*batch"], frequencies: Float[Array, " half"]
) -> tuple[Float[Array, "*batch half"], Float[Array, "*batch half"]]:
    """Cosines and sines of every position's angles, in float32."""
    angles = positions[..., None].astype(jnp.float32) * frequencies
    return jnp.cos(angles), jnp.sin(angles)


def rotate(x: Float[Array, "*batch heads N"], cos: Float[Array, "*batch half"], sin: Float[Array, "*batch half"]):
    """Rotates the pairs (x[i], x[i + N/2]) of each head by the angles of its position."""
    cos, sin = cos[..., None, :].astype(x.dtype), sin[..., None, :].astype(x.dtype)
    left, right = jnp.split(x, 2, axis=-1)
    return jnp.concatenate([left * cos - right * sin, right * cos + left * sin], axis=-1)


def rotate_axial(x: Float[Array, "*batch heads N"], tables: tuple[tuple[Array, Array], tuple[Array, Array]]):
    """Rotary positions in the plane: the first half of each head turns with x, the second half with y."""
    first, second = jnp.split(x, 2, axis=-1)
    (cos_x, sin_x), (cos_y, sin_y) = tables
    return jnp.concatenate([rotate(first, cos_x, sin_x), rotate(second, cos_y, sin_y)], axis=-1)


def axial_tables(positions: Int[Array, "*batch 2"], width: int, base: float):
    """The two rope tables of patches at (x, y), for heads `width` wide."""
    frequencies = rope_frequencies(width // 2, base)
    return rope_tables(positions[..., 0], frequencies), rope_tables(positions[..., 1], frequencies)


def project(x: Float[Array, "... I"], weight: dict | Array):
    """x @ weight [I, O]. A weight given as {"w", "input_min", ...} is clamped before and after, as checkpoints ask."""
    if not isinstance(weight, dict):
        return x @ weight
    x = jnp.clip(x, weight["input_min"].astype(x.dtype), weight["input_max"].astype(x.dtype))
    y = x @ weight["w"]
    return jnp.clip(y, weight["output_min"].astype(x.dtype), weight["output_max"].astype(x.dtype))


def axial_positions(tables: Float[Array, "2 L W"], positions: Int[Array, "B P 2"]) -> Float[Array, "B P W"]:
    """The sum of a learned vector for x and one for y.

    By a product with ones and zeros: the gradient of a look-up adds thousands of patches to a few rows of a table one
    after the other, which on a GPU takes most of a step.
    """
    chosen = jax.nn.one_hot(jnp.moveaxis(positions, -1, 0), tables.shape[1], dtype=tables.dtype)
    # A GPU would round float32 to fewer digits; 16-bit numbers it multiplies as they are.
    precision = "highest" if tables.dtype == jnp.float32 else None
    return jnp.einsum("abpl,alw->bpw", chosen, tables, precision=precision)


@jax.custom_vjp
def look_up(table: Float[Array, "V D"], index: Int[Array, "..."]) -> Float[Array, "... D"]:
    """Rows of a table; zeros for an index beyond its end, which costs nothing backward either.

    A row's gradient is a sum over all places that look it up: made in float32, whatever type the table has.
    """
    return table.at[index].get(mode="fill", fill_value=0)


def picked(x: Float[Array, "B S D"], at: Int[Array, "B T"]) -> Float[Array, "B T D"]:
    """For each row, x at places that are all different; zeros for those beyond its end, however many.

    Since no place comes twice, gradients are put there and not added up, which a GPU does in an order of its own. Row
    by row: were rows numbers among the places, XLA would send every device's rows to all others.
    """
    return jax.vmap(lambda row, at: row.at[at].get(mode="fill", fill_value=0, unique_indices=True))(x, at)


def _look_up(table, index):
    return look_up(table, index), (table, index)


def _look_up_backward(kept, wanted):
    table, index = kept
    total = jnp.zeros(table.shape, jnp.float32).at[index].add(wanted.astype(jnp.float32), mode="drop")
    return total.astype(table.dtype), None


look_up.defvjp(_look_up, _look_up_backward)
