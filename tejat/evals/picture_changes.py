"""Drawings changed, coloured and multiplied as asked: of all that could have been asked for, is the right one nearest?

What is asked for is exact in training, so there is one picture that is right: an answer counts where that one, of all
that could have been asked for instead, and of grounds with nothing on them, is the one most like it, by thumbnails.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float

from tejat.data.presenting import edits, sprites
from tejat.data.presenting.edits import Drawing as Made
from tejat.data.shards import Item as Raw
from tejat.evals import judging, statistics
from tejat.evals.answering import Answering
from tejat.evals.ground import Ground, rng
from tejat.evals.neighbours import thumbnail
from tejat.evals.picture_material import SUITE, asked, drawable
from tejat.evals.statistics import Estimate
from tejat.evals.tasks import Item, Outcome
from tejat.parts import Image, Part, Text, Turn

DIFFERENT = 2e-3  # mean squared difference of thumbnails from which pictures differ for a human eye
PLAIN, NOTHING = "as it was", "nothing"  # what a picture is called that is not changed, and a ground alone
BESIDE = 6  # other things that might have been added
Thumbnails = Mapping[str, Float[np.ndarray, " n"]]


@dataclass(frozen=True)
class Case:
    """A request, the picture that is right, and thumbnails of what may come of it: of these the first is right, and the
    second, if any, is what there was before."""

    item: Item
    right: Image
    outcomes: Thumbnails


class Matching(Answering):
    """Right is a picture that is most like the right one among all that could have been asked for."""

    metric = "most like what was asked for"

    def __init__(self, suite: str, name: str, make: Callable[[], Sequence[Any]]):
        self.cases: dict[str, Any] = {}  # a Case by the id of its item; of subclasses, what they judge by
        self._drawings = judging.Drawings()
        super().__init__(suite, name, lambda: self._kept(make()), max_tokens=None)

    def _kept(self, cases: Sequence[Any]) -> list[Item]:
        self.cases = {case.item.id: case for case in cases}
        return [case.item for case in cases]

    def answers(self, model: Any, items: Sequence[Item]) -> list[tuple[Part, ...]]:
        """What is judged: the model's answer to each item."""
        return self._drawings.of(model, items)

    def measure(self, model: Any, items: Sequence[Item]) -> list[Outcome]:
        outcomes = []
        for item, parts in zip(items, self.answers(model, items), strict=True):
            case = self.cases[item.id]
            said = nearest(next((part for part in parts if isinstance(part, Image)), None), case.outcomes)
            ceiling = nearest(judging.kept(model, case.right), case.outcomes) == item.answers[0]
            outcomes.append(Outcome(float(said == item.answers[0]), parts, 1.0, {"drawn": said, "kept": ceiling}))
        return outcomes

    def chance(self, item: Item) -> float:
        return item.chance

    def baseline(self, items: Sequence[Item]) -> None:
        return None

    def remarks(self, items: Sequence[Item], outcomes: Sequence[Outcome]) -> Mapping[str, Estimate]:
        """Beside what came out wrong, the ceiling: the right picture itself, through the image tokenizer and back."""
        details, clusters = [outcome.detail or {} for outcome in outcomes], [item.cluster for item in items]
        shares = {
            "no picture drawn": [not one.get("drawn") for one in details],
            "nothing but a ground drawn": [(one.get("drawn") or "").startswith(NOTHING) for one in details],
            "left as it was": [one.get("drawn") == PLAIN for one in details],
            "right, as the image tokenizer keeps it": [bool(one.get("kept")) for one in details],
        }
        return {name: statistics.proportion(share, clusters) for name, share in shares.items()}


def nearest(picture: Image | None, known: Thumbnails) -> str:
    """What a picture is most like; nothing where there is none."""
    if picture is None:
        return ""
    mine = thumbnail(picture)
    return min(known, key=lambda name: float(np.square(known[name] - mine).sum()))


def case(name: str, raw: Raw, turns: Sequence[Turn], made: Sequence[Made], tags: Mapping[str, str]) -> Case | None:
    """A request for the first of several drawings, any of which might be drawn, or a ground of any colour alone; None
    where that of its own, or the plain thing, if it is among them, looks no different."""
    every = {named(one): thumbnail(one.picture()) for one in made}
    found = apart(every | {empty(ground): thumbnail(paper(ground)) for ground in (None, *range(len(sprites.COLOURS)))})
    if empty(made[0].ground) not in found or (any(named(one) == PLAIN for one in made) and PLAIN not in found):
        return None
    item = Item(name, raw.fields["concept"], tuple(turns), (named(made[0]),), chance=1 / len(found), tags=tags)
    return Case(item, made[0].picture(), found)


