"""The table of docs/FACTUALITY.md: models before and after the behaviours, and policies that answer all alike.

python recipes/factuality.py runs/mini-instruct/model runs/mini-behaviours/model --corpus runs/corpus
python recipes/factuality.py runs/mini-instruct/model mini runs/grpo-{0,1,2}/model
python recipes/factuality.py runs/grpo-1/model --ask      no table yet: its answers, on a GPU of its own, say

Each model is measured as `tejat eval MODEL --suite factuality` measures it, and what that has measured before is not
asked again; of a model that is gone its answers are enough. The first is the one that the others are compared with,
item by item; intervals are of 95%. Models whose names differ in a number alone, grpo-0 and grpo-1, are seeds of one
way: the table has their means and ranges, and of differences one for each seed.
"""

import argparse
import io
import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import mean
from typing import Any

from tejat import api, bundle
from tejat.errors import BadInput
from tejat.evals import comparing, harness, setting, statistics, suites
from tejat.evals.factuality import policies, risk
from tejat.evals.factuality.measuring import Covering, answered, at_equal_coverage
from tejat.evals.ground import Ground
from tejat.evals.harness import Result
from tejat.evals.statistics import Estimate
from tejat.evals.tasks import Task
from tejat.parts import write_whole

TASKS = ("attribution", "hedging", "over-hedging", "helpful", "inaccurate", "risk-coverage")
TASKS = (*TASKS, "prompts-helpful", "prompts-hedging", "closed-book", "passage")
BY_LIKELIHOOD = ("closed-book", "passage")  # policies write, and have no likelihoods

CURVE = "risk-coverage"
COVERAGES = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0)

Way = list[list[Result]]
"""The results of a column: a list for each seed."""


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("models", nargs="+", type=Path)
    arguments.add_argument("--corpus", type=Path, default=Path("runs/corpus"))
    arguments.add_argument("--limit", type=int)
    arguments.add_argument("--out", type=Path, default=Path("runs/factuality"))
    arguments.add_argument("--ask", action="store_true", help="ask the models, and make no table of what they answer")
    options = arguments.parse_args()
    names = [setting.called(path) for path in options.models]
    if len({*names}) < len(names):
        arguments.error(f"two models have one name ({', '.join(names)}); give each a directory of its own")
    groups = _grouped(names)
    if not options.ask and len({len(mine) for mine in groups.values()} - {1}) > 1:
        told = ", ".join(f"{len(mine)} of {way}" for way, mine in groups.items())
        arguments.error(f"there are {told}; give as many seeds of each way, or one")
    tasks = suites.tasks("factuality", TASKS, Ground(options.corpus))
    for task in tasks:
        task.ways = ()  # the table has no controls, and of a model that is gone none can be asked
    if options.ask:
        for path, name in zip(options.models, names, strict=True):
            found = _asked(path, options.out / name, tasks, options.limit)
            told = json.dumps([result.row.to_json() for result in found], indent=1)
            write_whole(options.out / name / "asked.json", f"{told}\n".encode())
        return
    written = [task for task in tasks if task.name not in BY_LIKELIHOOD]
    measured: dict[str, list[Result]] = {}
    for policy in (policies.Refusing(), policies.Guessing(), policies.Copying()):
        out = options.out / policy.name.replace(" ", "-")
        mark, quiet = policy.name, io.StringIO()
        measured[policy.name] = harness.run(policy, written, out, fingerprint=mark, limit=options.limit, stream=quiet)
    fixed: dict[str, Way] = {name: [found] for name, found in measured.items()}
    for path, name in zip(options.models, names, strict=True):
        measured[name] = _asked(path, options.out / name, tasks, options.limit)
    ways = {way: [measured[name] for name in mine] for way, mine in groups.items()}
    first, *others = ways
    parts = [_table(fixed | ways), *(_compared(first, other, ways) for other in others), _curves(ways), _reasons(ways)]
    text = "\n\n".join("\n".join(lines) for lines in parts) + "\n"
    (options.out / "table.md").write_text(text)
    numbers = {name: [result.row.to_json() for result in found] for name, found in measured.items()}
    (options.out / "table.json").write_text(json.dumps(numbers, indent=1) + "\n")
    print(text)


class Gone:
    """Stands for a model that is not there any more: all that it is asked for must have been answered before."""

    def __init__(self, path: Path):
        self._path = path

    def __getattr__(self, name: str) -> Any:
        raise BadInput(f"{self._path} is not there, and has not answered all of this")


def _asked(path: Path, out: Path, tasks: Sequence[Task], limit: int | None) -> list[Result]:
    """What a model answers, and what it has answered. Raises BadInput where there is neither."""
    samples = [*(out / "samples").glob("*.jsonl")]
    if samples and not (path / "config.json").is_file():
        with samples[0].open() as file:
            model, mark = Gone(path), json.loads(file.readline())["fingerprint"]
    else:
        directory = bundle.find(str(path))
        model, mark = api.load(directory), harness.fingerprint(directory)
    found, lost = harness.survey(model, tasks, out, fingerprint=mark, limit=limit)
    for task in lost:
        print(f"{out.name}: {task.name} was not run: {task.reason}", file=sys.stderr)
    return found


