"""A reward model: a model's Transformer, and scores of an answer read off where it ends, one for each head.

DIRECTORY holds a bundle, and beside it
    reward.json          heads and the weights that combine them; mean and deviation of the combined score
    reward.safetensors   the heads
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from tejat import bundle
from tejat.bundle import Bundle
from tejat.codecs.framing import Encoded
from tejat.errors import BadInput
from tejat.infer.room import bucket, coarse_room
from tejat.model import multimodal, weights
from tejat.model.layers import picked
from tejat.model.multimodal import ModelConfig
from tejat.model.params import Param, Tree
from tejat.model.passes import SCANNED, Pass
from tejat.parts import write_whole
from tejat.posttrain.packed import Packed, Rows

ROWS = 32
"""Answers scored at once."""


@dataclass(frozen=True)
class RewardModel:
    """`heads` are [D, H] and a bias of [H]; `scale` is (mean, deviation) of the combined score."""

    bundle: Bundle
    heads: Tree
    weights: Mapping[str, float]
    scale: tuple[float, float] = (0.0, 1.0)

    def scores(self, documents: Sequence[Encoded]) -> Float[np.ndarray, "n H"]:
        """Of each dialogue, the scores of its last answer by every head. Documents are of one target (`at_the_end`)."""
        found = np.zeros((len(documents), len(self.weights)), np.float32)
        ordered = sorted(range(len(documents)), key=lambda n: len(documents[n]))
        for begin in range(0, len(ordered), ROWS):
            group = ordered[begin : begin + ROWS]
            room = replace(coarse_room([documents[n] for n in group], self.bundle.config), rows=bucket(len(group), 1))
            rows = Rows(self.bundle.config, room)
            for n in group:
                rows.take([documents[n]])
            packed = rows.finish(room.rows)
            found[group] = np.asarray(_scores(self.bundle.params, self.heads, self.bundle.config, packed))[: len(group)]
        return found

    def combined(self, scores: Float[np.ndarray, "n H"]) -> Float[np.ndarray, " n"]:
        """One number for each answer: the weighted sum of its heads' scores, in deviations from the mean."""
        mean, deviation = self.scale
        return (scores @ np.asarray([*self.weights.values()], np.float32) - mean) / deviation


def params(width: int, heads: int) -> Tree:
    """The heads, which begin so small that all answers are nearly equal."""
    return {
        "matrix": Param((width, heads), ("embed", None), "normal", width * 100),
        "bias": Param((heads,), (None,), 0.0),
    }


def scores(
    weights: Tree, heads: Tree, config: ModelConfig, packed: Packed, documents: int, how: Pass = SCANNED
) -> Float[Array, "N H"]:
    """Of every document of a batch, in float32."""
    batch = packed.batch
    hidden = multimodal.forward(weights, config, batch.inputs, how)
    hidden = picked(hidden, jnp.where(batch.weights > 0, batch.target_at, hidden.shape[1])).astype(jnp.float32)
    each = hidden @ heads["matrix"].astype(jnp.float32) + heads["bias"].astype(jnp.float32)
    each = jnp.where((batch.weights > 0)[..., None], each, 0.0)
    flat = each.reshape(-1, each.shape[-1])
    return jax.ops.segment_sum(flat, packed.owner.reshape(-1), documents + 1)[:documents]


@partial(jax.jit, static_argnums=2)
def _scores(weights: Tree, heads: Tree, config: ModelConfig, packed: Packed) -> Float[Array, "N H"]:
    return scores(weights, heads, config, packed, packed.owner.shape[0])


def save(directory: Path, model: RewardModel) -> None:
    """Writes the bundle, then the heads; reward.json comes last."""
    bundle.save(directory, model.bundle)
    weights.write(directory / "reward.safetensors", model.heads)
    told = {"weights": dict(model.weights), "mean": model.scale[0], "deviation": model.scale[1]}
    write_whole(directory / "reward.json", (json.dumps(told, indent=1) + "\n").encode())


def load(directory: Path) -> RewardModel:
    """Reads what `save` wrote. Raises BadInput, naming the file, for what is missing or damaged."""
    path = directory / "reward.json"
    try:
        told: Any = json.loads(path.read_text())
        named = {str(name): float(weight) for name, weight in told["weights"].items()}
        scale = float(told["mean"]), float(told["deviation"])
    except OSError as error:
        raise BadInput(
            f"{directory} is no reward model ({path.name}: {error.strerror}); make one with `tejat tune reward`"
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadInput(f"{path} is damaged ({error}); copy the reward model again") from error
    found = bundle.load(directory)
    found = replace(found, params=jax.device_put(found.params))
    heads = weights.read(directory / "reward.safetensors", params(found.config.decoder.width, len(named)))
    return RewardModel(found, heads, named, scale)
