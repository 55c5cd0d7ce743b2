"""What training minimises: the mean cross-entropy of each modality, weighted, with a z-loss."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from tejat.codecs.framing import Modality
from tejat.data.packing import Batch
from tejat.model import decoder, multimodal
from tejat.model.params import Tree

PREDICTED = (Modality.TEXT, Modality.PICTURE)
"""Modalities that a model writes; the others it only reads."""


def loss(
    params: Tree,
    config: multimodal.ModelConfig,
    batch: Batch,
    *,
    picture_weight: float = 1.0,
    z_weight: float = 1e-4,
    remat: bool = False,
    chunk: int = 1024,
) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
    """(what to minimise, sums for the log).

    The sums "text_loss", "text_count" and so on are over tokens, so that they add up over devices and steps. Scores
    are made for `chunk` targets at a time and made again in the backward pass: they never exist for a whole batch.
    """
    hidden = multimodal.forward(params, config, batch.inputs, remat=remat)
    hidden = jnp.take_along_axis(hidden, batch.target_at[..., None], axis=1)
    losses, squares = token_losses(
        params["decoder"], config.decoder, hidden.reshape(-1, hidden.shape[-1]), batch.targets.reshape(-1), chunk
    )
    weights, modality = batch.weights.reshape(-1), batch.modality.reshape(-1)
    total = z_weight * (squares * weights).sum() / jnp.maximum(weights.sum(), 1.0)
    sums = {}
    for kind in PREDICTED:
        mine = weights * (modality == kind)
        name, count = kind.name.lower(), mine.sum()
        share = picture_weight if kind is Modality.PICTURE else 1.0
        sums[f"{name}_loss"], sums[f"{name}_count"] = (losses * mine).sum(), count
        total += share * sums[f"{name}_loss"] / jnp.maximum(count, 1.0)
    return total, sums


def token_losses(
    params: Tree, config: decoder.DecoderConfig, hidden: Float[Array, "N D"], targets: Int[Array, " N"], chunk: int
) -> tuple[Float[Array, " N"], Float[Array, " N"]]:
    """Cross-entropy of every target in nats, and the squared log-partition that the z-loss pulls to zero."""

    @jax.checkpoint
    def some(pair):
        rows, wanted = pair
        scores = decoder.logits(params, config, rows)
        partition = jax.nn.logsumexp(scores, axis=-1)
        return partition - jnp.take_along_axis(scores, wanted[:, None], axis=-1)[:, 0], jnp.square(partition)

    count = hidden.shape[0]
    chunk = min(chunk, count)
    short = -count % chunk
    hidden = jnp.pad(hidden, ((0, short), (0, 0))).reshape(-1, chunk, hidden.shape[-1])
    targets = jnp.pad(targets, (0, short)).reshape(-1, chunk)
    losses, squares = jax.lax.map(some, (hidden, targets))
    return losses.reshape(-1)[:count], squares.reshape(-1)[:count]
