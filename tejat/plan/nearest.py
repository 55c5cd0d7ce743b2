"""What cannot be planned, told before anything is compiled, with the nearest that can."""

import math
from collections.abc import Sequence

from tejat.errors import BadInput
from tejat.model import multimodal
from tejat.model.multimodal import ModelConfig
from tejat.plan import search, topology
from tejat.plan.chips import CHIPS, GIB
from tejat.plan.search import Candidate
from tejat.plan.topology import Topology
from tejat.train import mesh as meshes

HOPELESS = 1.5
"""Of a chip's memory: estimates of what a step takes have been off by a third, and not by more. What needs less is
compiled, and the compiler decides."""

ROOMY = 0.9
"""Of a chip's memory, by estimate: what is offered, which nobody has compiled."""

MOST_SLICES, MOST_CHIPS = 8, 65_536
"""Of the topologies that are looked at."""


def check_mesh(
    config: ModelConfig, where: Topology, rows: int, keep: str, mesh: dict[str, int], accumulate: int
) -> None:
    """Can a mesh that was asked for be over these chips, and hold this model and batch in so many parts?

    Raises BadInput, naming what it does not divide and the nearest mesh, or number of tokens, that works.
    """
    shape = {axis: mesh.get(axis, 1) for axis in meshes.AXES}
    told = ",".join(f"{axis}={size}" for axis, size in mesh.items())
    copies, wrong = math.prod(shape[axis] for axis in meshes.ROWS), ""
    if shape["slice"] != where.slices:
        has = f"slice={shape['slice']}" if "slice" in mesh else "no slice axis"
        wrong = f"the mesh {told} has {has} and {where} wants slice={where.slices}"
        shape["slice"] = where.slices
    elif math.prod(shape.values()) != where.chips:
        wrong = f"the mesh {told} is of {math.prod(shape.values())} devices and {where} has {where.chips}"
    elif config.context % shape["sequence"]:
        wrong = f"the mesh {told} does not divide the context of {config.context:,} tokens"
    elif odd := meshes.undivided(shape, multimodal.params(config)):
        wrong = f"the mesh {told} cannot hold {config.name}: {odd}"
    if wrong:
        raise BadInput(f"{wrong}; try {_mesh(config, where, rows, keep, shape, accumulate)}")
    if rows % (copies * accumulate):
        tokens = _multiple(rows, copies * accumulate) * config.context
        raise BadInput(
            f"{rows} rows cannot be spread over {copies} copies in {accumulate} parts; try --tokens {tokens}"
        )


def _mesh(config, where: Topology, rows: int, keep: str, shape: dict[str, int], accumulate: int) -> str:
    """The words for the mesh whose axes are nearest to those asked for, the fastest of them."""
    found = search.candidates(config, where, [rows], [keep])
    if not found:
        return _elsewhere(config, where, rows)

    def far(each: Candidate) -> tuple[float, bool, float]:
        off = sum(abs(math.log(size / each.mesh.get(axis, 1))) for axis, size in shape.items())
        return round(off, 6), each.accumulate != accumulate, each.estimate.step_s

    best = min(found, key=far)
    return f"--mesh {best.told}" + f" --accumulate {best.accumulate}" * (best.accumulate != accumulate > 1)


def no_mesh(config: ModelConfig, where: Topology, rows: int) -> BadInput:
    """Why there is no candidate, with what there is one for."""
    return BadInput(
        f"no mesh over {where} divides {config.name} and {rows} rows; try {_elsewhere(config, where, rows)}"
    )


def _elsewhere(config, where: Topology, rows: int) -> str:
    """The words for the nearest number of tokens, and of chips, that a mesh divides."""
    copies = {search.copies(mesh) for mesh in search.dividing(config, where)}
    found = []
    if copies:
        tokens = min((_multiple(rows, each) for each in copies), key=lambda near: abs(near - rows)) * config.context
        found.append(f"--tokens {tokens}")
    for near in topology.near(where):
        if any(rows % search.copies(mesh) == 0 for mesh in search.dividing(config, near)):
            found.append(near.words)
            break
    return " or ".join(found) or "a model whose width these chips divide"


def _multiple(rows: int, of: int) -> int:
    return max(1, round(rows / of)) * of


def too_small(
    config: ModelConfig, where: Topology, batches: Sequence[int], keeps: Sequence[str], found: list[Candidate]
) -> BadInput | None:
    """Why none of these is worth compiling, with the nearest that is; None where one may fit."""
    least, memory = min(each.bytes for each in found), where.chip.memory
    if least <= HOPELESS * memory:
        return None
    near = roomier(config, where, batches, keeps, found)
    return BadInput(
        f"{config.name} needs about {least / GIB:.0f} GiB a chip on {where}, and one has {memory / GIB:.0f}; "
        f"try {near or 'a shorter --context'}"
    )


def roomier(
    config: ModelConfig, where: Topology, batches: Sequence[int], keeps: Sequence[str], found: list[Candidate]
) -> str | None:
    """The words for the nearest that fits by estimate: another mesh that needs less than those that were `found`, the
    least topology beyond, or one of other chips (a slice keeps a whole model). None where there is none."""
    least, most = min(each.bytes for each in found), ROOMY * where.chip.memory
    for each in search.candidates(config, where, batches, keeps):
        if each.bytes <= min(most, ROOMY * least):
            return each.words
    if near := _larger(config, topology.larger(where), batches, keeps):
        return near.words
    others = [chip for chip in CHIPS.values() if chip.is_tpu == where.chip.is_tpu and chip != where.chip]
    begun = (Topology(chip, topology.built(chip)[0] if chip.is_tpu else (1,)) for chip in others)
    ends = [near for each in begun if (near := _larger(config, each, batches, keeps))]
    return min(ends, key=lambda near: near.chips).words if ends else None


def _larger(config, where: Topology, batches: Sequence[int], keeps: Sequence[str]) -> Topology | None:
    """The least topology on which a mesh fits by estimate, this one or one that it becomes by doubling."""
    while where.slices <= MOST_SLICES and where.chips <= MOST_CHIPS:
        if search.least(config, where) <= ROOMY * where.chip.memory:
            there = search.candidates(config, where, [max(rows, where.slices) for rows in batches], keeps)
            if any(each.bytes <= ROOMY * where.chip.memory for each in there):
                return where
        where = topology.larger(where)
    return None
