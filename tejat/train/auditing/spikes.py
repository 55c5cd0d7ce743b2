"""Doubts about a step's sums: values that are no numbers, and losses or gradients far from what they were."""

import math
from collections import defaultdict, deque
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from tejat.train.objective import PREDICTED

REMEMBERED, NEEDED = 64, 16
"""Steps that say what is usual, at most and at least."""

FAR = 8.0
"""Deviations from the median at which a value is doubted: of gradients' norms by their logarithms."""

FLOORS = {"loss": 0.02, "norm": 0.1}
"""The least that a deviation is held to be: a share of the loss, and of the norm."""

SPREAD = 1.4826
"""The standard deviation of a normal distribution, in medians of the distance from its median."""


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
                floor = FLOORS["norm"] if name == "gradient norm" else FLOORS["loss"] * abs(median)
                if abs(value - median) > FAR * max(deviation, floor):
                    return f"the {name} jumps from {_told(name, median)} to {_told(name, value)}"
        return None

    def learn(self, steps: Sequence[dict[str, Any]]) -> None:
        """These are clean."""
        for sums in steps:
            for name, value in _values(sums).items():
                if math.isfinite(value):
                    self._usual[name].append(value)


def _values(sums: dict[str, Any]) -> dict[str, float]:
    """Losses in nats a token, and the logarithm of the gradient's norm."""
    found = {name: float(value) for name, value in jax.device_get(sums).items()}
    values = {}
    for kind in (kind.name.lower() for kind in PREDICTED):
        if found.get(f"{kind}_count"):
            values[f"{kind} loss"] = found[f"{kind}_loss"] / found[f"{kind}_count"]
    norm = found["gradient_norm"]
    values["gradient norm"] = math.log(norm) if 0 < norm < math.inf else math.inf if norm else 0.0
    return values


def _told(name: str, value: float) -> str:
    return f"{math.exp(value) if name == 'gradient norm' else value:.3g}"
