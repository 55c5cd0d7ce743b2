"""Are drawings what they were asked to be, as whoever looks at them would say: which thing, in which colour, how many?

`picture_changes` and `picture_places` ask whether a drawing is more like the right picture than like others of the same
thing, so that whatever has the right colours at the right places counts. Here nothing is compared with another picture.
What differs from the ground is cut into separate things; what each of them is says the judge (`judging`), trained on
other styles than those that models draw in; colours, numbers and places are measured in the pixels.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from math import comb
from typing import Any, NamedTuple, Protocol

import numpy as np

from tejat.data.presenting import edits
from tejat.evals import judging, picture_classifier, statistics
from tejat.evals.answering import Listed
from tejat.evals.ground import Ground
from tejat.evals.picture_changes import Matching
from tejat.evals.picture_material import Pixels, drawable
from tejat.evals.picture_parts import COLOURS, alone, colour, field, ground, things
from tejat.evals.picture_places import Placing
from tejat.evals.statistics import Estimate
from tejat.evals.tasks import Item, Outcome
from tejat.parts import Image, Part


class Sight(NamedTuple):
    """What there is to be seen in a picture, as JSON keeps it.

    Attributes:
      whole: what the judge takes all that is on the ground for; "" where nothing is, or there is no picture.
      things: of each separate thing what the judge takes it for.
      fields: and which of the nine fields it is in.
      colour, ground: names of colours, of what is on the ground and of the ground; "" where there is none.
    """

    whole: str = ""
    things: Sequence[str] = ()
    fields: Sequence[int] = ()
    colour: str = ""
    ground: str = ""


class Verdict(NamedTuple):
    """Is the thing there that was asked for, whatever it is like; what was asked of it, whatever it is; and both?"""

    thing: bool
    asked: bool
    both: bool


@dataclass(frozen=True)
class Wanted:
    """What an item asks for.

    Attributes:
      right: the picture that training would have.
      judge: of what is seen in a picture.
      asked: what is asked of the thing, in a word or a few.
      chance: of guessing the thing among those that the judge knows, and what is asked of it.
    """

    right: Image
    judge: Callable[[Sight], Verdict]
    asked: str
    chance: float


class Asking(Protocol):
    """The task whose drawings are looked at."""

    name: str

    def items(self) -> Sequence[Item]: ...

    def answers(self, model: Any, items: Sequence[Item]) -> list[tuple[Part, ...]]: ...


class Seeing(Listed):
    """Right is a drawing in which the thing asked for is seen, and seen to be as it was asked for.

    Args:
      asking: a task that asks for drawings; they are made once for both.
      wanted: what an item of that task asks for; None where the judge does not know the thing.
    """

    metric, ways = "seen to be what was asked for", ()

    def __init__(self, suite: str, name: str, asking: Asking, wanted: Callable[[Item], Wanted | None]):
        super().__init__(suite, name, self._known, max_tokens=None)
        self._asking, self._wants = asking, wanted
        self.wanted: dict[str, Wanted] = {}

    @property
    def asked(self) -> str:
        return f"the drawings of {self._asking.name!r}, before the judge and measured"

    def _known(self) -> list[Item]:
        judging.judge()  # without whom nothing can be said
        every = [(item, self._wants(item)) for item in self._asking.items()]
        self.wanted = {item.id: one for item, one in every if one is not None}
        return [replace(item, chance=one.chance) for item, one in every if one is not None]

    def measure(self, model: Any, items: Sequence[Item]) -> list[Outcome]:
        answers = self._asking.answers(model, items)
        drawn = [next((part for part in parts if isinstance(part, Image)), None) for parts in answers]
        right = [self.wanted[item.id].right for item in items]
        sides = (drawn, right, [judging.kept(model, picture) for picture in right])
        outcomes = []
        for item, parts, *seen in zip(items, answers, *map(sights, sides), strict=True):
            detail = {side: one._asdict() for side, one in zip(("drawn", "right", "kept"), seen, strict=True)}
            outcomes.append(Outcome(float(self.wanted[item.id].judge(seen[0]).both), parts, 1.0, detail))
        return outcomes

    def remarks(self, items: Sequence[Item], outcomes: Sequence[Outcome]) -> Mapping[str, Estimate]:
        """The thing alone, what is asked of it alone, and both: of the drawings, of the right pictures themselves, of
        these as the image tokenizer keeps them (the ceiling), and of what was drawn for the other items (chance)."""
        told = {}
        wanted, clusters = [self.wanted[item.id] for item in items], [item.cluster for item in items]
        seen = {side: [Sight(**outcome.detail[side]) for outcome in outcomes] for side in ("drawn", "right", "kept")}
        groups = {"the thing": ("thing", range(len(items)))}
        groups |= {one: ("asked", [n for n, w in enumerate(wanted) if w.asked == one]) for one in _each(wanted)}
        for name, (what, mine) in (groups | {"both": ("both", range(len(items)))}).items():
            of = [clusters[n] for n in mine]
            for side, how in (("drawn", "drawn"), ("right", "the right picture"), ("kept", "that as it is kept")):
                marks = [getattr(wanted[n].judge(seen[side][n]), what) for n in mine]
                told[f"{name}: {how}"] = statistics.proportion(marks, of)
            if len(mine) > 1:
                marks = [
                    np.mean([getattr(wanted[n].judge(seen["drawn"][k]), what) for k in mine if k != n]) for n in mine
                ]
                told[f"{name}: drawn for others"] = statistics.mean(marks, of)
        told["no picture drawn"] = statistics.proportion([not one.ground for one in seen["drawn"]], clusters)
        told["nothing but a ground drawn"] = statistics.proportion(
            [bool(one.ground) and not one.things for one in seen["drawn"]], clusters
        )
        return told


def in_colour(task: Matching, item: Item) -> Wanted | None:
    """A thing in a colour, or on a ground of one. Several drawings of it would do."""
    colour = item.answers[0].removeprefix("on ")
    of_ground = colour != item.answers[0]

    def judge(sight: Sight) -> Verdict:
        thing = sight.whole == item.cluster or _mostly(sight.things, item.cluster)
        asked = bool(sight.things) and colour == (sight.ground if of_ground else sight.colour)
        return Verdict(thing, asked, thing and asked)

    asked = "the colour of its ground" if of_ground else "its colour"
    return _wanted([item.cluster], task.cases[item.id].right, judge, asked, 1 / len(COLOURS))


def in_number(task: Matching, item: Item) -> Wanted | None:
    """So many of a thing."""
    count = int(item.tags["how many"])

    def judge(sight: Sight) -> Verdict:
        thing, asked = _mostly(sight.things, item.cluster), len(sight.things) == count
        return Verdict(thing, asked, thing and asked)

    return _wanted([item.cluster], task.cases[item.id].right, judge, "the number", 1 / (edits.MOST - 1))


def in_places(ground: Ground, task: Placing, item: Item) -> Wanted | None:
    """Things in fields that are named: all of them are seen, in just those fields, and each in its own."""
    scene = task.scenes[item.id]
    concepts = _concepts(ground, scene.language)
    due = {at: concepts[scene.names[thing]] for at, thing in scene.fields.items()}

    def judge(sight: Sight) -> Verdict:
        thing = all(concept in sight.things for concept in due.values())
        asked = {*sight.fields} == {*due}
        found = {*zip(sight.fields, sight.things, strict=True)}
        return Verdict(thing, asked, asked and found >= {*due.items()})

    return _wanted([*due.values()], scene.picture, judge, "the places", 1 / comb(9, len(due)))


def sights(pictures: Sequence[Image | None]) -> list[Sight]:
    """What is to be seen in each picture; nothing where there is none."""
    shown: list[Pixels] = []
    made: list[Sight] = []
    for picture in pictures:
        if picture is None:
            made.append(Sight())
            continue
        pixels, below = picture.pixels, ground(picture.pixels)
        found = things(pixels, below)
        whole = np.any(found, axis=0)
        shown += [alone(pixels, below, mask) for mask in (found if len(found) < 2 else [*found, whole])]
        on = colour(pixels[whole]) if found else ""
        made.append(Sight("", [""] * len(found), [field(mask) for mask in found], on, colour(below.mean((0, 1))[None])))
    names = iter(_named(shown))  # of all together, for the judge is quicker so
    for n, one in enumerate(made):
        said = [next(names) for _ in one.things]
        made[n] = one._replace(things=said, whole=next(names) if len(said) > 1 else "".join(said))
    return made


def _named(pictures: Sequence[Pixels]) -> list[str]:
    """What the judge takes each for."""
    if not pictures:
        return []
    judge = judging.judge()
    _, scores = picture_classifier.look(judge, pictures)
    return [judge.classes[int(best)] for best in scores.argmax(-1)]


def _wanted(
    concepts: Sequence[str], right: Image, judge: Callable[[Sight], Verdict], asked: str, chance: float
) -> Wanted | None:
    known = judging.judge().classes
    if not {*concepts} <= {*known}:
        return None
    return Wanted(right, judge, asked, chance / len(known) ** len(concepts))


def _mostly(things: Sequence[str], concept: str) -> bool:
    return 2 * sum(one == concept for one in things) > len(things)


def _each(wanted: Sequence[Wanted]) -> Sequence[str]:
    return [*dict.fromkeys(one.asked for one in wanted)]


@cache
def _concepts(ground: Ground, language: str) -> Mapping[str, str]:
    """Things by their names in a language."""
    named = (raw.fields for raw in drawable(ground) if language in raw.fields["names"])
    return {fields["names"][language]: fields["concept"] for fields in named}
