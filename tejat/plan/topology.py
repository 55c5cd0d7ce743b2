"""Topologies: slices of so many chips, as in v4:16x16x16, and JAX devices that stand for them."""

import itertools
import math
import os
from dataclasses import dataclass, replace
from functools import cache
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

    @property
    def words(self) -> str:
        """What asks `tejat plan` for it."""
        more = f" --slices {self.slices}" if self.slices > 1 else ""
        return f"--topology {self.chip.name}:{'x'.join(map(str, self.shape))}{more}"

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
    if found.is_tpu:
        pod = tuple(map(min, shape, found.largest))
        near = "x".join(map(str, _nearest(found, pod)))
        if pod != shape:
            raise BadInput(f"{text} is larger than a pod of {name}; try {name}:{near} with more --slices")
        if math.prod(shape) > 2 and sorted(shape) not in map(sorted, built(found)):
            raise BadInput(f"no slice of {name} is built as {text}; try {name}:{near}")
    if slices < 1:
        raise BadInput(f"--slices {slices} is none; give 1 or more")
    return Topology(found, shape, slices)


@cache
def built(chip: Chip) -> tuple[tuple[int, ...], ...]:
    """The shapes of a TPU's slices, in any order of their sides (cloud.google.com/tpu/docs, "TPU configurations"):
    squares of powers of two and their doubles; in three dimensions cubes of four, joined by switches, and parts of one.

    libtpu compiles for more than are built. One chip or two, a part of a host, are for replicas and not listed.
    """
    if chip.axes == 2:
        squares = [(side, side) for side in (1, 2, 4, 8, 16)]
        return (*squares, *((side, 2 * side) for side in (2, 4, 8)))
    cubes = itertools.product(*(range(4, most + 1, 4) for most in chip.largest))
    return ((2, 2, 1), (2, 2, 2), (2, 2, 4), (2, 4, 4), *(shape for shape in cubes if [*shape] == sorted(shape)))


def _nearest(chip: Chip, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The slice that is built whose sides are nearest to these, in their order."""
    order = sorted(range(len(shape)), key=shape.__getitem__)
    wanted = [shape[at] for at in order]
    shapes = map(sorted, built(chip))
    sides = min(shapes, key=lambda each: sum(abs(math.log(a / b)) for a, b in zip(each, wanted, strict=True)))
    return tuple(side for _, side in sorted(zip(order, sides, strict=True)))


def near(whole: Topology) -> list[Topology]:
    """Others of the same chip and as many slices, those of nearly as many chips first."""
    one = math.prod(whole.shape)
    shapes = built(whole.chip) if whole.chip.is_tpu else [(2**power,) for power in range(one.bit_length() + 1)]
    others = [shape for shape in shapes if sorted(shape) != sorted(whole.shape)]
    others.sort(key=lambda shape: (abs(math.log(math.prod(shape) / one)), sum(shape)))
    return [replace(whole, shape=shape) for shape in others]


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
    """Twice as many chips, or four times where no slice has twice as many: as near to a cube as they are built. Where a
    pod is full, twice as many slices."""
    one = math.prod(whole.shape)
    if not whole.chip.is_tpu:
        return replace(whole, shape=(2 * one,))
    for times in (2, 4):
        if shapes := [shape for shape in built(whole.chip) if math.prod(shape) == times * one]:
            return replace(whole, shape=min(shapes, key=sum))
    return replace(whole, slices=2 * whole.slices)


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
