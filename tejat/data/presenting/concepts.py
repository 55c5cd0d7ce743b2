"""Things that are drawn and named: captions, albums, drawings on demand, questions, names in other languages.

An item of the kind "concept" has the fields "names" by language, "category" by language, "tags" in English and "emoji",
and drawings as blobs named STYLE.svg or STYLE.webp. Other kinds of the same shape are presented here too: stamps.
"""

import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tejat.data.presenting import handwriting, moving, scenes, sprites
from tejat.data.presenting.wording import CALLED, LANGUAGES, language, one, worded, wordings
from tejat.data.shards import Item
from tejat.parts import Document, Image, Part, Text, Turn

DRAWN = ("noto", "twemoji", "fluent-emoji-flat")
"""The style that a thing is drawn in when none is asked for is the first of these that it has: with several at random
every picture would be a mean of them."""

WORDS = wordings("concepts")
LETTERS = 30  # of a line to be read
READ = wordings("physics")["read"]  # "What is written here?"


def concept(items: Sequence[Item], k: int, random: np.random.Generator) -> Document:
    """Some document about item k: see TASKS, which has how often each is drawn."""
    names, shares = list(TASKS), np.array(list(TASKS.values()))
    task = names[int(random.choice(len(names), p=shares / shares.sum()))]
    return _MAKERS[task](items, k, random)


def caption(items: Sequence[Item], k: int, random: np.random.Generator) -> Document:
    """A picture, and "What is this?" in some language."""
    fields = items[k].fields
    if random.random() < 0.35:  # of the languages in which no question is worded
        spoken = one([tag for tag in fields["names"] if tag in CALLED], random)
        asked = f"What is this in {CALLED[spoken]}?"
    else:
        spoken = language(random, _worded(fields))
        asked = worded(WORDS["what"], spoken, random)
    return _answered([_shown(items[k], random), Text(asked)], fields["names"][spoken], "caption")


def album(items: Sequence[Item], k: int, random: np.random.Generator) -> Document:
    """A page of pictures, each with its name below it; only the names are learnt."""
    spoken = language(random, _worded(items[k].fields))
    heading = worded(WORDS["page"], spoken, random)
    parts: list[Part] = [Text(heading)]
    learnt = [False]
    for n in (k, *sprites.others(items, k, int(random.integers(2, 5)), random)):
        name = items[n].fields["names"].get(spoken)
        if name:
            parts += [_shown(items[n], random), Text(name)]
            learnt += [False, True]
    return Document(tuple(parts), tuple(learnt), (None,) * len(parts), "album")


def draw(items: Sequence[Item], k: int, random: np.random.Generator) -> Document:
    """A name, and the picture to be drawn; the answer begins with the English name."""
    fields, drawings = items[k].fields, sprites.drawings(items[k].blobs)
    style = _style(drawings, random)
    spoken = language(random, _worded(fields))
    asked = worded(WORDS["draw"], spoken, random, name=fields["names"][spoken])
    if random.random() < 0.25:
        style = one([*drawings], random)
        asked = f"{asked} ({style})"
    picture = Image(sprites.picture(drawings[style], None))
    if random.random() < 0.3:
        return Document((Text(fields["names"][spoken]), picture), (True, True), (None, None), "drawing")
    turns = (Turn("user", (Text(asked),)), Turn("model", (Text(fields["names"]["en"]), picture)))
    return Document.from_turns(turns, "draw")


def name(items: Sequence[Item], k: int, random: np.random.Generator) -> Document:
    """A name in one language asked for in another, without a picture; or all its names in some languages."""
    fields = items[k].fields
    known = [tag for tag in fields["names"] if tag in CALLED]
    if random.random() < 0.3:
        some = [known[int(n)] for n in random.permutation(len(known))[:6]]
        return Document.of([Text("\n".join(f"{CALLED[tag]}: {fields['names'][tag]}" for tag in some))], source="name")
    first, second = ("en", one(known, random)) if random.random() < 0.7 else (one(known, random), "en")
    asked = (
        f"What is the {CALLED[second]} for “{fields['names'][first]}”?",
        f"Translate into {CALLED[second]}: {fields['names'][first]}",
    )
    return _answered([Text(one(asked, random))], fields["names"][second], "name")


