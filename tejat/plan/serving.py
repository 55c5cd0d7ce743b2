"""A deployment: the engine's steps compiled for a replica, and what a chip then holds, writes and costs.

A replica is so many chips among which weights and keys are cut by heads, by the MLP's width and by the vocabulary
(`tejat.infer.parallel`); a topology holds many replicas, and their rows have nothing to do with each other. A step of
writing reads all weights and all keys once for every token of the batch, so memory bounds it until the batch is large;
a part of a prompt is bound by arithmetic. Exchanges stand between products here: a step waits for them.
"""

import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from jax.sharding import AbstractMesh

from tejat.errors import BadInput
from tejat.infer import parallel
from tejat.model import decoder, multimodal, sizes
from tejat.model.multimodal import ModelConfig
from tejat.model.params import walk
from tejat.plan import child, collectives, topology
from tejat.plan.roofline import MEMORY, PRODUCTS
from tejat.plan.topology import Topology
from tejat.train import mesh as meshes

PART, TOGETHER = 256, 8
"""Tokens of a part of a prompt, and prompts that are read at a time, as the service on an accelerator has them."""

WAIT = 2e-6
"""Seconds that an exchange takes, however little it sends: assumed, for links inside a slice."""

FULL = 0.92
"""Of the memory that rows are given; the rest is for what a step makes."""

FILLED = 0.5
"""Of a row's room, that its keys take while it is written, in the mean."""


@dataclass(frozen=True)
class Replica:
    """`tensor` chips that serve `rows` answers at a time, each of up to `context` tokens with its prompt."""

    size: str
    topology: str
    tensor: int
    rows: int
    context: int
    changes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Estimate:
    """Of a replica: seconds of a step of writing and of a part of prompts, bytes of a chip, and what follows."""

    tensor: int
    rows: int
    context: int
    weights_bytes: float  # of a chip
    keys_bytes: float  # of a chip
    step_s: float  # a token for every row
    read_s: float  # a token of every row's memory
    exchange_s: float  # of a step's exchanges
    prompt_s: float  # `TOGETHER` parts of prompts
    tokens_per_s: float  # written by the whole topology
    prompt_tokens_per_s: float
    mfu: float  # of a step of writing
    dollars_per_million: float  # tokens written
    prompt_dollars_per_million: float

    @property
    def bound(self) -> str:
        parts = {
            "memory": self.read_s,
            "exchanges": self.exchange_s,
            "arithmetic": self.step_s - self.exchange_s if self.step_s > self.read_s + self.exchange_s else 0.0,
        }
        return max(parts, key=parts.__getitem__)


def weight_bytes(config: ModelConfig, tensor: int) -> float:
    """Weights on one of the chips that share them, in bfloat16. What they do not divide is whole on each."""
    mesh = AbstractMesh(tuple(tensor if axis == "tensor" else 1 for axis in meshes.AXES), meshes.AXES)
    return sizes.BF16 * sum(
        param.size / (tensor if any(parallel.spec(mesh, param)) else 1) for _, param in walk(multimodal.params(config))
    )


def row_bytes(config: ModelConfig, context: int, tensor: int) -> float:
    """Keys and values of one row, on one of the chips that share its heads, where they can."""
    split = tensor if config.decoder.key_heads % tensor == 0 else 1
    return sizes.cache_bytes(config.decoder, context) / split


