"""The vision tower: an image means the same alone, among others and beside padding; pooling by its definition."""

import dataclasses
import functools

import jax
import numpy as np
import pytest

from tejat.codecs.image import Patches, patchify
from tejat.model import vision
from tejat.model.vision import VisionConfig

CONFIG = VisionConfig(
    width=16, layers=2, heads=2, head_width=8, mlp=24, patch=2, pool=2, table=16, budgets=(4, 16), standardize=True
)
ROOM = 40  # patches of a row


@pytest.fixture(scope="module")
def params(drawn):
    found = drawn(vision.params(CONFIG, 12), seed=0)
    random = np.random.default_rng(1)
    found["shift"], found["spread"] = random.standard_normal((2, CONFIG.width), np.float32)
    return found


@functools.partial(jax.jit, static_argnums=1)
def run(params, config, patches, positions, images, slots):
    features = vision.encode(params, config, patches, positions, images)
    return features, vision.soft_tokens(params, config, features, slots, ROOM // config.pool**2)


def image(seed: int, height: int, width: int) -> Patches:
    return patchify(np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8), CONFIG, 8)


def buffer(*rows):
    """Each row's images, one after the other from a patch on, with whatever else a buffer holds as noise."""
    patches = np.random.default_rng(9).random((len(rows), ROOM, 12), np.float32)
    positions = np.full((len(rows), ROOM, 2), 3, np.int32)
    images, slots = np.zeros((len(rows), ROOM), np.int32), np.full((len(rows), ROOM), -1, np.int32)
    for row, (start, *content) in enumerate(rows):
        for number, one in enumerate(content, 1):
            span = slice(start, start + len(one.patches))
            patches[row, span], positions[row, span], images[row, span] = one.patches, one.positions, number
            slots[row, span] = one.slots + start // CONFIG.pool**2
            start = span.stop
    return patches, positions, images, slots


def test_an_image_means_the_same_alone_packed_and_padded(params):
    square, wide, tall = image(0, 8, 8), image(1, 4, 16), image(2, 20, 4)
    assert [i.count for i in (square, wide, tall)] == [4, 5, 6]
    _, packed = run(params, CONFIG, *buffer((0, square, wide), (4, tall), (0, wide, square)))
    _, alone = run(params, CONFIG, *buffer((0, square), (0, wide), (0, tall)))
    n, m = square.count, wide.count
    for found, expected in (
        (packed[0, :n], alone[0, :n]),
        (packed[0, n : n + m], alone[1, :m]),
        (packed[1, 1 : 1 + tall.count], alone[2, : tall.count]),
        (packed[2, :m], alone[1, :m]),
        (packed[2, m : m + n], alone[0, :n]),
    ):
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


def test_images_that_see_each_other_are_noticed(params):
    """The control of the test above."""
    one, other = image(0, 8, 8), image(1, 4, 16)
    patches, positions, images, slots = buffer((0, one, other))
    apart = run(params, CONFIG, patches, positions, images, slots)[1]
    together = run(params, CONFIG, patches, positions, np.minimum(images, 1), slots)[1]
    assert np.abs(apart - together)[0, : one.count].max() > 1e-2


def test_a_soft_token_is_the_mean_of_its_patches_standardised_normalised_projected(params):
    one = image(3, 8, 12)
    features, found = run(params, CONFIG, *buffer((0, one)))
    features = np.asarray(features[0], np.float64)
    for slot in range(one.count):
        mean = features[: len(one.slots)][one.slots == slot].mean(0) * CONFIG.width**0.5
        value = (mean - params["shift"]) * params["spread"]
        value = value / np.sqrt(np.square(value).mean() + CONFIG.epsilon)
        np.testing.assert_allclose(found[0, slot], value @ np.asarray(params["out"], np.float64), rtol=0, atol=1e-5)


def test_where_a_patch_stands_matters(params):
    one = image(0, 8, 8)
    moved = one._replace(positions=one.positions[:, ::-1].copy())
    a, b = (run(params, CONFIG, *buffer((0, i)))[1][0, : one.count] for i in (one, moved))
    assert np.abs(a - b).max() > 1e-2


def test_infinite_clipping_bounds_change_nothing_and_finite_ones_do(params, drawn):
    config = dataclasses.replace(CONFIG, clipped=True)
    clipped = dict(params, blocks=drawn(vision.params(config, 12), seed=0)["blocks"])
    for name, weight in clipped["blocks"].items():
        if isinstance(weight, dict):
            weight["w"] = params["blocks"][name]
    arrays = buffer((0, image(0, 8, 8)))
    plain, same = run(params, CONFIG, *arrays)[0], run(clipped, config, *arrays)[0]
    np.testing.assert_allclose(same, plain, rtol=0, atol=1e-5)
    clipped["blocks"]["down"]["output_max"] = np.zeros(CONFIG.layers, np.float32)
    assert np.abs(run(clipped, config, *arrays)[0] - plain).max() > 1e-2