def question(items: Sequence[Item], k: int, random: np.random.Generator) -> Document:
    """A question about a picture: its category, yes or no, one of a few, which of several pictures, its tags."""
    fields = items[k].fields
    spoken = language(random, _worded(fields))
    own = fields["names"][spoken]
    wrong = [items[n].fields["names"].get(spoken) for n in sprites.others(items, k, 3, random)]
    wrong = [name for name in wrong if name and name != own]
    kind = one(("category", "category", "is it", "choose", "which", "tags", "emoji"), random)
    if kind == "category" and fields.get("category", {}).get(spoken):
        return _answered(
            [_shown(items[k], random), Text(worded(WORDS["kind"], spoken, random))], fields["category"][spoken], kind
        )
    if kind == "is it" and wrong:
        true = random.random() < 0.5
        asked = worded(WORDS["is_it"], spoken, random, name=own if true else wrong[0])
        answer = WORDS["yes_no"][spoken][0 if true else 1].format(name=own)
        return _answered([_shown(items[k], random), Text(asked)], answer, kind)
    if kind == "choose" and wrong:
        choices = [own, *wrong]
        listed = ", ".join(choices[int(n)] for n in random.permutation(len(choices)))
        return _answered(
            [_shown(items[k], random), Text(worded(WORDS["choose"], spoken, random, names=listed))], own, kind
        )
    if kind == "which":
        order = [k, *sprites.others(items, k, int(random.integers(1, 4)), random)]
        order = [order[int(n)] for n in random.permutation(len(order))]
        parts = [part for place, n in enumerate(order, 1) for part in (Text(f"{place}:"), _shown(items[n], random))]
        asked = worded(WORDS["which"], spoken, random, name=own)
        return _answered([*parts, Text(asked)], str(order.index(k) + 1), kind)
    if kind == "tags" and len(fields.get("tags", ())) > 2:
        some = [fields["tags"][int(n)] for n in sorted(random.permutation(len(fields["tags"]))[:6])]
        return _answered([_shown(items[k], random), Text("Describe it in a few words.")], ", ".join(some), kind)
    if kind == "emoji" and fields.get("emoji"):
        return _answered([_shown(items[k], random), Text("Which emoji is this?")], fields["emoji"], kind)
    return caption(items, k, random)


def talk(items: Sequence[Item], k: int, random: np.random.Generator) -> Document:
    """Two to four questions about one picture: its name, its names elsewhere, its category, and it drawn anew."""
    fields, drawings = items[k].fields, sprites.drawings(items[k].blobs)
    spoken = language(random, _worded(fields))
    turns = [
        Turn("user", (_shown(items[k], random), Text(worded(WORDS["what"], spoken, random)))),
        Turn("model", (Text(fields["names"][spoken]),)),
    ]
    further = ["name", "name", "draw"] + (["kind"] if fields.get("category", {}).get(spoken) else [])
    answer: tuple[Part, ...]
    for kind in random.permutation(further)[: int(random.integers(1, 4))]:
        if kind == "name":
            other = one([tag for tag in fields["names"] if tag in CALLED], random)
            asked, answer = f"What is it called in {CALLED[other]}?", (Text(fields["names"][other]),)
        elif kind == "kind":
            asked, answer = worded(WORDS["kind"], spoken, random), (Text(fields["category"][spoken]),)
        else:
            style = _style(drawings, random)
            asked = worded(WORDS["draw"], spoken, random, name=fields["names"][spoken])
            answer = (Text(fields["names"]["en"]), Image(sprites.picture(drawings[style], None)))
        turns += [Turn("user", (Text(asked),)), Turn("model", answer)]
    return Document.from_turns(turns, "talk")


def lettering(items: Sequence[Item], k: int, random: np.random.Generator) -> Document:
    """One to four names as printed or written lines, to be read."""
    spoken = language(random, [tag for tag in handwriting.SCRIPTS if tag in items[k].fields["names"]])
    chosen = [k, *sprites.others(items, k, int(random.integers(0, 4)), random)]
    lines = [items[n].fields["names"][spoken] for n in chosen if spoken in items[n].fields["names"]]
    number = int(random.integers(10_000))
    lines = [line if random.random() < 0.85 else f"{line} {number}" for line in lines]
    lines = [part for line in lines for part in textwrap.wrap(line, LETTERS)]
    drawn = handwriting.printed(lines, random) if random.random() < 0.7 else handwriting.page(lines, random)
    asked = worded(READ, language(random), random)
    return _answered([Image(drawn), Text(asked)], "\n".join(lines), "lettering")


Maker = Callable[[Sequence[Item], int, np.random.Generator], Document]

TASKS = {
    "caption": 0.22,
    "album": 0.16,
    "draw": 0.20,
    "question": 0.12,
    "name": 0.04,
    "talk": 0.06,
    "lettering": 0.05,
    "scene": 0.14,
    "clip": 0.12,
}
"""The share of each kind of document about concepts."""

_MAKERS: dict[str, Maker] = {
    "caption": caption,
    "album": album,
    "draw": draw,
    "question": question,
    "name": name,
    "talk": talk,
    "lettering": lettering,
    "scene": scenes.scene,
    "clip": moving.clip,
}


def stamp(items: Sequence[Item], k: int, random: np.random.Generator) -> Document:
    """As of a concept, without scenes and clips: a stamp's caption is a sentence."""
    kind = one(("caption", "caption", "album", "question", "name"), random)
    return _MAKERS[kind](items, k, random)


def _style(drawings: Mapping[str, bytes], random: np.random.Generator) -> str:
    """The style to draw in where none is asked for."""
    return next((style for style in DRAWN if style in drawings), None) or one([*drawings], random)


def _worded(fields: Mapping[str, Any]) -> list[str]:
    """The languages in which it is named and questions are worded."""
    return [tag for tag in LANGUAGES if tag in fields["names"]]


def _shown(item: Item, random: np.random.Generator) -> Image:
    side = one(sprites.SIDES, random)
    return Image(sprites.picture(one([*item.blobs.values()], random), random, side))


def _answered(asked: list, answer: str, source: str) -> Document:
    return Document.from_turns((Turn("user", tuple(asked)), Turn("model", (Text(answer),))), source)
