"""The teacher of a distillation: what it thinks of every target of a batch.

Any bundle is one, trained here or imported (`tejat import huggingface`), as long as its student reads the same ids and
the same soft tokens. It sees what the student sees: images, sounds and clips, and the codes of pictures.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from tejat.bundle import Bundle
from tejat.data.packing import Batch
from tejat.errors import BadInput
from tejat.model import multimodal
from tejat.model.cross_entropy import in_parts, rejoined, scored
from tejat.model.params import Tree
from tejat.model.passes import SCANNED
from tejat.posttrain.distil_loss import AT_ONCE, Few, Whole
from tejat.posttrain.recipe import Kept
from tejat.train import objective


class Teacher:
    """A bundle whose thoughts are asked for, computed in `dtype`; `kept` of them, of `k` ids."""

    def __init__(self, bundle: Bundle, kept: Kept, k: int, dtype: DTypeLike, seed: int):
        """Raises BadInput where its vocabulary has no `k` ids."""
        if kept != "whole" and not 1 <= k <= bundle.config.decoder.vocabulary:
            raise BadInput(f"k is {k:,}; give 1 to {bundle.config.decoder.vocabulary:,}, the ids of the teacher")
        self.config = bundle.config
        # On the device once: the weights are an argument of what is compiled, not its constants.
        self._params = jax.device_put(jax.jit(multimodal.cast, static_argnums=1)(bundle.params, dtype))
        self._kept: Kept = kept
        self._k, self._seed = k, seed

    @property
    def cap(self) -> float | None:
        """The soft cap of its scores."""
        return self.config.decoder.soft_cap

    def __call__(self, batch: Batch, step: int) -> Whole | Few:
        """What it thinks of the targets of the batch of a step."""
        if self._kept == "whole":
            hidden = _hidden(self._params, self.config, batch)
            return Whole(self._params["decoder"]["embedding"], hidden)
        key = jax.random.fold_in(jax.random.key(self._seed), step)
        return _few(self._params, self.config, batch, self._kept, self._k, key)


@functools.partial(jax.jit, static_argnums=1)
def _hidden(params: Tree, config: multimodal.ModelConfig, batch: Batch) -> Float[Array, "B M E"]:
    return objective.at_targets(params, config, batch, SCANNED)


@functools.partial(jax.jit, static_argnums=(1, 3, 4))
def _few(params: Tree, config: multimodal.ModelConfig, batch: Batch, kept: Kept, k: int, key: Array) -> Few:
    hidden = objective.at_targets(params, config, batch, SCANNED)
    table, cap = params["decoder"]["embedding"], config.decoder.soft_cap
    random = jax.random.uniform(key, batch.targets.shape)
    choose = likeliest if kept == "likeliest" else drawn

    def some(_: None, part: Any) -> tuple[None, Few]:
        return None, choose(scored(table, part[0], cap), k, part[1])

    found = jax.lax.scan(some, None, in_parts(AT_ONCE // table.shape[0], hidden, random))[1]
    return Few(*(rejoined(x, batch.targets.shape[1]) for x in found))


def likeliest(scores: Float[Array, "B t V"], k: int, random: Float[Array, "B t"]) -> Few:
    """The k likeliest ids, as if there were no others: certain, and blind to what is rare."""
    top, ids = jax.lax.top_k(scores, k)
    log = jax.nn.log_softmax(top)
    return Few(ids, _short(jnp.exp(log)), -(jnp.exp(log) * log).sum(-1))


def drawn(scores: Float[Array, "B t V"], k: int, random: Float[Array, "B t"]) -> Few:
    """k ids drawn by their probabilities, each with the share 1/k: in the mean over draws, the whole distribution.

    Truncation to the likeliest teaches a student to be surer than its teacher; draws do not (Anshumann et al. 2025).
    They are systematic: one number in [0, 1) for each place makes k evenly spaced ones, so that an id of probability p
    is drawn pk times, rounded up or down.
    """
    log = jax.nn.log_softmax(scores)
    probabilities = jnp.exp(log)
    cumulative = jnp.cumsum(probabilities, axis=-1)
    at = (jnp.arange(k) + random[..., None]) / k * cumulative[..., -1:]
    count, (b, t) = scores.shape[-1], scores.shape[:2]
    find = functools.partial(jnp.searchsorted, side="right", method="scan_unrolled")
    ids = jax.vmap(find)(cumulative.reshape(-1, count), at.reshape(-1, k)).reshape(b, t, k)
    ids = jnp.minimum(ids, count - 1).astype(jnp.int32)
    return Few(ids, _short(jnp.full(ids.shape, 1.0 / k)), -(probabilities * log).sum(-1))


def _short(shares: Float[Array, "B t K"]) -> Array:
    """In 16 bits, as they are kept: on the fly or from disk, the same numbers teach."""
    return shares.astype(jnp.float16)
