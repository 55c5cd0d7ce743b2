"""How sure a number is: estimates with intervals, for items that may come in clusters, and tests against chance.

Items that share something (a picture, a voice, a paragraph) err together, so their number overstates what is known;
every interval here takes the clusters into account. The advice is Miller 2024, "Adding Error Bars to Evals".
"""

import math
from collections.abc import Callable, Hashable, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy import special

CONFIDENCE = 0.95


class Estimate(NamedTuple):
    """A number, its standard error, its interval, and what it rests on. `stderr` is nan where there is one cluster."""

    value: float
    stderr: float
    low: float
    high: float
    n: int
    clusters: int


def mean(values: Sequence[float], clusters: Sequence[Hashable] | None = None) -> Estimate:
    """The mean, with a standard error robust to clusters (Liang & Zeger 1986) and Student's interval.

    Student's quantile at one less than the number of clusters, because few clusters say little even with many items
    (Cameron & Miller 2015, section VI).
    """
    return ratio(values, np.ones(len(values)), clusters)


def average(estimates: Sequence[Estimate]) -> Estimate:
    """The mean of several numbers that have nothing in common, each of the same weight."""
    value = sum(one.value for one in estimates) / len(estimates)
    error = math.hypot(*(one.stderr for one in estimates)) / len(estimates)
    reach = _quantile(math.inf) * error
    n, clusters = (sum(counts) for counts in zip(*((one.n, one.clusters) for one in estimates), strict=True))
    return Estimate(value, error, value - reach, value + reach, n, clusters)


def ratio(
    numerators: Sequence[float], denominators: Sequence[float], clusters: Sequence[Hashable] | None = None
) -> Estimate:
    """sum(numerators) / sum(denominators), as bits per byte is, by linearisation (Cochran 1977, section 6.4)."""
    top, bottom = np.asarray(numerators, float), np.asarray(denominators, float)
    value = float(top.sum() / bottom.sum())
    stderr, count = _clustered(top - value * bottom, clusters)
    stderr /= float(bottom.sum())
    reach = _quantile(count - 1) * stderr if count > 1 else math.inf
    return Estimate(value, stderr, value - reach, value + reach, len(top), count)


def proportion(successes: Sequence[bool | float], clusters: Sequence[Hashable] | None = None) -> Estimate:
    """A share of successes (each 0 or 1) with its Wilson interval, on the effective number of items.

    Clusters that err together count for fewer items: the number is divided by the design effect, the clustered
    variance over the plain one, and Student's quantile stands for the normal one, as Korn & Graubard 1998 do for the
    exact interval. Where all succeed or all fail the design effect is unknown, and the number of clusters is taken.
    Rare successes in few clusters give too narrow an interval still: it holds 88 times of 100 for a share of 0.1 in
    twenty clusters whose items mostly agree (tests/evals/test_statistics.py).
    """
    marks = np.asarray(successes, float)
    if not np.isin(marks, (0.0, 1.0)).all():
        raise ValueError("a proportion is of successes that are each 0 or 1; use mean for partial scores")
    n, share = len(marks), float(marks.mean())
    if clusters is None or len(set(clusters)) == n:
        stderr = math.sqrt(share * (1 - share) / n)
        return Estimate(share, stderr, *wilson(share * n, n), n, n)
    deviation, count = _clustered(marks - share, clusters)
    if count == 1:
        return Estimate(share, math.nan, 0.0, 1.0, n, 1)
    plain = share * (1 - share) / n
    effective = min(n, n * plain / (deviation / n) ** 2) if deviation > 0 else float(count if plain == 0 else n)
    return Estimate(share, deviation / n, *wilson(share * effective, effective, _quantile(count - 1)), n, count)


def wilson(successes: float, n: float, z: float | None = None) -> tuple[float, float]:
    """The score interval of a proportion (Wilson 1927): never outside [0, 1], and good for small n, unlike Wald's."""
    z = _quantile(math.inf) if z is None else z
    share, weight = successes / n, z * z / n
    centre = share + weight / 2
    reach = z * math.sqrt(share * (1 - share) / n + weight / (4 * n))
    return max(0.0, (centre - reach) / (1 + weight)), min(1.0, (centre + reach) / (1 + weight))


def chance_tail(successes: int, chances: Sequence[float]) -> float:
    """The probability of at least so many successes by guessing, where item i succeeds with probability chances[i].

    Exact: the distribution is built up item by item. With equal chances it is the binomial tail.
    """
    law = np.ones(1)
    for chance in chances:
        law = np.append(law, 0.0) * (1 - chance) + np.insert(law, 0, 0.0) * chance
    return float(min(1.0, law[successes:].sum())) if successes > 0 else 1.0


