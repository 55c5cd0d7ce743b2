"""Students that a teacher taught against the same students alone: held-out losses, in pairs of the same rows.

python benchmarks/distilled.py --taught runs/taught-{0,1,2} --alone runs/alone-{0,1,2} [--json]

Runs are of `tejat tune distill` with `heldout_documents`; a pair has the same seed. A difference is taught minus alone,
in nats a token: below zero, the teacher helped. Its interval is of the rows that both saw; over the seeds, of three
means (Student's t), which knows that another seed is another student.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro

from tejat.errors import BadInput, explained
from tejat.evals import statistics
from tejat.posttrain.distil import HELDOUT


@dataclass(frozen=True)
class Options:
    """What is compared."""

    taught: tuple[Path, ...]
    alone: tuple[Path, ...]
    json: tyro.conf.FlagCreatePairsOff[bool] = False


def rows(run: Path, kind: str) -> np.ndarray:
    """[n, 2]: the sum of losses and the count of every row."""
    try:
        return np.asarray(json.loads((run / HELDOUT).read_text())[kind], float).reshape(-1, 2)
    except (OSError, ValueError, KeyError) as error:
        raise BadInput(f"{run} has no losses of held-out rows ({error}); finish its run") from error


def compare(taught: tuple[Path, ...], alone: tuple[Path, ...]) -> list[dict]:
    found = []
    for kind in ("text", "picture"):
        means = []
        for number, (one, other) in enumerate(zip(taught, alone, strict=True)):
            first, second = rows(one, kind), rows(other, kind)
            if len(first) != len(second) or (first[:, 1] != second[:, 1]).any():
                raise BadInput(f"{one} and {other} were measured on different rows; run them with the same recipe")
            real = first[:, 1] > 0
            if not real.any():
                continue
            first, second = first[real], second[real]
            difference = statistics.ratio_difference(first[:, 0], second[:, 0], first[:, 1])
            losses = [side[:, 0].sum() / side[:, 1].sum() for side in (first, second)]
            means.append(difference.value)
            told = {"taught": losses[0], "alone": losses[1], "difference": difference.value}
            found.append(
                {
                    "kind": kind,
                    "seed": number,
                    **told,
                    "low": difference.low,
                    "high": difference.high,
                    "rows": int(real.sum()),
                }
            )
        if len(means) > 1:
            over = statistics.mean(means)
            found.append({"kind": kind, "seed": "all", "difference": over.value, "low": over.low, "high": over.high})
    return found


def main() -> None:
    options = tyro.cli(Options)
    found = compare(options.taught, options.alone)
    if options.json:
        print(json.dumps(found))
        return
    print(f"{'':8} {'seed':>4} {'taught':>8} {'alone':>8} {'difference':>11} {'95%':>20}")
    for row in found:
        each = "".join(f"{row[name]:9.4f}" if name in row else " " * 9 for name in ("taught", "alone"))
        told = f"{row['low']:.4f} to {row['high']:.4f}"
        print(f"{row['kind']:8} {row['seed']!s:>4}{each} {row['difference']:11.4f} {told:>20}")


if __name__ == "__main__":
    with explained():
        main()
