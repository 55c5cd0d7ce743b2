"""Drawings before the judge: what it takes them for, beside what it takes real drawings for, and how various they are.

The judge (`picture_classifier`, recipes/judge.py) was trained on other styles than those that models draw in, and sees
a real drawing of the thing as well, and that drawing as the image tokenizer keeps it: nothing drawn by codes can be
better.
"""

import math
import zlib
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64, UInt8

from tejat.errors import BadInput
from tejat.evals import picture_classifier, statistics
from tejat.evals.answering import Answering
from tejat.evals.picture_classifier import Classifier, frechet
from tejat.evals.statistics import Estimate
from tejat.evals.tasks import Item, Outcome
from tejat.parts import Image, Part, Turn

JUDGES = (Path("runs/judge"), Path(str(resources.files("tejat"))) / "weights" / "judge")
FEW = 4  # drawings of one thing whose variety is measured

Pixels = UInt8[np.ndarray, "H W 3"]


@cache
def judge() -> Classifier:
    """The judge that is there. Raises BadInput where none is."""
    for directory in JUDGES:
        if directory.is_dir():
            return picture_classifier.load(directory)
    raise BadInput(
        f"there is no judge of drawings in {JUDGES[0]}; train one with `python recipes/judge.py {JUDGES[0]}`"
    )


class Recognised(Answering):
    """Right is a drawing that the judge takes for the thing asked for, an item's first answer.

    `real`: a real drawing of each item's thing, in the style that models draw in; `heldout`: real drawings, in that
    style too, of things that no training has.
    """

    metric = "recognised"

    def __init__(
        self,
        suite: str,
        name: str,
        make: Callable[[], Sequence[Item]],
        real: Callable[[Item], Pixels],
        heldout: Callable[[], Sequence[Pixels]],
    ):
        super().__init__(suite, name, make, max_tokens=None)
        self._real, self._heldout = real, heldout

    @property
    def asked(self) -> str:
        return "the turns alone, no examples; words greedily, codes as they are drawn where nothing is said"

    def measure(self, model: Any, items: Sequence[Item]) -> list[Outcome]:
        answers = drawn(model, [item.turns for item in items], [item.id for item in items])
        real = [self._real(item) for item in items]
        through = [kept(model, Image(pixels)).pixels for pixels in real]
        pictures = [next((part.pixels for part in parts if isinstance(part, Image)), None) for parts in answers]
        looks = [_look([p for p in side if p is not None]) for side in (pictures, real, through)]
        seen = iter(zip(*looks[0], strict=True))
        outcomes = []
        for at, (item, parts) in enumerate(zip(items, answers, strict=True)):
            features, said = next(seen) if pictures[at] is not None else (None, "")
            detail = {
                "said": said,
                "real": looks[1][1][at] == item.answers[0],
                "kept": looks[2][1][at] == item.answers[0],
                "features": [_short(features), _short(looks[1][0][at]), _short(looks[2][0][at])],
            }
            outcomes.append(Outcome(float(said == item.answers[0]), parts, 1.0, detail))
        return outcomes

    def baseline(self, items: Sequence[Item]) -> None:
        return None

    def said(self, parts: Sequence[Part]) -> str:
        picture = next((part.pixels for part in parts if isinstance(part, Image)), None)
        return "" if picture is None else _look([picture])[1][0]

    def remarks(self, items: Sequence[Item], outcomes: Sequence[Outcome]) -> Mapping[str, Estimate | str]:
        """Recognised of real drawings, and of these as the tokenizer keeps them; Fréchet distances to the real drawings
        of the same things and to those of things held out, of as many drawings each. The last, between two halves of
        the real ones, says how near so few can be at all."""
        details, clusters = [outcome.detail for outcome in outcomes], [item.cluster for item in items]
        told: dict[str, Estimate | str] = {
            "real drawings recognised": statistics.proportion([d["real"] for d in details], clusters),
            "as the image tokenizer keeps them": statistics.proportion([d["kept"] for d in details], clusters),
            "no picture drawn": statistics.proportion([d["features"][0] is None for d in details], clusters),
        }
        if (share := of_real(outcomes, clusters)).n:
            told["drawn, of the share of real ones"] = share
        found = [d["features"] for d in details if d["features"][0]]
        if len(found) < 32:
            return told
        mine, real, through = (np.array([features[k] for features in found]) for k in range(3))
        told["Fréchet distance to real drawings"] = f"{frechet(mine, real):.3f} ({len(mine)})"
        told["of what the tokenizer keeps"] = f"{frechet(through, real):.3f}"
        told["of one half of the real to the other"] = f"{frechet(real[::2], real[1::2]):.3f}"
        if len(others := _look(self._heldout())[0]) >= 32:
            for name, side in (("drawn", mine), ("what the tokenizer keeps", through), ("real ones", real)):
                distance = f"{frechet(side, np.array(others)):.3f}"
                told[f"Fréchet distance to {len(others)} held-out drawings: {name}"] = distance
        return told


