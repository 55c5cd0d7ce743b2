"""Scenes composed of several things: what there is, how many, and where; told exactly, for they are made to measure.

Names of things are never bent: "3 × cat face" and "cat face: top left" are right in every language.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tejat.data.presenting import sprites
from tejat.data.presenting.wording import LANGUAGES, asking, language, one, wordings
from tejat.data.shards import Item
from tejat.parts import Document, Image, Text, Turn

SIZES = ((144, 144), (192, 144), (144, 192), (192, 192))
"""Width and height of a scene."""

MOST = 9  # of one thing

WORDS = wordings("scenes")
"""Of these, "places" names the nine fields of a scene, row by row."""


@dataclass(frozen=True)
class Scene:
    """A picture, the names of the things in it in one language, and where they are.

    Attributes:
      fields: number of a thing by its field, 0 to 8, row by row; empty where things lie anywhere.
      counts: how many there are of each thing.
    """

    picture: Image
    names: tuple[str, ...]
    fields: dict[int, int]
    counts: tuple[int, ...]
    language: str

    def told(self) -> str:
        """All that there is: "3 × cat face, 1 × rose", or "cat face: top left, rose: middle"."""
        if self.fields:
            places = WORDS["places"][self.language]
            return ", ".join(f"{self.names[thing]}: {places[at]}" for at, thing in sorted(self.fields.items()))
        return ", ".join(f"{count} × {name}" for count, name in zip(self.counts, self.names, strict=True))


def scene(items: Sequence[Item], k: int, random: np.random.Generator) -> Document:
    """A scene with item k and a few others, and one to three questions about it; or the telling of it, to be drawn."""
    if random.random() < 0.1:
        made = placed(items, k, random, (sprites.SIDE, sprites.SIDE), 3)
        asked = asking(WORDS["draw"], made.language, random, told=made.told())
        return Document.from_turns(
            (Turn("user", (Text(asked),)), Turn("model", (Text(made.told()), made.picture))), "draw scene"
        )
    placing = random.random() < 0.5
    made = (placed if placing else scattered)(items, k, random, one(SIZES, random))
    kinds = ("tell", "where", "at", "beside") if placing else ("count", "count", "total", "tell")
    turns: list[Turn] = []
    answered: set[str] = set()
    for _ in range(int(random.integers(1, 4))):
        asked, answer = _question(made, one(kinds, random), random)
        if answer not in answered:
            answered.add(answer)
            turns.append(Turn("user", (Text(asked),) if turns else (made.picture, Text(asked))))
            turns.append(Turn("model", (Text(answer),)))
    return Document.from_turns(turns, "scene")


def placed(items: Sequence[Item], k: int, random: np.random.Generator, size: tuple[int, int], most: int = 5) -> Scene:
    """Two to `most` things, each in the middle of one of nine fields."""
    spoken, names, shown = _cast(items, k, int(random.integers(2, most + 1)), random)
    width, height = size
    # Side by side more often than chance has it, that there be something to ask about left and right.
    fields = [int(n) for n in random.permutation(9)]
    if random.random() < 0.5 and len(names) >= 2:
        row, column = int(random.integers(3)), int(random.integers(2))
        pair = [3 * row + column, 3 * row + column + 1]
        fields = pair + [n for n in fields if n not in pair]
    laid, where = [], {}
    for thing, sprite in enumerate(shown):
        row, column = divmod(fields[thing], 3)
        small = sprites.scaled(sprite, min(width, height) / 3 * random.uniform(0.75, 0.98))
        left, top = (
            round((column + 0.5) * width / 3 - small.width / 2),
            round((row + 0.5) * height / 3 - small.height / 2),
        )
        laid.append((small, left, top))
        where[fields[thing]] = thing
    picture = Image(sprites.laid(sprites.ground(random, width, height), laid))
    return Scene(picture, names, where, (1,) * len(names), spoken)


def scattered(items: Sequence[Item], k: int, random: np.random.Generator, size: tuple[int, int]) -> Scene:
    """One to three things, one to nine of each, none over another."""
    spoken, names, shown = _cast(items, k, int(random.integers(1, 4)), random)
    counts = [int(random.integers(1, MOST + 1)) for _ in names]
    while sum(counts) > 16:
        counts[int(np.argmax(counts))] -= 1
    width, height = size
    columns = max(2, round((sum(counts) * 1.3 * width / height) ** 0.5))
    rows = -(-int(sum(counts) * 1.15 + 1) // columns)
    cell_width, cell_height = width / columns, height / rows
    cells = random.permutation(rows * columns)[: sum(counts)]
    things = [thing for thing, count in enumerate(counts) for _ in range(count)]
    laid = []
    for cell, thing in zip(cells, things, strict=True):
        row, column = divmod(int(cell), columns)
        small = sprites.scaled(shown[thing], min(cell_width, cell_height) * random.uniform(0.72, 0.96))
        left = column * cell_width + random.uniform(0, cell_width - small.width)
        top = row * cell_height + random.uniform(0, cell_height - small.height)
        laid.append((small, round(left), round(top)))
    picture = Image(sprites.laid(sprites.ground(random, width, height), laid))
    return Scene(picture, names, {}, tuple(counts), spoken)


def _cast(items: Sequence[Item], k: int, count: int, random: np.random.Generator):
    """(language, names, sprites) of item k and others that are named in the language, all named differently."""
    chosen = [k, *sprites.others(items, k, count - 1, random)]
    spoken = language(random, [tag for tag in LANGUAGES if tag in items[k].fields["names"]])
    names: list[str] = []
    shown = []
    for n in chosen:
        item = items[n]
        name = item.fields["names"].get(spoken)
        if name and name not in names and not {",", ":"} & {*name}:
            names.append(name)
            shown.append(sprites.some_sprite(item.blobs, random))
    if not names:  # its name has a mark that lists are made with; alone it is no trouble
        names, shown = [items[k].fields["names"][spoken]], [sprites.some_sprite(items[k].blobs, random)]
    return spoken, tuple(names), shown


def _question(made: Scene, kind: str, random: np.random.Generator) -> tuple[str, str]:
    """(question, answer); what the scene has no answer to becomes the question of all that there is."""
    spoken, thing = made.language, int(random.integers(len(made.names)))
    if kind == "count":
        return asking(WORDS["count"], spoken, random, name=made.names[thing]), str(made.counts[thing])
    if kind == "total":
        return asking(WORDS["total"], spoken, random), str(sum(made.counts))
    if kind in ("where", "at"):
        at = next(field for field, there in made.fields.items() if there == thing)
        place = WORDS["places"][spoken][at]
        if kind == "where":
            return asking(WORDS["where"], spoken, random, name=made.names[thing]), place
        return asking(WORDS["at"], spoken, random, place=place), made.names[thing]
    if kind == "beside":
        pairs = [(at, at + 1) for at in made.fields if at % 3 < 2 and at + 1 in made.fields]
        if pairs:
            left, right = (made.names[made.fields[at]] for at in one(pairs, random))
            side = int(random.integers(2))  # 0: asked what is to the left, of the right one
            return WORDS["beside"][spoken][side].format(name=right if side == 0 else left), left if side == 0 else right
    return asking(WORDS["tell"], spoken, random), made.told()
