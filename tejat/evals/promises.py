"""What a released model is held to: each number beside its aim, and whether it is reached.

The aims are those of the issue that `tejat-mini` was made by; a number that was not measured is listed as such.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tejat.evals import harness, judging, pictures_suite, statistics
from tejat.evals.harness import Result
from tejat.evals.report import Section, Table
from tejat.evals.statistics import Estimate


@dataclass(frozen=True)
class Promise:
    """An aim.

    Attributes:
      what: for people.
      task: suite and name of the task that measures it.
      aim: what is to be reached; `most`: not to be exceeded.
      read: the number, from the task's result; by default its value.
    """

    what: str
    task: str
    aim: float
    most: bool = False
    read: Callable[[Result], Estimate] | None = None


@dataclass(frozen=True)
class Kept:
    """A promise and the number that was found; None where the task was not run."""

    promise: Promise
    found: Estimate | None

    @property
    def reached(self) -> bool | None:
        if self.found is None or not self.found.n:
            return None
        return self.found.value <= self.promise.aim if self.promise.most else self.found.value >= self.promise.aim

    def to_json(self) -> dict[str, Any]:
        """For `json.dumps`."""
        told = {name: harness.finite(value) for name, value in self.found._asdict().items()} if self.found else {}
        promise = self.promise
        return {
            "what": promise.what,
            "task": promise.task,
            "aim": promise.aim,
            "is": "at most" if promise.most else "at least",
            **told,
            "reached": self.reached,
        }


def _falls(result: Result) -> Estimate:
    """Bits per byte from the 16,384th token on, less those from the 1,024th to the 4,096th, of the same documents."""
    late, early = ("32768",), ("2048", "4096")
    pairs, clusters = [], []
    for item in result.items:
        found = result.outcomes[item.id].detail or {}
        if all(end in found for end in (*late, *early)):
            pairs.append([_rate([found[end] for end in ends]) for ends in (late, early)])
            clusters.append(item.cluster)
    if not pairs:
        return Estimate(np.nan, np.nan, np.nan, np.nan, 0, 0)
    first, second = zip(*pairs, strict=True)
    return statistics.paired_difference(first, second, clusters)


def _rate(stretches: Sequence[Sequence[float]]) -> float:
    bits, size = (sum(column) for column in zip(*stretches, strict=True))
    return bits / max(size, 1)


def _of_real(result: Result) -> Estimate:
    return judging.of_real(list(result.outcomes.values()), [item.cluster for item in result.items])


def _f1(result: Result) -> Estimate:
    """Of drawing where it was asked for; its error by leaving out each item in turn (Efron & Stein 1981)."""
    items, outcomes = list(result.items), list(result.outcomes.values())
    value, n = pictures_suite.f1(items, outcomes), len(items)
    without = [pictures_suite.f1(items[:k] + items[k + 1 :], outcomes[:k] + outcomes[k + 1 :]) for k in range(n)]
    error = float(np.sqrt((n - 1) * np.var(without)))
    return Estimate(value, error, max(0.0, value - 1.96 * error), min(1.0, value + 1.96 * error), n, n)


PROMISES = (
    Promise("English names of seen concepts, emojione's styles, never seen", "promised.name-emojione", 0.72),
    Promise("the same in ten languages", "promised.name-ten-languages", 0.50),
    Promise("English names of seen concepts, openmoji's lines, never seen", "promised.name-openmoji", 0.40),
    Promise("unseen concepts by category", "promised.category-unseen", 0.60),
    Promise("spoken words in unseen clips, character errors", "promised.words", 0.20, most=True),
    Promise("spoken sentences in unseen clips, character errors", "promised.sentences", 0.35, most=True),
    Promise("chart values within 5%", "promised.chart-value", 0.70),
    Promise("questions about moving sprites", "promised.moving", 0.90),
    Promise("capitals and currencies of trained countries", "promised.facts", 0.90),
    Promise("a value by its key among 32k tokens", "promised.retrieval-32k", 0.98),
    Promise(
        *("bits per byte after 16k tokens less those at 1k to 4k", "long-context.documents", 0.0),
        most=True,
        read=_falls,
    ),
    Promise("drawings recognised, of the share of real drawings", "pictures.drawn", 0.80, read=_of_real),
    Promise("draw or don't draw, F1", "pictures.whether", 0.97, read=_f1),
)


def kept(results: Sequence[Result]) -> list[Kept]:
    """Every promise with the number that was found; none where none of their tasks was run."""
    found = {f"{result.row.suite}.{result.row.name}": result for result in results}
    if not any(promise.task in found for promise in PROMISES):
        return []
    listed = []
    for promise in PROMISES:
        result = found.get(promise.task)
        if result is None:
            listed.append(Kept(promise, None))
        else:
            listed.append(Kept(promise, promise.read(result) if promise.read else _value(result)))
    return listed


def table(found: Sequence[Kept]) -> Table:
    """For people."""
    head = ("what", "aim", "found", "95% interval", "n", "reached")
    rows = []
    for one in found:
        aim = f"{'≤' if one.promise.most else '≥'} {one.promise.aim:.2f}"
        if one.found is None or not one.found.n:
            rows.append((one.promise.what, aim, "not measured", "", "", ""))
            continue
        value = one.found
        reached = "yes" if one.reached else "no"
        rows.append((one.promise.what, aim, f"{value.value:.3f}", harness.interval(value), f"{value.n:,}", reached))
    return Table(head, rows)


def sections(results: Sequence[Result]) -> list[Section]:
    """The table, where there is something to put into it."""
    found = kept(results)
    return [Section("What it is held to", [table(found)])] if found else []


def _value(result: Result) -> Estimate:
    row = result.row
    return Estimate(row.value, row.stderr, row.low, row.high, row.n, row.clusters)