def edited(ground: Ground) -> list[Case]:
    """A picture is shown and is to be changed: in colour, on another ground, mirrored, so many of them, smaller, with
    another thing."""
    raws, made = drawable(ground), []
    for n in range(min(ground.most, 240)):
        random = rng(SUITE, "edited", n)
        k = int(random.integers(len(raws)))
        before = edits.drawing(raws[k], "en", random)
        change = [*edits.CHANGES][n % len(edits.CHANGES)]
        found = changed(before, change, raws, k, random)
        if found is None:
            continue
        text, every = found
        turns = (Turn("user", (before.picture(), Text(text))),)
        made.append(case(f"{n:04d}", raws[k], turns, every, {"change": change}))
    return [one for one in made if one]


def changed(
    before: Made, change: str, raws: Sequence[Raw], k: int, random: np.random.Generator
) -> tuple[str, list[Made]] | None:
    """(request, drawings: the right one, the one before, all that could be asked for) of a change of a plain thing;
    None where there is nothing to add."""
    others: list[Made] = []
    if change == "add":
        found = edits.added(before, raws, k, "en", random)
        if found is None:
            return None
        for _ in range(BESIDE):
            other = edits.added(before, raws, k, "en", random)
            others += [other[1]] if other is not None else []
        text, after = found
    else:
        text, after = edits.CHANGES[change](before, "en", random)
    return text, [after, before, *_changes(before), *others]


def coloured(ground: Ground) -> list[Case]:
    """A thing to be drawn in a colour, or on a ground of one."""
    raws, made = drawable(ground), []
    for n in range(min(ground.most, 160)):
        random = rng(SUITE, "coloured", n)
        raw = raws[int(random.integers(len(raws)))]
        plain, colour = edits.drawing(raw, "en", random), int(random.integers(len(sprites.COLOURS)))
        called, name = edits.WORDS["colours"]["en"][colour], raw.fields["names"]["en"]
        use, field = (("draw_colour", "tint"), ("draw_on", "ground"))[n % 2]
        text = asked("edits", use, random, name=name, colour=called)
        right = replace(plain, **{field: colour})
        others = [replace(plain, **{field: other}) for other in range(len(sprites.COLOURS))]
        tags = {"colour of": "the thing" if field == "tint" else "its ground"}
        made.append(case(f"{n:04d}", raw, (Turn("user", (Text(text),)),), [right, plain, *others], tags))
    return [one for one in made if one]


def counted(ground: Ground) -> list[Case]:
    """So many of a thing to be drawn: as lists have it ("3 × cat"), in words, and in a wording that no training has."""
    raws, made = drawable(ground), []
    numbers = edits.WORDS["numbers"]["en"]
    for n in range(min(ground.most, 160)):
        random = rng(SUITE, "counted", n)
        raw = raws[int(random.integers(len(raws)))]
        plain, count = edits.drawing(raw, "en", random), 2 + n // 4 % len(numbers)
        right, way = replace(plain, count=count), ("as a list", "in words", "as a list", "in other words")[n % 4]
        if way == "as a list":
            text = asked("scenes", "draw", random, told=right.told())
        else:
            called, unseen = numbers[count - 2], way == "in other words"
            text = asked("edits", "draw_many", random, unseen, count=called, name=plain.names[0])
        others = [replace(plain, count=other) for other in range(2, edits.MOST + 1)]
        tags = {"asked": way, "how many": str(count)}
        made.append(case(f"{n:04d}", raw, (Turn("user", (Text(text),)),), [right, plain, *others], tags))
    return [one for one in made if one]


def _changes(before: Made) -> list[Made]:
    """All that can be asked of a picture of one thing."""
    colours = range(len(sprites.COLOURS))
    return [
        *(replace(before, tint=colour) for colour in colours),
        *(replace(before, ground=colour) for colour in colours),
        replace(before, mirrored=True),
        replace(before, flipped=True),
        *(replace(before, count=count) for count in range(2, edits.MOST + 1)),
        replace(before, scale=0.55),
    ]


def empty(ground: int | None) -> str:
    """What a ground with nothing on it is called."""
    return NOTHING if ground is None else f"{NOTHING} on {edits.WORDS['colours']['en'][ground]}"


def paper(ground: int | None) -> Image:
    """A ground with nothing on it."""
    return Image(np.array(sprites.coloured_ground(ground, sprites.SIDE, sprites.SIDE)))


def named(made: Made) -> str:
    """What a picture differs in from the plain thing."""
    colours = edits.WORDS["colours"]["en"]
    told = [
        "" if made.tint is None else colours[made.tint],
        "" if made.ground is None else f"on {colours[made.ground]}",
        "mirrored" * made.mirrored,
        "upside down" * made.flipped,
        f"{made.count} of them" if made.count > 1 else "",
        "smaller" if made.scale < 1 else "",
        *(f"with {name}" for name in made.names[1:]),
    ]
    return ", ".join(filter(None, told)) or PLAIN


def apart(thumbnails: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Without those that look like the first, which is right."""
    (right, first), *rest = thumbnails.items()
    return {right: first} | {n: one for n, one in rest if float(np.square(one - first).mean()) > DIFFERENT}
