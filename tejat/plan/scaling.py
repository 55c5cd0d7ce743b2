"""Loss by parameters and tokens, fitted to runs, and what it says of the next one.

L(N, D) = E + A / N^a + B / D^b (Hoffmann et al. 2022, third approach): five numbers, by a Huber loss of logarithms from
many beginnings. N counts the decoder with its tied embedding. Bands come from fits to runs drawn again with repetition.
"""

import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import minimize
from scipy.special import logsumexp

from tejat.errors import BadInput

HUBER, PULL = 1e-3, 1e-7
KNOWN = 0.34, 0.28
STARTS = tuple(itertools.product((2.0, 7.0), (2.0, 7.0), (0.4,), (0.4,), (0.3,)))
"""log A, log B, a, b, log E."""


@dataclass(frozen=True)
class Run:
    parameters: float
    tokens: float
    loss: float


@dataclass(frozen=True)
class Law:
    """What is left however large (nats a token), and how the rest falls."""

    floor: float
    of_parameters: float
    of_tokens: float
    alpha: float
    beta: float

    def loss(self, parameters: float, tokens: float) -> float:
        return self.floor + self.of_parameters / parameters**self.alpha + self.of_tokens / tokens**self.beta

    def best(self, flops: float) -> tuple[float, float]:
        """(parameters, tokens) of the least loss for so much arithmetic, six operations a parameter and token."""
        both = self.alpha + self.beta
        scale = (self.alpha * self.of_parameters / (self.beta * self.of_tokens)) ** (1 / both)
        parameters = scale * (flops / 6) ** (self.beta / both)
        return parameters, flops / 6 / parameters

    def tokens_for(self, parameters: float) -> float:
        """Of the run for which a model of so many parameters is the best."""
        both = self.alpha + self.beta
        scale = (self.alpha * self.of_parameters / (self.beta * self.of_tokens)) ** (1 / both)
        return (parameters / scale) ** (both / self.beta) / parameters


def fit(runs: Sequence[Run], near: Law | None = None) -> Law:
    """`near`: where to begin, instead of everywhere.

    Raises BadInput for runs of fewer than two sizes or two lengths, or fewer than five in all.
    """
    n, d, loss = (np.asarray([getattr(run, name) for run in runs]) for name in ("parameters", "tokens", "loss"))
    if len(runs) < 5 or len({*n}) < 2 or len({*np.round(np.log(d), 1)}) < 2:
        raise BadInput(
            f"{len(runs)} runs of {len({*n})} sizes tell no law; give five at least, of two sizes and lengths"
        )
    log_n, log_d, wanted = np.log(n), np.log(d), np.log(loss)

    def objective(x):
        log_a, log_b, alpha, beta, log_e = x
        terms = np.stack([log_a - alpha * log_n, log_b - beta * log_d, np.full(len(runs), log_e)])
        total = logsumexp(terms, axis=0)
        off, shares = total - wanted, np.exp(terms - total)
        huber = np.where(np.abs(off) < HUBER, off**2 / 2, HUBER * (np.abs(off) - HUBER / 2)).sum()
        of_n, of_d, of_e = np.clip(off, -HUBER, HUBER) * shares
        # Powers that few runs tell apart stay near what is known of language (Hoffmann et al. 2022).
        far = np.asarray([alpha - KNOWN[0], beta - KNOWN[1]])
        slopes = -of_n @ log_n + 2 * PULL * far[0], -of_d @ log_d + 2 * PULL * far[1]
        return 1e4 * (huber + PULL * far @ far), 1e4 * np.asarray([of_n.sum(), of_d.sum(), *slopes, of_e.sum()])

    bounds = [(-5, 30), (-5, 30), (0.05, 1.5), (0.05, 1.5), (-5, 3)]
    starts = STARTS
    if near is not None:
        starts = ((*np.log([near.of_parameters, near.of_tokens]), near.alpha, near.beta, np.log(near.floor)),)
    tried = (
        minimize(objective, start, jac=True, bounds=bounds, method="L-BFGS-B", options={"maxiter": 600})
        for start in starts
    )
    found = min(tried, key=lambda each: each.fun)
    log_a, log_b, alpha, beta, log_e = found.x
    return Law(*(float(x) for x in (np.exp(log_e), np.exp(log_a), np.exp(log_b), alpha, beta)))


def predicted(runs: Sequence[Run], parameters: float, tokens: float, draws: int = 40) -> tuple[float, float, float]:
    """(loss, the ends of its 90% band) of a run that was not made."""
    random, found, whole = np.random.default_rng(0), [], fit(runs)
    while len(found) < draws:
        again = [runs[at] for at in random.integers(0, len(runs), len(runs))]
        try:
            found.append(fit(again, whole).loss(parameters, tokens))
        except BadInput:  # drawn of one size alone
            continue
    return whole.loss(parameters, tokens), *(float(q) for q in np.quantile(found, (0.05, 0.95)))


def read(path: Path, loss: str = "all: text", among: str = "") -> list[Run]:
    """The runs of a `ladder.json` (`tejat.train.ladder`) whose names begin with `among`, by one of their held-out
    losses. Raises BadInput for a file that is none."""
    try:
        told: list[dict[str, Any]] = json.loads(path.read_text())
        return [
            Run(each["parameters"], each["tokens"], each["heldout"][loss])
            for each in told
            if each["name"].startswith(among)
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadInput(
            f"{path} is no ladder with the loss {loss!r} ({error}); make one by recipes/ladder.py"
        ) from error


def law(path: Path, loss: str = "text: text") -> Law:
    """The law of a loss: as a `foretold.json` (recipes/ladder.py tell) has it, or fitted to the runs of a `ladder.json`
    that were made to find it. Raises BadInput for a file that is neither."""
    try:
        told = json.loads(path.read_text())
        if isinstance(told, dict):
            return Law(**told[loss]["law"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadInput(
            f"{path} has no law of the loss {loss!r} ({error}); give benchmarks/foretold.json, or a ladder.json that "
            "recipes/ladder.py made"
        ) from error
    return fit([run for size in ("4m-", "15m-", "mini-") for run in read(path, loss, size)])


def rate(peaks: Sequence[tuple[float, float, float]]) -> tuple[float, float]:
    """(c, e) of the best learning rate c N^e, from (parameters, peak, loss) of runs of like length at three rates or
    more for each size: the vertex of a parabola in the logarithm of the rate. Raises BadInput for too few."""
    best = {}
    for n in sorted({n for n, _, _ in peaks}):
        mine = sorted((np.log(peak), loss) for size, peak, loss in peaks if size == n)
        if len(mine) < 3:
            raise BadInput(f"{len(mine)} rates at {n:,.0f} parameters tell no best one; give three")
        x, y = np.asarray(mine).T
        a, b, _ = np.polyfit(x, y, 2)
        # Where the curve opens downwards or its vertex lies outside, the best of those tried.
        vertex = -b / (2 * a) if a > 0 else x[np.argmin(y)]
        best[np.log(n)] = float(np.clip(vertex, x[0], x[-1]))
    if len(best) < 2:
        raise BadInput("one size tells no rule for others; give two")
    slope, offset = np.polyfit([*best], [*best.values()], 1)
    return float(np.exp(offset)), float(slope)
