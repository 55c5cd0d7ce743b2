"""How likely a model finds the tokens of a document, and what it finds likeliest in their places."""

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from tejat.codecs.framing import Encoded
from tejat.data.packing import Batch
from tejat.infer.engine import Engine, forward
from tejat.model import decoder, narrow
from tejat.model.multimodal import ModelConfig
from tejat.model.params import Tree

if TYPE_CHECKING:
    from tejat.infer.onnx_engine import OnnxEngine

ROWS = 256
"""Places whose scores over the whole vocabulary are held at once."""


class Likelihood(NamedTuple):
    """For every token of a document after the first whose `loss` is true, in order."""

    logprobs: Float[np.ndarray, " n"]
    best: Int[np.ndarray, " n"]  # the likeliest id in its place
    best_logprobs: Float[np.ndarray, " n"]  # equal to the bit where the token itself is the likeliest


def likelihoods(engine: "Engine | OnnxEngine", documents: Sequence[Encoded]) -> list[Likelihood]:
    """Over the whole vocabulary, as in training. Raises BadInput for a document longer than the context."""
    if not isinstance(engine, Engine):
        return engine.likelihoods(documents)
    found: list[Likelihood | None] = [None] * len(documents)
    for group, batch in engine.batches(documents):
        columns = [np.asarray(a) for a in _likelihood(engine.params, engine.config, batch)]
        for row, i in enumerate(group):
            real = np.asarray(batch.weights[row]) > 0
            found[i] = Likelihood(*(column[row][real] for column in columns))
    return [one for one in found if one is not None]


@functools.partial(jax.jit, static_argnames="config")
def _likelihood(
    params: Tree, config: ModelConfig, batch: Batch
) -> tuple[Float[Array, "B M"], Int[Array, "B M"], Float[Array, "B M"]]:
    params = narrow.whole(params)  # its table is used for hundreds of places at a time
    hidden = forward(params, config, batch.inputs)
    hidden = jnp.take_along_axis(hidden, batch.target_at[..., None], axis=1)
    flat, targets = hidden.reshape(-1, hidden.shape[-1]), batch.targets.reshape(-1)

    def place(both: tuple[Array, Array]) -> tuple[Array, Array, Array]:
        state, target = both
        scores = jax.nn.log_softmax(decoder.logits(params["decoder"], config.decoder, state).astype(jnp.float32))
        best = jnp.argmax(scores).astype(jnp.int32)
        return scores[target], best, scores[best]

    columns = jax.lax.map(place, (flat, targets), batch_size=ROWS)
    return tuple(column.reshape(batch.targets.shape) for column in columns)
