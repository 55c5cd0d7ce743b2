"""A recording as another speaker, room and microphone would have made it, so that none is ever heard twice.

Speed and pitch together (what is played faster is higher), a room's echo, a microphone's bands, other voices or noise
behind, silence before and after, and, as SpecAugment has it (Park et al. 2019), bands and moments left out. All that
works on frequencies is done in one transform: about two milliseconds for two seconds of sound.
"""

import numpy as np
from jaxtyping import Float32

from tejat.parts import RATE

SHARES = {"echoing": 0.3, "coloured": 0.5, "narrow": 0.12, "masked": 0.35, "noisy": 0.5, "dropped": 0.25, "padded": 0.6}
"""Of recordings to which each is done; all are played at some speed and loudness."""

SPEEDS = (0.84, 1.2)
SILENCE = 0.4  # seconds at most, before and after
LONGEST = 9.5  # seconds that none is made longer than, which is not so already: more, a batch has no room for
BEHIND = (5.0, 25.0)  # decibels by which a voice is louder than what is behind it

Samples = Float32[np.ndarray, " n"]


def elsewhere(samples: Samples, random: np.random.Generator, behind: Samples | None = None) -> Samples:
    """The recording made anew, `behind` it another, where one is given, or at times a noise."""
    done = {name: random.random() < share for name, share in SHARES.items()}
    slowest, fastest = SPEEDS
    speed = random.uniform(min(max(slowest, len(samples) / (LONGEST * RATE)), fastest), fastest)
    heard = np.interp(np.arange(0, len(samples) - 1, speed), np.arange(len(samples)), samples).astype(np.float32)
    room = int(LONGEST * RATE) - len(heard)
    tail = min(int(0.3 * RATE), max(2 * room, 0)) if done["echoing"] else 0
    if done["padded"] and room > tail:
        before, after = (random.uniform(0, min(SILENCE * RATE, (room - tail) / 2), 2)).astype(int)
        heard = np.pad(heard, (before, after))
    size = _round(len(heard) + tail)
    gains = _gains(size, random, done)
    if gains is not None or done["echoing"]:
        spectrum = np.fft.rfft(heard, size)
        spectrum = spectrum if gains is None else spectrum * gains
        spectrum = spectrum * _echo(size, random) if done["echoing"] else spectrum
        heard = np.fft.irfft(spectrum, size)[: len(heard) + tail // 2].astype(np.float32)
    loudness = float(np.sqrt(np.mean(np.square(heard)))) + 1e-6
    if behind is not None or done["noisy"]:
        noise = _noise(len(heard), random) if behind is None else _over(behind, len(heard), random)
        level = loudness * 10 ** (-random.uniform(*BEHIND) / 20)
        heard = heard + noise * np.float32(level / (np.sqrt(np.mean(np.square(noise))) + 1e-6))
    if done["dropped"]:  # moments, each no longer than a short sound
        for _ in range(int(random.integers(1, 3))):
            first = int(random.integers(0, max(1, len(heard))))
            heard[first : first + int(random.uniform(0.01, 0.06) * RATE)] = 0
    return np.clip(heard * np.float32(np.exp(random.uniform(-1.2, 0.4))), -1, 1).astype(np.float32)


def _gains(size: int, random: np.random.Generator, done: dict[str, bool]) -> Float32[np.ndarray, " f"] | None:
    """What each frequency is multiplied by; None: nothing changes."""
    if not (done["coloured"] or done["narrow"] or done["masked"]):
        return None
    hertz = np.arange(size // 2 + 1, dtype=np.float32) * np.float32(RATE / size)
    gains = np.ones(len(hertz), np.float32)
    if done["coloured"]:  # up to 9 dB more or less, smoothly over octaves
        bends = np.geomspace(100, RATE / 2, 6)
        gains = np.exp(np.interp(hertz, bends, random.uniform(-1, 1, 6))).astype(np.float32)
    if done["narrow"]:  # from a telephone's bands to a wide one's
        low, high = random.uniform(80, 350), random.uniform(2_800, 6_000)
        gains *= (hertz > low) & (hertz < high)
    if done["masked"]:
        for _ in range(int(random.integers(1, 3))):
            low = 10 ** random.uniform(2.2, 3.8)
            gains[(hertz > low) & (hertz < low * random.uniform(1.05, 1.3))] *= np.float32(0.03)
    return gains


def _echo(size: int, random: np.random.Generator) -> np.ndarray:
    """The spectrum of a room that dies away within 0.1 to 0.3 s: the sound itself, and noise after it."""
    length = int(0.3 * RATE)
    fading = np.exp(-np.arange(length, dtype=np.float32) * np.float32(6.9 / (random.uniform(0.1, 0.3) * RATE)))
    room = random.standard_normal(length, np.float32) * fading
    room *= np.float32(random.uniform(0.1, 0.7) / np.sqrt(np.square(room).sum()))
    room[0] += 1
    return np.fft.rfft(room, size)


def _noise(length: int, random: np.random.Generator) -> Samples:
    """Hiss, or what lies lower, as wind and rooms have it."""
    noise = random.standard_normal(length, np.float32)
    if random.random() < 0.6:  # a moving mean of some width takes the high ones out
        wide = int(random.integers(2, 24))
        sums = np.cumsum(np.pad(noise, (wide, 0)))
        noise = (sums[wide:] - sums[:-wide]).astype(np.float32)
    return noise


def _over(behind: Samples, length: int, random: np.random.Generator) -> Samples:
    """Another recording from some moment on, over and over, as long as is needed."""
    first = int(random.integers(len(behind)))
    return np.resize(np.roll(behind, -first), length).astype(np.float32)


def _round(size: int) -> int:
    """A length that transforms fast: at least `size`, with no large prime factor."""
    step = 1 << max(0, size.bit_length() - 4)
    return -(-size // step) * step
