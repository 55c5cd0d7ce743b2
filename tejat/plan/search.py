"""Meshes for a model on a topology, with what is kept and how large a batch is, the fastest first, by estimates that
need no compiler."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tejat.model import sizes
from tejat.model.multimodal import ModelConfig
from tejat.plan import roofline
from tejat.plan.topology import Topology

MASTERS = 12
"""Bytes of a parameter that every step keeps: the float32 master and two moments."""

SAFE = 0.96
"""Of a chip's memory, by estimate: what is expected to fit."""

TOKENS = 4_194_304
"""Of a batch, where nothing else is asked for; twice and four times as many are looked at too."""

KEEP = "inputs"
"""What layers keep, where a mesh is asked for and nothing else."""


@dataclass(frozen=True)
class Candidate:
    """A mesh, the rows of a batch, the parts that it is computed in, what layers keep, and what is expected of it."""

    mesh: dict[str, int]
    rows: int
    accumulate: int
    keep: str
    parts: dict[str, float]
    """Bytes of a chip: parameters, optimizer, activations and temporaries."""
    estimate: roofline.Estimate

    @property
    def bytes(self) -> float:
        """Of a chip's memory."""
        return sum(self.parts.values())

    @property
    def told(self) -> str:
        """As `--mesh` has it."""
        return ",".join(f"{name}={size}" for name, size in self.mesh.items()) or "fsdp=1"

    @property
    def words(self) -> str:
        """What asks `tejat plan` for it."""
        more = f" --accumulate {self.accumulate}" * (self.accumulate > 1) + f" --keep {self.keep}" * (self.keep != KEEP)
        return f"--mesh {self.told}{more}" + f" --tokens {self.estimate.tokens}" * (self.estimate.tokens != TOKENS)


def candidates(
    config: ModelConfig,
    topology: Topology,
    batches: Sequence[int],
    keeps: Sequence[str],
    patches: int = 0,
    frames: int = 0,
) -> list[Candidate]:
    """All that can be of batches of so many rows whose layers keep one of `keeps`: those that are expected to fit
    first, the fastest to a loss first, of equals the one that exchanges least. May be empty."""
    found = list(_all(config, topology, batches, keeps, patches, frames))
    times = {rows: roofline.needed(config, rows * config.context) / rows for rows in batches}

    def order(each: Candidate) -> tuple[bool, float, float]:
        told = each.estimate
        return each.bytes > SAFE * topology.chip.memory, told.step_s * times[each.rows], told.links_s + told.network_s

    return sorted(found, key=order)


def different(found: Sequence[Candidate], most: int) -> list[Candidate]:
    """The first of those that differ in more than how weights are spread: of the equally fast, one."""
    seen: dict[tuple, Candidate] = {}
    for each in found:
        seen.setdefault((each.rows, each.keep, f"{each.estimate.step_s:.3g}"), each)
    return [*seen.values()][:most]


