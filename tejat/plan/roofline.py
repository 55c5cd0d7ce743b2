"""How long a step takes, by what it computes, reads and writes, and exchanges.

Products and attention run at shares of a chip's peak that were measured here; between them, what layers write and read
passes through memory. These three follow each other. On TPUs exchanges go on beside them, so that the longest is the
step; on GPUs they come on top: so steps on two H100 come out, as if nothing were hidden. What was measured where:
docs/PERFORMANCE.md, "A step of training" and "Several GPUs".
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

from tejat.model import audio, sizes, vision
from tejat.model.multimodal import ModelConfig
from tejat.model.params import walk
from tejat.plan.scaling import Law
from tejat.plan.topology import Topology

PRODUCTS, MEMORY = 0.74, 0.8
"""Shares of the peak, and of the bandwidth: nano1 on one H100, 4 rows of 4,096."""

ATTENTION = {"sliding": 0.195, "full": 0.27}
"""Shares of the peak: the kernels alone reach 0.25 in windows of 1,024 and 0.30 to 0.32 on full layers; in a step they
took a quarter longer."""

LINKS = 0.68
"""Share of their links' bandwidth that exchanges of GPUs reach: 7.3 GB, were gradients sent as float32, in the 24 ms by
which a step with data=2 on two H100 was longer than one GPU's."""

STREAM, GATED, SCORES = 40, 9, 4
"""How often a step passes over what is as wide as the model, as its MLP, and over the scores: fitted to the same."""

OPTIMIZER = 36
"""Bytes moved for a parameter: master, two moments, gradient, and its conversions."""

AGAIN = {"inputs": 4 / 3, "products": 1.0, "everything": 1.0}
"""Arithmetic of a step, where layers are made again, beside one where they are not."""


@dataclass(frozen=True)
class Estimate:
    """Seconds of a step and of its parts, and what follows from them."""

    step_s: float
    products_s: float
    attention_s: float
    memory_s: float
    links_s: float
    network_s: float
    tokens: int
    flops: float
    mfu: float

    @property
    def bound(self) -> str:
        """What the step waits for."""
        parts = {
            "arithmetic": self.products_s + self.attention_s + self.memory_s,
            "links between chips": self.links_s,
            "network between slices": self.network_s,
        }
        return max(parts, key=parts.__getitem__)


def estimate(
    config: ModelConfig,
    topology: Topology,
    rows: int,
    *,
    keep: str,
    accumulate: int,
    tensor: int,
    links: float,
    network: float,
    patches: int = 0,
    frames: int = 0,
) -> Estimate:
    """`links` and `network` are the bytes that a chip sends; `patches` and `frames` those of a row."""
    chip, chips, shape, taken = topology.chip, topology.chips, config.decoder, assumed(topology)
    tokens, one = rows * config.context, work(config, patches, frames)
    seen = {kind: rows * each for kind, each in one.attention.items()}
    attention, products = sum(seen.values()), rows * one.products
    moved = 2 * tokens * shape.layers * (STREAM * shape.width + GATED * shape.mlp) * AGAIN[keep]
    moved += 4 * SCORES * tokens * shape.vocabulary
    held = one.parameters
    moved += OPTIMIZER * held + 3 * 2 * held / tensor * accumulate * chips
    peak = chips * chip.flops / AGAIN[keep]
    times = {
        "products_s": products / (peak * PRODUCTS),
        "attention_s": sum(seen[kind] / (peak * share) for kind, share in ATTENTION.items()),
        "memory_s": moved / (chips * chip.bandwidth * MEMORY),
        "links_s": links / (chip.links * taken["links_share"]),
        "network_s": network / chip.network,
    }
    arithmetic = times["products_s"] + times["attention_s"] + times["memory_s"]
    inside = max(arithmetic, times["links_s"]) if taken["links_hidden"] else arithmetic + times["links_s"]
    longest = max(inside, times["network_s"])
    flops = attention + products
    return Estimate(longest, **times, tokens=tokens, flops=flops, mfu=flops / longest / (chips * chip.flops))


