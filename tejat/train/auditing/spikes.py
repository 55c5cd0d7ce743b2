"""Doubts about a step: values that are no numbers, and losses or gradients far from what they were.

Of gradients: the norm, and of each parameter the largest number, which a single wrong one among many moves when the
norm does not notice.
"""

import math
from collections import defaultdict, deque
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from tejat.train.auditing import digests
from tejat.train.objective import PREDICTED

REMEMBERED, NEEDED = 64, 16
"""Steps that say what is usual, at most and at least."""

FAR = 8.0
"""Deviations from the median at which a value is doubted: of gradients by their logarithms, and upwards alone where it
is a parameter's largest."""

FLOORS = {"loss": 0.02, "gradient": 0.1}
"""The least that a deviation is held to be: a share of the loss, and of a gradient."""

LARGEST = "largest gradients"
"""In a step's sums: of each parameter, by its name."""

SPREAD = 1.4826
"""The standard deviation of a normal distribution, in medians of the distance from its median."""


def seen(sums: dict[str, Any], local: Any, names: Sequence[str]) -> dict[str, Any]:
    """What a step's sums say of it, with what `digests.of_shards` told of its gradients, whose parameters have these
    names."""
    return {k: v for k, v in sums.items() if k != "local"} | {
        LARGEST: dict(zip(names, digests.largest(np.asarray(local)).tolist(), strict=True))
    }


class Spikes:
    """What is usual is learned of steps that are clean."""

    def __init__(self) -> None:
        self._usual: dict[str, deque[float]] = defaultdict(lambda: deque(maxlen=REMEMBERED))

    def doubt(self, steps: Sequence[dict[str, Any]]) -> str | None:
        """Why one of these steps' sums is to be doubted, if one is. Waits for them."""
        for sums in steps:
            for name, value in _values(sums).items():
                if not math.isfinite(value):
                    return f"the {name} is {value}"
                usual = self._usual[name]
                if len(usual) < NEEDED:
                    continue
                median = float(np.median(usual))
                deviation = SPREAD * float(np.median(np.abs(np.asarray(usual) - median)))
                floor = FLOORS["gradient"] if "gradient" in name else FLOORS["loss"] * abs(median)
                far = value - median if "largest" in name else abs(value - median)
                if far > FAR * max(deviation, floor):
                    return f"the {name} jumps from {_told(name, median)} to {_told(name, value)}"
        return None

    def learn(self, steps: Sequence[dict[str, Any]]) -> None:
        """These are clean."""
        for sums in steps:
            for name, value in _values(sums).items():
                if math.isfinite(value):
                    self._usual[name].append(value)


def _values(sums: dict[str, Any]) -> dict[str, float]:
    """Losses in nats a token, and logarithms of the gradient's norm and of its largest numbers."""
    largest = sums.get(LARGEST, {})
    found = {name: float(value) for name, value in jax.device_get(sums).items() if name != LARGEST}
    values = {}
    for kind in (kind.name.lower() for kind in PREDICTED):
        if found.get(f"{kind}_count"):
            values[f"{kind} loss"] = found[f"{kind}_loss"] / found[f"{kind}_count"]
    values["gradient norm"] = _logarithm(found["gradient_norm"])
    # Those that are zero are of parameters that had no part in the step: they say nothing.
    return values | {f"largest gradient of {name}": _logarithm(value) for name, value in largest.items() if value != 0}


def _logarithm(value: float) -> float:
    return math.log(value) if 0 < value < math.inf else math.inf if value else 0.0


def _told(name: str, value: float) -> str:
    return f"{math.exp(value) if 'gradient' in name else value:.3g}"