def estimate(
    config: ModelConfig, where: Topology, tensor: int, rows: int, context: int, exchanges: dict | None = None
) -> Estimate:
    """`exchanges` of a compiled step of writing and of a part of a prompt: {"write": (times, bytes), "read": …}."""
    chip, shape = where.chip, config.decoder
    replicas = where.chips // tensor
    multiplied = sum(p.size for name, p in _decoder(config) if sizes.multiplies(name, p))
    weights = weight_bytes(config, tensor)
    keys = rows * row_bytes(config, context, tensor)
    # A step reads the decoder and not the towers, and of each row what it has so far.
    read = (2 * multiplied / tensor + FILLED * keys) / (chip.bandwidth * MEMORY)
    attention = sizes.attention_flops(shape, context) / 3  # of a token, forward
    work = (2 * multiplied + attention) / tensor
    if exchanges is None:
        times, sent = 2 * shape.layers + 1, 2 * 2 * shape.width * (2 * shape.layers) * (1 - 1 / tensor)
        exchanges = {"write": (times, rows * sent), "read": (times, TOGETHER * PART * sent)}
    waits = {
        name: 0.0 if tensor == 1 else times * WAIT + sent / chip.links for name, (times, sent) in exchanges.items()
    }
    peak = chip.flops * PRODUCTS
    step = max(read + waits["write"], rows * work / peak + waits["write"])
    prompt = TOGETHER * PART * work / peak + 2 * multiplied / tensor / (chip.bandwidth * MEMORY) + waits["read"]
    dollars = where.chips * chip.dollars / 3_600
    written, told = replicas * rows / step, replicas * TOGETHER * PART / prompt
    return Estimate(
        tensor,
        rows,
        context,
        weights,
        keys,
        step,
        read,
        waits["write"],
        prompt,
        written,
        told,
        rows * work / step / chip.flops,
        dollars / written * 1e6,
        dollars / told * 1e6,
    )


def assumed(where: Topology) -> dict[str, float]:
    """What an estimate takes for granted: of a chip, per second and per hour, and the shares of it that are reached."""
    chip = where.chip
    return {
        "flops": chip.flops,
        "products_share": PRODUCTS,
        "bandwidth": chip.bandwidth,
        "bandwidth_share": MEMORY,
        "links": chip.links,
        "wait_s": WAIT,
        "filled_share": FILLED,
        "memory_share": FULL,
        "prompts": TOGETHER,
        "prompt_tokens": PART,
        "dollars": chip.dollars,
    }


def _decoder(config: ModelConfig) -> list:
    return list(walk(decoder.params(config.decoder)))


def candidates(config: ModelConfig, where: Topology, context: int, rows: int | None) -> list[Estimate]:
    """Replicas that fit and divide the model, the cheapest tokens first; without `rows`, as many as a chip holds, in
    powers of two. May be empty."""
    found = []
    for tensor in _tensors(config, where):
        for count in _rows(config, where, tensor, context) if rows is None else [rows]:
            made = estimate(config, where, tensor, count, context)
            if made.weights_bytes + made.keys_bytes <= FULL * where.chip.memory:
                found.append(made)
    return sorted(found, key=lambda each: each.dollars_per_million)


