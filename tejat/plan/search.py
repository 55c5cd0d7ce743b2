"""Meshes for a model on a topology, the fastest first, by estimates that need no compiler."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from tejat.errors import BadInput
from tejat.model import sizes
from tejat.model.multimodal import ModelConfig
from tejat.plan import roofline
from tejat.plan.chips import GIB
from tejat.plan.topology import Topology, larger

MASTERS = 12
"""Bytes of a parameter that every step keeps: the float32 master and two moments."""


@dataclass(frozen=True)
class Candidate:
    """A mesh, the parts that a batch is computed in, and what is expected of it."""

    mesh: dict[str, int]
    accumulate: int
    bytes: float
    """Of a chip's memory."""
    estimate: roofline.Estimate


def candidates(config: ModelConfig, topology: Topology, rows: int, keep: str, patches: int = 0, frames: int = 0):
    """All that can be, those that are expected to fit first, the fastest first. May be empty."""
    found = list(_all(config, topology, rows, keep, patches, frames))
    return sorted(found, key=lambda c: (c.bytes > 0.9 * topology.chip.memory, c.estimate.step_s))


HOPELESS = 1.5
"""Of a chip's memory: estimates of what a step takes have been off by a third, and not by more."""


def too_small(config, topology: Topology, rows: int, keep: str, found: list[Candidate]) -> BadInput | None:
    """Why none of these is worth compiling, with the nearest topology on which one is; None where one may fit."""
    least, memory = min(each.bytes for each in found), topology.chip.memory
    if least <= HOPELESS * memory:
        return None
    near = topology
    for _ in range(16):
        near = larger(near)
        there = candidates(config, near, max(rows, near.slices), keep)
        if there and there[0].bytes <= 0.9 * memory:
            break
    told = f"{near.chip.name}:{'x'.join(map(str, near.shape))}" + f" --slices {near.slices}" * (near.slices > 1)
    return BadInput(
        f"{config.name} needs about {least / GIB:.0f} GiB a chip on {topology}, and one has {memory / GIB:.0f}; "
        f"try --topology {told}, or fewer --tokens"
    )


def _all(config, topology, rows, keep, patches, frames) -> Iterator[Candidate]:
    shape, one = config.decoder, topology.chips // topology.slices
    for tensor in _powers(min(16, one)):
        if shape.heads % tensor or shape.mlp % tensor or shape.vocabulary % tensor or one % tensor:
            continue
        if config.vision and config.vision.heads % tensor or config.audio and config.audio.heads % tensor:
            continue
        for sequence in _powers(min(64, one // tensor)):
            if config.context % sequence or one % (tensor * sequence):
                continue
            fsdp = one // (tensor * sequence)
            copies = fsdp * topology.slices
            if shape.width % (fsdp * sequence) or rows % copies:
                continue
            for accumulate in _powers(rows // copies):
                mesh = {"slice": topology.slices, "fsdp": fsdp, "sequence": sequence, "tensor": tensor}
                yield candidate(config, topology, rows, keep, patches, frames, mesh, accumulate)


def candidate(config, topology, rows, keep, patches, frames, mesh: dict[str, int], accumulate: int) -> Candidate:
    """One of them. `mesh` names slice, fsdp, sequence and tensor."""
    shape, one = config.decoder, topology.chips // topology.slices
    held = sizes.parts(config).whole
    tensor, split = mesh["tensor"], one // mesh["tensor"]
    tokens = rows * config.context / (mesh["slice"] * split) / accumulate  # of a chip at a time
    stream = 2 * tokens * shape.width
    # Weights gathered for each pass over the layers, gradients scattered back; results cut by tensor added up.
    passes = 3 if keep == "inputs" else 2
    links = accumulate * (passes + 2) * 2 * held / tensor * (1 - 1 / split)
    links += accumulate * (2 * passes) * 2 * shape.layers * stream * (1 - 1 / tensor)
    if mesh["sequence"] > 1:
        keys = 4 * tokens * shape.key_heads * shape.head_width
        full = sum(kind.attention == "full" for kind in shape.kinds)
        links += accumulate * passes * full * keys * (mesh["sequence"] - 1)
    network = 2 * 4 * held / one * (1 - 1 / topology.slices)
    products = 2 * (shape.heads + shape.key_heads) * shape.head_width + 2 * shape.mlp
    kept = shape.layers / shape.period * stream
    if keep == "products":
        kept = shape.layers * (3 * stream + 2 * tokens * products / tensor)
    inside = (
        tokens * (STREAMS * shape.width + MLPS * shape.mlp / tensor) * 2 * (shape.period if keep == "inputs" else 1)
    )
    expected = (MASTERS + 4) * held / one + 2 * 2 * held / tensor / shape.layers * shape.period + kept + inside
    found = roofline.estimate(
        config,
        topology,
        rows,
        keep=keep,
        accumulate=accumulate,
        tensor=tensor,
        links=links,
        network=network,
        patches=patches,
        frames=frames,
    )
    return Candidate({name: size for name, size in mesh.items() if size > 1}, accumulate, expected, found)


STREAMS, MLPS = 12, 4
"""Arrays as wide as the model and as its MLP that stand at once while a layer is made again, by compiled steps."""


def _powers(most: int) -> Iterator[int]:
    for power in range(int(math.log2(max(1, most))) + 1):
        yield 2**power
