"""The objective equals a direct computation over all scores, and its sums add up."""

import functools

import jax
import numpy as np
import pytest

from tejat.codecs.framing import Modality
from tejat.model import multimodal
from tejat.train import objective


@pytest.fixture(scope="module")
def params(initial):
    return initial.params


@pytest.fixture(scope="module")
def compute(config, params):
    @functools.partial(jax.jit, static_argnames=("picture_weight", "z_weight", "scores"))
    def compute(params, batch, **options):
        return objective.loss(params, config, batch, **options)

    return functools.partial(compute, params)


@pytest.fixture(scope="module")
def direct(config, params, batch):
    """(cross-entropy, log-partition) of every target, in float64 from the scores of all positions."""
    hidden = np.asarray(jax.jit(lambda p, i: multimodal.forward(p, config, i))(params, batch.inputs), np.float64)
    scores = hidden @ np.asarray(params["decoder"]["embedding"], np.float64).T
    partition = np.log(np.exp(scores).sum(-1))
    rows = np.arange(len(scores))[:, None]
    return partition[rows, batch.target_at] - scores[rows, batch.target_at, batch.targets], partition[
        rows, batch.target_at
    ]


OPTIONS = {"picture_weight": 0.3, "z_weight": 0.01}


@pytest.mark.parametrize("scores", [2**28, 20_000])
def test_equals_a_direct_computation(compute, batch, direct, scores):
    total, sums = compute(batch, **OPTIONS, scores=scores)
    losses, partition = direct
    text, picture = (batch.weights * (batch.modality == kind) for kind in (Modality.TEXT, Modality.PICTURE))
    assert text.sum() > 2 and picture.sum() > 2 and (batch.weights == 0).sum() > 2
    expected = {
        "text_loss": (losses * text).sum(),
        "text_count": text.sum(),
        "picture_loss": (losses * picture).sum(),
        "picture_count": picture.sum(),
    }
    assert sums.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(sums[name], value, rtol=1e-5)
    z = (np.square(partition) * batch.weights).sum() / batch.weights.sum()
    means = [expected[f"{kind}_loss"] / expected[f"{kind}_count"] for kind in ("text", "picture")]
    np.testing.assert_allclose(total, means[0] + 0.3 * means[1] + 0.01 * z, rtol=1e-5)


def test_targets_without_weight_count_for_nothing(compute, batch):
    elsewhere = batch._replace(targets=np.where(batch.weights > 0, batch.targets, 7))
    assert (elsewhere.targets != batch.targets).any()
    assert compute(batch, **OPTIONS)[0] == compute(elsewhere, **OPTIONS)[0]


def test_text_about_images_is_told_apart(compute, batch):
    assert "image_text_loss" not in compute(batch, **OPTIONS)[1]
    about = np.where(np.arange(batch.targets.shape[1]) % 3 == 0, Modality.IMAGE, Modality.TEXT) + np.zeros_like(
        batch.targets
    )
    total, sums = compute(batch._replace(about=about), **OPTIONS)
    assert total == compute(batch, **OPTIONS)[0]
    text = (batch.modality == Modality.TEXT) & (batch.weights > 0)
    assert sums["image_text_count"] == batch.weights[text & (about == Modality.IMAGE)].sum() > 0
    assert sums["audio_text_count"] == sums["audio_text_loss"] == 0
    rest = compute(batch._replace(about=about, weights=np.where(about == Modality.IMAGE, 0, batch.weights)), **OPTIONS)[
        1
    ]
    np.testing.assert_allclose(sums["image_text_loss"] + rest["text_loss"], sums["text_loss"], rtol=1e-5)
