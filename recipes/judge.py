"""The judge of pictures: a classifier of what drawings show, which looks at what a model drew or a tokenizer kept.

tejat data build recipes/pictures_corpus.py --out runs/pictures_corpus
python recipes/judge.py runs/judge                   trained on the styles that models train on, tried on the others
python recipes/judge.py runs/judge_apart --apart     the other way round: independent of what models have seen

The second judges pictures drawn by a model, whose styles it has never seen. Things that are held out are in neither.
"""

import argparse
from pathlib import Path

import numpy as np

from tejat.data import rasters
from tejat.evals import picture_classifier
from tejat.evals.picture_classifier import ClassifierConfig, Training
from tejat.train.optimizer import Schedule
from tejat.train.pictures import on_white

CORPUS = Path("runs/pictures_corpus")
TRIED = 2_000  # drawings of the other side


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("out", type=Path)
    arguments.add_argument("--apart", action="store_true")
    arguments.add_argument("--corpus", type=Path, default=CORPUS)
    arguments.add_argument("--steps", type=int, default=12_000)
    options = arguments.parse_args()
    sides = [("train", ""), ("heldout", "style")]
    (training, tried) = reversed(sides) if options.apart else sides
    drawn, names = _drawings(options.corpus, *training)
    others, other_names = _drawings(options.corpus, *tried)
    settings = Training(Schedule(options.steps, peak=2e-3, warmup=500, floor=0.01, decay=0.05), bfloat16=True)
    judge = picture_classifier.train(ClassifierConfig(), settings, drawn, names, lambda line: print(line, flush=True))
    options.out.mkdir(parents=True, exist_ok=True)
    picture_classifier.save(judge, options.out)
    known = [k for k, name in enumerate(other_names) if name in judge.classes]
    chosen = [known[k] for k in np.linspace(0, len(known) - 1, min(TRIED, len(known))).astype(int)]
    right = picture_classifier.recognised(
        judge, [on_white(others[k]) for k in chosen], [other_names[k] for k in chosen]
    )
    print(f"{len(judge.classes)} things; of {len(chosen)} drawings in styles never seen {right:.1%} are recognised")


def _drawings(corpus: Path, split: rasters.Split, axis: str) -> tuple[np.ndarray, list[str]]:
    names = [thing for thing, _ in rasters.names(corpus, split, axis)]
    return rasters.drawings(corpus, split, side=96, sources=("concepts",), axis=axis), names


if __name__ == "__main__":
    main()
