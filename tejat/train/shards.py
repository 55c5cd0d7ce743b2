"""A batch as shards, each with a gradient of its own: their sum is the same to the bit on whichever devices they lie.

Elsewhere XLA adds up what devices made in an order of its own, and nobody sees what each of them gave. Here gradients
of shards stay apart until the devices have exchanged them, and are added in the order of the shards. Where parameters
are cut along the same axes as rows (`fsdp`), this exchanges as much as ever; where devices hold copies, as many times
more as there are copies, and needs memory for all shards' gradients of what a device holds.

The norm by which the sum is clipped is XLA's: where it is clipped, a mesh of another shape may round otherwise; devices
that change places on the same mesh do not.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, PartitionSpec
from jaxtyping import Array, Int

from tejat.data.packing import Batch
from tejat.model import placing
from tejat.model.params import Tree
from tejat.train import mesh as meshes
from tejat.train.auditing import digests


class Spoil:
    """What happens to arrays on the way, in trials of what is found: here, nothing."""

    def rules(self, rules: placing.Rules | None, shard: Int[Array, ""]) -> placing.Rules | None:
        """Those by which a shard's activations are laid."""
        return rules

    def gradient(self, gradient: Tree, shard: Int[Array, ""]) -> Tree:
        """That of a shard, where it was made."""
        return gradient

    def sent(self, gradients: Tree, shard: Int[Array, ""]) -> Tree:
        """Those of all shards, on a device that adds them; `shard` is the first that it made."""
        return gradients


def added_in_order(
    gradient_of: Callable[[Tree, dict, placing.Rules | None, Batch], tuple[dict[str, Array], Tree]],
    params: Tree,
    counts: dict,
    batch: Batch,
    shards: int,
    turn: Int[Array, ""],
    where: tuple[Mesh, Tree] | None,
    spoil: Spoil,
) -> tuple[dict[str, Array], Tree]:
    """(sums, gradient) of a batch whose rows are so many shards, turned by `turn` of them.

    `where`: the mesh, and the shardings of the gradient. A device makes its shards one after the other, so that each is
    the same program however many a device has. "local" of the sums is what `digests.of_shards` tells of the gradients
    of the shards, as these lie in the turned batch.
    """
    mesh = None if where is None else where[0]
    rules = None if mesh is None else _inside(mesh)
    specs = None if where is None else jax.tree.map(lambda lies: _of_rows(lies.spec), where[1])

    def made(params: Tree, counts: dict, turn: Int[Array, ""], numbers: Int[Array, "m"], batch: Batch):
        def one(numbered: tuple[Array, Batch]) -> tuple[dict[str, Array], Tree]:
            number, shard = numbered
            sums, gradient = gradient_of(params, counts, spoil.rules(rules, number), shard)
            return sums, spoil.gradient(gradient, number)

        parts = jax.tree.map(lambda a: a.reshape(len(numbers), len(a) // len(numbers), *a.shape[1:]), batch)
        sums, gradients = jax.lax.map(one, (numbers, parts))
        local = digests.of_shards(gradients)
        order = (jnp.arange(shards) + turn) % shards  # where shard s lies
        if mesh is not None:
            sums = {name: _gathered(value, meshes.ROWS, mesh) for name, value in sums.items()}
            gradients = jax.tree.map(lambda g, spec: _exchanged(g, spec, mesh), gradients, specs)
        gradients = spoil.sent(gradients, numbers[0])

        def add(total: Tree, at: Int[Array, ""]) -> tuple[Tree, None]:
            return jax.tree.map(lambda t, g: t + g[at], total, gradients), None

        gradient, _ = jax.lax.scan(add, jax.tree.map(lambda g: jnp.zeros_like(g[0]), gradients), order)
        return {name: value[order].sum() for name, value in sums.items()}, gradient, local

    if mesh is not None:
        # Not by `vmap`: XLA's partitioner (of jaxlib 0.10.2) cuts the gradient of a convolution with a batch of weights
        # wrongly, and gives zeros on all devices but the first.
        whole, each = PartitionSpec(), PartitionSpec(meshes.ROWS)
        made = jax.shard_map(
            made,
            mesh=mesh,
            in_specs=(whole, whole, whole, each, each),
            out_specs=(whole, specs, each),
            axis_names={*mesh.axis_names} if rules is None else {*meshes.ROWS},
            check_vma=False,
        )
    sums, gradient, local = made(params, counts, turn, jnp.arange(shards), batch)
    return sums | {"local": local}, gradient


def _of_rows(spec: PartitionSpec) -> PartitionSpec:
    """A spec without the axes of the mesh that do not cut rows."""
    parts = []
    for part in spec:
        kept = tuple(axis for axis in (part if isinstance(part, tuple) else (part,)) if axis in meshes.ROWS)
        parts.append(kept[0] if len(kept) == 1 else kept or None)
    return PartitionSpec(*parts)


def _exchanged(gradients: Array, spec: PartitionSpec, mesh: Mesh) -> Array:
    """[shards, …] of the part that this device keeps, from [its shards, …] of the whole."""
    cut = {part: at for at, part in enumerate(spec, 1) if part is not None}
    for axis in reversed(meshes.ROWS):
        if mesh.shape[axis] > 1 and axis in cut:
            gradients = jax.lax.all_to_all(gradients, axis, cut[axis], 0, tiled=True)
        else:
            gradients = _gathered(gradients, (axis,), mesh)
    return gradients


def _gathered(array: Array, axes: tuple[str, ...], mesh: Mesh) -> Array:
    """Along the first axis, in the order of the devices."""
    axes = tuple(axis for axis in axes if mesh.shape[axis] > 1)
    return jax.lax.all_gather(array, axes, axis=0, tiled=True) if axes else array


def _inside(mesh: Mesh) -> placing.Rules | None:
    """Rules for what lies within a group of devices that share a shard; None where each device is one."""
    cut = {name: tuple(axis for axis in axes if axis not in meshes.ROWS) for name, axes in meshes.PASSING.items()}
    shared = any(size > 1 for axis, size in mesh.shape.items() if axis not in meshes.ROWS)
    return _Inside(mesh, cut) if shared else None


class _Inside(placing.Rules):
    """Rules where the axes of rows are cut by hand already, which only the mesh in force knows."""

    def placed(self, x: Array, axes: Sequence[str | None]) -> Array:
        cut = [self.cut(axis, size) for axis, size in zip(axes, x.shape, strict=True)]
        return jax.lax.with_sharding_constraint(x, PartitionSpec(*cut)) if any(cut) else x

    def mapped(self, function: Callable, inputs: Any, outputs: Any, axes: set[str] | None = None) -> Callable:
        names = axes or {axis for axis in self.mesh.axis_names if axis not in meshes.ROWS}
        return jax.shard_map(function, in_specs=inputs, out_specs=outputs, axis_names=names, check_vma=False)


def turned(batch: Batch, shards: int, turn: int) -> Batch:
    """A batch whose shard s lies where shard s + turn did: on the devices of that one."""
    if turn % shards == 0:
        return batch
    leaves, form = jax.tree.flatten(batch)
    full = [at for at, leaf in enumerate(leaves) if leaf.size]
    for at, leaf in zip(full, _turned([leaves[at] for at in full], len(leaves[0]) // shards * turn), strict=True):
        leaves[at] = leaf
    return jax.tree.unflatten(form, leaves)


@partial(jax.jit, static_argnums=1)
def _turned(arrays: list[Array], rows: int) -> list[Array]:
    return [jnp.roll(array, rows, axis=0) for array in arrays]
