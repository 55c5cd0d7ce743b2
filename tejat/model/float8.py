"""Matrix products of 8-bit floats: activations and weights with three bits after the point, gradients with two.

A tensor is divided by a power of two that brings its largest number just below the type's, and multiplied by as much
after the product; a power of two is exact in any type. Forward, both factors are e4m3; backward, the gradient that
comes in is e5m2, whose range is wider (Micikevicius et al. 2022). The scale is that of the tensor at hand, not of the
steps before: nothing is kept between steps, and a run that goes on has no more to restore.
"""

import math

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float

NUMBERS, GRADIENTS = jnp.float8_e4m3fn, jnp.float8_e5m2
"""Types of what is multiplied forward, and of gradients."""


def product(form: str, x: Float[Array, "..."], weight: Float[Array, "..."]) -> Float[Array, "..."]:
    """As `jnp.einsum`, for a form in which the last axes of x are the first of the weight and are summed over, as in
    "btd,dhn->bthn"."""
    left, right = form.split("->")[0].split(",")
    summed = sum(letter in left for letter in right)
    if left[-summed:] != right[:summed] or form.split("->")[1] != left[:-summed] + right[summed:]:
        raise ValueError(f"{form} is no product of 8-bit floats: the last axes of one must be the first of the other")
    inputs = math.prod(weight.shape[:summed])
    flat = _product(x.reshape(*x.shape[:-summed], inputs), weight.reshape(inputs, -1))
    return flat.reshape(*x.shape[:-summed], *weight.shape[summed:])


@jax.custom_vjp
def _product(x: Float[Array, "... I"], weight: Float[Array, "I O"]) -> Float[Array, "... O"]:
    return _forward(x, weight)[0]


def _forward(x, weight):
    (small, scale), (thin, other) = rounded(x, NUMBERS), rounded(weight, NUMBERS)
    y = _dot(small, thin, ((x.ndim - 1,), (0,)), x.dtype, scale * other)
    return y, (small, scale, thin, other)


def _backward(kept, wanted):
    small, scale, thin, other = kept
    gradient, size = rounded(wanted, GRADIENTS)
    d_x = _dot(gradient, thin, ((wanted.ndim - 1,), (1,)), wanted.dtype, size * other)
    rows = tuple(range(wanted.ndim - 1))
    return d_x, _dot(small, gradient, (rows, rows), wanted.dtype, scale * size)


_product.defvjp(_forward, _backward)


def rounded(x: Float[Array, "..."], dtype: DTypeLike) -> tuple[Array, Float[Array, ""]]:
    """(x in 8 bits, the power of two that it was divided by)."""
    largest = jnp.max(jnp.abs(x)).astype(jnp.float32)
    most = float(jnp.finfo(dtype).max)
    # What is all zeros is divided by one, and so is what is no number: the loss will tell.
    power = jnp.ceil(jnp.log2(jnp.where((largest > 0) & jnp.isfinite(largest), largest / most, 1.0)))
    scale = jnp.exp2(power)
    return jnp.clip(x.astype(jnp.float32) / scale, -most, most).astype(dtype), scale


def _dot(a, b, axes, dtype: DTypeLike, scale: Float[Array, ""]):
    """A product in the form that XLA gives to the 8-bit units of a GPU."""
    y = jax.lax.dot_general(a, b, (axes, ((), ())), preferred_element_type=dtype)
    return (y.astype(jnp.float32) * scale).astype(dtype)
