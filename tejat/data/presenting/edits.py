"""Drawings made as they are asked for and then changed: a colour, a ground, mirrored, more of them, another beside.

The answer to every request to draw is a short phrase that says what is drawn, its names as the request has them and in
English, and the picture after it. What is asked for is exactly what is drawn, so that it can be measured.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image as pillow

from tejat.data.presenting import scenes, sprites
from tejat.data.presenting.wording import asking, language, named_in, one, worded, wordings
from tejat.data.shards import Item
from tejat.parts import Document, Image, Part, Text, Turn

PICTURES = 3  # drawn in one document at most: so many codes has a row of `mini`'s batches room for
MOST = 9  # of one thing

IN_ENGLISH = 0.25
"""The share of English among requests to draw: what is drawn is found by its name, of which there are twelve."""

WORDS = wordings("edits")
DRAW = wordings("concepts")


@dataclass(frozen=True)
class Drawing:
    """A drawing as a list of what is to be seen in it.

    Attributes:
      shown, names: the thing, and another beside it where there is one.
      english: their English names.
      count: of the first thing.
      tint, ground: numbers of `sprites.COLOURS`; None: its own colours, white.
    """

    shown: tuple[pillow.Image, ...]
    names: tuple[str, ...]
    english: tuple[str, ...]
    count: int = 1
    tint: int | None = None
    ground: int | None = None
    mirrored: bool = False
    flipped: bool = False
    scale: float = 1.0

    def told(self) -> str:
        """ "cat", "3 × cat" or "cat, rose"."""
        return self._listed(self.names)

    def picture(self, width: int = sprites.SIDE, height: int = sprites.SIDE) -> Image:
        """One thing as large as fits; several in rows, all of a size."""
        shown = [self.shown[0]] * self.count + [*self.shown[1:]]
        columns = int(np.ceil(np.sqrt(len(shown))))
        rows = -(-len(shown) // columns)
        side = 0.94 * self.scale * min(width / columns, height / rows)
        laid = []
        for place, thing in enumerate(shown):
            small = sprites.scaled(thing if self.tint is None else sprites.tinted(thing, self.tint), side)
            row, column = divmod(place, columns)
            left, top = (column + 0.5) * width / columns, (row + 0.5) * height / rows
            laid.append((small, round(left - small.width / 2), round(top - small.height / 2)))
        pixels = sprites.laid(sprites.coloured_ground(self.ground, width, height), laid)
        pixels = pixels[:, ::-1] if self.mirrored else pixels
        return Image(np.ascontiguousarray(pixels[::-1] if self.flipped else pixels))

    def answer(self) -> Turn:
        """The model's turn that draws it."""
        return Turn("model", (Text(self._listed([*map(bilingual, self.names, self.english)])), self.picture()))

    def _listed(self, names: Sequence[str]) -> str:
        first = names[0] if self.count == 1 else f"{self.count} × {names[0]}"
        return ", ".join([first, *names[1:]])


def bilingual(name: str, english: str) -> str:
    """ "Katze (cat)": what is drawn is learnt by one name and not by twelve, and found by it in every language."""
    return name if name == english else f"{name} ({english})"


def drawing(item: Item, spoken: str, random: np.random.Generator) -> Drawing:
    """A thing as it is drawn where no more is said."""
    styles = sprites.drawings(item.blobs)
    sprite = sprites.drawing.sprite(styles[sprites.usual_style(styles, random)])
    names = item.fields["names"]
    return Drawing((sprite,), (names[spoken],), (names.get("en", names[spoken]),))