@dataclass(frozen=True)
class Work:
    """FLOPs of a row of a model's context, forward and backward, and the parameters that they are of."""

    attention: dict[str, float]
    """By the kind of layer."""
    products: float
    parameters: int


@cache
def work(config: ModelConfig, patches: int, frames: int) -> Work:
    """Counted once, however many meshes are looked at."""
    length = config.context
    seen = {kind: length * sizes.attention_flops(config.decoder, length, kind) for kind in ATTENTION}
    products = length * sizes.training_flops(config) - sum(seen.values()) + _towers(config, patches, frames)
    return Work(seen, products, sizes.parts(config).whole)


def critical(config: ModelConfig) -> float:
    """Tokens of a batch from which on more of them save hardly any steps: 2e8 / loss^(1/0.21), where the loss is that
    of a model of this size on all the text that it needs, (8.8e13 / parameters)^0.076 (Kaplan et al. 2020, arXiv
    2001.08361, sections 1.2 and 5.1)."""
    loss = (8.8e13 / sizes.active(config.decoder)) ** 0.076
    return 2e8 / loss ** (1 / 0.21)


def needed(config: ModelConfig, tokens: int) -> float:
    """How many tokens a run with batches of so many needs, beside one of small batches (McCandlish et al. 2018)."""
    return 1 + tokens / critical(config)


def _towers(config: ModelConfig, patches: int, frames: int) -> float:
    """Of the images and sounds of a row."""
    found = 0.0
    if config.vision:
        tree = vision.params(config.vision, config.decoder.width)
        found += 6 * patches * sum(p.size for name, p in walk(tree) if sizes.multiplies(name, p))
    if config.audio:
        tree = audio.params(config.audio, config.decoder.width)
        found += 6 * frames / 4 * sum(p.size for name, p in walk(tree) if sizes.multiplies(name, p))
    return found


def run(
    config: ModelConfig,
    topology: Topology,
    found: Estimate,
    tokens_per_parameter: float = 20.0,
    law: Law | None = None,
) -> dict[str, Any]:
    """A whole training: days, chip-hours and dollars. Of as many tokens for each parameter (Hoffmann et al. 2022), or
    of those for which a `law` has this size as the best, and then of this loss."""
    parameters = sizes.active(config.decoder)
    tokens = tokens_per_parameter * parameters if law is None else law.tokens_for(parameters)
    seconds = tokens / found.tokens * found.step_s
    hours = seconds / 3600 * topology.chips
    return {
        "parameters": parameters,
        "tokens": tokens,
        "loss": None if law is None else law.loss(parameters, tokens),
        "days": seconds / 86_400,
        "chip_hours": hours,
        "dollars": hours * topology.chip.dollars,
        "tokens_per_day": found.tokens / found.step_s * 86_400,
    }


def assumed(topology: Topology) -> dict[str, Any]:
    """What an estimate takes for granted: of a chip, per second and per hour, and the shares of it that are reached."""
    chip = topology.chip
    return {
        "flops": chip.flops,
        "products_share": PRODUCTS,
        "attention_share": ATTENTION,
        "bandwidth": chip.bandwidth,
        "bandwidth_share": MEMORY,
        "links": chip.links,
        "links_share": 1.0 if chip.is_tpu else LINKS,
        "links_hidden": chip.is_tpu,
        "network": chip.network,
        "dollars": chip.dollars,
    }


def sent(exchanges: Sequence[dict[str, Any]]) -> tuple[float, float]:
    """(bytes over the links between chips, bytes over the network between slices) of a step, by each chip."""
    inside = sum(each["bytes"] for each in exchanges if not each["between_slices"])
    return inside, sum(each["bytes"] for each in exchanges if each["between_slices"])


def as_json(found: Estimate) -> dict[str, Any]:
    return asdict(found) | {"bound": found.bound}
