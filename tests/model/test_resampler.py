"""The resampler: an image means the same alone, among others and beside padding; each latent sees all of its image."""

import dataclasses
import functools

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tejat.model import multimodal, resampler, vision
from tejat.model.vision import VisionConfig

CONFIG = VisionConfig(
    width=16, layers=1, heads=2, head_width=8, mlp=24, front_end="resampled", latents=3, resampler_layers=2
)
ROOM = 24  # patches of a row


@pytest.fixture(scope="module")
def params(drawn):
    tower = {"resampler": resampler.params(CONFIG), "out": vision.params(CONFIG, 12)["out"]}
    return drawn(tower, seed=0)


run = functools.partial(jax.jit, static_argnums=1)(resampler.soft_tokens)


def features(seed: int, count: int) -> np.ndarray:
    return np.random.default_rng([seed, count]).standard_normal((count, CONFIG.width)).astype(np.float32)


def buffer(*images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """One row with the images from its first patch on, then noise; room for four."""
    values = np.random.default_rng(9).standard_normal((1, ROOM, CONFIG.width)).astype(np.float32)
    counts = np.zeros((1, 4), np.int32)
    at = 0
    for number, image in enumerate(images):
        values[0, at : (at := at + len(image))] = image
        counts[0, number] = len(image)
    return values, counts


def by_definition(params, image: np.ndarray) -> np.ndarray:
    """Latents of one image alone, with a full matrix of scores and one head after the other."""
    n = CONFIG.head_width

    def norm(x, weight=1.0):
        return x / np.sqrt(np.square(x).mean(-1, keepdims=True) + CONFIG.epsilon) * np.asarray(weight, np.float64)

    image, x = image.astype(np.float64), np.asarray(params["resampler"]["latents"], np.float64)
    for layer in range(CONFIG.resampler_layers):
        w = {name: np.asarray(a[layer], np.float64) for name, a in params["resampler"]["blocks"].items()}
        y = norm(x, w["attention_norm"])
        seen = np.concatenate([norm(image, w["feature_norm"]), y])
        parts = []
        for head in range(CONFIG.heads):
            part = slice(head * n, (head + 1) * n)
            q, k = norm((y @ w["q"])[:, part], w["q_norm"]), norm((seen @ w["k"])[:, part], w["k_norm"])
            scores = np.exp(q @ k.T)
            parts.append(scores / scores.sum(1, keepdims=True) @ norm((seen @ w["v"])[:, part]))
        x = x + norm(np.concatenate(parts, 1) @ w["o"], w["post_attention_norm"])
        y = norm(x, w["mlp_norm"])
        gate = np.asarray(jax.nn.gelu(y @ w["gate"], approximate=True), np.float64)
        x = x + norm((gate * (y @ w["up"])) @ w["down"], w["post_mlp_norm"])
    return norm(x) @ np.asarray(params["out"], np.float64)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(1, 8), min_size=1, max_size=3))
def test_every_image_gets_its_latents_as_if_alone(params, lengths):
    images = [features(seed, count) for seed, count in enumerate(lengths)]
    found = run(params, CONFIG, *buffer(*images))
    assert found.shape == (1, 4 * CONFIG.latents, 12)
    for number, image in enumerate(images):
        mine = found[0, number * CONFIG.latents : (number + 1) * CONFIG.latents]
        np.testing.assert_allclose(mine, by_definition(params, image), rtol=0, atol=1e-4)


def test_other_borders_between_images_are_noticed(params):
    """The control of the test above."""
    values, counts = buffer(features(0, 5), features(1, 6))
    moved = counts + np.asarray([[1, -1, 0, 0]], np.int32)
    found, wrong = (run(params, CONFIG, values, c)[0] for c in (counts, moved))
    assert np.abs(found - wrong)[: CONFIG.latents].max() > 1e-2
    assert np.isfinite(found).all()  # images of no patches included


def test_every_patch_is_seen(params):
    values, counts = buffer(features(0, 5), features(1, 6))
    found = run(params, CONFIG, values, counts)[0]
    for patch in range(11):
        other = values.copy()
        other[0, patch] += 1.0
        change = np.abs(run(params, CONFIG, other, counts)[0] - found).reshape(4, -1).max(1)
        mine = int(patch >= 5)
        assert change[mine] > 1e-3 and change[1 - mine] == 0


def test_the_tower_has_a_resampler_only_where_it_is_chosen(micro):
    assert "resampler" not in multimodal.params(micro.config)["vision"]
    chosen = dataclasses.replace(micro.config.vision, front_end="resampled")
    assert "resampler" in multimodal.params(dataclasses.replace(micro.config, vision=chosen))["vision"]
