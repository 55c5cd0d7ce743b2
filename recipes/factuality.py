"""The table of docs/FACTUALITY.md: models before and after the behaviours, and policies that answer all alike.

python recipes/factuality.py runs/mini-instruct/model runs/mini-behaviours/model --corpus runs/corpus

Each model is measured as `tejat eval MODEL --suite factuality` measures it, and what that has measured before is not
asked again. The first model is the one that the others are compared with, item by item; intervals are of 95%.
"""

import argparse
import io
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from tejat import api, bundle
from tejat.evals import comparing, harness, statistics, suites
from tejat.evals.factuality import policies, risk
from tejat.evals.factuality.measuring import Covering, answered, at_equal_coverage
from tejat.evals.ground import Ground
from tejat.evals.harness import Result
from tejat.evals.statistics import Estimate

TASKS = ("attribution", "hedging", "over-hedging", "helpful", "inaccurate", "risk-coverage")
TASKS = (*TASKS, "prompts-helpful", "prompts-hedging", "closed-book", "passage")
BY_LIKELIHOOD = ("closed-book", "passage")  # policies write, and have no likelihoods


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("models", nargs="+", type=Path)
    arguments.add_argument("--corpus", type=Path, default=Path("runs/corpus"))
    arguments.add_argument("--limit", type=int)
    arguments.add_argument("--out", type=Path, default=Path("runs/factuality"))
    options = arguments.parse_args()
    tasks = suites.tasks("factuality", TASKS, Ground(options.corpus))
    written = [task for task in tasks if task.name not in BY_LIKELIHOOD]
    measured: dict[str, list[Result]] = {}
    for policy in (policies.Refusing(), policies.Copying()):
        out = options.out / policy.name.replace(" ", "-")
        mark, quiet = policy.name, io.StringIO()
        measured[policy.name] = harness.run(policy, written, out, fingerprint=mark, limit=options.limit, stream=quiet)
    names = [_name(path) for path in options.models]
    for path, name in zip(options.models, names, strict=True):
        directory = bundle.find(str(path))
        mark, out = harness.fingerprint(directory), options.out / name
        found, lost = harness.survey(api.load(directory), tasks, out, fingerprint=mark, limit=options.limit)
        for task in lost:
            print(f"{name}: {task.name} was not run: {task.reason}", file=sys.stderr)
        measured[name] = found
    table = "\n".join(_table(measured))
    compared = "\n".join(line for name in names[1:] for line in _compared(names[0], name, measured))
    reasons = "\n".join(_reasons(names, measured))
    text = f"{table}\n\n{compared}\n\n{reasons}\n" if compared else f"{table}\n\n{reasons}\n"
    (options.out / "table.md").write_text(text)
    numbers = {name: [result.row.to_json() for result in found] for name, found in measured.items()}
    (options.out / "table.json").write_text(json.dumps(numbers, indent=1) + "\n")
    print(text)


def _table(measured: dict[str, list[Result]]) -> list[str]:
    """All numbers, one column a model."""
    names = [*measured]
    lines = [f"| | n | {' | '.join(names)} |", "|---" * (len(names) + 2) + "|"]
    for task in TASKS:
        cells, n, better = [], 0, ""
        for name in names:
            row = next((result.row for result in measured[name] if result.row.name == task), None)
            cells.append(f"{row.value:.3f} ({row.low:.3f} – {row.high:.3f})" if row else "")
            n, better = (row.n, "↑" if row.better == "higher" else "↓") if row else (n, better)
        lines.append(f"| {task} {better} | {n} | {' | '.join(cells)} |")
    return lines


def _compared(first: str, second: str, measured: dict[str, list[Result]]) -> list[str]:
    """The second model minus the first, and how much rarer wrong answers are where both answer as often."""
    lines = [f"{second} minus {first}, over the same items:", "", "| | difference | 95% interval |", "|---|---|---|"]
    for found in comparing.compare(measured[second], measured[first]):
        one = found.difference
        lines.append(f"| {found.name} | {one.value:+.3f} | {one.low:+.3f} – {one.high:+.3f} |")
    reduced = _reduction(measured[first], measured[second])
    if reduced is not None:
        shown = f"{reduced.value:+.1%} ({reduced.low:+.1%} – {reduced.high:+.1%})"
        lines.append(f"| wrong answers at equal coverage, relative | {shown} | |")
    return [*lines, ""]


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


def _reasons(names: Sequence[str], measured: dict[str, list[Result]]) -> list[str]:
    """By kind of question: right or owned up, as is right there; and how many of all are answered at all."""
    lines = [f"| kind of question | n | {' | '.join(names)} |", "|---" * (len(names) + 2) + "|"]
    for task in ("helpful", "hedging"):
        rows = [next((r.row for r in measured[name] if r.row.name == task), None) for name in names]
        if not all(rows):
            continue
        for kind, estimate in rows[0].by.get("kind", {}).items():
            cells = [f"{row.by['kind'][kind].value:.2f}" for row in rows]
            lines.append(
                f"| {kind}: {'right' if task == 'helpful' else 'owns up'} | {estimate.n} | {' | '.join(cells)} |"
            )
    for name in names:
        found = next((result for result in measured[name] if isinstance(result.task, Covering)), None)
        if found is not None:
            share = risk.coverage(list(map(answered, found.outcomes.values())))
            lines.append(f"| answered at all | {len(found.outcomes)} | {name}: {share:.2f} |")
    return lines


def _name(path: Path) -> str:
    """A run's name for the model in it."""
    return path.parent.name if path.name == "model" else path.name


if __name__ == "__main__":
    main()
