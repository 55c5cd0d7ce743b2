"""Pictures: named, counted, found, read; charts read with relaxed accuracy; pages; what goes with what is shown.

Every task again with the picture grey. Things and styles are held out: a tenth of the concepts in every style, two
families of styles of the others. Charts are of tables that no training chart shows.
"""

import textwrap
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from tejat.data.presenting import charts, handwriting, plots, scenes, sprites
from tejat.data.presenting.concepts import READ
from tejat.data.presenting.concepts import WORDS as NAMING
from tejat.data.presenting.panel import number, plain
from tejat.data.presenting.wording import LANGUAGES
from tejat.data.shards import Item as Raw
from tejat.evals import commonsense, documents, measures
from tejat.evals.answering import Answering, Choosing
from tejat.evals.grading import Grading
from tejat.evals.ground import HELD_OUT, MADE, Ground, mixed, rng
from tejat.evals.report import Section
from tejat.evals.tasks import Item, Task
from tejat.parts import Image, Text, Turn

SUITE = "images"
CHOICES = 8
SIDE = 128


def tasks(ground: Ground) -> list[Task]:
    """By likelihood where there is something to choose from, and written."""
    names, words = partial(named, ground), partial(read, ground)
    made: list[Task] = [
        Choosing(SUITE, "name-chosen", names, by_length=True),
        Answering(SUITE, "name", names),
        Choosing(SUITE, "count", partial(counted, ground)),
        Choosing(SUITE, "where", partial(placed, ground), by_length=True),
        Choosing(SUITE, "read-chosen", words, by_length=True),
        Grading(SUITE, "read", words, _errors, "character errors", kind="ratio", better="lower", max_tokens=64),
        Choosing(SUITE, "chart-highest", partial(charted, ground, "most"), by_length=True),
        Choosing(SUITE, "chart-larger", partial(charted, ground, "more"), by_length=True),
        Grading(
            SUITE,
            "chart-value",
            partial(charted, ground, "value"),
            _relaxed,
            "within 5%",
            kind="proportion",
            max_tokens=16,
        ),
    ]
    pages = partial(documents.items, ground)
    read_off: list[Task] = [
        Choosing(SUITE, "document-chosen", pages, by_length=True),
        Answering(SUITE, "document", pages),
    ]
    made.append(Choosing(SUITE, "goes-with", partial(commonsense.items, ground), by_length=True))
    return [task.with_(origin=HELD_OUT) for task in made] + [task.with_(origin=MADE) for task in read_off]


def sections(model: Any) -> list[Section]:
    return []


