"""Drawing: is it what was asked for, changed as it was asked, and drawn only where a picture was wanted?

What a thing looks like is up to the judge (`judging`). Colours, numbers and changes are exact in training, so there is
one picture that is right: an answer counts where that one, of all that could have been asked for instead, is the one
most like it. In scenes it is seen where things lie, not what they are.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from math import comb
from typing import Any

import numpy as np

from tejat import sample
from tejat.data.presenting import edits, scenes, sprites, talks
from tejat.data.presenting.edits import Drawing as Made
from tejat.data.shards import Item as Raw
from tejat.evals import judging, statistics
from tejat.evals.answering import Answering, Drawing
from tejat.evals.ground import MADE, Ground, rng
from tejat.evals.judging import Recognised, Various
from tejat.evals.neighbours import thumbnail
from tejat.evals.report import Section
from tejat.evals.statistics import Estimate
from tejat.evals.tasks import Item, Outcome, Task
from tejat.evals.ways import way
from tejat.parts import Image, Part, Text, Turn

SUITE = "pictures"
STYLE = "noto"  # in which models draw where none is asked for; the judge has seen none of it
SEEN = "things that training draws, asked for anew"
DIFFERENT = 2e-3  # mean squared difference of thumbnails from which pictures differ for a human eye


def tasks(ground: Ground) -> list[Task]:
    """Things by the judge; the rest by comparison with what is right."""
    made: list[Task] = []
    for name, languages, unseen, most in (
        ("drawn", ("en",), False, 256),
        ("drawn-in-other-words", ("en",), True, 128),
        ("drawn-ten-languages", sample.languages(), False, 200),
    ):
        things = partial(requested, ground, languages, unseen, most)
        made.append(Recognised(SUITE, name, things, partial(_real, ground)).with_(origin=SEEN))
    made += [
        Matching(SUITE, "edited", partial(edited, ground)).with_(origin=MADE, ways=()),
        Matching(SUITE, "coloured", partial(coloured, ground)).with_(origin=MADE, ways=()),
        Placing(SUITE, "placed", partial(placed, ground), max_tokens=None).with_(origin=MADE),
        Deciding(SUITE, "whether", partial(whether, ground), max_tokens=None).with_(origin=MADE, ways=()),
        Various(SUITE, "various", partial(requested, ground, ("en",), False, 16), max_tokens=None).with_(origin=SEEN),
    ]
    for task in made:
        task.batch = 64
        task.promised = task.name in ("drawn", "whether")
    return made


def sections(model: Any) -> list[Section]:
    return []


def requested(ground: Ground, languages: Sequence[str], unseen: bool, most: int) -> list[Item]:
    """Requests for things that training draws, the languages in turn."""
    made = []
    known = {*judging.judge().classes}
    raws = [raw for raw in _drawable(ground) if raw.fields["concept"] in known]
    for n, raw in enumerate(Ground(most=min(ground.most, most)).some(raws, f"{SUITE}/{most}")):
        concept, language = raw.fields["concept"], languages[n % len(languages)]
        name = raw.fields["names"].get(language)
        asked = name and way("concepts", "draw", language, rng(SUITE, concept, language), unseen, name=name)
        if asked:
            turns = (Turn("user", (Text(asked),)),)
            made.append(Item(f"{concept}-{language}", concept, turns, (concept,), tags={"language": language}))
    return made


def _drawable(ground: Ground) -> list[Raw]:
    """Things that have a drawing in the usual style."""
    return [raw for raw in ground.shards("concepts", "train") if STYLE in sprites.drawings(raw.blobs)]


def _real(ground: Ground, item: Item) -> np.ndarray:
    """The drawing of an item's thing that training has."""
    return sprites.picture(sprites.drawings(_by_concept(ground)[item.answers[0]].blobs)[STYLE], None)


@cache
def _by_concept(ground: Ground) -> dict[str, Raw]:
    return {raw.fields["concept"]: raw for raw in _drawable(ground)}


@dataclass(frozen=True)
class Case:
    """A request, and thumbnails of what may come of it: of these the first is right, and the second, if any, is what
    there was before."""

    item: Item
    outcomes: Mapping[str, np.ndarray]