def _table(ways: dict[str, Way]) -> list[str]:
    """All numbers, one column a way."""
    lines = [f"| | n | {' | '.join(ways)} |", "|---" * (len(ways) + 2) + "|"]
    for task in TASKS:
        cells, n, better = [], 0, ""
        for way in ways.values():
            rows = [result.row for found in way for result in found if result.row.name == task]
            cells.append(_spread([row.value for row in rows]) if len(rows) > 1 else _alone(rows[0]) if rows else "")
            n, better = (rows[0].n, "↑" if rows[0].better == "higher" else "↓") if rows else (n, better)
        lines.append(f"| {task} {better} | {n} | {' | '.join(cells)} |")
    return lines


def _compared(first: str, second: str, ways: dict[str, Way]) -> list[str]:
    """The second way minus the first, seed by seed, and how much rarer wrong answers are where both answer as often."""
    pairs = _paired(ways[second], ways[first])
    seeds = [{d.name: d.difference for d in comparing.compare(after, before)} for after, before in pairs]
    lines = [f"{second} minus {first}, over the same items, with 95% intervals:", ""]
    lines += [f"| |{' | '.join('difference' for _ in seeds)} |", "|---" * (len(seeds) + 1) + "|"]
    for task in TASKS:
        if all(task in found for found in seeds):
            lines.append(f"| {task} | {' | '.join(_signed(found[task]) for found in seeds)} |")
    reduced = [_reduction(before, after) for after, before in pairs]
    if None not in reduced:
        shown = (f"{one.value:+.1%} ({one.low:+.1%} – {one.high:+.1%})" for one in reduced if one)
        lines.append(f"| wrong answers at equal coverage, relative | {' | '.join(shown)} |")
    return lines


def _reduction(first: Sequence[Result], second: Sequence[Result]) -> Estimate | None:
    """By what share wrong answers are rarer in the second, both answering as many as the one that answers fewer."""
    before = next((result for result in first if isinstance(result.task, Covering)), None)
    after = next((result for result in second if isinstance(result.task, Covering)), None)
    if before is None or after is None:
        return None
    items = [item for item in before.items if item.id in after.outcomes]
    pairs = [(answered(before.outcomes[item.id]), answered(after.outcomes[item.id])) for item in items]

    def of(some: Sequence) -> float:
        wrong, less = at_equal_coverage(*zip(*some, strict=True))
        return less / wrong - 1 if wrong else 0.0

    return statistics.bootstrap(pairs, of, [item.cluster for item in items], resamples=1_000)


def _curves(ways: dict[str, Way]) -> list[str]:
    """Risk over coverage: the share of errors among the answers that each is surest of, of so many of all questions."""
    found = {way: [r for results in some for r in results if r.row.name == CURVE] for way, some in ways.items()}
    if not all(found.values()):
        return []
    curves = {way: [risk.curve(list(map(answered, r.outcomes.values()))) for r in mine] for way, mine in found.items()}
    lines = [f"| the surest of all questions | {' | '.join(ways)} |", "|---" * (len(ways) + 1) + "|"]
    for share in COVERAGES:
        errors = (mean(curve[max(1, round(share * len(curve))) - 1][1] for curve in mine) for mine in curves.values())
        lines.append(f"| {share:.0%} | {' | '.join(f'{error:.2f}' for error in errors)} |")
    return lines


def _reasons(ways: dict[str, Way]) -> list[str]:
    """By kind of question: right or owned up, as is right there; and how many of all are answered at all."""
    lines = [f"| kind of question | n | {' | '.join(ways)} |", "|---" * (len(ways) + 2) + "|"]
    for task, told in (("helpful", "right"), ("hedging", "owns up")):
        rows = [[r.row for found in way for r in found if r.row.name == task] for way in ways.values()]
        for kind, estimate in rows[0][0].by.get("kind", {}).items() if all(rows) else ():
            cells = [f"{mean(row.by['kind'][kind].value for row in mine):.2f}" for mine in rows]
            lines.append(f"| {kind}: {told} | {estimate.n} | {' | '.join(cells)} |")
    every = [[r for found in way for r in found if isinstance(r.task, Covering)] for way in ways.values()]
    if all(every):
        shares = [[risk.coverage(list(map(answered, r.outcomes.values()))) for r in mine] for mine in every]
        cells = [f"{mean(mine):.2f}" for mine in shares]
        lines.append(f"| answered at all | {len(every[0][0].outcomes)} | {' | '.join(cells)} |")
    return lines


def _alone(row: harness.Row) -> str:
    return f"{row.value:.3f} ({row.low:.3f} – {row.high:.3f})"


def _signed(one: Estimate) -> str:
    return f"{one.value:+.3f} ({one.low:+.3f} – {one.high:+.3f})"


def _spread(values: Sequence[float]) -> str:
    return f"{mean(values):.3f} ({min(values):.3f} – {max(values):.3f})"


def _grouped(names: Sequence[str]) -> dict[str, list[str]]:
    """Ways, and the models of each: of "grpo-0" and "grpo-1" grpo; one that stands alone has its whole name."""
    stems = [re.sub(r"-\d+$", "", name) for name in names]
    found: dict[str, list[str]] = {}
    for name, stem in zip(names, stems, strict=True):
        alone = stems.count(stem) == 1 or stem in names
        found.setdefault(name if alone else stem, []).append(name)
    return found


def _paired(one: Way, other: Way) -> list[tuple[list[Result], list[Result]]]:
    """Seed by seed; where there is one alone, with each of the other's."""
    count = max(len(one), len(other))
    return [(one[n % len(one)], other[n % len(other)]) for n in range(count)]


if __name__ == "__main__":
    main()
