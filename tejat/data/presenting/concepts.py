"""Things that are drawn and named: captions, albums, drawings on demand, questions, names in other languages.

An item of the kind "concept" has the fields "names" by language, "category" by language, "tags" in English and "emoji",
and drawings as blobs named STYLE.svg or STYLE.webp. Other kinds of the same shape are presented here too: stamps.
"""

import textwrap
from collections.abc import Callable, Sequence

import numpy as np

from tejat.data.presenting import edits, handwriting, moving, scenes, sprites, talks
from tejat.data.presenting.wording import CALLED, asking, beside, language, named_in, one, worded, wordings
from tejat.data.shards import Item
from tejat.parts import Document, Image, Part, Text, Turn

WORDS = wordings("concepts")
SHAPES = {
    **{
        "16:9": (168, 96),
        "9:16": (96, 168),
        "4:3": (144, 112),
        "3:4": (112, 144),
        "3:2": (152, 104),
        "2:3": (104, 152),
    },
    **{"2:1": (176, 88), "1:2": (88, 176), "1:1": (128, 128), "96x64": (152, 104), "64x96": (104, 152)},
    **{"128x64": (176, 88), "64x128": (88, 176), "128x96": (144, 112), "96x128": (112, 144), "160x90": (168, 96)},
    **{"128x128": (128, 128), "64x64": (128, 128)},
}
"""Shapes that are asked for, and width and height in pixels: of any shape a picture has as many codes as there are."""

ALONE = 0.24
"""The share of "draw" documents that are a picture without a word: guidance by what is asked needs to know what comes
unasked. It makes 7% of all pictures that are drawn in documents about concepts (TASKS)."""

LOOKED_AT = 60  # of other things, for some of one kind

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
        spoken = language(random, named_in(fields))
        asked = asking(WORDS["what"], spoken, random)
    return _answered(beside(sprites.seen(items[k], random), asked, random), fields["names"][spoken], "caption")


def album(items: Sequence[Item], k: int, random: np.random.Generator) -> Document:
    """A page of pictures, each with its name below it; only the names are learnt."""
    spoken = language(random, named_in(items[k].fields))
    heading = worded(WORDS["page"], spoken, random)
    parts: list[Part] = [Text(heading)]
    learnt = [False]
    for n in (k, *sprites.others(items, k, int(random.integers(2, 9)), random)):
        name = items[n].fields["names"].get(spoken)
        if name:
            parts += [sprites.seen(items[n], random), Text(name)]
            learnt += [False, True]
    return Document(tuple(parts), tuple(learnt), (None,) * len(parts), "album")


def draw(items: Sequence[Item], k: int, random: np.random.Generator) -> Document:
    """A name, and the picture to be drawn: asked for, often in a colour, a number, a shape or a style; or under it."""
    fields, drawings = items[k].fields, sprites.drawings(items[k].blobs)
    spoken = language(random, named_in(fields), edits.IN_ENGLISH)
    name, style = fields["names"][spoken], sprites.usual_style(drawings, random)
    if random.random() < ALONE:
        return Document.of([Image(sprites.picture(drawings[style], None))], source="picture")
    # What mini draws by heart, one drawing of each thing on white, needs few documents; other forms of it need most.
    way = random.random()
    if way < 0.4:
        asked, made = edits.begun(edits.drawing(items[k], spoken, random), spoken, random)
        return Document.from_turns((Turn("user", (Text(asked),)), made.answer()), "draw")
    if way < 0.46:
        picture = Image(sprites.picture(drawings[style], None))
        return Document((Text(name), picture), (True, True), (None, None), "drawing")
    answer = edits.bilingual(name, fields["names"].get("en", name))
    if way < 0.76:
        size, (width, height) = one([*SHAPES.items()], random)
        asked = asking(WORDS["draw_size"], spoken, random, name=name, size=size)
        picture = edits.drawing(items[k], spoken, random).picture(width, height)
    elif way < 0.86:
        story = asking(WORDS["story"], spoken, random, name=name)
        asked = asking(WORDS["illustrate"], spoken, random, story=story)
        picture = Image(sprites.picture(drawings[style], None))
    else:
        asked = asking(WORDS["draw"], spoken, random, name=name)
        if way < 0.92:
            style = one([*drawings], random)
            asked = f"{asked} ({style})"
        picture = Image(sprites.picture(drawings[style], None))
    turns = (Turn("user", (Text(asked),)), Turn("model", (Text(answer), picture)))
    return Document.from_turns(turns, "draw")


