"""Runs tasks on a model: every outcome is on disk before the next batch is asked, and nothing is asked twice.

A task's outcomes are lines of JSON in `samples/<suite>.<task>.jsonl`; the first line holds the model's fingerprint.
A run that was stopped goes on where it was; outcomes of another model or of a changed item are asked again.
"""

import hashlib
import json
import math
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, TextIO

from tejat.errors import BadInput
from tejat.evals import statistics
from tejat.evals.progress import Progress
from tejat.evals.statistics import Estimate
from tejat.evals.tasks import TEXT_ONLY, Item, Outcome, Task, some
from tejat.evals.verdicts import Verdict, verdict
from tejat.parts import from_json, to_json, write_whole

BROKEN = (ValueError, OSError, ImportError, LookupError, RuntimeError)
"""What a malformed task, a missing medium, or a device without room for a task raise; all else is a fault of ours."""


@dataclass(frozen=True)
class Row:
    """One line of the table of results.

    Attributes:
      low, high: the 95% interval of `value`.
      chance: the mean probability of guessing right; None where guessing has no meaning.
      luck: the probability that guessing does as well as `value` or better.
      blanked: the same with the media blanked, over the items that have media; None where none has.
      difference: value minus blanked, over the same items.
      mcnemar: the p-value of that difference, where scores are right or wrong.
      shuffled: the same with sounds' samples and clips' frames out of order.
      order_adds: value minus shuffled.
      text_only: the same without the media at all.
      verdicts: of each control, what it was to show: that the number falls to `text_only`.
      baseline: the value of the best answer that looks at no item, and what that answer is.
      by: the task's number among the items of each tag: {"language": {"de": …}}.
      remarks: other numbers of all items together; as text those that have no error.
      asked: the prompt and the decoding.
      contamination: what is known of the items in what was trained on.
      passes: whether `low` clears the bars that `bar` describes, for chance and for blanked; None where neither is.
    """

    suite: str
    name: str
    metric: str
    better: Literal["higher", "lower"]
    kind: Literal["proportion", "mean", "ratio"]
    value: float
    stderr: float
    low: float
    high: float
    n: int
    clusters: int
    chance: float | None = None
    luck: float | None = None
    blanked: Estimate | None = None
    difference: Estimate | None = None
    mcnemar: float | None = None
    baseline: float | None = None
    baseline_is: str = ""
    passes: bool | None = None
    shuffled: Estimate | None = None
    order_adds: Estimate | None = None
    text_only: Estimate | None = None
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    by: dict[str, dict[str, Estimate]] = field(default_factory=dict)
    remarks: dict[str, Estimate | str] = field(default_factory=dict)
    asked: str = ""
    contamination: str = "not checked"

    def to_json(self) -> dict[str, Any]:
        """For `json.dumps`: estimates as objects, and null for what is not a finite number."""
        row = asdict(self)
        for name in ("blanked", "difference", "shuffled", "order_adds", "text_only"):
            row[name] = _told(getattr(self, name))
        row["verdicts"] = {way: {"above": _told(one.above), "verdict": one.told} for way, one in self.verdicts.items()}
        row["by"] = {tag: {name: _told(one) for name, one in found.items()} for tag, found in self.by.items()}
        row["remarks"] = {name: one if isinstance(one, str) else _told(one) for name, one in self.remarks.items()}
        return {key: finite(part) for key, part in row.items()}


@dataclass(frozen=True)
class Result:
    """A task's row and what it was made of: outcomes by the item's id, and those of each control."""

    task: Task
    row: Row
    items: tuple[Item, ...]
    outcomes: dict[str, Outcome]
    controls: dict[str, dict[str, Outcome]]


@dataclass(frozen=True)
class NotRun:
    """A task that could not be measured, and why."""

    suite: str
    name: str
    reason: str


AHEAD = 4
"""Tasks whose items are made before they are asked: some take longer to make than the task before takes."""


def run(
    model: Any,
    tasks: Sequence[Task],
    out: Path,
    *,
    fingerprint: str,
    limit: int | None = None,
    stream: TextIO | None = None,
    until: float = math.inf,
) -> list[Result]:
    """Measures every task, its control too, and writes `samples/` under `out`.

    Args:
      model: has the methods that the tasks' `measure` calls (see tejat.api.Model).
      fingerprint: of the model's weights; outcomes under another fingerprint are thrown away.
      limit: ask only so many items of each task, from all over it: the first may be all of one language. Those of a
        smaller limit are among those of a larger one.
      stream: where progress goes; standard error when None.
      until: no batch is begun when `time.monotonic()` is past it; BadInput tells how far the task has come.
    """
    told = sys.stderr if stream is None else stream
    return [_run_task(model, task, out, fingerprint, limit, told, until) for task in tasks]


