"""Topologies: slices of so many chips, as in v4:16x16x16, and JAX devices that stand for them."""

import math
import os
from dataclasses import dataclass, replace
from importlib.util import find_spec

import jax

from tejat.errors import BadInput
from tejat.plan.chips import Chip, chip


@dataclass(frozen=True)
class Topology:
    """`slices` pods, or parts of them, of `shape` chips each."""

    chip: Chip
    shape: tuple[int, ...]
    slices: int = 1

    @property
    def chips(self) -> int:
        return math.prod(self.shape) * self.slices

    def __str__(self) -> str:
        one = f"{self.chip.name}:{'x'.join(map(str, self.shape))}"
        return one if self.slices == 1 else f"{self.slices} x {one}"


def parse(text: str, slices: int = 1) -> Topology:
    """A topology from "v4:16x16x16", "v5e:16x16" or "h200:8".

    Raises BadInput for what is none, naming one that is near.
    """
    name, _, sizes = text.partition(":")
    found = chip(name)
    wanted = found.axes or 1
    parts = sizes.split("x")
    if not all(part.isascii() and part.isdigit() and int(part) > 0 for part in parts):
        example = "x".join(map(str, found.largest)) or "8"
        raise BadInput(f"the topology {text!r} has no sizes; write it as in {name}:{example}")
    shape = tuple(map(int, parts))
    if len(shape) != wanted:
        example = "x".join(map(str, found.largest)) or str(math.prod(shape))
        raise BadInput(f"a topology of {name} has {wanted} sizes and {text!r} has {len(shape)}; try {name}:{example}")
    if any(size > most for size, most in zip(shape, found.largest, strict=False)):
        nearest = "x".join(str(min(size, most)) for size, most in zip(shape, found.largest, strict=True))
        raise BadInput(f"{text} is larger than a pod of {name}; try {name}:{nearest} with more --slices")
    if slices < 1:
        raise BadInput(f"--slices {slices} is none; give 1 or more")
    return Topology(found, shape, slices)


def part(whole: Topology, chips: int) -> Topology:
    """So many neighbours of a slice, a power of two, as near to a square or a cube as they can be.

    Raises BadInput where a slice has not so many, or cannot be cut into such parts.
    """
    sides, axis = [1] * len(whole.shape), 0
    while math.prod(sides) < chips:
        room = [at for at, size in enumerate(whole.shape) if size % (2 * sides[at]) == 0]
        if not room:
            raise BadInput(f"{whole} has no parts of {chips} chips; try fewer")
        axis = min(room, key=lambda at: (sides[at], at))
        sides[axis] *= 2
    return Topology(whole.chip, tuple(sides))


def larger(whole: Topology) -> Topology:
    """Twice as many chips: along the shortest side of a slice, and where a pod is full, of slices."""
    room = [at for at, size in enumerate(whole.shape) if not whole.chip.largest or 2 * size <= whole.chip.largest[at]]
    if not room:
        return replace(whole, slices=2 * whole.slices)
    axis = min(room, key=lambda at: (whole.shape[at], -at))
    return replace(whole, shape=tuple(size * (1 + (at == axis)) for at, size in enumerate(whole.shape)))


def ready(topology: Topology) -> None:
    """Raises BadInput where what programs are compiled with is not installed."""
    if topology.chip.is_tpu and find_spec("libtpu") is None:
        raise BadInput(f"a plan for {topology} needs libtpu, and no TPU; pip install 'tejat[tpu]', or use --estimate")


def devices(topology: Topology) -> list[jax.Device]:
    """Devices that programs can be compiled for, not run on.

    Of TPUs from libtpu's descriptions; for GPUs, as many processors stand in: what is exchanged between them is the
    same. Raises BadInput where libtpu is not installed, or knows no such topology.
    """
    ready(topology)
    if not topology.chip.is_tpu:
        if jax.device_count() < topology.chips:
            raise BadInput(f"{topology} needs {topology.chips} devices to stand in, and there are {jax.device_count()}")
        return jax.devices()[: topology.chips]
    os.environ.setdefault("TPU_SKIP_MDS_QUERY", "1")  # nobody is to be asked which TPU this is
    from jax.experimental import topologies

    # A host has four chips, in a square, or those of so small a slice.
    options: dict = {"chips_per_host_bounds": (*(min(2, size) for size in topology.shape[:2]), 1)}
    if topology.chip.axes == 3:
        # Two cores are one device with the memory of both; the links of sides of four and more close to rings.
        rings = tuple(size % 4 == 0 for size in topology.shape)
        options |= {"chip_config_name": "megacore", "wrap": rings}
    if topology.slices > 1:
        options["num_slices"] = topology.slices
    name = f"{topology.chip.name}:{'x'.join(map(str, topology.shape))}"
    try:
        return list(topologies.get_topology_desc(platform="tpu", topology_name=name, **options).devices)
    except Exception as error:
        raise BadInput(f"libtpu knows no topology {name}: {str(error).splitlines()[0]}") from error
