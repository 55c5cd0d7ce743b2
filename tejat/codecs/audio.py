"""Sound as log-mel frames: 16 kHz, 20 ms windows every 10 ms, 128 HTK mel bins (the front end of Gemma 4).

A model without an audio tower takes frames of the waveform as they are.
"""

import functools
import math

import numpy as np
from jaxtyping import Float, Int

from tejat.model.audio import AudioConfig

RATE = 16_000
WINDOW, HOP, FFT = 320, 160, 512
FLOOR = 1e-3
BLOCK = 4_096
"""Log-mel frames made at once."""
STRIDE = 4
"""Log-mel frames per soft token."""


def frames(samples: Float[np.ndarray, " n"], config: AudioConfig) -> Float[np.ndarray, "F M"]:
    """What the model's front end takes: log-mel frames, or the waveform in frames, the last one padded with silence."""
    if config.front_end == "conformer":
        return log_mel(samples, config.mels)
    samples = np.asarray(samples, np.float32)
    return np.pad(samples, (0, -len(samples) % config.samples)).reshape(-1, config.samples)


def soft_rate(config: AudioConfig) -> float:
    """Soft tokens a second."""
    return RATE / (config.samples if config.front_end == "raw" else HOP * STRIDE)


def log_mel(samples: Float[np.ndarray, " n"], mels: int = 128) -> Float[np.ndarray, "F M"]:
    """Natural log of mel magnitudes plus FLOOR. Frame f covers samples [160 f - 160, 160 f + 160]; none is partial.

    Sound shorter than one window is padded with silence to one frame.
    """
    samples = np.asarray(samples, np.float32)
    if len(samples) < HOP + 1:
        samples = np.pad(samples, (0, HOP + 1 - len(samples)))
    samples = np.pad(samples, (WINDOW // 2, 0))
    windows = np.lib.stride_tricks.sliding_window_view(samples, WINDOW + 1)[::HOP, :-1]
    bins, heights, starts = _triangles(mels)

    def logarithms(windows: Float[np.ndarray, "f w"]) -> Float[np.ndarray, "f M"]:
        spectrum = np.abs(np.fft.rfft(windows * _hann(), n=FFT, axis=-1))
        return np.log(np.add.reduceat(spectrum[:, bins] * heights, starts, axis=1) + FLOOR).astype(np.float32)

    # Block by block: the spectra of an hour at once would take gigabytes.
    return np.concatenate([logarithms(windows[at : at + BLOCK]) for at in range(0, len(windows), BLOCK)])


class Continuation(np.ndarray):
    """A piece of a sound that goes on where the piece before it ended."""


def pieces(mel: Float[np.ndarray, "F M"], config: AudioConfig) -> list[Float[np.ndarray, "f M"]]:
    """Cuts long sound into pieces that the tower takes at once; nothing is dropped. All but the first go on."""
    first, *rest = (mel[start : start + config.piece] for start in range(0, len(mel), config.piece))
    return [first, *(piece.view(Continuation) for piece in rest)]


def soft_count(frames: int, stride: int = STRIDE) -> int:
    """Soft tokens of a piece: one for every `stride` frames begun."""
    return -(-frames // stride)


@functools.cache
def _hann() -> Float[np.ndarray, " w"]:
    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW)).astype(np.float32)


@functools.cache
def _triangles(
    mels: int,
) -> tuple[Int[np.ndarray, " n"], Float[np.ndarray, " n"], Int[np.ndarray, " M"]]:
    """The bins under each filter, their heights, and where each filter's begin: filters overlap only pairwise.

    A product with the whole matrix of filters would wake the threads of BLAS, which then fight those that train.
    """
    filters = _filters(mels).T
    found = [np.flatnonzero(row) if row.any() else np.zeros(1, int) for row in filters]  # a narrow one may hold no bin
    starts = np.cumsum([0, *(len(bins) for bins in found[:-1])])
    heights = np.concatenate([row[bins] for row, bins in zip(filters, found, strict=True)])
    return np.concatenate(found), heights, starts


def _filters(mels: int) -> Float[np.ndarray, "bins M"]:
    """Triangles evenly spaced in HTK mels from 0 to 8 kHz: mel = 2595 log10(1 + f / 700)."""
    top = 2595.0 * math.log10(1 + RATE / 2 / 700.0)
    edges = 700.0 * (10 ** (np.linspace(0, top, mels + 2) / 2595.0) - 1.0)
    bins = np.linspace(0, RATE / 2, FFT // 2 + 1)[:, None]
    rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    return np.maximum(0, np.minimum(rising, falling)).astype(np.float32)
