"""Does a device hold its share of a run's state? Told before anything is compiled."""

import math
from typing import Any

import jax

from tejat import memory
from tejat.errors import BadInput

GIB = 2**30


def check(state: Any) -> None:
    """Raises BadInput where a device has less memory than its share of these arrays takes, which have a sharding each.

    They are what a step reads and writes; what it needs beside them, the compiler tells. What others have of the memory
    just now does not count: they may give it back.
    """
    leaves = jax.tree.leaves(state)
    needed = sum(math.prod(leaf.sharding.shard_shape(leaf.shape)) * leaf.dtype.itemsize for leaf in leaves)
    mine = {device for leaf in leaves for device in leaf.sharding.addressable_devices}
    if mine and (there := _whole(mine)) is not None and needed > there:
        # Sizes of the family are divided by powers of two.
        enough = max(len(leaf.sharding.device_set) for leaf in leaves) * 2 ** math.ceil(math.log2(needed / there))
        raise BadInput(
            f"parameters and moments take {needed / GIB:.1f} GiB of a device and it has {there / GIB:.1f}; cut them "
            f"over {enough} devices (--mesh fsdp={enough}), or take a smaller model"
        )


def _whole(devices: set[jax.Device]) -> int | None:
    """Bytes that each of these devices has; None where nothing tells. Those of a processor share its memory."""
    one = next(iter(devices))
    if one.platform == "cpu":
        return memory.whole() // len(devices)
    return (one.memory_stats() or {}).get("bytes_limit")