def named(ground: Ground) -> list[Item]:
    """What is this? In the languages in which questions are worded, in turn, English every other time."""
    raws = ground.heldout("concepts")
    made = []
    for n, k in enumerate(ground.some(range(len(raws)), f"{SUITE}/name")):
        raw, random = raws[k], rng(SUITE, "name", k)
        language = "en" if n % 2 else LANGUAGES[n // 2 % len(LANGUAGES)]
        name = raw.fields["names"].get(language)
        wrong = _others(raws, k, language, CHOICES - 1, random)
        if not name or len(wrong) < CHOICES - 1:
            continue
        parts = (_picture(raw, random), Text(NAMING["what"][language][0]))
        made.append(
            Item(
                *(f"name-{k:05d}", raw.fields["concept"], (Turn("user", parts),), (name,)),
                choices=mixed(name, wrong, random),
                chance=1 / CHOICES,
                tags={"language": language, "held out": raw.fields.get("axis", "concept")},
            )
        )
    return made


def counted(ground: Ground) -> list[Item]:
    """How many of one thing are there among others?"""
    raws = ground.heldout("concepts")
    made = []
    for n in range(min(ground.most, 400)):
        random = rng(SUITE, "count", n)
        scene = scenes.scattered(raws, int(random.integers(len(raws))), random, (192, 192))
        thing = int(random.integers(len(scene.names)))
        asked = scenes.WORDS["count"][scene.language][0].format(name=scene.names[thing])
        made.append(
            Item(
                *(f"count-{n:04d}", str(n), (Turn("user", (scene.picture, Text(asked))),), (str(scene.counts[thing]),)),
                choices=tuple(map(str, range(1, scenes.MOST + 1))),
                chance=1 / scenes.MOST,
                tags={"there are": str(scene.counts[thing])},
            )
        )
    return made


def placed(ground: Ground) -> list[Item]:
    """In which of nine fields does a thing lie?"""
    raws = ground.heldout("concepts")
    made = []
    for n in range(min(ground.most, 400)):
        random = rng(SUITE, "where", n)
        scene = scenes.placed(raws, int(random.integers(len(raws))), random, (192, 192))
        at = sorted(scene.fields)[int(random.integers(len(scene.fields)))]
        asked = scenes.WORDS["where"][scene.language][0].format(name=scene.names[scene.fields[at]])
        places = scenes.WORDS["places"][scene.language]
        turns = (Turn("user", (scene.picture, Text(asked))),)
        made.append(Item(f"where-{n:04d}", str(n), turns, (places[at],), choices=tuple(places), chance=1 / 9))
    return made


def read(ground: Ground) -> list[Item]:
    """One to three printed or written lines."""
    raws = ground.heldout("concepts")
    made = []
    for n in range(min(ground.most, 400)):
        random = rng(SUITE, "read", n)
        language = "en" if n % 2 else handwriting.SCRIPTS[n // 2 % len(handwriting.SCRIPTS)]
        names = [raws[int(i)].fields["names"].get(language) for i in random.permutation(len(raws))[:24]]
        names = [name for name in names if name and len(name) <= 30]
        count = 1 + n % 3
        if len(names) < 4 * count:
            continue
        groups = [names[g * count : (g + 1) * count] for g in range(4)]
        lines = [part for line in groups[0] for part in textwrap.wrap(line, 30)]
        by_hand = n % 3 == 2
        page = handwriting.page(lines, random) if by_hand else handwriting.printed(lines, random)
        answer, *wrong = ("\n".join(group) for group in groups)
        made.append(
            Item(
                *(f"read-{n:04d}", str(n), (Turn("user", (Image(page), Text(READ["en"][0]))),), (answer,)),
                choices=mixed(answer, wrong, random),
                chance=0.25,
                tags={"script": "written" if by_hand else "printed", "language": language},
            )
        )
    return made


def charted(ground: Ground, about: str) -> list[Item]:
    """Questions about charts of held-out tables: the value of a label, the highest, the larger of two."""
    raws = [raw for raw in ground.heldout("charts") if raw.fields["shape"] != "points"]
    made = []
    for k in ground.some(range(len(raws)), f"{SUITE}/charts/{about}"):
        raw, random = raws[k], rng(SUITE, "chart", about, k)
        values, labels = raw.fields["values"], [plain(label) for label in raw.fields["labels"]]
        if len({*labels}) < len(labels) or len(labels) < 3:
            continue
        panel = charts.panel_of(raw.fields, random)
        first, second = (int(n) for n in random.choice(len(values), 2, replace=False))
        highest = int(np.argmax(values))
        if (about == "most" and sorted(values)[-2] == values[highest]) or values[first] == values[second]:
            continue
        answer = {"value": number(values[first]), "most": labels[highest]}.get(about, "")
        answer = answer or labels[first if values[first] > values[second] else second]
        wrong = [labels[int(n)] for n in random.permutation(len(labels)) if labels[int(n)] != answer][:3]
        choices = {"value": (), "most": mixed(answer, wrong, random), "more": (labels[first], labels[second])}[about]
        asked = charts.WORDS[about]["en"][0].format(label=labels[first], other=labels[second])
        picture = Image(plots.drawn(panel, charts.PIXELS[0], plots.FONTS[0]))
        made.append(
            Item(
                *(f"{about}-{k:05d}", raw.fields["group"], (Turn("user", (picture, Text(asked))),), (answer,)),
                choices=choices,
                chance=1 / len(choices) if choices else 0.0,
                tags={"chart": panel.kind},
                material=labels[first] if about == "value" else None,
            )
        )
    return made


def _picture(raw: Raw, random: np.random.Generator) -> Image:
    blobs = list(raw.blobs.values())
    return Image(sprites.picture(blobs[int(random.integers(len(blobs)))], None, SIDE))


def _others(raws: Sequence[Raw], k: int, language: str, count: int, random: np.random.Generator) -> list[str]:
    """Names of other things in a language, all different."""
    own = raws[k].fields["names"].get(language)
    found: dict[str, None] = {}
    for n in random.permutation(len(raws))[: 6 * count]:
        name = raws[int(n)].fields["names"].get(language)
        if name and name != own:
            found[name] = None
    return list(found)[:count]


def _errors(said: str, item: Item) -> tuple[float, float]:
    return measures.character_errors(said, item.answers[0])


def _relaxed(said: str, item: Item) -> bool:
    return measures.relaxed(said, item.answers[0])
