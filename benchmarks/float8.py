"""The same models with products of 8-bit floats and without, over three seeds: is the loss the same?

    python benchmarks/float8.py recipes/mini_15m.py --set pictures=PATH       one GPU, with a corpus, some minutes
    python benchmarks/float8.py tests/train/smallest.py --steps 12 --rows 4       on a processor

All of them take the very same batches, side by side (`tejat.train.ladder`), and pairs of one seed begin with the same
weights. Of each loss, on what is held out where the recipe has a corpus, else on what was trained on last: its mean
over seeds either way, the difference of the pairs with its standard error, and how far seeds alone are apart.
"""

import json
import math
import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import mean, stdev

import tyro

from tejat.errors import BadInput, explained
from tejat.train import arms, ladder, recipe


@dataclass(frozen=True)
class Options:
    recipe: tyro.conf.Positional[Path]
    steps: int = 576
    rows: int = 32
    """Of a batch."""
    seeds: tuple[int, ...] = (0, 1, 2)
    out: Path = Path("runs/float8")
    set: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """Of the recipe, as `tejat train --set` has it."""
    held: int = 4
    """Batches of what is held out, of each kind."""


def main(options: Options) -> int:
    if len({*options.seeds}) < 2 or len({*options.seeds}) < len(options.seeds):
        raise BadInput("a spread needs two seeds or more, each once; give --seeds 0 1 2")
    base = recipe.changed(recipe.read(options.recipe), [f"schedule.steps={options.steps}", *options.set])
    base = replace(base, room=replace(base.room, rows=options.rows))
    found = ladder.climb(base, rungs(options, base), options.out, heldout=unseen, batches=options.held)
    rows = compared(found, options.seeds)
    print(json.dumps({"recipe": str(options.recipe), "steps": options.steps, "losses": rows}, indent=1))
    return 0


def rungs(options: Options, base: recipe.Recipe) -> list[ladder.Rung]:
    """A pair for every seed."""
    how = replace(base.how, unrolled=False)
    return [
        ladder.Rung(name(float8, seed), base.config, base.schedule, seed, replace(how, float8=float8))
        for seed in options.seeds
        for float8 in (False, True)
    ]


def name(float8: bool, seed: int) -> str:
    return f"{'float8' if float8 else 'plain'}-{seed}"


def unseen(framing, base: recipe.Recipe):
    """Documents of text alone and of all else, none of them trained on, where there are any."""
    if base.corpus is None:
        return {}
    kinds = ("text", "media")
    return {kind: arms.only(kind, split="heldout")(framing, base) for kind in kinds}


@dataclass(frozen=True)
class Row:
    """Of one loss, in nats a token: means, the difference of pairs and its standard error, the spread of seeds."""

    loss: str
    plain: float
    float8: float
    difference: float
    error: float
    seeds: float


def compared(found: list[dict], seeds: tuple[int, ...]) -> list[dict]:
    """What became of the pairs, loss by loss."""
    told = {each["name"]: each["heldout"] or each["trained"] for each in found}
    plain, float8 = ([told[name(which, seed)] for seed in seeds] for which in (False, True))
    rows = []
    for loss in plain[0]:
        apart = [b[loss] - a[loss] for a, b in zip(plain, float8, strict=True)]
        row = Row(
            loss,
            mean(each[loss] for each in plain),
            mean(each[loss] for each in float8),
            mean(apart),
            stdev(apart) / math.sqrt(len(apart)),
            stdev(each[loss] for each in plain),
        )
        rows.append({key: round(value, 5) if key != "loss" else value for key, value in asdict(row).items()})
    return rows


if __name__ == "__main__":
    with explained():
        sys.exit(main(tyro.cli(Options, description=__doc__)))
