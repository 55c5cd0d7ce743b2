"""How strongly pictures should be guided: the same things drawn with several strengths, a sheet of them, and numbers.

    nice python benchmarks/guidance.py runs/mini-v1 --corpus runs/corpus --strengths 1 1.5 2 3 4 --sheet sheet.png

A row of the sheet is a strength, a column a thing; the row above all has the corpus's own drawings. Things are asked
for in the plainest wording, the seed is the same for all. For each strength:

    nearest   of the drawings of every thing in the corpus (in its usual style, 24 x 24 pixels, squared differences)
              the nearest is the one that was asked for, or among the nearest ten: a judge that has learnt nothing
    named     the model's own likelihood of the name, per token, when it looks at what it drew
    seconds   of a picture, in batches of 8; with --best-of of all that were drawn for it

One JSON object on standard output.
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image as pillow

import tejat
from tejat.data.presenting import sprites
from tejat.data.shards import Shards
from tejat.infer.ranking import best_first, likelihoods_of_captions
from tejat.parts import Image

THINGS = (
    *("red apple", "banana", "cat face", "house", "automobile", "rocket", "fish", "butterfly", "guitar", "umbrella"),
    *("pizza", "red heart", "star", "snowman", "ghost", "key", "tulip", "penguin", "sailboat", "watermelon"),
    *("birthday cake", "crown", "frog", "soccer ball"),
)
CELL, SMALL, BATCH = 64, 24, 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("model", help="a directory, or the name of a model that comes with Tejat")
    parser.add_argument("--corpus", type=Path, required=True, help="a built corpus: its things are drawn")
    parser.add_argument("--strengths", type=float, nargs="+", default=[1.0, 1.5, 2.0, 3.0, 4.0])
    parser.add_argument("--temperature", type=float, default=0.3, help="of codes")
    parser.add_argument("--top-k", type=int, default=0, help="of codes")
    parser.add_argument("--min-p", type=float, default=0.05, help="of codes")
    parser.add_argument("--best-of", type=int, default=1, help="drawings of each, of which the model chooses one")
    parser.add_argument("--wording", default="Draw: {name}.", help="how things are asked for")
    parser.add_argument("--things", type=int, default=len(THINGS), help="how many of them")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--sheet", type=Path, help="where the sheet is written, as PNG")
    options = parser.parse_args()

    names, gallery = known(options.corpus)
    model = tejat.load(options.model, engine=None)
    things = THINGS[: options.things]
    rows, found = [[gallery[names.index(name)] for name in things]], []
    for strength in options.strengths:
        began, drawn = time.monotonic(), []
        for first in range(0, len(things), BATCH):
            some = [options.wording.format(name=name) for name in things[first : first + BATCH]]
            several = [
                model.generate_batch(
                    some,
                    picture_guidance=strength,
                    picture_temperature=options.temperature,
                    picture_top_k=options.top_k,
                    picture_min_p=options.min_p,
                    seed=options.seed + n,
                )
                for n in range(options.best_of)
            ]
            for asked, answers in zip(some, zip(*several, strict=True), strict=True):
                best = best_first(model.engine, [a.parts for a in answers], asked)[0] if options.best_of > 1 else 0
                drawn.append(next((p.pixels for p in answers[best].parts if isinstance(p, Image)), None))
        seconds = (time.monotonic() - began) / len(things)
        told = {"strength": strength, "seconds": round(seconds, 2), **judged(drawn, things, names, gallery)}
        real = [(Image(pixels), name) for pixels, name in zip(drawn, things, strict=True) if pixels is not None]
        told["named"] = round(float(np.mean(likelihoods_of_captions(model.engine, real))), 3)
        print(told, file=sys.stderr, flush=True)
        found.append(told)
        rows.append(drawn)
        if options.sheet:
            sheet(rows).save(options.sheet, optimize=True)
    print(json.dumps({"model": str(options.model), "things": len(things), "of": len(names), "strengths": found}))


def known(corpus: Path) -> tuple[list[str], list[np.ndarray]]:
    """The English names of all things of the corpus, and each in its usual style."""
    random, names, pictures = np.random.default_rng(0), [], []
    for item in Shards(corpus, "concepts", "train"):
        drawings = sprites.drawings(item.blobs)
        names.append(item.fields["names"]["en"])
        pictures.append(sprites.picture(drawings[sprites.usual_style(drawings, random)], None))
    return names, pictures


def judged(drawn: list, things: Sequence[str], names: list[str], gallery: list[np.ndarray]) -> dict[str, int]:
    """How many drawings are nearest to what was asked for, or near."""
    known = np.stack([shrunk(picture) for picture in gallery])
    first, among = 0, 0
    for pixels, name in zip(drawn, things, strict=True):
        if pixels is not None:
            order = np.argsort(((known - shrunk(pixels)) ** 2).sum((1, 2, 3)))[:10]
            first += names[order[0]] == name
            among += name in [names[n] for n in order]
    return {"drawn": sum(pixels is not None for pixels in drawn), "nearest": first, "among_ten": among}


def shrunk(pixels: np.ndarray, side: int = SMALL) -> np.ndarray:
    return np.asarray(pillow.fromarray(pixels).resize((side, side), pillow.Resampling.BOX), np.float32) / 255


def sheet(rows: list[list[np.ndarray | None]]) -> pillow.Image:
    """All pictures, a row a strength."""
    whole = pillow.new("RGB", (CELL * len(rows[0]), CELL * len(rows)), (255, 255, 255))
    for y, row in enumerate(rows):
        for x, pixels in enumerate(row):
            if pixels is not None:
                small = pillow.fromarray(pixels).resize((CELL - 2, CELL - 2), pillow.Resampling.BOX)
                whole.paste(small, (x * CELL, y * CELL))
    return whole.quantize(128)


if __name__ == "__main__":
    main()
