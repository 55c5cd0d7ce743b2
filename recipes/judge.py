"""The judge of drawings: a classifier of what is drawn, trained on other styles than those that a model draws in.

tejat data build recipes/corpus.py --out runs/corpus
python recipes/judge.py runs/judge               the judge: of all styles but Noto's, in which models draw
python recipes/judge.py runs/judge_peer --peer   beside a model that names pictures: of the styles that it saw

Each is tried on what it was not trained on: Noto; emojione with emojione-v1, and openmoji. Both have 1.7M parameters
and see 64 x 64 pixels. Of the corpus, the source "concepts" alone is read; things that are held out are in neither.
`tejat eval --suite pictures` looks for the first in runs/judge. Two minutes of one H200 that other programs used too.
Without noise (8,000 steps) the first recognised 65.5% of Noto's 1,465 drawings and 56.9% of the older Noto's, as
one of 1,710 things each, the peer 56.1% of emojione and 51.9% of openmoji; of 3,000 steps at twice the rate the first
had 48% and 37%, and diverged then. These were trained with `--noise 0`. With noise, as it is without that, the first
has 65.7% and 56.3%, by which the card's share of recognised drawings is; the peer has not been trained with it.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tejat.data import rasters
from tejat.errors import explained
from tejat.evals import picture_classifier
from tejat.evals.picture_classifier import Classifier, ClassifierConfig, Training
from tejat.train.optimizer import Schedule
from tejat.train.pictures import on_white

DRAWN = ("noto", "noto-v1")
"""Styles of the family that models draw in where none is asked for (`presenting.sprites.DRAWN`)."""

UNSEEN = (("emojione", "emojione-v1"), ("openmoji",))
"""Styles that models do not see in training."""

SIDE = 96  # pixels of a drawing before it is laid into a scene
TRIED = 2_000  # drawings of a trial

Drawn = tuple[np.ndarray, list[str], list[str]]
"""Drawings, RGBA, and the thing and style of each."""


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("out", type=Path)
    arguments.add_argument("--peer", action="store_true")
    arguments.add_argument("--corpus", type=Path, default=Path("runs/corpus"))
    arguments.add_argument("--steps", type=int, default=8_000)
    arguments.add_argument("--channels", type=int, nargs="+", default=list(ClassifierConfig.channels))
    arguments.add_argument("--blocks", type=int, default=ClassifierConfig.blocks)
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--noise", type=float, default=Training.noise, help="added to pictures, at most")
    options = arguments.parse_args()
    every = _drawings(options.corpus)
    unseen = tuple(style for family in UNSEEN for style in family)
    left_out = unseen if options.peer else DRAWN
    drawn, things, styles = _of(every, sorted({*every[2]} - {*left_out}))
    print(f"{len(drawn):,} drawings of {len({*things}):,} things in {', '.join(sorted({*styles}))}", flush=True)
    schedule = Schedule(options.steps, peak=1e-3, warmup=min(500, options.steps // 10), floor=0.01, decay=0.05)
    training = Training(schedule, bfloat16=True, seed=options.seed, noise=options.noise)
    shape = ClassifierConfig(tuple(options.channels), options.blocks)
    judge = picture_classifier.train(shape, training, drawn, things, lambda line: print(json.dumps(line), flush=True))
    picture_classifier.save(judge, options.out)
    judge = picture_classifier.load(options.out)  # as it is kept, in eight bits
    for family in UNSEEN if options.peer else (DRAWN[:1], DRAWN[1:]):
        print(f"{' and '.join(family)}, never seen: {_tried(judge, _of(every, family))}", flush=True)


def _drawings(corpus: Path) -> Drawn:
    """All drawings of things that training sees, in every style."""
    found = []
    for split, axis in (("train", ""), ("heldout", "style")):
        things, styles = zip(*rasters.names(corpus, split, axis), strict=True)
        found.append((rasters.drawings(corpus, split, SIDE, ("concepts",), axis), [*things], [*styles]))
    (ours, things, styles), (theirs, other_things, other_styles) = found
    return np.concatenate([ours, theirs]), things + other_things, styles + other_styles


def _of(every: Drawn, styles: Sequence[str]) -> Drawn:
    drawn, things, known = every
    chosen = [n for n, style in enumerate(known) if style in styles]
    return drawn[chosen], [things[n] for n in chosen], [known[n] for n in chosen]


def _tried(judge: Classifier, drawn: Drawn) -> str:
    pictures, things, _ = drawn
    known = [n for n, thing in enumerate(things) if thing in judge.classes]
    chosen = [known[n] for n in np.linspace(0, len(known) - 1, min(TRIED, len(known))).astype(int)]
    right = picture_classifier.recognised(judge, [on_white(pictures[n]) for n in chosen], [things[n] for n in chosen])
    return f"{right:.1%} of {len(chosen):,} recognised, as one of {len(judge.classes):,} things"


if __name__ == "__main__":
    with explained():
        main()