class Matching(Answering):
    """Right is a picture that is most like the right one among all that could have been asked for."""

    metric = "most like what was asked for"

    def __init__(self, suite: str, name: str, make: Callable[[], Sequence[Case]]):
        self._cases: dict[str, Case] = {}
        super().__init__(suite, name, lambda: self._kept(make()), max_tokens=None)

    def _kept(self, cases: Sequence[Case]) -> list[Item]:
        self._cases = {case.item.id: case for case in cases}
        return [case.item for case in cases]

    def measure(self, model: Any, items: Sequence[Item]) -> list[Outcome]:
        answers = judging.drawn(model, [item.turns for item in items], [item.id for item in items])
        outcomes = []
        for item, parts in zip(items, answers, strict=True):
            said = self._nearest(item, parts)
            outcomes.append(Outcome(float(said == item.answers[0]), parts, 1.0, {"drawn": said}))
        return outcomes

    def _nearest(self, item: Item, parts: Sequence[Part]) -> str:
        """What the picture is most like; nothing where there is none."""
        picture = next((part for part in parts if isinstance(part, Image)), None)
        if picture is None:
            return ""
        mine, known = thumbnail(picture), self._cases[item.id].outcomes
        return min(known, key=lambda name: float(np.square(known[name] - mine).sum()))

    def chance(self, item: Item) -> float:
        return item.chance

    def baseline(self, items: Sequence[Item]) -> None:
        return None

    def remarks(self, items: Sequence[Item], outcomes: Sequence[Outcome]) -> Mapping[str, Estimate]:
        said = [(outcome.detail or {}).get("drawn", "") for outcome in outcomes]
        clusters, kinds = [item.cluster for item in items], {"no picture drawn": "", "left as it was": "as it was"}
        return {name: statistics.proportion([one == kind for one in said], clusters) for name, kind in kinds.items()}


def edited(ground: Ground) -> list[Case]:
    """A picture is shown and is to be changed: in colour, on another ground, mirrored, so many of them, smaller."""
    raws, made = _drawable(ground), []
    for n in range(min(ground.most, 240)):
        random = rng(SUITE, "edited", n)
        raw = raws[int(random.integers(len(raws)))]
        before = edits.drawing(raw, "en", random)
        change = [*edits.CHANGES][n % (len(edits.CHANGES) - 1)]  # "add", the last, is mirrored where it stands alone
        asked, after = edits.CHANGES[change](before, "en", random)
        right = _named(after)
        every = {right: after, "as it was": before} | {_named(one): one for one in _changes(before)}
        found = _apart({name: thumbnail(one.picture()) for name, one in every.items()})
        if "as it was" not in found:  # a thing that looks the same when it is mirrored
            continue
        turns = (Turn("user", (before.picture(), Text(asked))),)
        item = Item(f"{n:04d}", raw.fields["concept"], turns, (right,), chance=1 / len(found), tags={"change": change})
        made.append(Case(item, found))
    return made


def coloured(ground: Ground) -> list[Case]:
    """A thing to be drawn in a colour, or on a ground of one."""
    raws, made = _drawable(ground), []
    for n in range(min(ground.most, 160)):
        random = rng(SUITE, "coloured", n)
        raw = raws[int(random.integers(len(raws)))]
        plain, colour = edits.drawing(raw, "en", random), int(random.integers(len(sprites.COLOURS)))
        called, name = edits.WORDS["colours"]["en"][colour], raw.fields["names"]["en"]
        use, field = (("draw_colour", "tint"), ("draw_on", "ground"))[n % 2]
        asked = way("edits", use, "en", random, name=name, colour=called)
        if asked is None:
            continue
        right = replace(plain, **{field: colour})
        others = [replace(plain, **{field: other}) for other in range(len(sprites.COLOURS))]
        every = {_named(right): right, "as it was": plain} | {_named(one): one for one in others}
        found = _apart({name: thumbnail(one.picture()) for name, one in every.items()})
        turns = (Turn("user", (Text(asked),)),)
        tags = {"colour of": "the thing" if field == "tint" else "its ground"}
        item = Item(f"{n:04d}", raw.fields["concept"], turns, (_named(right),), chance=1 / len(found), tags=tags)
        made.append(Case(item, found))
    return made


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


def _named(made: Made) -> str:
    """What a picture differs in from the plain thing."""
    colours = edits.WORDS["colours"]["en"]
    told = [
        "" if made.tint is None else colours[made.tint],
        "" if made.ground is None else f"on {colours[made.ground]}",
        "mirrored" * made.mirrored,
        "upside down" * made.flipped,
        f"{made.count} of them" if made.count > 1 else "",
        "smaller" if made.scale < 1 else "",
    ]
    return ", ".join(filter(None, told)) or "as it was"


