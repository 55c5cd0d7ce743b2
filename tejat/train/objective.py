"""What training minimises: the mean cross-entropy of each modality, weighted, with a z-loss."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from tejat.codecs.framing import Modality
from tejat.data.packing import Batch
from tejat.model import cross_entropy, multimodal
from tejat.model.layers import picked
from tejat.model.params import Tree
from tejat.model.passes import SCANNED, Pass
from tejat.model.placing import placed

PREDICTED = (Modality.TEXT, Modality.PICTURE)
"""Modalities that a model writes; the others it only reads."""

READ = (Modality.IMAGE, Modality.AUDIO, Modality.VIDEO)
"""What a text may be about; a clip with sound is a clip."""

LOSSES = (*(kind.name.lower() for kind in PREDICTED), *(f"{kind.name.lower()}_text" for kind in READ))
"""Names of the losses in the sums, in the order in which they are told."""


def loss(
    params: Tree,
    config: multimodal.ModelConfig,
    batch: Batch,
    *,
    picture_weight: float = 1.0,
    z_weight: float = 1e-4,
    how: Pass = SCANNED,
    scores: int = cross_entropy.SCORES,
    counts: dict[Modality, Float[Array, ""]] | None = None,
) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
    """(what to minimise, sums for the log). Of a part of a batch, `counts` are those of the whole: parts add up to it.

    The sums "text_loss", "text_count" and so on are over tokens, so that they add up over devices and steps. Those of
    "image_text" and the like, where the batch tells them apart, are of the text in documents with images.
    """
    hidden = at_targets(params, config, batch, how)
    weights, square_weights = shares(batch, picture_weight, z_weight, counts)
    table, cap = params["decoder"]["embedding"], config.decoder.soft_cap
    total, found = cross_entropy.weighted(table, hidden, batch.targets, weights, square_weights, cap, scores)
    return total, sums(batch, jax.lax.stop_gradient(found.losses))


def at_targets(
    params: Tree, config: multimodal.ModelConfig, batch: Batch, how: Pass = SCANNED
) -> Float[Array, "B M D"]:
    """The hidden states that predict the targets; zeros where there is none."""
    hidden = multimodal.forward(params, config, batch.inputs, how)
    hidden = placed(hidden, "rows", None, None)  # of a row, any place may be asked for
    hidden = picked(hidden, jnp.where(batch.weights > 0, batch.target_at, hidden.shape[1]))
    return placed(hidden, "rows", "sequence", None)


def shares(
    batch: Batch, picture_weight: float, z_weight: float, counts: dict[Modality, Float[Array, ""]] | None = None
) -> tuple[Float[Array, "B M"], Float[Array, "B M"]]:
    """(the weight of every target's loss, that of its squared log-partition) in what is minimised."""
    counts = predicted(batch) if counts is None else counts
    of = {Modality.TEXT: 1.0, Modality.PICTURE: picture_weight}
    weights = sum(of[kind] * _mine(batch, kind) / jnp.maximum(counts[kind], 1.0) for kind in PREDICTED)
    return weights, z_weight * batch.weights / jnp.maximum(sum(counts.values()), 1.0)


def sums(batch: Batch, losses: Float[Array, "B M"]) -> dict[str, Float[Array, ""]]:
    """What the log is made of, from the loss of every target."""
    found = {}
    for kind in PREDICTED:
        name, mine = kind.name.lower(), _mine(batch, kind)
        found[f"{name}_loss"], found[f"{name}_count"] = (losses * mine).sum(), mine.sum()
    for kind in READ if batch.about is not None else ():
        name, told = f"{kind.name.lower()}_text", _mine(batch, Modality.TEXT) * (batch.about == kind)
        found[f"{name}_loss"], found[f"{name}_count"] = (losses * told).sum(), told.sum()
    return found


def _mine(batch: Batch, kind: Modality) -> Float[Array, "B M"]:
    return batch.weights * (batch.modality == kind)


def predicted(batch: Batch) -> dict[Modality, Float[Array, ""]]:
    """How many targets a batch has of each modality."""
    return {kind: _mine(batch, kind).sum() for kind in PREDICTED}