def edit(items: Sequence[Item], k: int, random: np.random.Generator) -> Document:
    """A picture, shown or drawn, and changes of it, with questions about it in between."""
    spoken = language(random, named_in(items[k].fields), IN_ENGLISH)
    made = drawing(items[k], spoken, random)
    turns: list[Turn] = []
    shown: tuple[Part, ...] = ()
    if random.random() < 0.4:  # shown, in whatever style
        made = replace(made, shown=(sprites.some_sprite(items[k].blobs, random),))
        if random.random() < 0.3:
            made = replace(made, ground=_colour(random))
        shown = (made.picture(),)
        if random.random() < 0.3:
            shown = (Text(worded(WORDS["edit_seen"], spoken, random)), *shown)
    else:
        asked, made = begun(made, spoken, random)
        turns += [Turn("user", (Text(asked),)), made.answer()]
    drawn = len(turns) // 2
    for _ in range(int(random.integers(1, 4))):
        if turns and random.random() < 0.35:
            turns += question(made, spoken, random)
        elif drawn < PICTURES:
            asked, made = changed(made, items, k, spoken, random)
            turns += [Turn("user", (*shown, Text(asked))), made.answer()]
            drawn, shown = drawn + 1, ()
    return Document.from_turns(turns, "edit")


def begun(made: Drawing, spoken: str, random: np.random.Generator) -> tuple[str, Drawing]:
    """(request, drawing) of a thing: as it is, in a colour, on a ground, so many of it in figures or in words."""
    name, colour = made.names[0], _colour(random)
    called = WORDS["colours"][spoken][colour]
    way = random.random()
    if way < 0.3:
        return asking(WORDS["draw_colour"], spoken, random, name=name, colour=called), replace(made, tint=colour)
    if way < 0.6:
        return asking(WORDS["draw_on"], spoken, random, name=name, colour=called), replace(made, ground=colour)
    if way < 0.85:
        count = int(random.integers(2, MOST + 1))
        told = str(count) if random.random() < 0.5 else WORDS["numbers"][spoken][count - 2]
        return asking(WORDS["draw_many"], spoken, random, name=name, count=told), replace(made, count=count)
    return asking(DRAW["draw"], spoken, random, name=name), made


def changed(
    made: Drawing, items: Sequence[Item], k: int, spoken: str, random: np.random.Generator
) -> tuple[str, Drawing]:
    """(request, drawing after it) of a change that can be seen."""
    way = one([*CHANGES], random)
    if way == "add":
        if (found := added(made, items, k, spoken, random)) is not None:
            return found
        way = "mirror"
    if (way == "many" and len(made.names) > 1) or (way == "smaller" and (made.scale < 1 or made.count > 1)):
        way = "ground"
    return CHANGES[way](made, spoken, random)


def added(
    made: Drawing, items: Sequence[Item], k: int, spoken: str, random: np.random.Generator
) -> tuple[str, Drawing] | None:
    """(request, drawing after it) of another thing beside it; None where there is no room, or the thing found has no
    name of its own."""
    n = next(iter(sprites.others(items, k, 1, random)), None)
    name = None if n is None else items[n].fields["names"].get(spoken)
    if n is None or not name or name in made.names or len(made.names) > 1 or made.count > 3:
        return None
    other = drawing(items[n], spoken, random)
    english = made.english + other.english
    after = replace(made, shown=made.shown + other.shown, names=made.names + other.names, english=english)
    return asking(WORDS["add"], spoken, random, name=name), after


def question(made: Drawing, spoken: str, random: np.random.Generator) -> list[Turn]:
    """About a picture that was drawn: what it shows, the colour of its ground, how many."""
    way = random.random()
    if way < 0.4 and made.ground is not None:
        asked, answer = asking(WORDS["colour"], spoken, random), WORDS["colours"][spoken][made.ground]
    elif way < 0.7 and made.count > 1:
        asked = asking(scenes.WORDS["count"], spoken, random, name=made.names[0])
        answer = str(made.count)
    else:
        asked, answer = asking(DRAW["made"], spoken, random), made.told()
    return [Turn("user", (Text(asked),)), Turn("model", (Text(answer),))]