def _apart(thumbnails: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Without those that look like the first, which is right."""
    (right, first), *rest = thumbnails.items()
    return {right: first} | {n: one for n, one in rest if float(np.square(one - first).mean()) > DIFFERENT}


class Placing(Answering):
    """Right is a picture with something in just those of its nine fields that were asked for."""

    metric = "fields filled"

    def measure(self, model: Any, items: Sequence[Item]) -> list[Outcome]:
        answers = judging.drawn(model, [item.turns for item in items], [item.id for item in items])
        return [
            Outcome(float(self.judge(parts, item)), parts, 1.0, {"filled": filled(parts, len(item.material))})
            for item, parts in zip(items, answers, strict=True)
        ]

    def judge(self, parts: tuple[Part, ...], item: Item) -> bool:
        return filled(parts, len(item.material)) == item.material

    def chance(self, item: Item) -> float:
        return item.chance

    def baseline(self, items: Sequence[Item]) -> None:
        return None


def placed(ground: Ground) -> list[Item]:
    """Two or three things to be drawn in fields that are named."""
    raws, made = _drawable(ground), []
    for n in range(min(ground.most, 128)):
        random = rng(SUITE, "placed", n)
        scene = scenes.placed(raws, int(random.integers(len(raws))), random, (sprites.SIDE, sprites.SIDE), 3)
        asked = way("scenes", "draw", scene.language, random, told=scene.told())
        if asked:
            fields = sorted(scene.fields)
            turns = (Turn("user", (Text(asked),)),)
            tags = {"things": str(len(fields))}
            made.append(
                Item(
                    *(f"{n:04d}", str(n), turns, (scene.told(),)),
                    chance=1 / comb(9, len(fields)),
                    tags=tags,
                    material=fields,
                )
            )
    return made


def filled(parts: Sequence[Part], count: int) -> list[int]:
    """The `count` fields of a picture in which colours differ most from the ground around them; none without one."""
    picture = next((part.pixels for part in parts if isinstance(part, Image)), None)
    if picture is None:
        return []
    height, width = (side // 3 * 3 for side in picture.shape[:2])
    cells = picture[:height, :width].astype(np.float64).reshape(3, height // 3, 3, width // 3, 3)
    spread = cells.std(axis=(1, 3)).sum(-1).reshape(9)
    return sorted(int(field) for field in np.argsort(-spread)[:count])


class Deciding(Drawing):
    """Whether to draw, with the precision and recall of drawing."""

    def measure(self, model: Any, items: Sequence[Item]) -> list[Outcome]:
        answers = judging.drawn(model, [item.turns for item in items], [item.id for item in items])
        return [Outcome(float(self.judge(parts, item)), parts) for parts, item in zip(answers, items, strict=True)]

    def remarks(self, items: Sequence[Item], outcomes: Sequence[Outcome]) -> Mapping[str, Estimate]:
        drew = np.array([any(isinstance(part, Image) for part in outcome.parts) for outcome in outcomes])
        due = np.array([not item.answers for item in items])
        both, clusters = drew & due, [item.cluster for item in items]
        shares = {"precision": (both, drew), "recall": (both, due), "F1": (2 * both, drew * 1 + due)}
        return {name: statistics.ratio(*pair, clusters) for name, pair in shares.items() if pair[1].any()}


def f1(items: Sequence[Item], outcomes: Sequence[Outcome]) -> float:
    """Of drawing where it was asked for."""
    drew = [any(isinstance(part, Image) for part in outcome.parts) for outcome in outcomes]
    due = [not item.answers for item in items]
    both = sum(a and b for a, b in zip(drew, due, strict=True))
    return 2 * both / max(sum(drew) + sum(due), 1)


def whether(ground: Ground) -> list[Item]:
    """Requests for pictures, half of them in wordings that training has none of, and questions and errands with the
    same names, in turns and in ten languages."""
    raws, languages, made = _drawable(ground), sample.languages(), []
    errands = (talks.sort, talks.looks, talks.write, talks.called, talks.name)
    for n in range(min(ground.most, 240)):
        random, language = rng(SUITE, "whether", n), languages[n // 4 % len(languages)]
        k = int(random.integers(len(raws)))
        if language not in raws[k].fields["names"]:
            continue
        answers: tuple[str, ...] = ()
        if n % 2:
            asked, answer = errands[n // 2 % len(errands)](raws, k, language, random)
            answers = tuple(part.text for part in answer.parts if isinstance(part, Text))
        else:
            name, unseen = raws[k].fields["names"][language], n % 4 == 2
            text = way("concepts", "draw", language, random, unseen, name=name)
            if text is None:
                continue
            asked = Turn("user", (Text(text),))
        tags = {"language": language, "asks": "for words" if answers else "for a picture"}
        if not answers:
            tags["wording"] = "held out" if unseen else "as taught"
        made.append(Item(f"{n:04d}", raws[k].fields["concept"], (asked,), answers, chance=0.5, tags=tags))
    return made