class Various(Answering):
    """How different several drawings of one thing are: the mean distance of each two, 1 minus the cosine of what the
    judge sees in them."""

    metric, kind = "distance", "mean"

    @property
    def asked(self) -> str:
        return f"{FEW} drawings of each thing, with seeds of their own; codes as they are drawn where nothing is said"

    def measure(self, model: Any, items: Sequence[Item]) -> list[Outcome]:
        prompts = [item.turns for item in items for _ in range(FEW)]
        answers = drawn(model, prompts, [f"{item.id}/{n}" for item in items for n in range(FEW)])
        outcomes = []
        for at in range(len(items)):
            mine = [part for parts in answers[FEW * at : FEW * (at + 1)] for part in parts if isinstance(part, Image)]
            distances = _apart([_unit(features) for features in _look([part.pixels for part in mine])[0]])
            outcomes.append(Outcome(float(np.mean(distances)) if distances else 0.0, tuple(mine)))
        return outcomes

    def baseline(self, items: Sequence[Item]) -> tuple[float, str]:
        return 0.0, "the same picture again and again"

    def remarks(self, items: Sequence[Item], outcomes: Sequence[Outcome]) -> Mapping[str, str]:
        """Each drawing is in many pairs: the mean has no plain error."""
        first = [next((p.pixels for p in o.parts if isinstance(p, Image)), None) for o in outcomes]
        distances = _apart([_unit(features) for features in _look([p for p in first if p is not None])[0]])
        return {"between drawings of different things": f"{np.mean(distances):.3f}"} if distances else {}


def drawn(model: Any, prompts: Sequence[tuple[Turn, ...]], ids: Sequence[str]) -> list[tuple[Part, ...]]:
    """Answers to requests, each with a seed that its id fixes. Raises BadInput for a model that does not draw."""
    if model.bundle.pictures is None:
        raise BadInput(f"{model.name!r} draws nothing; measure a model with an image tokenizer")
    seeds = [zlib.crc32(id.encode()) % 2**31 for id in ids]
    return [tuple(answer.parts) for answer in model.generate_batch(prompts, temperature=0.0, seeds=seeds)]


class Drawings:
    """What a model drew for items, each asked once whatever number of tasks look at it; of the last model alone."""

    def __init__(self) -> None:
        self._model: Any = None
        self._found: dict[tuple[str, str], tuple[Part, ...]] = {}

    def of(self, model: Any, items: Sequence[Item]) -> list[tuple[Part, ...]]:
        """The answer to each item, as `drawn`."""
        if model is not self._model:
            self._model, self._found = model, {}
        asked = [(item.id, item.digest()) for item in items]  # the id fixes the seed
        due = {key: item for key, item in zip(asked, items, strict=True) if key not in self._found}
        if due:
            answers = drawn(model, [item.turns for item in due.values()], [item.id for item in due.values()])
            self._found |= dict(zip(due, answers, strict=True))
        return [self._found[key] for key in asked]


def kept(model: Any, picture: Image) -> Image:
    """A picture as the model's image tokenizer keeps it: nothing drawn by codes can be better."""
    codec = model.bundle.pictures
    return Image(codec.decode(codec.encode(picture.pixels)))


def of_real(outcomes: Sequence[Outcome], clusters: Sequence[str]) -> Estimate:
    """Drawings recognised, as a share of the real drawings of the same things that are; of no items where none is."""
    real = [float(outcome.detail["real"]) for outcome in outcomes]
    if not any(real):
        return Estimate(math.nan, math.nan, math.nan, math.nan, 0, 0)
    return statistics.ratio([outcome.score for outcome in outcomes], real, clusters)


def _look(pictures: Sequence[Pixels]) -> tuple[list[Float64[np.ndarray, " F"]], list[str]]:
    """(features, names) of what the judge sees."""
    if not pictures:
        return [], []
    found = judge()
    features, scores = picture_classifier.look(found, pictures)
    return list(features), [found.classes[int(best)] for best in scores.argmax(-1)]


def _short(features: np.ndarray | None) -> list[float] | None:
    return None if features is None else [round(float(value), 4) for value in features]


def _unit(features: np.ndarray) -> np.ndarray:
    return features / max(float(np.linalg.norm(features)), 1e-9)


def _apart(units: Sequence[np.ndarray]) -> list[float]:
    return [1 - float(a @ b) for n, a in enumerate(units) for b in units[:n]]
