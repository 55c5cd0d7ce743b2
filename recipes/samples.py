"""Samples of evaluations by lot, right and wrong as they come, in lines of Markdown: those of mini's model card.

python recipes/samples.py runs/tables/promised runs/tables/skills --each 2 --seed 0
python recipes/samples.py runs/g/mini --beside runs/g/masters      and what another answered to the same

Of every task with answers in words, in the order of the folders, so many items of all that were asked: which, the seed
and the task's name alone decide. Each line has what was asked and what was answered, cut where they are long, and what
was due, or ✓ where that is what was answered; of tasks that count errors, how many. Pictures, sounds and clips are
named, not shown: the report.html of the folder shows some. What was asked is made anew of the corpus; a folder of
which something else is due than the corpus says is refused.
"""

import json
import sys
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro

from tejat.errors import BadInput, explained
from tejat.evals import suites
from tejat.evals.ground import Ground
from tejat.evals.tasks import Item
from tejat.parts import Audio, Image, Part, Text, Video, write_whole

NAMED = {Image: "[picture]", Audio: "[sound]", Video: "[clip]"}
LONGEST = 80
"""Characters of a cell."""


@dataclass(frozen=True)
class Options:
    runs: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Folders of `tejat eval`."""
    each: int = 2
    """Items of a task."""
    seed: int = 0
    tasks: tuple[str, ...] = ()
    """Only these, by SUITE.NAME."""
    corpus: Path = Path("runs/corpus")
    out: Path | None = None
    """Where they are written, not printed."""
    beside: Path | None = None
    """A folder of another model's answers to the same items; what only one was asked is left out."""


def main(options: Options) -> int:
    if options.each < 1:
        raise BadInput(f"--each is {options.each}; give at least 1")
    heads = ["task", "asked", *["answered", "due"] * (2 if options.beside else 1)]
    found = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    found += [line for run in options.runs for line in lines(run, options)]
    if options.out is None:
        print("\n".join(found))
    else:
        write_whole(options.out, ("\n".join(found) + "\n").encode())
    return 0


def lines(run: Path, options: Options) -> Iterator[str]:
    """A line for each sample of a folder, task by task. Raises BadInput for a folder that is none, or another's."""
    rows, ground = _rows(run, options.corpus)
    for (suite, name), row in rows.items():
        called = f"{suite}.{name}"
        path = run / "samples" / f"{called}.jsonl"
        if (options.tasks and called not in options.tasks) or not path.is_file():
            continue
        answered, others = _answered(path), None
        if options.beside is not None:
            others = {told["id"]: told for told in _answered(options.beside / "samples" / path.name)}
            answered = [told for told in answered if told["id"] in others]
        if not answered:
            continue  # bits of a text: there is no answer
        items = {item.id: item for item in _task(called, ground).items()}
        for told in drawn(answered, options.each, f"{options.seed}/{called}"):
            item = items.get(told["id"])
            if item is None or list(item.answers) != told["acceptable"]:
                raise BadInput(f"{run} has answers to another {called} than {options.corpus} makes; name its corpus")
            both = [told] if others is None else [told, others[told["id"]]]
            answers = [f"{cell(said(one['answer']))} | {due(one, row)}" for one in both]
            yield f"| {name} | {cell(asked(item))} | {' | '.join(answers)} |"


def drawn(told: Sequence[dict[str, Any]], each: int, seed: str) -> list[dict[str, Any]]:
    """So many of them by lot: by the seed and their ids, whatever their order."""
    ordered = sorted(told, key=lambda one: one["id"])
    places = np.random.default_rng(zlib.crc32(seed.encode())).permutation(len(ordered))[:each]
    return [ordered[int(place)] for place in places]


def asked(item: Item) -> str:
    """In words: what the model was given, with media named."""
    parts: Sequence[Part] = [part for turn in item.turns for part in turn.parts]
    return " ".join(part.text if isinstance(part, Text) else NAMED[type(part)] for part in parts)


def said(answer: Sequence[Mapping[str, Any]]) -> str:
    """In words: an answer as `samples/` keeps it."""
    return " ".join(part.get("text", "[picture]") for part in answer)


def due(told: Mapping[str, Any], row: Mapping[str, Any]) -> str:
    """✓, or what was due, with the errors where they are counted; ✗ where no words were."""
    if told["score"] == (0 if row["better"] == "lower" else 1):
        return "✓"
    counted = {"ratio": f" ({told['score']:g} of {told['weight']:g} wrong)", "mean": f" ({told['score']:.2f})"}
    return (cell(told["acceptable"][0]) if told["acceptable"] else "✗") + counted.get(row["kind"], "")


def cell(text: str) -> str:
    """On one line, cut where it is long, with nothing that Markdown would take for its own."""
    flat = " ⏎ ".join(line.strip() for line in text.strip().splitlines() if line.strip())
    cut = flat if len(flat) <= LONGEST else f"{flat[: LONGEST // 2].rstrip()} … {flat[-LONGEST // 2 :].lstrip()}"
    for sign in "\\|*_`<":
        cut = cut.replace(sign, f"\\{sign}")
    return cut


def _answered(path: Path) -> list[dict[str, Any]]:
    """What a model answered in words to a task; nothing where there is no such file."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    return [told for told in map(json.loads, lines) if "id" in told and told["answer"] and not told["control"]]


def _rows(run: Path, corpus: Path) -> tuple[dict[tuple[str, str], dict[str, Any]], Ground]:
    """(its results, what its items were made of)"""
    try:
        found = json.loads((run / "results.json").read_text(encoding="utf-8"))
        most = suites.most(found["suite"], found.get("limit"))
        return {(row["suite"], row["name"]): row for row in found["tasks"]}, Ground(corpus, most=most)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadInput(f"{run} is no folder of `tejat eval` ({error}); give one that has results.json") from error


def _task(called: str, ground: Ground):
    (task,) = suites.tasks("all", [called], ground)
    return task


if __name__ == "__main__":
    with explained():
        sys.exit(main(tyro.cli(Options, description=__doc__)))
