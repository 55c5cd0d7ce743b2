"""Sounds that are no speech, made from seeds: a siren, ticking, a chord … What is heard, and how many beeps?

Shuffled, the samples of all of them are noise; silence tells nothing. No training of ours has such sounds.
"""

from collections.abc import Callable, Mapping

import numpy as np
from jaxtyping import Float32

from tejat.evals.ground import Ground, rng
from tejat.evals.tasks import Item
from tejat.parts import RATE, Audio, Text, Turn

SECONDS = 2.0
MOST = 5  # beeps

Wave = Float32[np.ndarray, " n"]
_TIME = np.arange(int(SECONDS * RATE)) / RATE


def named(ground: Ground) -> list[Item]:
    """One kind after the other, each at a pitch, pace and loudness of its own."""
    made = []
    for n in range(min(ground.most, 240)):
        random, kind = rng("noises", n), list(KINDS)[n % len(KINDS)]
        turns = (Turn("user", (_audio(KINDS[kind](random), random), Text("What sound is this?"))),)
        chance, tags = 1 / len(KINDS), {"sound": kind}
        made.append(Item(f"{n:04d}", str(n), turns, (kind,), choices=tuple(KINDS), chance=chance, tags=tags))
    return made


def counted(ground: Ground) -> list[Item]:
    """How many beeps?"""
    made = []
    for n in range(min(ground.most, 200)):
        random, count = rng("noises", "beeps", n), 1 + n % MOST
        turns = (Turn("user", (_audio(_beeps(random, count), random), Text("How many beeps are heard?"))),)
        choices, tags = tuple(map(str, range(1, MOST + 1))), {"beeps": str(count)}
        made.append(Item(f"{n:04d}", str(n), turns, (str(count),), choices=choices, chance=1 / MOST, tags=tags))
    return made


def _audio(wave: Wave, random: np.random.Generator) -> Audio:
    """At some loudness, with a little noise under it."""
    wave = wave / np.abs(wave).max() * random.uniform(0.2, 0.8) + random.normal(0, 0.004, len(wave))
    return Audio(wave.astype(np.float32))


def _tone(pitch: float | np.ndarray) -> Wave:
    """A sine whose pitch, in hertz, may change."""
    return np.sin(2 * np.pi * np.cumsum(np.broadcast_to(pitch, _TIME.shape)) / RATE).astype(np.float32)


def _pitch(random: np.random.Generator) -> float:
    return float(300 * 2 ** random.uniform(0, 2))


def _glide(random: np.random.Generator, up: bool) -> Wave:
    low, along = _pitch(random), _TIME / SECONDS
    return _tone(low * random.uniform(2, 4) ** (along if up else 1 - along))


def _siren(random: np.random.Generator) -> Wave:
    return _tone(_pitch(random) * 2 ** (0.5 * np.sin(2 * np.pi * random.uniform(1, 2.5) * _TIME)))


def _chord(random: np.random.Generator) -> Wave:
    low = _pitch(random)
    return sum(_tone(low * ratio) for ratio in (1, 1.25, 1.5))


def _ticking(random: np.random.Generator) -> Wave:
    since = _TIME % random.uniform(0.2, 0.5)
    return (np.exp(-since / 0.004) * np.sin(2 * np.pi * 2500 * _TIME)).astype(np.float32)


def _beeps(random: np.random.Generator, count: int) -> Wave:
    """So many, of 120 ms each, evenly spread."""
    begins = (np.arange(count) + random.uniform(0.2, 0.5)) * SECONDS / count
    heard = ((_TIME[:, None] >= begins) & (_TIME[:, None] < begins + 0.12)).any(1)
    return _tone(_pitch(random)) * heard


KINDS: Mapping[str, Callable[[np.random.Generator], Wave]] = {
    "a steady tone": lambda random: _tone(_pitch(random)),
    "a rising tone": lambda random: _glide(random, True),
    "a falling tone": lambda random: _glide(random, False),
    "a siren": _siren,
    "a chord": _chord,
    "ticking": _ticking,
    "beeps": lambda random: _beeps(random, int(random.integers(3, 6))),
    "rushing": lambda random: random.standard_normal(len(_TIME)).astype(np.float32),
}
"""What a sound is called, and how it is made."""
