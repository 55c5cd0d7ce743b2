"""Attention whose rows, heads and tokens lie on several devices, where rules say so; else that of one device.

Rows and heads have nothing to do with each other. Where the tokens of a row are cut, each device answers for its own
queries: it gathers all keys, or, where a query sees no further back than a window, only the last ones of the device
before it. Backward, gradients of keys go the same way back.
"""

import jax
import jax.numpy as jnp
from jax.sharding import PartitionSpec
from jaxtyping import Array, Float, Int

from tejat.model import attention, placing
from tejat.model.attention import Intervals


def attend(
    q: Float[Array, "B T H N"],
    k: Float[Array, "B S K N"],
    v: Float[Array, "B S K N"],
    intervals: Intervals,
    key_positions: Int[Array, "B S"] | None = None,
    *,
    reach: int | None = None,
    whole: bool = False,
) -> Float[Array, "B T H N"]:
    """As `attention.attend`, which is told of `whole` rows. `reach`: no query sees further back than so many tokens,
    itself among them, nor ahead."""
    rules = placing.rules()
    if rules is None:
        return attention.attend(q, k, v, intervals, key_positions, whole=whole)
    (batch, length, heads, _), key_heads = q.shape, k.shape[2]
    rows, by_head = rules.cut("rows", batch), rules.cut("heads", heads)
    by_key_head = by_head if by_head and key_heads % rules.parts(by_head) == 0 else None
    if key_heads > 1 and not by_key_head:
        by_head = None  # a device's queries would need some of the keys' heads, each device others
    along = rules.cut("sequence", length) if key_positions is None and k.shape[1] == length else None
    queries, keys = PartitionSpec(rows, along, by_head), PartitionSpec(rows, along, by_key_head)
    places = () if key_positions is None else (key_positions,)

    def local(q, k, v, start, end, *places):
        if along is None:
            return attention.attend(q, k, v, Intervals(start, end), *places, whole=whole)
        chunk = q.shape[1]
        if reach is None or reach > chunk:
            k, v = (jax.lax.all_gather(x, along, axis=1, tiled=True) for x in (k, v))
        else:
            k, v = (jnp.concatenate([_from_before(x[:, -reach:], along, rules), x], axis=1) for x in (k, v))
            first = jax.lax.axis_index(along) * chunk - reach  # the place in its row of the first key here
            start, end = (jnp.maximum(x - first, 0) for x in (start, end))
        return attention.attend(q, k, v, Intervals(start, end))

    each = PartitionSpec(rows, along)
    inputs = (queries, keys, keys, each, each, *(PartitionSpec(rows) for _ in places))
    return rules.mapped(local, inputs, queries)(q, k, v, *intervals, *places)


def _from_before(x: Array, along: tuple[str, ...], rules: placing.Rules) -> Array:
    """What the device before this one gives; zeros on the first, which nobody looks at."""
    count = rules.parts(along)
    return jax.lax.ppermute(x, along, [(i, i + 1) for i in range(count - 1)])
