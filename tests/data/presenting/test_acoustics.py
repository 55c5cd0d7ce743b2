"""Recordings as they would be heard elsewhere: never the same, never too long, and still what was said."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tejat.data.presenting import acoustics
from tejat.parts import RATE


def said(seconds: float) -> np.ndarray:
    """Bursts of a low tone, four a second."""
    at = np.arange(int(seconds * RATE)) / RATE
    return (0.1 * np.sin(2 * np.pi * 500 * at) * (np.sin(2 * np.pi * 2 * at) > 0)).astype(np.float32)


@given(st.floats(0.05, 12.0), st.integers(0, 2**32), st.booleans())
@settings(max_examples=60, deadline=None)
def test_it_is_sound_of_a_length_that_a_batch_has_room_for(seconds, seed, beside):
    samples, behind = said(seconds), said(1.3)[::-1] if beside else None
    found = acoustics.elsewhere(samples, np.random.default_rng(seed), behind)
    assert found.dtype == np.float32 and np.isfinite(found).all() and np.abs(found).max() <= 1
    longest = max(acoustics.LONGEST * RATE, len(samples) / acoustics.SPEEDS[1] + 1)
    assert 0 < len(found) <= longest + 1
    assert np.array_equal(found, acoustics.elsewhere(samples, np.random.default_rng(seed), behind))


def test_no_two_are_the_same():
    made = [acoustics.elsewhere(said(1.0), np.random.default_rng(seed)) for seed in range(30)]
    assert len({sound.tobytes() for sound in made}) == 30
    assert min(map(len, made)) < 0.9 * RATE and max(map(len, made)) > 1.3 * RATE


@pytest.mark.parametrize("way", acoustics.SHARES)
def test_each_way_changes_it_and_leaves_it_to_be_heard(way, monkeypatch):
    monkeypatch.setattr(acoustics, "SPEEDS", (1.0, 1.0))
    monkeypatch.setattr(acoustics, "SHARES", dict.fromkeys(acoustics.SHARES, 0.0))
    plain = acoustics.elsewhere(said(1.0), np.random.default_rng(1))
    monkeypatch.setitem(acoustics.SHARES, way, 1.0)
    changed = [acoustics.elsewhere(said(1.0), np.random.default_rng(seed)) for seed in range(20)]
    assert all(len(sound) != len(plain) or not np.allclose(sound, plain, atol=1e-3) for sound in changed[1:])

    def bursts(sound: np.ndarray) -> np.ndarray:
        return np.abs(np.fft.rfft(np.abs(sound - sound.mean()), 4 * RATE))[4:16]  # how loudness goes, 1 to 4 Hz

    due = bursts(plain)
    for sound in changed:
        assert np.corrcoef(due, bursts(sound))[0, 1] > 0.8  # two bursts a second, whatever else


def test_what_is_behind_is_softer(monkeypatch):
    monkeypatch.setattr(acoustics, "SHARES", dict.fromkeys(acoustics.SHARES, 0.0))
    high = np.sin(2 * np.pi * 3_000 * np.arange(RATE) / RATE).astype(np.float32)
    for seed in range(20):
        spectrum = np.abs(np.fft.rfft(acoustics.elsewhere(said(1.5), np.random.default_rng(seed), high)))
        hertz = np.fft.rfftfreq(2 * len(spectrum) - 2, 1 / RATE)
        below, above = (np.square(spectrum[(hertz > low) & (hertz < top)]).sum() for low, top in ((1, 1e3), (2e3, 5e3)))
        assert acoustics.BEHIND[0] - 1 < 10 * np.log10(below / above) < acoustics.BEHIND[1] + 1
