"""Log-mel frames against the formula written out, and pieces that drop nothing."""

import dataclasses
import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tejat.codecs import audio
from tejat.codecs.audio import Continuation, log_mel, pieces, soft_count
from tejat.model import family

CONFIG = family.preset("micro").audio


def slowly(samples: np.ndarray, mels: int) -> np.ndarray:
    """Frame by frame, a discrete Fourier transform by its definition, each filter a triangle in hertz."""
    samples = np.concatenate([np.zeros(160), np.asarray(samples, np.float64)])
    hann = np.asarray([0.5 - 0.5 * math.cos(2 * math.pi * i / 320) for i in range(320)])
    transform = np.exp(-2j * np.pi * np.outer(np.arange(320), np.arange(257)) / 512)
    corners = 700 * (10 ** (np.linspace(0, 2595 * math.log10(1 + 8_000 / 700), mels + 2) / 2595) - 1)
    frames = []
    for start in range(0, len(samples) - 320, 160):
        magnitudes = np.abs((samples[start : start + 320] * hann) @ transform)
        frames.append([])
        for low, middle, high in zip(corners, corners[1:], corners[2:], strict=False):
            total = 0.0
            for index, magnitude in enumerate(magnitudes):
                hertz = index * 16_000 / 512
                total += magnitude * max(0.0, min((hertz - low) / (middle - low), (high - hertz) / (high - middle)))
            frames[-1].append(math.log(total + 1e-3))
    return np.asarray(frames)


@pytest.mark.parametrize(("count", "mels"), [(161, 128), (1_000, 128), (1_121, 40)])
def test_equals_the_formula(count, mels):
    samples = np.random.default_rng(count).uniform(-1, 1, count).astype(np.float32)
    found, expected = log_mel(samples, mels), slowly(samples, mels)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)


def test_a_tone_stands_in_its_own_band():
    tone = np.sin(2 * np.pi * 1_000 * np.arange(8_000) / 16_000).astype(np.float32)
    band = 129 * math.log10(1 + 1_000 / 700) / math.log10(1 + 8_000 / 700) - 1
    assert abs(int(log_mel(tone)[10].argmax()) - band) <= 1


def test_silence_is_the_floor():
    np.testing.assert_allclose(log_mel(np.zeros(800, np.float32)), math.log(1e-3), atol=1e-6)


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 5_000))
def test_a_hundred_frames_a_second_and_at_least_one(count):
    frames = len(log_mel(np.zeros(count, np.float32)))
    assert frames == max(1, -(-(count - 160) // 160))


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 700), st.sampled_from([128, 127, 4, 50]))
def test_pieces_drop_nothing_and_make_as_many_soft_tokens_as_the_whole(frames, longest):
    mel = np.arange(frames, dtype=np.float32)[:, None].repeat(2, 1)
    found = pieces(mel, dataclasses.replace(CONFIG, frames=longest))
    np.testing.assert_array_equal(np.concatenate(found), mel)
    assert max(map(len, found)) <= longest
    assert sum(soft_count(len(piece)) for piece in found) == soft_count(frames)
    assert [isinstance(piece, Continuation) for piece in found] == [False, *[True] * (len(found) - 1)]


def test_blocks_of_frames_leave_no_seam(monkeypatch):
    samples = np.random.default_rng(0).uniform(-1, 1, 4_000).astype(np.float32)
    at_once = log_mel(samples)
    monkeypatch.setattr(audio, "BLOCK", 7)
    np.testing.assert_array_equal(log_mel(samples), at_once)


def test_ten_minutes_take_little_more_memory_than_their_frames(monkeypatch):
    samples = np.zeros(16_000 * 600, np.float32)
    log_mel(samples[:1_000])  # tables are kept

    def most() -> int:
        tracemalloc.start()
        found = log_mel(samples)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak - found.nbytes - samples.nbytes

    assert most() < 1e8
    monkeypatch.setattr(audio, "BLOCK", len(samples))  # control: all spectra at once
    assert most() > 2e8


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 3_000))
def test_raw_frames_are_the_waveform(count):
    samples = np.random.default_rng(count).uniform(-1, 1, count).astype(np.float32)
    config = dataclasses.replace(CONFIG, front_end="raw", samples=640)
    found = audio.frames(samples, config)
    assert found.shape == (-(-count // 640), 640) and soft_count(len(found), config.stride) == len(found)
    np.testing.assert_array_equal(found.reshape(-1)[:count], samples)
    assert not found.reshape(-1)[count:].any()
    assert audio.soft_rate(config) == audio.soft_rate(CONFIG) == 25


def test_soft_tokens_of_frames_begun():
    assert [soft_count(n) for n in (1, 4, 5, 100, 128)] == [1, 1, 2, 25, 32]