def book(items: Sequence[Item], k: int, random: np.random.Generator) -> Document:
    """Two or three names, and each with its picture; or one after the other, as they are asked for."""
    spoken = language(random, named_in(items[k].fields), edits.IN_ENGLISH)
    chosen = (k, *sprites.others(items, k, int(random.integers(1, edits.PICTURES)), random))
    things = [edits.drawing(items[n], spoken, random) for n in chosen if spoken in items[n].fields["names"]]
    if random.random() < 0.5:
        asked = asking(WORDS["book"], spoken, random, names=", ".join(thing.told() for thing in things))
        drawn = [part for thing in things for part in thing.answer().parts]
        return Document.from_turns((Turn("user", (Text(asked),)), Turn("model", tuple(drawn))), "book")
    turns: list[Turn] = []
    for thing in things:
        asked = asking(WORDS["another" if turns else "draw"], spoken, random, name=thing.names[0])
        turns += [Turn("user", (Text(asked),)), thing.answer()]
    return Document.from_turns(turns, "book")


def name(items: Sequence[Item], k: int, random: np.random.Generator) -> Document:
    """A name in one language asked for in another, without a picture; or all its names in some languages."""
    fields = items[k].fields
    known = [tag for tag in fields["names"] if tag in CALLED]
    way = random.random()
    if way < 0.1 and (found := three(items, k, random)) is not None:
        return found
    if way < 0.25:
        some = [known[int(n)] for n in random.permutation(len(known))[:6]]
        return Document.of([Text("\n".join(f"{CALLED[tag]}: {fields['names'][tag]}" for tag in some))], source="name")
    if way < 0.6:
        return Document.from_turns(talks.called(items, k, language(random, named_in(fields)), random), "name")
    first, second = ("en", one(known, random)) if random.random() < 0.7 else (one(known, random), "en")
    asked = asking(WORDS["called"], "en", random, name=fields["names"][first], language=CALLED[second])
    return _answered([Text(asked)], fields["names"][second], "name")


def three(items: Sequence[Item], k: int, random: np.random.Generator) -> Document | None:
    """Three things of a kind, by their English names; None where there are no three to be found."""
    kind = items[k].fields.get("category", {}).get("en")
    near = (items[n].fields for n in (k, *sprites.others(items, k, LOOKED_AT, random)))
    names = [*dict.fromkeys(f["names"].get("en") for f in near if f.get("category", {}).get("en") == kind)]
    if not kind or None in names or len(names) < 3:
        return None
    return _answered([Text(asking(WORDS["three"], "en", random, kind=kind))], ", ".join(names[:3]), "name")


