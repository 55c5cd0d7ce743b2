"""Log-probabilities beside all scores at once, their gradients too, and over the ids that the engine allows."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tejat.data.packing import Room
from tejat.infer.constraints import Rule
from tejat.model import decoder, multimodal
from tejat.parts import Document, Text, Turn
from tejat.posttrain import likelihood
from tejat.posttrain.packed import Rows

ROOM = Room(rows=2, tokens=48, targets=40, patches=0, sounds=0, frames=0)


@pytest.fixture(scope="module")
def held(talker):
    turns = [[Turn("user", (Text("a b"),)), Turn("model", (Text(answer),))] for answer in ("c d", "one two", "x")]
    rows = Rows(talker.config, ROOM)
    assert rows.take([talker.framing.encode(Document.from_turns(each)) for each in turns])
    return rows.finish(3)


def plain(params, config, held, allowed):
    """All scores of the batch, as one array."""
    hidden = multimodal.forward(params, config, held.batch.inputs)
    scores = decoder.logits(params["decoder"], config.decoder, hidden)
    scores = jnp.where(allowed, scores, -1e30) if allowed is not None else scores
    logs = jax.nn.log_softmax(scores)
    here = jnp.take_along_axis(logs, jnp.asarray(held.batch.target_at)[..., None], axis=1)
    chosen = jnp.take_along_axis(here, jnp.asarray(held.batch.targets)[..., None], axis=2)[..., 0]
    entropy = -(jnp.exp(here) * jnp.where(jnp.exp(here) > 0, here, 0)).sum(-1)
    there = held.batch.weights > 0
    return jnp.where(there, chosen, 0), jnp.where(there, entropy, 0)


def test_as_all_scores_at_once(talker, held, monkeypatch):
    monkeypatch.setattr(likelihood, "PLACES", 24)  # in several parts, the last of them not full
    allowed = likelihood.of_text(Rule.of(talker.vocabulary, None), talker.config.decoder.vocabulary)
    assert 0 < allowed.sum() < allowed.size and not allowed[0] and allowed[talker.vocabulary["<turn|>"]]

    def total(function, params):
        logprobs, entropies, *_ = function(params, talker.config, held, allowed)
        return (jnp.square(logprobs) + 0.3 * logprobs * entropies).sum(), (logprobs, entropies)

    value = functools.partial(jax.value_and_grad, has_aux=True)
    (mine, both), gradient = jax.jit(value(functools.partial(total, likelihood.likely)))(talker.params)
    (other, wanted), slope = jax.jit(value(functools.partial(total, plain)))(talker.params)
    np.testing.assert_allclose(mine, other, rtol=1e-5)
    for a, b in zip(both, wanted, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)
    most = max(float(jnp.abs(b).max()) for b in jax.tree.leaves(slope))
    for a, b in zip(jax.tree.leaves(gradient), jax.tree.leaves(slope), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5 * most)


def test_sums_of_documents(talker, held):
    values = np.arange(held.owner.size, dtype=np.float32).reshape(held.owner.shape)
    wanted = [values[held.owner == n].sum() for n in range(3)]
    np.testing.assert_allclose(likelihood.totals(values, held, 3), wanted)
