"""Devices as a mesh, and the one table that says along which of its axes each axis of the model is cut.

    slice     pods or data centres, joined by a slow network: whole copies of the model, gradients exchanged once a step
    data      copies of the model inside one
    fsdp      copies that each keep a part of every weight, and gather it when it is used (Rajbhandari et al. 2020)
    sequence  the tokens of a row cut, for rows that are too long for one device (`tejat.model.spread_attention`);
              weights are cut along it too, as along fsdp
    tensor    matrices cut by heads, by the MLP's width and by the vocabulary (Shoeybi et al. 2019)

The rows of a batch are spread over the first three. The model only names the axes of what it makes: XLA's partitioner
is told where parameters, batches and what is named lie, and adds the exchanges (Xu et al. 2021).
"""

import itertools
import math
from collections.abc import Mapping, Sequence

import jax
import numpy as np
from jax.sharding import AbstractMesh, Mesh, NamedSharding, PartitionSpec

from tejat.errors import BadInput
from tejat.model.params import Param, Tree, map_params, walk
from tejat.model.placing import Rules

AXES = ("slice", "data", "fsdp", "sequence", "tensor")
ROWS = ("slice", "data", "fsdp")
"""The axes over which the rows of a batch are spread."""

RULES: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("embed", "vision", "audio", "audio_out"), ("fsdp", "sequence")),
    **dict.fromkeys(("heads", "key_heads", "mlp", "vocabulary", "experts"), ("tensor",)),
}
"""Which axes of the mesh cut an axis of the model's weights; axes that are not here stay whole."""

PASSING: dict[str, tuple[str, ...]] = {
    "rows": ROWS,
    "sequence": ("sequence",),
    "sounds": (*ROWS, "sequence"),
    "heads": ("tensor",),
    "vocabulary": ("tensor",),
}
"""Which axes of the mesh cut an axis of what passes through the layers."""

WHOLE_IF_ODD = ("key_heads", "experts", "vision", "audio", "audio_out")
"""Axes that stay whole where the mesh does not divide them: small ones, of which copies cost little."""


def parse(text: str | None) -> dict[str, int]:
    """{"fsdp": 8, "tensor": 2} from "fsdp=8,tensor=2". Raises BadInput for what is none."""
    sizes: dict[str, int] = {}
    for part in (text or "").split(","):
        if not part:
            continue
        name, _, size = part.strip().partition("=")
        if name not in AXES:
            raise BadInput(f"the mesh {text!r} names the axis {name!r}; there are {', '.join(AXES)}")
        if name in sizes or not size.isascii() or not size.isdigit() or int(size) < 1:
            raise BadInput(f"the mesh {text!r} is no list like fsdp=8,tensor=2, with each axis once")
        sizes[name] = int(size)
    return sizes


def chosen(text: str | None) -> Mesh | None:
    """The mesh of `text` over all devices, fsdp over them all without one; None where there is a single device.

    Raises BadInput for a text that is no mesh, or one of another number of devices.
    """
    sizes = parse(text) if text else {"fsdp": jax.device_count()}
    mesh = make(sizes)
    return mesh if mesh.size > 1 else None


def make(sizes: Mapping[str, int], devices: Sequence[jax.Device] | None = None) -> Mesh:
    """A mesh of all devices with all of `AXES`; those not named have one device along them.

    Raises BadInput where the sizes do not multiply to the number of devices.
    """
    devices = jax.devices() if devices is None else devices
    shape = tuple(sizes.get(axis, 1) for axis in AXES)
    if math.prod(shape) != len(devices):
        told = ",".join(f"{name}={size}" for name, size in sizes.items()) or "without axes"
        nearest = ",".join(f"{name}={size}" for name, size in _fitted(sizes, len(devices)).items())
        raise BadInput(f"the mesh {told} is of {math.prod(shape)} devices and there are {len(devices)}; try {nearest}")
    return Mesh(_arranged(shape, devices), AXES)


def _fitted(sizes: Mapping[str, int], devices: int) -> dict[str, int]:
    """The same axes, each as near to what was asked as `devices` allow, the last of them taking what is left."""
    found, left = {}, devices
    *first, last = sizes or ["fsdp"]
    for name in first:
        found[name] = math.gcd(sizes[name], left)
        left //= found[name]
    return found | {last: left}


def _arranged(shape: tuple[int, ...], devices: Sequence[jax.Device]) -> np.ndarray:
    """Devices in the order in which neighbours along the last axes are nearest to each other."""
    from jax.experimental import mesh_utils

    slices = {getattr(device, "slice_index", 0) for device in devices}
    if len(slices) > 1 and len(slices) == shape[0]:
        inside, across = (1, *shape[1:]), (shape[0], *(1 for _ in shape[1:]))
        return mesh_utils.create_hybrid_device_mesh(inside, across, devices, allow_split_physical_axes=True)
    return mesh_utils.create_device_mesh(shape, devices, allow_split_physical_axes=True)


