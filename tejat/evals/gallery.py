"""From results to what a report shows: the first samples of a task, and its confusions."""

from collections import Counter

from tejat.evals.answering import written
from tejat.evals.harness import Result
from tejat.evals.report import Gallery, Sample
from tejat.evals.tasks import Item, Outcome
from tejat.parts import Image, Part

CONFUSIONS = 6  # that a gallery names


def gallery(result: Result, first: int = 12) -> Gallery:
    """The first items of a task in its order, right and wrong as they come."""
    marked = result.row.kind == "proportion"
    return Gallery(
        title=result.row.name,
        samples=[_sample(item, result, marked) for item in result.items[:first]],
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
            pairs[item.answers[0], result.task.said(outcome.parts)] += 1
    return [(*pair, count) for pair, count in pairs.most_common(CONFUSIONS) if count > 1]


def _sample(item: Item, result: Result, marked: bool) -> Sample:
    outcome, blind = result.outcomes[item.id], result.controls.get("blanked", {}).get(item.id)
    drawn = next((part for part in outcome.parts if isinstance(part, Image)), None)
    return Sample(
        prompt=item.shown or _asked(item),
        answer=outcome.parts,
        expected=item.answers[0] if item.answers else "",
        right=bool(outcome.score) if marked else None,
        blanked=_told(blind) if blind else None,
        nearest=result.task.nearest(drawn) if drawn is not None else None,
    )


def _asked(item: Item) -> tuple[Part, ...]:
    return tuple(part for turn in item.turns for part in turn.parts)


def _told(outcome: Outcome) -> str:
    pictures = sum(isinstance(part, Image) for part in outcome.parts)
    return written(outcome.parts) + (" [a picture]" if pictures else "")