def survey(
    model: Any,
    tasks: Sequence[Task],
    out: Path,
    *,
    fingerprint: str,
    limit: int | None = None,
    stream: TextIO | None = None,
    until: float = math.inf,
    done: Callable[[Sequence[Result], Sequence[NotRun]], None] = lambda results, not_run: None,
) -> tuple[list[Result], list[NotRun]]:
    """`run`, with tasks that cannot be measured listed with the reason, not raised: what the model lacks a sense for,
    what has no material or makes no sense, what there was no time for. `done` is called after each with all so far."""
    results: list[Result] = []
    not_run: list[NotRun] = []
    ahead = ThreadPoolExecutor(1)
    try:
        for number, task in enumerate(tasks):
            if time.monotonic() < until:
                # While the device is busy; what cannot be made says so when it is asked.
                for after in tasks[number + 1 : number + 1 + AHEAD] if number == 0 else tasks[number + AHEAD :][:1]:
                    ahead.submit(after.items)
            try:
                results += run(model, [task], out, fingerprint=fingerprint, limit=limit, stream=stream, until=until)
            except BROKEN as error:
                reason = " ".join(str(error).split()) or type(error).__name__
                told = reason if isinstance(error, BadInput) else f"{type(error).__name__}: {reason}"
                not_run.append(NotRun(task.suite, task.name, told))
            done(results, not_run)
    finally:
        ahead.shutdown(wait=False, cancel_futures=True)  # what nobody asks for any more need not be made
    return results, not_run


def bar(level: float, factor: float) -> float:
    """What the interval's low end must reach: `factor` times a level, or, where that is past it, half-way to perfect.

    Three times a chance of one half would be more than everything; half-way, three quarters, is the same demand there
    that three times is at a chance of one fifth.
    """
    return min(factor * level, (1 + level) / 2)


def interval(row: Row | Estimate) -> str:
    """The interval for people; one item, or one cluster, says nothing of how far others would lie from it."""
    return f"{row.low:.3f} – {row.high:.3f}" if math.isfinite(row.low) and math.isfinite(row.high) else "unknown"


def error(row: Row | Estimate) -> str:
    """One standard error, for people."""
    return f"± {row.stderr:.3f}" if math.isfinite(row.stderr) else ""


def fingerprint(directory: Path) -> str:
    """Of a model's directory: changes with its shape, its vocabulary and any of its weights."""
    made = hashlib.sha256()
    for path in sorted(directory.iterdir()):
        if path.suffix in (".json", ".model", ".safetensors"):
            made.update(path.name.encode())
            with path.open("rb") as file:
                made.update(hashlib.file_digest(file, "sha256").digest())
    return made.hexdigest()[:16]


def _run_task(
    model: Any, task: Task, out: Path, fingerprint: str, limit: int | None, stream: TextIO, until: float
) -> Result:
    path = out / "samples" / f"{task.suite}.{task.name}.jsonl"
    if time.monotonic() >= until and not path.is_file():  # else it may be done, and only has to be read
        raise BadInput("the time was over before it began; run it again to go on")
    items = some(tuple(task.items()), limit)
    if not items:
        raise BadInput(f"the task {task.name!r} has no items; give it material that has some")
    controls = task.controls(items)
    if len({item.id for item in items}) < len(items):
        raise BadInput(f"two items of the task {task.name!r} have one id; make every id unique")
    (out / "samples" / "media").mkdir(parents=True, exist_ok=True)
    log = _Log(path, fingerprint)
    due = [(item, "") for item in items] + [(item, way) for way, changed in controls.items() for item in changed]
    missing = [(item, way) for item, way in due if log.get(item, way) is None]
    progress = Progress(task.name, len(due), len(due) - len(missing), stream)
    for batch in _batches(missing, task.batch):
        if time.monotonic() >= until:
            raise BadInput(
                f"the time was over after {progress.done:,} of {progress.total:,} answers; run it again to go on"
            )
        asked = [item for item, _ in batch]
        for (item, way), outcome in zip(batch, task.measure(model, asked), strict=True):
            log.add(item, way, outcome)
        progress.advance(len(batch))
    seen = {item.id: log.get(item, "") for item in items}
    others = {way: {item.id: log.get(item, way) for item in changed} for way, changed in controls.items()}
    return Result(task, _row(task, items, seen, others), items, seen, others)


