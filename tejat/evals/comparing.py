"""Two models on the same items: the difference of each task, with the interval of pairs.

What an item has in common for both, its difficulty first of all, cancels: the interval is narrower than that of two
numbers side by side.
"""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from tejat.evals import statistics
from tejat.evals.harness import Result, finite
from tejat.evals.statistics import Estimate


@dataclass(frozen=True)
class Difference:
    """A task on two models.

    Attributes:
      first, second: the number of each, over the items that both answered.
      difference: first minus second.
      p: of McNemar's exact test, where scores are right or wrong.
      better: which of the two is better for sure; "neither" where the interval holds zero.
      more: is more better?
    """

    suite: str
    name: str
    metric: str
    first: float
    second: float
    difference: Estimate
    p: float | None
    better: Literal["first", "second", "neither"]
    more: bool

    def to_json(self) -> dict[str, Any]:
        """For `json.dumps`."""
        told = {key: finite(value) for key, value in asdict(self).items()}
        return told | {"difference": {key: finite(part) for key, part in self.difference._asdict().items()}}


def compare(first: Sequence[Result], second: Sequence[Result]) -> list[Difference]:
    """Of every task that both have results of, in the order of the first."""
    theirs = {(result.task.suite, result.task.name): result for result in second}
    pairs = ((mine, theirs.get((mine.task.suite, mine.task.name))) for mine in first)
    return [_difference(mine, other) for mine, other in pairs if other is not None]


def means(differences: Sequence[Difference]) -> dict[str, Estimate]:
    """By suite, how much better the first is in the mean of its tasks of right and wrong, all alike: in shares, of what
    less is better the share that it has less. A task of one cluster, of whose error nothing is known, is left out."""
    suites: dict[str, list[Estimate]] = defaultdict(list)
    for one in differences:
        if one.p is not None and math.isfinite(one.difference.stderr):
            sign = 1 if one.more else -1
            suites[one.suite].append(one.difference._replace(value=sign * one.difference.value))
    return {suite: statistics.average(found) for suite, found in suites.items()}


def _difference(mine: Result, other: Result) -> Difference:
    items = [item for item in mine.items if item.id in other.outcomes]
    clusters = [item.cluster for item in items]
    pair = [[result.outcomes[item.id] for item in items] for result in (mine, other)]
    if mine.row.kind == "ratio":
        # Bytes of a text are the same for both; where a model's context cuts it, weights differ and rates are compared.
        rates = [[outcome.score / max(outcome.weight, 1e-9) for outcome in side] for side in pair]
        same = all(a.weight == b.weight for a, b in zip(*pair, strict=True))
        estimate = mine.task.difference(*pair, clusters) if same else statistics.paired_difference(*rates, clusters)
    else:
        estimate = mine.task.difference(*pair, clusters)
    values = [mine.task.estimate(side, clusters).value for side in pair]
    p = None
    if mine.row.kind == "proportion":
        p = statistics.mcnemar(*([outcome.score for outcome in side] for side in pair))
    sure = "neither"
    if estimate.low > 0 or estimate.high < 0:
        sure = "first" if (estimate.value > 0) == (mine.row.better == "higher") else "second"
    row = mine.row
    told = (row.suite, row.name, row.metric, *values, estimate, p, sure)
    return Difference(*told, row.better == "higher")  # type: ignore[arg-type]