def check(mesh: Mesh | AbstractMesh, tree: Tree, rows: int, shards: int = 0) -> None:
    """Can the mesh hold this model and batches of so many rows, in shards if there are any?

    Raises BadInput, naming what it does not divide and the nearest mesh of as many devices that does."""
    copies = math.prod(mesh.shape[axis] for axis in ROWS)
    if rows % copies:
        nearest = max(1, round(rows / copies)) * copies
        raise BadInput(f"a batch of {rows} rows cannot be spread over {copies} devices; try room.rows={nearest}")
    if wrong := undivided(mesh.shape, tree):
        raise BadInput(f"{wrong}; try {_nearest(mesh.shape, tree, math.gcd(rows, shards))}")


def undivided(shape: Mapping[str, int], tree: Tree) -> str | None:
    """Which weight a mesh of this shape cannot cut, in words; None where it can cut them all."""
    for name, param in walk(tree):
        for axis, size in zip(param.axes, param.shape, strict=True):
            along = _along(shape, axis)
            if size % math.prod(shape[each] for each in along) and axis not in WHOLE_IF_ODD:
                told = ",".join(f"{each}={shape[each]}" for each in along)
                return f"{told} does not divide the {size} of {axis} in {name}"
    return None


def _nearest(shape: Mapping[str, int], tree: Tree, rows: int) -> str:
    """The words for the mesh of as many devices, and slices, that divides a model and its rows (or shards of them) and
    is nearest to one. Of equals it has the most devices along `fsdp`."""
    *free, last = [axis for axis in AXES if axis != "slice"]
    devices = math.prod(shape.values()) // shape["slice"]
    divisors = [n for n in range(1, devices + 1) if devices % n == 0]
    found = []
    for sizes in itertools.product(divisors, repeat=len(free)):
        left, rest = divmod(devices, math.prod(sizes))
        each = {**shape, **dict(zip(free, sizes, strict=True)), last: left}
        if left and not rest and rows % math.prod(each[axis] for axis in ROWS) == 0 and not undivided(each, tree):
            found.append(each)
    if not found:
        return "another number of devices"
    near = min(found, key=lambda each: (_apart(shape, each), -each["fsdp"]))
    return ",".join(f"{axis}={size}" for axis, size in near.items() if size > 1) or "one device"


def _apart(one: Mapping[str, int], other: Mapping[str, int]) -> float:
    return round(sum(abs(math.log(one[axis] / other[axis])) for axis in AXES), 6)


def _along(shape: Mapping[str, int], axis: str | None) -> tuple[str, ...]:
    """The axes of a mesh that cut an axis of a weight, if it can be cut."""
    return tuple(each for each in RULES.get(axis or "", ()) if shape[each] > 1)


def rules(mesh: Mesh) -> Rules:
    """Where what passes through the layers lies."""
    return Rules(mesh, PASSING)


def spec(mesh: Mesh, param: Param) -> PartitionSpec:
    """How a parameter is cut. Axes of the mesh cut one axis of it at most, the first that they may."""
    used: set[str] = set()
    parts: list[str | tuple[str, ...] | None] = []
    for axis, size in zip(param.axes, param.shape, strict=True):
        along = _along(mesh.shape, axis)
        if not along or used & {*along} or size % math.prod(mesh.shape[each] for each in along):
            parts.append(None)
        else:
            used |= {*along}
            parts.append(along if len(along) > 1 else along[0])
    return PartitionSpec(*parts)


def parameters(mesh: Mesh, tree: Tree) -> Tree:
    """A sharding for every Param of the tree."""
    return map_params(lambda param: NamedSharding(mesh, spec(mesh, param)), tree)


def state(mesh: Mesh, tree: Tree, shapes):
    """Shardings for a `TrainState` of these shapes: parameters by their rules, their moments alike, the rest whole."""
    known = {tuple(name.split(".")): (param.shape, spec(mesh, param)) for name, param in walk(tree)}

    def place(path, leaf) -> NamedSharding:
        keys = tuple(_key(entry) for entry in path)
        for length in range(len(keys), 0, -1):
            shape, cut = known.get(keys[-length:], (None, None))
            if shape == leaf.shape:
                return NamedSharding(mesh, cut)
        return NamedSharding(mesh, PartitionSpec())

    return jax.tree_util.tree_map_with_path(place, shapes)


def _key(entry) -> str:
    return str(getattr(entry, "key", getattr(entry, "name", getattr(entry, "idx", entry))))


def rows(mesh: Mesh) -> NamedSharding:
    """How every array of a batch lies: its rows spread, each whole."""
    return NamedSharding(mesh, PartitionSpec(ROWS))


def laid(shapes, shardings):
    """Shapes and types of arrays, and where they lie: as `shardings` say, or without them on the first device."""
    if shardings is None:
        here = jax.sharding.SingleDeviceSharding(jax.devices()[0])
        shardings = jax.tree.map(lambda _: here, shapes)
    return jax.tree.map(lambda a, lies: jax.ShapeDtypeStruct(a.shape, a.dtype, sharding=lies), shapes, shardings)


def placed(state, shardings):
    """Arrays that every process has in full, each of its parts on the devices that are to hold it."""

    def place(array, sharding: NamedSharding):
        values = np.asarray(array)
        return jax.make_array_from_callback(values.shape, sharding, lambda index: values[index])

    return jax.tree.map(place, state, shardings)


def spread(mesh: Mesh, batch):
    """A batch, of which this process has its share of the rows, on the devices."""
    sharding = rows(mesh)
    return jax.tree.map(lambda array: jax.make_array_from_process_local_data(sharding, np.asarray(array)), batch)
