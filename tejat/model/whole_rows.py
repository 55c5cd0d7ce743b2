"""Attention of rows that one document each fills, left to cuDNN, whose causal kernels are faster on a Hopper GPU.

What rows hold is seen when they are there; all others, if for a single token of padding, are left to the kernels of
`interval_kernel`. docs/PERFORMANCE.md has both beside each other.
"""

import os
import re
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

LEAST = 8_192
"""Tokens of a row from which on it is asked: to look into rows costs a step of 16,000 tokens 1%, and rows of 4,096 gain
no more."""

WIDEST = 128
"""Of a head, for cuDNN's gradient."""

_ORDERED = re.compile(r"--xla_gpu_(exclude_nondeterministic|deterministic)_ops(=(true|1))?(?=\s|$)", re.IGNORECASE)
"""Flags by which XLA is told that sums need an order."""

Attend = Callable[[Array, Array, Array], Array]


def takes(q: Float[Array, "B T H N"], k: Float[Array, "B S K N"]) -> bool:
    """Whether rows of these sizes are worth a look: 16-bit numbers on the GPU that was measured, where sums need no
    order (`tejat.train.exact`, audits): cuDNN's gradient can have one, but a whole step with it ends in XLA."""
    length, width = q.shape[1], q.shape[-1]
    hopper = getattr(jax.devices()[0], "compute_capability", None) == "9.0"
    ordered = _ORDERED.search(os.environ.get("XLA_FLAGS", ""))
    large = k.shape[1] == length >= LEAST and width <= WIDEST
    return hopper and not ordered and large and k.dtype.itemsize == 2


def attend(
    q: Float[Array, "B T H N"],
    k: Float[Array, "B T K N"],
    v: Float[Array, "B T K N"],
    start: Int[Array, "B T"],
    end: Int[Array, "B T"],
    others: Attend,
    whole: Attend | None = None,
) -> Float[Array, "B T H N"]:
    """softmax(q k^T) v over keys start <= p < end: by `whole` where these are the keys up to each query, of all rows,
    else by `others`."""
    causal = ((start == 0) & (end == jnp.arange(1, q.shape[1] + 1))).all()
    return jax.lax.cond(causal, whole or _by_cudnn, others, q, k, v)


def _by_cudnn(q: Float[Array, "B T H N"], k: Float[Array, "B T K N"], v: Float[Array, "B T K N"]):
    return jax.nn.dot_product_attention(q, k, v, scale=1.0, is_causal=True, implementation="cudnn")
