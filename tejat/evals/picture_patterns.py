"""One example of a line of text and two pictures: is the same told and drawn of two other things?

As in the paper's figure of what to make of two balls of yarn, with things and colours for wool.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tejat.data.presenting import edits, sprites
from tejat.data.presenting.edits import Drawing as Made
from tejat.evals import judging, statistics
from tejat.evals.ground import Ground, rng
from tejat.evals.neighbours import thumbnail
from tejat.evals.picture_changes import NOTHING, Matching, Thumbnails, apart, nearest, paper
from tejat.evals.picture_material import SUITE, asked, drawable
from tejat.evals.statistics import Estimate
from tejat.evals.tasks import Item, Outcome
from tejat.parts import Image, Part, Text, Turn

OTHERS = 8  # things that might be drawn instead


@dataclass(frozen=True)
class Pair:
    """A request for two pictures; each that is right, and thumbnails of what may come of it, the right one first."""

    item: Item
    right: tuple[Image, Image]
    outcomes: tuple[Thumbnails, Thumbnails]


class Following(Matching):
    """Right are two pictures, words before each, and each most like the one that continues the example."""

    metric = "text and two pictures, both right"

    def measure(self, model: Any, items: Sequence[Item]) -> list[Outcome]:
        return [
            self._outcome(model, item, parts) for item, parts in zip(items, self.answers(model, items), strict=True)
        ]

    def _outcome(self, model: Any, item: Item, parts: tuple[Part, ...]) -> Outcome:
        pair = self.cases[item.id]
        shaped = [type(part) for part in parts] == [Text, Image, Text, Image]
        pictures = [part for part in parts if isinstance(part, Image)][:2]
        drawn = [nearest(one, known) for one, known in zip(pictures, pair.outcomes, strict=False)]
        kept = [nearest(judging.kept(model, one), known) for one, known in zip(pair.right, pair.outcomes, strict=True)]
        right = [said == name for said, name in zip(drawn, item.answers, strict=False)]
        detail = {"drawn": drawn, "right": right, "shaped": shaped, "kept": kept == [*item.answers]}
        return Outcome(float(shaped and sum(right) == 2), parts, 1.0, detail)

    def remarks(self, items: Sequence[Item], outcomes: Sequence[Outcome]) -> Mapping[str, Estimate]:
        details, clusters = [outcome.detail or {} for outcome in outcomes], [item.cluster for item in items]
        shares = {
            "words, a picture, words, a picture": [bool(one.get("shaped")) for one in details],
            "the first picture right": [one.get("right", [])[:1] == [True] for one in details],
            "the second picture right": [one.get("right", [])[1:] == [True] for one in details],
            "both right, as the image tokenizer keeps them": [bool(one.get("kept")) for one in details],
        }
        return {name: statistics.proportion(share, clusters) for name, share in shares.items()}


def patterns(ground: Ground) -> list[Pair]:
    """Half of them ask for the same of two other things, half for the same two things in another colour; half in
    wordings that training has none of."""
    raws, made = drawable(ground), []
    for n in range(min(ground.most, 128)):
        random = rng(SUITE, "pattern", n)
        chosen = [int(k) for k in random.permutation(len(raws))[: 4 + OTHERS]]
        a, b, *others = (edits.drawing(raws[k], "en", random) for k in (chosen[:2] if n % 2 else chosen))
        unseen = n % 4 >= 2
        if n % 2:
            first, second = (int(colour) for colour in random.permutation(len(sprites.COLOURS))[:2])
            called = edits.WORDS["colours"]["en"]
            head = asked("edits", "pattern", random, unseen, first=called[first], a=a.names[0], b=b.names[0])
            same = asked("edits", "like", random, unseen, second=called[second])
            shown = [replace(thing, tint=first) for thing in (a, b)]
            right = [replace(thing, tint=second) for thing in (a, b)]
            tints = [replace(thing, tint=tint) for thing in (a, b) for tint in range(len(sprites.COLOURS))]
            instead = [*tints, a, b]
        else:
            head = asked("edits", "pair", random, unseen, a=a.names[0], b=b.names[0])
            same = asked("edits", "now", random, unseen, a=others[0].names[0], b=others[1].names[0])
            shown, right, instead = [a, b], others[:2], [a, b, *others]
        known = [_outcomes(one, instead) for one in right]
        turn = Turn("user", (Text(head), *(one.picture() for one in shown), Text(same)))
        item = Item(
            *(f"{n:04d}", raws[chosen[0]].fields["concept"], (turn,)),
            tuple(_name(one) for one in right),
            chance=1 / (len(known[0]) * len(known[1])),
            tags={"for": "another colour" if n % 2 else "two other things", "wording": _WORDED[unseen]},
        )
        made.append(Pair(item, (right[0].picture(), right[1].picture()), (known[0], known[1])))
    return made


_WORDED = {False: "as taught", True: "held out"}


def _outcomes(right: Made, instead: Sequence[Made]) -> Thumbnails:
    every = {_name(one): thumbnail(one.picture()) for one in (right, *instead)}
    return apart(every | {NOTHING: thumbnail(paper(None))})


def _name(made: Made) -> str:
    colour = "" if made.tint is None else f", {edits.WORDS['colours']['en'][made.tint]}"
    return made.names[0] + colour