def dividing(config: ModelConfig, topology: Topology) -> Iterator[dict[str, int]]:
    """The meshes that divide the model, whatever the batch: slice, data, fsdp, sequence and tensor of each."""
    shape, one = config.decoder, topology.chips // topology.slices
    for tensor in _powers(min(16, one)):
        if shape.heads % tensor or shape.mlp % tensor or shape.vocabulary % tensor or one % tensor:
            continue
        if config.vision and config.vision.heads % tensor or config.audio and config.audio.heads % tensor:
            continue
        for sequence in _powers(min(64, one // tensor)):
            if config.context % sequence or one % (tensor * sequence):
                continue
            left = one // (tensor * sequence)
            for data in (d for d in range(1, left + 1) if left % d == 0):
                fsdp = left // data
                if shape.width % (fsdp * sequence) == 0:
                    yield dict(slice=topology.slices, data=data, fsdp=fsdp, sequence=sequence, tensor=tensor)


def copies(mesh: dict[str, int]) -> int:
    """Among how many groups of chips the rows of a batch are spread."""
    return mesh.get("slice", 1) * mesh.get("data", 1) * mesh.get("fsdp", 1)


def _all(config, topology, batches, keeps, patches, frames) -> Iterator[Candidate]:
    for mesh in dividing(config, topology):
        for rows in batches:
            each = rows // copies(mesh)
            if rows % copies(mesh):
                continue
            for accumulate in _powers(each):
                if each % accumulate:
                    break
                for keep in keeps:
                    yield candidate(config, topology, rows, keep, patches, frames, mesh, accumulate)


def least(config: ModelConfig, topology: Topology) -> float:
    """Bytes of a chip for masters, moments and gradients, spread over all chips of a slice: no mesh needs less."""
    return (MASTERS + 4) * sizes.parts(config).whole / (topology.chips // topology.slices)


def candidate(config, topology, rows, keep, patches, frames, mesh: dict[str, int], accumulate: int) -> Candidate:
    """One of them. `mesh` may leave out axes of one chip."""
    mesh = {axis: mesh.get(axis, 1) for axis in ("slice", "data", "fsdp", "sequence", "tensor")}
    shape, one = config.decoder, topology.chips // topology.slices
    held = roofline.work(config, patches, frames).parameters
    tensor, split = mesh["tensor"], mesh["fsdp"] * mesh["sequence"]
    cut = tensor * split  # of a copy of the weights
    tokens = rows * config.context / (one // tensor * mesh["slice"]) / accumulate  # of a chip at a time
    stream = 2 * tokens * shape.width
    # Weights gathered for each pass over the layers, gradients scattered back; results cut by tensor added up.
    passes = 3 if keep == "inputs" else 2
    links = accumulate * (passes + 2) * 2 * held / tensor * (1 - 1 / split)
    links += accumulate * (2 * passes) * 2 * shape.layers * stream * (1 - 1 / tensor)
    if mesh["sequence"] > 1:
        keys = 4 * tokens * shape.key_heads * shape.head_width
        full = sum(kind.attention == "full" for kind in shape.kinds)
        links += accumulate * passes * full * keys * (mesh["sequence"] - 1)
    # Between copies the gradients of each part are added up, as float32: so a processor's compiler has it, too.
    links += accumulate * 2 * 4 * held / cut * (1 - 1 / mesh["data"])
    network = accumulate * 2 * 4 * held / cut * (1 - 1 / topology.slices)
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
    scanned = topology.chip.is_tpu  # a round of layers at a time; what is known of GPUs is of one layer after the other
    again = shape.period if keep == "inputs" or scanned else 1
    beside = tokens * (STREAMS * shape.width + MLPS * shape.mlp / tensor) * 2 * again
    beside += 2 * 2 * held / tensor / shape.layers * shape.period  # weights of a period, and of the next
    if split > 1:
        beside += 4 * shape.vocabulary * shape.width / tensor  # the embedding's gradient, before it is scattered
    parts = {
        "parameters": 4 * held / cut,
        "optimizer": 8 * held / cut,
        "activations": kept(config, keep, tokens, tokens / config.context * patches, tensor, scanned),
        # Weights and gradients in bfloat16; gradients of several parts are added up in float32.
        "temporaries": (4 + 4 * (accumulate > 1)) * held / cut + beside,
    }
    return Candidate({name: size for name, size in mesh.items() if size > 1}, rows, accumulate, keep, parts, found)


STREAMS, MLPS = 12, 4
"""Arrays as wide as the model and as its MLP that stand at once while a layer is made again, by compiled steps."""

KEPT = {"products": (3, 2), "everything": (34, 4)}
"""Arrays as wide as the model and as its MLP that a layer leaves for the backward pass, beside queries and what they
attend to. The first wanted 48.9 GiB of one H100 (nano1, 4 rows of 4,096); the second as layers are scanned here, by a
step compiled for v5e: one after the other they leave half of it."""

SCANNED = KEPT | {"products": (2, 3)}
"""The same where layers are scanned: with it, estimates of what five steps of nano1, nano2 and pro leave, compiled for
v5e and v4, are 4 to 17% above the compiler's."""


def kept(config: ModelConfig, keep: str, tokens: float, patches: float, tensor: int, scanned: bool) -> float:
    """Bytes that the layers of a chip leave for the backward pass of so many tokens, and patches of images; sounds are
    left out, which are few."""
    shape, tower = config.decoder, config.vision
    attended = 2 * (shape.heads + shape.key_heads) * shape.head_width
    rounds = shape.layers / shape.period if keep == "inputs" else shape.layers
    arrays = (SCANNED if scanned else KEPT).get(keep)
    found = rounds * tokens * _left(arrays, shape.width, shape.mlp, attended, tensor)
    if tower and patches:
        attended = 4 * tower.heads * tower.head_width
        found += tower.layers * patches * _left(arrays, tower.width, tower.mlp, attended, tensor)
    return found


def _left(arrays: tuple[int, int] | None, width: int, mlp: int, attended: int, tensor: int) -> float:
    """Bytes of a token that a layer, or a round of them where its input alone is kept, leaves, in bfloat16."""
    if arrays is None:
        return 2 * width
    streams, mlps = arrays
    return 2 * (streams * width + (attended + mlps * mlp) / tensor)


def _powers(most: int) -> Iterator[int]:
    for power in range(int(math.log2(max(1, most))) + 1):
        yield 2**power
