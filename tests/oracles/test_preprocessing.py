"""Pixels to patches and sound to log-mel frames, against the processors of `transformers` Gemma 4."""

import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import prompts
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file

from tejat.codecs.audio import HOP, log_mel
from tejat.codecs.image import fitted, patchify
from tejat.model.vision import VisionConfig

REFERENCE = Path(__file__).parent / "references" / "preprocessing.safetensors"
CONFIG = VisionConfig(width=16, layers=1, heads=1, head_width=8, mlp=8, patch=4, pool=2)
MEL = 1e-5


def test_images_come_out_as_large_as_theirs():
    sizes, _, _ = prompts.raw()
    found = [fitted(int(h), int(w), 48, int(budget)) for h, w, budget in sizes]
    np.testing.assert_array_equal(found, load_file(REFERENCE)["sizes"])


def test_patches_are_theirs():
    """Order of the patches, of the numbers in each, positions and pixels, of an image that has to be resized."""
    kept = load_file(REFERENCE)
    found = patchify(prompts.raw()[1], CONFIG, 70)
    count = len(found.patches)
    np.testing.assert_array_equal(found.positions, kept["positions"][:count])
    assert (kept["positions"][count:] == -1).all()
    np.testing.assert_array_equal(np.rint(found.patches * 255), kept["patches"][:count])
    wrong = found.patches.reshape(count, 4, 4, 3).transpose(0, 3, 1, 2).reshape(count, -1)
    assert np.abs(np.rint(wrong * 255) - kept["patches"][:count]).max() > 1


def test_log_mel_frames_are_theirs():
    sound, expected = prompts.raw()[2], load_file(REFERENCE)["mel"]
    np.testing.assert_allclose(log_mel(sound), expected, rtol=0, atol=MEL)
    assert np.abs(log_mel(np.roll(sound, 1)) - expected).max() > 1e-2


def rounds_down(height: int, width: int, budget: int) -> bool:
    """Is a side in soft tokens a whole number to begin with? In their floats it may come out one too small."""
    ratios = Fraction(budget * height, width), Fraction(budget * width, height)
    return any(r.denominator == 1 and math.isqrt(r.numerator) ** 2 == r.numerator for r in ratios)


@pytest.mark.oracle
@settings(max_examples=2_000, deadline=None)
@given(st.integers(1, 5_000), st.integers(1, 5_000), st.sampled_from([70, 140, 280, 560, 1120]))
def test_sizes_are_those_of_transformers(height, width, budget):
    import make

    assume(not rounds_down(height, width, budget))
    assert fitted(height, width, 48, budget) == make.their_size(height, width, budget)


@pytest.mark.oracle
@settings(max_examples=30, deadline=None)
@given(st.integers(8, 200), st.integers(8, 200), st.integers(0, 99))  # fewer rows they may take for channels
def test_patches_are_those_of_transformers(height, width, seed):
    import make

    assume(not rounds_down(height, width, 70))
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    patches, positions = make.their_patches(pixels)
    found = patchify(pixels, CONFIG, 70)
    real = positions[:, 0] >= 0
    np.testing.assert_array_equal(found.positions, positions[real])
    np.testing.assert_allclose(found.patches, patches[real], rtol=0, atol=1 / 255)


@pytest.mark.oracle
@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(HOP + 1, 20_000), min_size=1, max_size=3), st.integers(0, 99))
def test_log_mel_frames_are_those_of_transformers(lengths, seed):
    """Several sounds at once, padded to the longest."""
    import make

    random = np.random.default_rng(seed)
    sounds = [random.uniform(-1, 1, n).astype(np.float32) for n in lengths]
    for found, expected in zip(map(log_mel, sounds), make.their_mel(sounds), strict=True):
        np.testing.assert_allclose(found, expected, rtol=0, atol=MEL)


@pytest.mark.oracle
def test_the_reference_is_what_transformers_makes():
    import make

    kept, made = load_file(REFERENCE), make.preprocessed()
    assert kept.keys() == made.keys()
    for name, array in made.items():
        np.testing.assert_allclose(kept[name], array, rtol=0, atol=1e-6, err_msg=name)
