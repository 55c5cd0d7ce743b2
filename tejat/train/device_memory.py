"""Does a device hold its share of a run's state? Told before anything is compiled."""

import math
from typing import Any

import jax

from tejat import memory
from tejat.errors import BadInput

GIB = 2**30


def check(state: Any) -> None:
    """Raises BadInput where a device has less memory than its share of these arrays takes, which have a sharding each.

    They are what a step reads and writes; what it needs beside them, the compiler tells.
    """
    needed = sum(_share(leaf) for leaf in jax.tree.leaves(state))
    if (there := limit()) is not None and needed > there:
        raise BadInput(
            f"parameters and moments take {needed / GIB:.1f} GiB of a device and it has {there / GIB:.1f}; cut them "
            "over more devices (--mesh fsdp=N), or take a smaller model"
        )


def laid(leaf: jax.ShapeDtypeStruct, lies: jax.sharding.Sharding) -> jax.ShapeDtypeStruct:
    """An array's shape and type, and where it lies."""
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=lies)


def limit() -> int | None:
    """Bytes that a device of this process may have; None where nothing tells. Those of a processor share its memory."""
    device = jax.local_devices()[0]
    if device.platform != "cpu":
        return (device.memory_stats() or {}).get("bytes_limit")
    free = memory.free()
    return None if free is None else free // jax.local_device_count()


def _share(leaf: jax.ShapeDtypeStruct) -> int:
    shape = leaf.shape if leaf.sharding is None else leaf.sharding.shard_shape(leaf.shape)
    return math.prod(shape) * leaf.dtype.itemsize
