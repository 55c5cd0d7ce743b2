"""Meshes for a model on a topology, the fastest first, by estimates that need no compiler."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from tejat.model import sizes
from tejat.model.multimodal import ModelConfig
from tejat.plan import roofline
from tejat.plan.topology import Topology

MASTERS = 12
"""Bytes of a parameter that every step keeps: the float32 master and two moments."""

SAFE = 0.9
"""Of a chip's memory, by estimate: what is expected to fit."""


@dataclass(frozen=True)
class Candidate:
    """A mesh, the parts that a batch is computed in, and what is expected of it."""

    mesh: dict[str, int]
    accumulate: int
    bytes: float
    """Of a chip's memory."""
    estimate: roofline.Estimate

    @property
    def told(self) -> str:
        """As `--mesh` has it."""
        return ",".join(f"{name}={size}" for name, size in self.mesh.items()) or "fsdp=1"

    @property
    def words(self) -> str:
        """What asks `tejat plan` for it."""
        return f"--mesh {self.told}" + f" --accumulate {self.accumulate}" * (self.accumulate > 1)


def candidates(config: ModelConfig, topology: Topology, rows: int, keep: str, patches: int = 0, frames: int = 0):
    """All that can be, those that are expected to fit first, the fastest first. May be empty."""
    found = list(_all(config, topology, rows, keep, patches, frames))
    return sorted(found, key=lambda c: (c.bytes > SAFE * topology.chip.memory, c.estimate.step_s))


def dividing(config: ModelConfig, topology: Topology) -> Iterator[dict[str, int]]:
    """The meshes that divide the model, whatever the batch: slice, fsdp, sequence and tensor of each."""
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
            if shape.width % (fsdp * sequence) == 0:
                yield {"slice": topology.slices, "fsdp": fsdp, "sequence": sequence, "tensor": tensor}


def _all(config, topology, rows, keep, patches, frames) -> Iterator[Candidate]:
    for mesh in dividing(config, topology):
        copies = mesh["slice"] * mesh["fsdp"]
        if rows % copies:
            continue
        for accumulate in _powers(rows // copies):
            if rows // copies % accumulate:
                break
            yield candidate(config, topology, rows, keep, patches, frames, mesh, accumulate)


def least(config: ModelConfig, topology: Topology) -> float:
    """Bytes of a chip for masters, moments and gradients, spread over all chips of a slice: no mesh needs less."""
    return (MASTERS + 4) * sizes.parts(config).whole / (topology.chips // topology.slices)


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
    expected = least(config, topology) + 2 * 2 * held / tensor / shape.layers * shape.period + kept + inside
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