def _batches(missing: Sequence[tuple[Item, str]], size: int) -> list[Sequence[tuple[Item, str]]]:
    """Batches of at most `size`, as even as can be: a short last one would be compiled for itself."""
    count = -(-len(missing) // size)
    ends = [len(missing) * part // count for part in range(count + 1)] if count else []
    return [missing[start:end] for start, end in pairwise(ends)]


def _row(task: Task, items: Sequence[Item], seen: dict[str, Outcome], others: dict[str, dict[str, Outcome]]) -> Row:
    clusters = {item.id: item.cluster for item in items}
    whole = task.estimate(list(seen.values()), list(clusters.values()))
    mcnemar = chance = luck = passes = None
    if task.kind == "proportion":
        scores = [outcome.score for outcome in seen.values()]
        chances = [task.chance(item) for item in items]
        chance, luck = sum(chances) / len(chances), statistics.chance_tail(round(sum(scores)), chances)
        passes = whole.low >= bar(chance, 3) if chance > 0 else None
    baseline, baseline_is = task.baseline(items) or (None, "")
    estimates: dict[str, Estimate] = {}
    differences: dict[str, Estimate] = {}
    verdicts: dict[str, Verdict] = {}
    for way, outcomes in others.items():
        changed, of = list(outcomes.values()), [clusters[id] for id in outcomes]
        estimates[way] = task.estimate(changed, of)
        differences[way] = task.difference([seen[id] for id in outcomes], changed, of)
        if way != TEXT_ONLY and TEXT_ONLY in others:
            above = task.difference(changed, list(others[TEXT_ONLY].values()), of)
            verdicts[way] = verdict(differences[way], above, estimates[way], task.better, chance, baseline)
    if "blanked" in others and task.kind == "proportion":
        blanked = others["blanked"]
        shown = [seen[id] for id in blanked]
        mcnemar = statistics.mcnemar([one.score for one in shown], [one.score for one in blanked.values()])
        if task.better == "higher":
            blind, low = estimates["blanked"].value, task.estimate(shown, [clusters[id] for id in blanked]).low
            passes = passes is not False and low >= bar(blind, 2) and low > blind
    return Row(
        suite=task.suite,
        name=task.name,
        metric=task.metric,
        better=task.better,
        kind=task.kind,
        **whole._asdict(),
        chance=chance,
        luck=luck,
        blanked=estimates.get("blanked"),
        difference=differences.get("blanked"),
        shuffled=estimates.get("shuffled"),
        order_adds=differences.get("shuffled"),
        text_only=estimates.get(TEXT_ONLY),
        verdicts=verdicts,
        by=_by(task, items, seen),
        remarks=dict(task.remarks(items, list(seen.values()))),
        asked=task.asked,
        contamination=task.origin,
        mcnemar=mcnemar,
        baseline=baseline,
        baseline_is=baseline_is,
        passes=passes,
    )


def _by(task: Task, items: Sequence[Item], seen: dict[str, Outcome]) -> dict[str, dict[str, Estimate]]:
    """Estimates by tag and its values, in the order in which they come."""
    groups: dict[str, dict[str, list[Item]]] = {}
    for item in items:
        for tag, value in item.tags.items():
            groups.setdefault(tag, {}).setdefault(value, []).append(item)
    return {
        tag: {
            value: task.estimate([seen[item.id] for item in mine], [item.cluster for item in mine])
            for value, mine in values.items()
        }
        for tag, values in groups.items()
    }


class _Log:
    """The outcomes of one task on disk. A line that a kill cut short is dropped when the file is opened again."""

    def __init__(self, path: Path, fingerprint: str):
        self.path, self.media = path, path.parent / "media"
        self.found: dict[tuple[str, str], tuple[str, Outcome]] = {}
        self._digests: dict[tuple[str, str], str] = {}
        lines = self._read(fingerprint)
        write_whole(path, "".join(line + "\n" for line in [json.dumps({"fingerprint": fingerprint}), *lines]).encode())

    def get(self, item: Item, way: str) -> Outcome | None:
        """The outcome of this item; None where there is none, or where the item has changed since."""
        digest, outcome = self.found.get((item.id, way), ("", None))
        return outcome if outcome is not None and digest == self._digest(item, way) else None

    def add(self, item: Item, way: str, outcome: Outcome) -> None:
        line = {
            "id": item.id,
            "control": way,
            "cluster": item.cluster,
            "score": outcome.score,
            "weight": outcome.weight,
            "answer": [to_json(part, self.media) for part in outcome.parts],
            "acceptable": list(item.answers),
            **({"tags": dict(item.tags)} if item.tags else {}),
            **({"detail": outcome.detail} if outcome.detail is not None else {}),
            "digest": self._digest(item, way),
        }
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
        self.found[item.id, way] = line["digest"], outcome

    def _digest(self, item: Item, way: str) -> str:
        """Of an item, taken once: there may be a second of sound or a clip to go through."""
        if (item.id, way) not in self._digests:
            self._digests[item.id, way] = item.digest()
        return self._digests[item.id, way]

    def _read(self, fingerprint: str) -> list[str]:
        """The whole lines of an earlier run of the same model."""
        if not self.path.is_file():
            return []
        head, *lines = self.path.read_bytes().split(b"\n")
        if head != json.dumps({"fingerprint": fingerprint}).encode():
            return []
        kept = []
        for line in lines:
            try:
                made = json.loads(line)
                parts = tuple(from_json(part, self.media) for part in made["answer"])
                outcome = Outcome(made["score"], parts, made["weight"], made.get("detail"))
                self.found[made["id"], made["control"]] = made["digest"], outcome
            except (ValueError, KeyError, TypeError):  # cut short, of an older form, or its medium is gone
                continue
            kept.append(line.decode())
        return kept


def _told(estimate: Estimate | None) -> dict[str, Any] | None:
    return estimate and {key: finite(part) for key, part in estimate._asdict().items()}


def finite(value: Any) -> Any:
    """What JSON holds: null for a number that is not finite."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
