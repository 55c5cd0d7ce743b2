"""What an image tokenizer keeps of the same drawings in other shapes, and with fewer and with more codes.

    python benchmarks/shapes.py mini --corpus runs/corpus --judge runs/judge

Drawings are those of `tejat eval --suite promised` in styles that no training has, as large as the shape lets them be,
on white. PSNR within the drawing (what is not white, and what it encloses in its rows) and SSIM of all; codes used of
all that there are; and the Fréchet distance to the drawings themselves in the features of a judge, if one is given
(recipes/judge.py, which saw both styles in training): to be compared within a table alone.
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro
from jaxtyping import Bool, UInt8

from tejat import bundle
from tejat.codecs.image import resize
from tejat.codecs.picture import PictureCodec
from tejat.errors import BadInput, explained
from tejat.evals import picture_classifier, suites
from tejat.evals.ground import Ground
from tejat.evals.picture_classifier import Classifier, frechet, look
from tejat.evals.picture_quality import quality, use
from tejat.parts import Image

GRIDS = ((8, 8), (16, 16), (32, 32), (14, 18), (18, 14), (12, 21), (21, 12), (11, 22), (8, 32))
"""Rows and columns of codes: three budgets of a square, then shapes that models are taught to draw, and one more."""

Pixels = UInt8[np.ndarray, "H W 3"]


@dataclass(frozen=True)
class Options:
    model: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="NAME|DIR")]
    corpus: Path = Path("runs/corpus")
    judge: Path | None = None
    pictures: int = 32
    """Of each style."""


def main(options: Options) -> int:
    codec = bundle.load(bundle.find(options.model)).pictures
    if codec is None:
        raise BadInput(f"{options.model} has no image tokenizer; give a model that draws")
    judge = picture_classifier.load(options.judge) if options.judge else None
    for style in ("emojione", "openmoji"):
        shown = drawings(style, options)
        print(f"\n{len(shown)} drawings of {style}\n")
        print("| codes, high × wide | pixels | PSNR inside, dB | SSIM | codes used | Fréchet |")
        print("|---|---|---|---|---|---|")
        for rows, columns in GRIDS:
            high, wide = rows * codec.config.patch, columns * codec.config.patch
            print(line([laid(one, high, wide) for one in shown], codec, judge))
    return 0


def drawings(style: str, options: Options) -> list[Pixels]:
    (task,) = suites.tasks("promised", [f"name-{style}"], Ground(options.corpus))
    parts = [part for item in task.items() for turn in item.turns for part in turn.parts]
    found = [part.pixels for part in parts if isinstance(part, Image)]
    return [found[int(n)] for n in np.linspace(0, len(found) - 1, min(options.pictures, len(found)))]


def laid(drawing: Pixels, height: int, width: int) -> Pixels:
    """In the middle of a white sheet, as large as it fits."""
    scale = min(height / drawing.shape[0], width / drawing.shape[1])
    h, w = (max(1, round(side * scale)) for side in drawing.shape[:2])
    sheet = np.full((height, width, 3), 255, np.uint8)
    top, left = (height - h) // 2, (width - w) // 2
    sheet[top : top + h, left : left + w] = resize(drawing, h, w)
    return sheet


def inside(sheet: Pixels) -> Bool[np.ndarray, "H W"]:
    """What is not white, and what lies between such in a row."""
    ink = (sheet < 250).any(-1)
    return np.maximum.accumulate(ink, 1) & np.maximum.accumulate(ink[:, ::-1], 1)[:, ::-1]


def line(sheets: list[Pixels], codec: PictureCodec, judge: Classifier | None) -> str:
    height, width = sheets[0].shape[:2]
    rows, columns = height // codec.config.patch, width // codec.config.patch
    other = PictureCodec(codec.params, codec.config)
    other.budget = rows * columns
    codes = other.encode_many(sheets)
    if {code.shape for code in codes} != {(rows, columns)}:
        raise BadInput(f"sheets of {rows} x {columns} codes became {codes[0].shape}")
    back = [other.decode(code) for code in codes]
    found = quality(sheets, back, [inside(sheet) for sheet in sheets])
    used = use(np.concatenate([code.ravel() for code in codes]), codec.config.codes)
    distance = ""
    if judge:
        (before, _), (after, _) = look(judge, sheets), look(judge, back)
        distance = f"{frechet(before, after):.2f}"
    share = f"{used.used:.1%} in {used.codes:,}"
    return f"| {rows} × {columns} | {width} × {height} | {found.inside:.1f} | {found.ssim:.3f} | {share} | {distance} |"


if __name__ == "__main__":
    with explained():
        sys.exit(main(tyro.cli(Options, description=__doc__)))