def question(items: Sequence[Item], k: int, random: np.random.Generator) -> Document:
    """A question about a picture: its category, yes or no, one of a few, which of several pictures, its tags."""
    fields = items[k].fields
    spoken = language(random, named_in(fields))
    own = fields["names"][spoken]
    wrong = [items[n].fields["names"].get(spoken) for n in sprites.others(items, k, 3, random)]
    wrong = [name for name in wrong if name and name != own]
    kind = one(("category",) * 4 + ("is it", "choose", "which", "tags", "emoji"), random)
    if kind == "category" and fields.get("category", {}).get(spoken):
        return _answered(
            beside(sprites.seen(items[k], random), asking(WORDS["kind"], spoken, random), random),
            fields["category"][spoken],
            kind,
        )
    if kind == "is it" and wrong:
        true = random.random() < 0.5
        asked = asking(WORDS["is_it"], spoken, random, name=own if true else wrong[0])
        answer = WORDS["yes_no"][spoken][0 if true else 1].format(name=own)
        return _answered(beside(sprites.seen(items[k], random), asked, random), answer, kind)
    if kind == "choose" and wrong:
        choices = [own, *wrong]
        listed = ", ".join(choices[int(n)] for n in random.permutation(len(choices)))
        return _answered(
            beside(sprites.seen(items[k], random), asking(WORDS["choose"], spoken, random, names=listed), random),
            own,
            kind,
        )
    if kind == "which":
        order = [k, *sprites.others(items, k, int(random.integers(1, 4)), random)]
        order = [order[int(n)] for n in random.permutation(len(order))]
        parts = [
            part for place, n in enumerate(order, 1) for part in (Text(f"{place}:"), sprites.seen(items[n], random))
        ]
        asked = asking(WORDS["which"], spoken, random, name=own)
        return _answered([*parts, Text(asked)], str(order.index(k) + 1), kind)
    if kind == "tags" and len(fields.get("tags", ())) > 2:
        some = [fields["tags"][int(n)] for n in sorted(random.permutation(len(fields["tags"]))[:6])]
        return _answered(
            beside(sprites.seen(items[k], random), "Describe it in a few words.", random), ", ".join(some), kind
        )
    if kind == "emoji" and fields.get("emoji"):
        return _answered(beside(sprites.seen(items[k], random), "Which emoji is this?", random), fields["emoji"], kind)
    return caption(items, k, random)


def talk(items: Sequence[Item], k: int, random: np.random.Generator) -> Document:
    """Two to four questions about one picture: its name, its names elsewhere, its category, and it drawn anew."""
    fields = items[k].fields
    spoken = language(random, named_in(fields))
    turns = [
        Turn("user", (sprites.seen(items[k], random), Text(asking(WORDS["what"], spoken, random)))),
        Turn("model", (Text(fields["names"][spoken]),)),
    ]
    further = ["name", "name", "draw"] + (["kind"] if fields.get("category", {}).get(spoken) else [])
    answer: tuple[Part, ...]
    for kind in random.permutation(further)[: int(random.integers(1, 4))]:
        if kind == "name":
            other = one([tag for tag in fields["names"] if tag in CALLED], random)
            asked, answer = f"What is it called in {CALLED[other]}?", (Text(fields["names"][other]),)
        elif kind == "kind":
            asked, answer = asking(WORDS["kind"], spoken, random), (Text(fields["category"][spoken]),)
        else:
            asked = asking(WORDS["draw"], spoken, random, name=fields["names"][spoken])
            answer = edits.drawing(items[k], spoken, random).answer().parts
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
    asked = asking(READ, language(random), random)
    return _answered(beside(Image(drawn), asked, random), "\n".join(lines), "lettering")


Maker = Callable[[Sequence[Item], int, np.random.Generator], Document]

TASKS = {
    "caption": 0.20,
    "album": 0.11,
    "draw": 0.24,
    "book": 0.02,
    "edit": 0.16,
    "pattern": 0.05,
    "question": 0.15,
    "name": 0.05,
    "talk": 0.05,
    "mixed": 0.07,
    "told": 0.05,
    "lettering": 0.05,
    "scene": 0.13,
    "clip": 0.10,
}
"""The share of each kind of document about concepts."""

_MAKERS: dict[str, Maker] = {
    "caption": caption,
    "album": album,
    "draw": draw,
    "book": book,
    "edit": edits.edit,
    "pattern": edits.pattern,
    "question": question,
    "name": name,
    "talk": talk,
    "mixed": talks.mixed,
    "told": talks.told,
    "lettering": lettering,
    "scene": scenes.scene,
    "clip": moving.clip,
}


def stamp(items: Sequence[Item], k: int, random: np.random.Generator) -> Document:
    """As of a concept, without scenes and clips: a stamp's caption is a sentence."""
    kind = one(("caption", "caption", "album", "question", "name"), random)
    return _MAKERS[kind](items, k, random)


def _answered(asked: Sequence[Part], answer: str, source: str) -> Document:
    return Document.from_turns((Turn("user", tuple(asked)), Turn("model", (Text(answer),))), source)