def _tensors(config: ModelConfig, where: Topology) -> Iterator[int]:
    """Numbers of chips that the model can be cut among, within a slice."""
    shape, tensor = config.decoder, 1
    while tensor <= min(64, where.chips // where.slices):
        wanted = shape.heads, shape.mlp, shape.vocabulary
        if all(size % tensor == 0 for size in wanted) and where.chips // where.slices % tensor == 0:
            yield tensor
        tensor *= 2


def _rows(config: ModelConfig, where: Topology, tensor: int, context: int) -> Iterator[int]:
    """The most that a chip has room for, and a quarter of it."""
    left = FULL * where.chip.memory - weight_bytes(config, tensor)
    most = int(left // row_bytes(config, context, tensor))
    if most >= 1:
        most = min(1 << (most.bit_length() - 1), 1_024)
        yield from {most, max(1, most // 4)}


def in_a_child(replica: Replica, limit: float) -> dict[str, Any]:
    """What `compiled` gives, or {"error": why there is nothing}. Raises BadInput as `compiled` does."""
    return child.run("tejat.plan.serving", asdict(replica), topology.parse(replica.topology), limit)


def compiled(
    size: str, topology: str, tensor: int, rows: int, context: int, changes: tuple[str, ...] = ()
) -> dict[str, Any]:
    """The engine's two steps, compiled: a token for every row, and a part of some prompts. Of each: the bytes of a chip
    and what it exchanges. Raises BadInput for what cannot be."""
    import jax
    import jax.numpy as jnp

    from tejat.infer import steps
    from tejat.infer.cache import empty_cache
    from tejat.model.params import Param
    from tejat.plan import topology as topologies
    from tejat.plan.compiling import Job, configured

    config = configured(Job(size, topology, 1, {}, 0, changes=tuple(changes)))
    where = topologies.parse(topology)
    mesh = meshes.make({"tensor": tensor}, topologies.devices(where))
    parallel.check(mesh, config)
    everywhere = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())

    def lying(a, where=everywhere):
        return jax.ShapeDtypeStruct(a.shape, a.dtype, sharding=where)

    params = jax.tree.map(lying, _apart(config), parallel.parameters(mesh, config))
    cache = jax.eval_shape(lambda: empty_cache(config.decoder, rows, context, jnp.bfloat16))
    by_head = [
        lying(a, jax.sharding.NamedSharding(mesh, meshes.spec(mesh, Param(a.shape, (None, None, "key_heads", None)))))
        for pair in cache.layers
        for a in pair
    ]
    pairs = tuple(zip(by_head[::2], by_head[1::2], strict=True))
    cache = cache._replace(layers=pairs, length=lying(cache.length))
    row = jax.ShapeDtypeStruct((rows,), jnp.int32, sharding=everywhere)

    def of(*shape: int, dtype=jnp.int32):
        return jax.ShapeDtypeStruct(shape, dtype, sharding=everywhere)

    together = min(TOGETHER, rows)
    part = steps.Part(
        of(together),
        of(together),
        of(together, PART),
        of(together, PART),
        of(together, PART, dtype=bool),
        of(together, PART, config.decoder.width, dtype=jnp.bfloat16),
    )
    found: dict[str, Any] = {"parameters": sum(a.size for a in jax.tree.leaves(params))}
    for name, lowered in (
        ("write", lambda: steps.forward.lower(params, config, cache, row, row, row, width=rows)),
        ("read", lambda: steps.read.lower(params, config, cache, part)),
    ):
        begun = time.monotonic()
        program = lowered().compile()
        told = collectives.exchanges(program.as_text(), where.chips)
        found[name] = {
            "compile_s": time.monotonic() - begun,
            "bytes": child.held(program),
            "exchanges": [asdict(each) for each in told],
        }
    return found


def _apart(config: ModelConfig):
    """Shapes of a model whose layers are apart, in bfloat16."""
    import jax
    import jax.numpy as jnp

    from tejat.model.params import abstract, map_params

    tree = multimodal.params(config)
    shapes, blocks = abstract(tree, jnp.bfloat16), {}
    for name, layers in tree["decoder"]["blocks"].items():
        one = map_params(lambda p: jax.ShapeDtypeStruct(p.shape[1:], jnp.bfloat16), layers)
        blocks[name] = (one,) * jax.tree.leaves(map_params(lambda p: p.shape[0], layers))[0]
    return {**shapes, "decoder": {**shapes["decoder"], "blocks": blocks}}


def exchanged(found: dict[str, Any]) -> dict[str, tuple[float, float]]:
    """(how many exchanges, bytes that a chip sends) of both steps that were compiled."""
    return {
        name: tuple(sum(each[what] for each in found[name]["exchanges"]) for what in ("count", "bytes"))
        for name in ("write", "read")
    }


def total(found: dict[str, Any]) -> int:
    """Bytes of a chip that has both programs and the larger one's arrays."""
    programs = sum(found[name]["bytes"]["program"] for name in ("write", "read"))
    arrays = (
        sum(found[name]["bytes"][what] for what in ("arguments", "temporaries", "results"))
        for name in ("write", "read")
    )
    return max(arrays) + programs


def table_of_keys(config: ModelConfig, context: int) -> list[dict[str, float]]:
    """GiB of keys and values by rows and by context, on all chips of a replica together."""
    contexts = sorted({min(context, 1 << power) for power in (11, 13, 15)} | {context})
    return [
        {"rows": rows, "context": each, "gib": rows * sizes.cache_bytes(config.decoder, each) / 2**30}
        for rows in (1, 8, 64)
        for each in contexts
    ]


def nothing_fits(config: ModelConfig, where: Topology, context: int) -> BadInput:
    """Why, and what would."""
    weights = 2 * sizes.parts(config).whole / 2**30
    row = sizes.cache_bytes(config.decoder, context) / 2**30
    return BadInput(
        f"{config.name} takes {weights:,.0f} GiB and {row:.2f} for each answer, and no replica of {where}, of "
        f"{where.chip.memory / 2**30:.0f} GiB a chip, holds it and divides its heads; try more chips, or fewer --rows"
    )


if __name__ == "__main__":
    sys.exit(child.main(compiled))