def pattern(items: Sequence[Item], k: int, random: np.random.Generator) -> Document:
    """One example, of a line of text and two pictures; then the same is asked for two other things, or in another
    colour, and told and drawn alike."""
    chosen = [k, *sprites.others(items, k, 3, random)]
    spoken = language(random, named_in(items[k].fields))
    known = [items[n] for n in chosen if spoken in items[n].fields["names"]]
    things = [drawing(item, spoken, random) for item in known]
    if len(things) == 4 and random.random() < 0.5:
        styles = set.intersection(*(set(sprites.drawings(item.blobs)) for item in known))
        if styles:  # in whichever style the example is
            style = one(sorted(styles), random)
            blobs = [sprites.drawings(item.blobs)[style] for item in known]
            things = [
                replace(thing, shown=(sprites.drawing.sprite(blob),)) for thing, blob in zip(things, blobs, strict=True)
            ]
        (a, b), (c, d) = things[:2], things[2:]
        head = worded(WORDS["pair"], spoken, random, a=a.names[0], b=b.names[0])
        asked = asking(WORDS["now"], spoken, random, a=c.names[0], b=d.names[0])
    else:
        first, second = (int(n) for n in random.permutation(len(sprites.COLOURS))[:2])
        a, b = (replace(thing, tint=first) for thing in (things[0], things[-1]))
        c, d = (replace(thing, tint=second) for thing in (a, b))
        called = WORDS["colours"][spoken]
        head = worded(WORDS["pattern"], spoken, random, first=called[first], a=a.names[0], b=b.names[0])
        asked = asking(WORDS["like"], spoken, random, second=called[second])
    shown = (Text(head), a.picture(), b.picture(), Text(asked))
    drawn = (Text(c.told()), c.picture(), Text(d.told()), d.picture())
    return Document.from_turns((Turn("user", shown), Turn("model", drawn)), "pattern")


def _colour(random: np.random.Generator, *not_these: int | None) -> int:
    return one([n for n in range(len(sprites.COLOURS)) if n not in not_these], random)


def _recoloured(made: Drawing, spoken: str, random: np.random.Generator) -> tuple[str, Drawing]:
    colour = _colour(random, made.tint)
    asked = asking(WORDS["recolour"], spoken, random, colour=WORDS["colours"][spoken][colour])
    return asked, replace(made, tint=colour)


def _grounded(made: Drawing, spoken: str, random: np.random.Generator) -> tuple[str, Drawing]:
    colour = _colour(random, made.ground)
    asked = asking(WORDS["ground"], spoken, random, colour=WORDS["colours"][spoken][colour])
    return asked, replace(made, ground=colour)


def _mirrored(made: Drawing, spoken: str, random: np.random.Generator) -> tuple[str, Drawing]:
    return asking(WORDS["mirror"], spoken, random), replace(made, mirrored=not made.mirrored)


def _flipped(made: Drawing, spoken: str, random: np.random.Generator) -> tuple[str, Drawing]:
    return asking(WORDS["flip"], spoken, random), replace(made, flipped=not made.flipped)


def _multiplied(made: Drawing, spoken: str, random: np.random.Generator) -> tuple[str, Drawing]:
    count = one([n for n in range(2, MOST + 1) if n != made.count], random)
    return asking(WORDS["many"], spoken, random, count=str(count)), replace(made, count=count, scale=1.0)


def _smaller(made: Drawing, spoken: str, random: np.random.Generator) -> tuple[str, Drawing]:
    return asking(WORDS["smaller"], spoken, random), replace(made, scale=0.55)


CHANGES: dict[str, Callable[[Drawing, str, np.random.Generator], tuple[str, Drawing]]] = {
    "recolour": _recoloured,
    "ground": _grounded,
    "mirror": _mirrored,
    "flip": _flipped,
    "many": _multiplied,
    "smaller": _smaller,
    "add": _mirrored,  # where there is nothing to add
}
"""How a drawing is changed, by what is asked."""
