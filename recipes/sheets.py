"""A sheet of what a model draws: the first items of the tasks of `tejat eval --suite pictures`, none selected.

python recipes/sheets.py runs/sheet/drawn.webp

Things are a seeded draw from the corpus. Below each is the thing and what was asked of it; green: it is what was asked
for, red: it is not, by what the task goes by (docs/EVALUATION.md, "Drawing"; the judge is that of recipes/judge.py).
Answers are kept beside the sheet, and read again where there are some. Some 100 pictures: a minute of two cores.
"""

import argparse
from pathlib import Path

import tejat
from tejat import bundle
from tejat.errors import explained
from tejat.evals import harness, picture_sheets, pictures_suite
from tejat.evals.ground import Ground
from tejat.evals.picture_sheets import Cell
from tejat.evals.tasks import Item, Outcome
from tejat.parts import Image

WIDE = 10  # pictures in a row
ROWS = {
    "drawn": ("Asked for in English; green: recognised by the judge", 1),
    "drawn-ten-languages": ("Asked for in ten languages", 1),
    "coloured": ("In a colour, or on a ground of one", 1),
    "counted": ("So many of it, as a list or in words", 1),
    "sized": ("In a size", 1),
    "placed": ("Two or three things in fields that are named", 1),
    "edited-own": ("Drawn, and changed as asked: the second picture", 1),
    "edited": ("Shown, and changed as asked", 2),
    "pattern": ("Two pictures as an example, and two drawn after it", 4),
}
"""Titles of tasks, and pictures that an item has."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="a .webp or .png file")
    parser.add_argument("--model", default="mini")
    parser.add_argument("--corpus", type=Path, default=Path("runs/corpus"))
    parser.add_argument("--side", type=int, default=80, help="pixels of a picture on the sheet")
    parser.add_argument("--most", type=int, default=40_000, help="bytes of the sheet, if it is a .webp file")
    options = parser.parse_args()
    weights, model = harness.fingerprint(bundle.find(options.model)), tejat.load(options.model, engine=None)
    raws = Ground(options.corpus).shards("concepts", "train")
    names = {raw.fields["concept"]: raw.fields["names"]["en"] for raw in raws}
    rows = []
    for name, (title, pictures) in ROWS.items():
        ground = Ground(options.corpus, most=WIDE // pictures)
        task = next(task for task in pictures_suite.tasks(ground) if task.name == name)
        task.ways = ()
        (result,) = harness.run(model, [task], options.out.parent, fingerprint=weights)
        rows.append((title, [_cell(item, result.outcomes[item.id], names) for item in result.items]))
    picture_sheets.write(picture_sheets.sheet(rows, options.side), options.out, options.most)


def _cell(item: Item, outcome: Outcome, names: dict[str, str]) -> Cell:
    shown = [part for turn in item.turns for part in turn.parts if isinstance(part, Image)]
    drawn = [part for part in outcome.parts if isinstance(part, Image)]
    asked = [answer for answer in item.answers if answer != item.cluster]
    thing = [names[item.cluster]] if item.cluster in names and len(asked) < 2 else []
    return Cell([part.pixels for part in (*shown, *drawn)], ", ".join(thing + asked), bool(outcome.score))


if __name__ == "__main__":
    with explained():
        main()
