"""Drawing: is it what was asked for, changed as it was asked, and drawn only where a picture was wanted?

What a thing looks like is up to the judge (`judging`). Colours, numbers, changes, examples to follow, places and shapes
are exact in training, so there is one picture that is right (`picture_changes`, `picture_dialogues`,
`picture_patterns`, `picture_places`, `picture_shapes`). Whether a thing is seen in its colour, number or place without
any such picture, `picture_seen` asks of the same drawings.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from tejat import sample
from tejat.data.presenting import talks
from tejat.data.shards import Item as Raw
from tejat.evals import judging, statistics
from tejat.evals.answering import Drawing
from tejat.evals.ground import MADE, Ground, rng
from tejat.evals.judging import Recognised, Various
from tejat.evals.picture_changes import Matching, coloured, counted, edited
from tejat.evals.picture_dialogues import Recalling, Redrawing, recalled, redrawn
from tejat.evals.picture_material import SUITE, Pixels, drawable, heldout, real
from tejat.evals.picture_patterns import Following, patterns
from tejat.evals.picture_places import Placing, placed
from tejat.evals.picture_seen import Seeing, in_colour, in_number, in_places
from tejat.evals.picture_shapes import Sizing, sized
from tejat.evals.report import Section
from tejat.evals.statistics import Estimate
from tejat.evals.tasks import Item, Outcome, Task
from tejat.evals.ways import way
from tejat.parts import Image, Text, Turn

SEEN = "things that training draws, asked for anew"


def tasks(ground: Ground) -> list[Task]:
    """Things by the judge; the rest by comparison with what is right, and drawings in colours, numbers and places by
    what is seen in them as well."""
    colours = Matching(SUITE, "coloured", partial(coloured, ground))
    numbers = Matching(SUITE, "counted", partial(counted, ground))
    places = Placing(SUITE, "placed", partial(placed, ground))
    made: list[Task] = [
        _recognised(ground, "drawn", ("en",), False, 256),
        colours.with_(origin=MADE, ways=()),
        numbers.with_(origin=MADE, ways=()),
        places.with_(origin=MADE, ways=()),
        Seeing(SUITE, "coloured-seen", colours, partial(in_colour, colours)).with_(origin=MADE),
        Seeing(SUITE, "counted-seen", numbers, partial(in_number, numbers)).with_(origin=MADE),
        Seeing(SUITE, "placed-seen", places, partial(in_places, ground, places)).with_(origin=MADE),
        Sizing(SUITE, "sized", partial(sized, ground), max_tokens=None).with_(origin=MADE, ways=()),
        Following(SUITE, "pattern", partial(patterns, ground)).with_(origin=MADE, ways=()),
        Redrawing(SUITE, "edited-own", partial(redrawn, ground)).with_(origin=MADE, ways=()),
        Recalling(SUITE, "asked-of-own", partial(recalled, ground), max_tokens=None).with_(origin=MADE, ways=()),
        Deciding(SUITE, "whether", partial(whether, ground), max_tokens=None).with_(origin=MADE, ways=()),
        Matching(SUITE, "edited", partial(edited, ground)).with_(origin=MADE),
        _recognised(ground, "drawn-in-other-words", ("en",), True, 128),
        _recognised(ground, "drawn-ten-languages", sample.languages(), False, 200),
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
    raws = [raw for raw in drawable(ground) if raw.fields["concept"] in known]
    for n, raw in enumerate(Ground(most=min(ground.most, most)).some(raws, f"{SUITE}/{most}")):
        concept, language = raw.fields["concept"], languages[n % len(languages)]
        name = raw.fields["names"].get(language)
        asked = name and way("concepts", "draw", language, rng(SUITE, concept, language), unseen, name=name)
        if asked:
            turns = (Turn("user", (Text(asked),)),)
            made.append(Item(f"{concept}-{language}", concept, turns, (concept,), tags={"language": language}))
    return made


def _recognised(ground: Ground, name: str, languages: Sequence[str], unseen: bool, most: int) -> Task:
    things = partial(requested, ground, languages, unseen, most)
    return Recognised(SUITE, name, things, partial(_real, ground), partial(heldout, ground)).with_(origin=SEEN)


def _real(ground: Ground, item: Item) -> Pixels:
    """The drawing of an item's thing that training has."""
    return real(ground, item.answers[0])


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
    """Requests for pictures, a third of them for one to a story, half in wordings that training has none of, and as
    many questions and errands with the same names, some after such a story; in turns and in ten languages."""
    raws, languages, made = drawable(ground), sample.languages(), []
    errands = (talks.sort, talks.looks, talks.write, talks.called, talks.name)
    for n in range(min(ground.most, 240)):
        random, language = rng(SUITE, "whether", n), languages[n // 4 % len(languages)]
        raw = raws[k := int(random.integers(len(raws)))]
        story, unseen = n // 4 % 3 == 0, n % 4 == 2
        if story and unseen:
            language = "en"  # in which alone such wordings are held out
        if language not in raw.fields["names"]:
            continue
        if n % 2:
            asked, answer = errands[n // 2 % len(errands)](raws, k, language, random)
            answers = tuple(part.text for part in answer.parts if isinstance(part, Text))
            before = _story(raw, language, random, False) if story else None
            asked = Turn("user", (Text(f"{before}\n\n"), *asked.parts)) if before else asked
            tags = {"asks": "for words, after a story" if before else "for words"}
        else:
            answers = ()
            text = _request(raw, language, random, unseen, story)
            if text is None:
                continue
            asked = Turn("user", (Text(text),))
            tags = {
                "asks": "for a picture to a story" if story else "for a picture",
                "wording": "held out" if unseen else "as taught",
            }
        concept, told = raw.fields["concept"], {"language": language} | tags
        made.append(Item(f"{n:04d}", concept, (asked,), answers, chance=0.5, tags=told))
    return made


def _request(raw: Raw, language: str, random: np.random.Generator, unseen: bool, story: bool) -> str | None:
    """For a picture of a thing, or for one to a story that it is in; None where there is no wording of the kind."""
    if not story:
        return way("concepts", "draw", language, random, unseen, name=raw.fields["names"][language])
    text = _story(raw, language, random, unseen)
    return text and way("concepts", "illustrate", language, random, unseen, story=text)


def _story(raw: Raw, language: str, random: np.random.Generator, unseen: bool) -> str | None:
    name = raw.fields["names"].get(language)
    return name and way("concepts", "story", language, random, unseen, name=name)
