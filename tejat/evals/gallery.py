"""From results to what a report shows: the first samples of a task, its confusions, a picture's nearest neighbour."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from tejat.evals.answering import written
from tejat.evals.harness import Result
from tejat.evals.matching import normalise
from tejat.evals.report import Gallery, Sample
from tejat.evals.tasks import Item, Outcome
from tejat.parts import Image, Part

CONFUSIONS = 6  # that a gallery names
_SIDE = 16  # pixels of the thumbnails that are compared


class Neighbours:
    """Finds the training picture nearest to one that was drawn: has the model learnt to draw, or to copy?"""

    def __init__(self, pictures: Sequence[Image]):
        self.pictures = pictures
        self.thumbnails = np.stack([_thumbnail(picture) for picture in pictures])

    def nearest(self, drawn: Image) -> Image:
        """By the mean squared difference of thumbnails of 16 x 16: position and colour count, fine detail does not."""
        return self.pictures[int(((self.thumbnails - _thumbnail(drawn)) ** 2).sum(axis=1).argmin())]


def gallery(result: Result, first: int = 12, neighbours: Neighbours | None = None) -> Gallery:
    """The first items of a task in its order, right and wrong as they come."""
    marked = result.row.kind == "proportion"
    return Gallery(
        title=result.row.name,
        samples=[_sample(item, result, marked, neighbours) for item in result.items[:first]],
        total=len(result.items),
        right=round(sum(outcome.score for outcome in result.outcomes.values())) if marked else None,
        confusions=confusions(result) if marked else (),
    )


def confusions(result: Result) -> list[tuple[str, str, int]]:
    """(expected, said, count) of the wrong answers in words that came more than once, most frequent first."""
    pairs: Counter[tuple[str, str]] = Counter()
    for item in result.items:
        outcome = result.outcomes[item.id]
        if not outcome.score and item.answers:
            pairs[item.answers[0], normalise(written(outcome.parts))] += 1
    return [(*pair, count) for pair, count in pairs.most_common(CONFUSIONS) if count > 1]


def _sample(item: Item, result: Result, marked: bool, neighbours: Neighbours | None) -> Sample:
    outcome, blind = result.outcomes[item.id], result.blanked.get(item.id)
    drawn = next((part for part in outcome.parts if isinstance(part, Image)), None)
    return Sample(
        prompt=item.shown or _asked(item),
        answer=outcome.parts,
        expected=item.answers[0] if item.answers else "",
        right=bool(outcome.score) if marked else None,
        blanked=_told(blind) if blind else None,
        nearest=neighbours.nearest(drawn) if neighbours and drawn is not None else None,
    )


def _asked(item: Item) -> tuple[Part, ...]:
    return tuple(part for turn in item.turns for part in turn.parts)


def _told(outcome: Outcome) -> str:
    pictures = sum(isinstance(part, Image) for part in outcome.parts)
    return written(outcome.parts) + (" [a picture]" if pictures else "")


def _thumbnail(image: Image) -> Float[np.ndarray, " n"]:
    from PIL import Image as pillow

    small = pillow.fromarray(image.pixels).resize((_SIDE, _SIDE), pillow.Resampling.BOX)
    return np.asarray(small, np.float32).ravel() / 255
