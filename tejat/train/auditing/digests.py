"""Digests of arrays, made where the arrays lie: integers of their bits, the same however they are added up.

The words of an array are each mixed with a number drawn from their place, and added modulo 2^32. At one place, two
words never mix to the same, so that a single changed word always changes the sum; words that change places, or any
other change, leave it as it was once in 2^32 times. Reading the array is what it costs.
"""

import math
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Float32, UInt32

from tejat.model.params import Tree


def digest(array: Array, axes: Sequence[int] | None = None) -> UInt32[Array, "..."]:
    """The digest over `axes`, all of them without; of the others, one digest for each place."""
    axes = tuple(range(array.ndim)) if axes is None else tuple(axes)
    if array.dtype == jnp.bool_:
        array = array.astype(jnp.uint8)
    words = jax.lax.bitcast_convert_type(array, f"uint{8 * array.dtype.itemsize}").astype(jnp.uint32)
    place = jnp.zeros((), jnp.uint32)
    for axis in axes:
        stride = math.prod(array.shape[other] for other in axes if other > axis) % 2**32
        place = place + jax.lax.broadcasted_iota(jnp.uint32, array.shape, axis) * jnp.uint32(stride)
    return _mixed(words, place).sum(axes, dtype=jnp.uint32)


def _mixed(words: UInt32[Array, "..."], place: UInt32[Array, "..."]) -> UInt32[Array, "..."]:
    """Each step has an inverse: multiplying by odd numbers, and folding (the constants are those of xxHash). One step
    fewer, and small integers that change places are not always seen."""
    drawn = (place + jnp.uint32(1)) * jnp.uint32(0x9E3779B1)
    words = words ^ drawn ^ (drawn >> jnp.uint32(15))
    words = (words ^ (words >> jnp.uint32(16))) * jnp.uint32(0x85EBCA77)
    words = (words ^ (words >> jnp.uint32(13))) * jnp.uint32(0xC2B2AE3D)
    return words ^ (words >> jnp.uint32(16))


def of_shards(tree: Tree) -> UInt32[Array, "S 2*leaves"]:
    """Of leaves [S, …], for each of the S: a digest of each leaf, then the bits of each leaf's largest number, which
    `largest` reads."""
    leaves = jax.tree.leaves(tree)
    digests = [digest(leaf, range(1, leaf.ndim)) for leaf in leaves]
    peaks = [jnp.abs(leaf).max(range(1, leaf.ndim), initial=0).astype(jnp.float32) for leaf in leaves]
    return jnp.stack([*digests, *(jax.lax.bitcast_convert_type(peak, jnp.uint32) for peak in peaks)], axis=1)


def largest(local: UInt32[np.ndarray, "S 2*leaves"]) -> Float32[np.ndarray, "leaves"]:
    """The largest number, by its size, of each leaf in any of the shards that `of_shards` told of; NaN where one is."""
    bits = np.ascontiguousarray(np.asarray(local)[:, local.shape[1] // 2 :])
    return bits.view(np.float32).max(axis=0)


class Held:
    """Digests of what each device of a mesh holds of a state."""

    def __init__(self, mesh: Mesh, shardings: Tree):
        """`shardings`: where each leaf lies (`tejat.train.mesh.state`)."""
        self.mesh, self._leaves = mesh, jax.tree.leaves(shardings)
        specs = jax.tree.map(lambda sharding: sharding.spec, shardings)
        axes = PartitionSpec(*mesh.axis_names)

        def local(tree: Tree) -> UInt32[Array, "… leaves"]:
            found = jnp.stack([digest(leaf) for leaf in jax.tree.leaves(tree)])
            return found.reshape(*(1 for _ in mesh.axis_names), -1)

        mapped = jax.shard_map(local, mesh=mesh, in_specs=(specs,), out_specs=axes, check_vma=False)
        self._of = jax.jit(mapped, out_shardings=NamedSharding(mesh, PartitionSpec()))  # on every host
        self._copies: np.ndarray | None = None

    def compile(self, state: Tree, compiled: Callable) -> None:
        """Compiles before the first call, or finds what was compiled before (`tejat.train.guards.Guard.compiled`)."""
        of, lies = self._of, jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype, sharding=a.sharding), state)
        self._of = compiled(lambda: of.lower(lies).compile(), "digests")

    def __call__(self, state: Tree) -> UInt32[Array, "slice data fsdp sequence tensor leaves"]:
        """Not awaited."""
        return self._of(state)

    def copies(self, state: Tree) -> np.ndarray:
        """[devices, leaves]: the number of the part that a device holds of a leaf, copies having the same."""
        if self._copies is None:
            columns = []
            for leaf, sharding in zip(jax.tree.leaves(state), self._leaves, strict=True):
                parts: dict[str, int] = {}
                lies = sharding.devices_indices_map(leaf.shape)
                columns.append([parts.setdefault(str(lies[d]), len(parts)) for d in self.mesh.devices.flat])
            self._copies = np.asarray(columns).T
        return self._copies

    def lonely(self, state: Tree) -> bool:
        """Is there a part of the state that one device alone holds?"""
        columns = self.copies(state).T if self.mesh.size > 1 else []
        return any(np.unique(column, return_counts=True)[1].min() == 1 for column in columns)

    def strays(self, found: np.ndarray, state: Tree) -> list[int]:
        """Devices, by their place in the mesh, that hold another copy than most. Of two that differ, both."""
        digests, copies = found.reshape(self.mesh.size, -1), self.copies(state)
        strays: set[int] = set()
        for leaf in range(digests.shape[1]):
            for part in np.unique(copies[:, leaf]):
                holders = np.flatnonzero(copies[:, leaf] == part)
                values, counts = np.unique(digests[holders, leaf], return_counts=True)
                if len(values) > 1:
                    most = values[counts == counts.max()]
                    right = most[0] if len(most) == 1 else None
                    strays |= {int(holder) for holder in holders if digests[holder, leaf] != right}
        return sorted(strays)