def paired_difference(
    first: Sequence[float], second: Sequence[float], clusters: Sequence[Hashable] | None = None
) -> Estimate:
    """The mean of first - second over the same items: what pairs share cancels, so the interval is narrower."""
    if len(first) != len(second):
        raise ValueError(f"pairs are of the same items; here are {len(first)} and {len(second)}")
    return mean(np.subtract(np.asarray(first, float), np.asarray(second, float)), clusters)


def ratio_difference(
    first: Sequence[float],
    second: Sequence[float],
    denominators: Sequence[float],
    clusters: Sequence[Hashable] | None = None,
) -> Estimate:
    """sum(first) / sum(denominators) minus the same of the second, as two models' bits per byte of the same texts."""
    if len(first) != len(second):
        raise ValueError(f"pairs are of the same items; here are {len(first)} and {len(second)}")
    return ratio(np.subtract(np.asarray(first, float), np.asarray(second, float)), denominators, clusters)


def mcnemar(first: Sequence[bool | float], second: Sequence[bool | float]) -> float:
    """The two-sided exact p-value that two systems are right equally often (McNemar 1947, by the binomial)."""
    a, b = np.asarray(first, bool), np.asarray(second, bool)
    only_first, only_second = int((a & ~b).sum()), int((b & ~a).sum())
    discordant = only_first + only_second
    return min(1.0, 2 * chance_tail(max(only_first, only_second), [0.5] * discordant))


def bootstrap(
    items: Sequence[Any],
    statistic: Callable[[Sequence[Any]], float],
    clusters: Sequence[Hashable] | None = None,
    *,
    seed: int = 0,
    resamples: int = 2000,
) -> Estimate:
    """Any statistic of the items, with the bias-corrected and accelerated interval (Efron 1987) over whole clusters."""
    _, of = _numbered(len(items), clusters)
    groups = [np.flatnonzero(of == g) for g in range(of.max() + 1)]

    def on(chosen: Sequence[int]) -> float:
        return float(statistic([items[i] for g in chosen for i in groups[g]]))

    count, value = len(groups), on(range(len(groups)))
    if count == 1:
        return Estimate(value, math.nan, -math.inf, math.inf, len(items), 1)
    random = np.random.default_rng(seed)
    draws = np.sort([on(random.integers(count, size=count)) for _ in range(resamples)])
    if draws[0] == draws[-1]:
        return Estimate(value, 0.0, value, value, len(items), count)
    # Draws equal to the value count half: else the bias of a coarse statistic is overstated.
    bias = special.ndtri(np.clip((draws < value).mean() + (draws == value).mean() / 2, 1e-4, 1 - 1e-4))
    left_out = np.array([on([g for g in range(count) if g != gone]) for gone in range(count)])
    skew = left_out.mean() - left_out
    spread = float((skew**2).sum())
    acceleration = float((skew**3).sum()) / (6 * spread**1.5) if spread > 0 else 0.0
    ends = []
    for tail in ((1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2):
        shifted = bias + special.ndtri(tail)
        ends.append(float(np.quantile(draws, special.ndtr(bias + shifted / (1 - acceleration * shifted)))))
    return Estimate(value, float(draws.std(ddof=1)), ends[0], ends[1], len(items), count)


def _quantile(freedom: float) -> float:
    """The two-sided quantile of Student's distribution, or of the normal one where freedom is infinite."""
    upper = (1 + CONFIDENCE) / 2
    return float(special.ndtri(upper) if math.isinf(freedom) else special.stdtrit(freedom, upper))


def _numbered(n: int, clusters: Sequence[Hashable] | None) -> tuple[int, Int[np.ndarray, " n"]]:
    """(number of clusters, the number of each item's cluster). Without clusters every item is its own."""
    if clusters is None:
        return n, np.arange(n)
    if len(clusters) != n:
        raise ValueError(f"every item needs its cluster; here are {n} items and {len(clusters)} clusters")
    numbers = {name: number for number, name in enumerate(dict.fromkeys(clusters))}
    return len(numbers), np.array([numbers[name] for name in clusters])


def _clustered(residuals: Float[np.ndarray, " n"], clusters: Sequence[Hashable] | None) -> tuple[float, int]:
    """(standard error of the residuals' sum, number of clusters), with the correction for few clusters, G/(G-1)."""
    count, of = _numbered(len(residuals), clusters)
    if count == 1:
        return math.nan, 1
    sums = np.bincount(of, weights=residuals, minlength=count)
    return math.sqrt(count / (count - 1) * float((sums**2).sum())), count
