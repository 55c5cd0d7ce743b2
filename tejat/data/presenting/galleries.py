"""Pages of many things to be looked at, read or heard, each with what it is below it; only that is learnt.

A document of one picture spends most of its tokens on words. Here nearly all are pictures, so that eyes and ears see in
minutes what they would else see in hours.
"""

from collections.abc import Callable, Sequence

import numpy as np

from tejat.data.presenting import charts, handwriting, plots, speech, sprites
from tejat.data.presenting.wording import LANGUAGES, asking, language, named_in, one, worded, wordings
from tejat.data.shards import Item
from tejat.parts import Document, Image, Part, Text

SEEN, READ, HEARD, PLOTTED = (8, 25), (6, 21), (4, 13), (2, 6)
"""How many stand on a page: from, and up to but not."""

_CONCEPTS, _SPEECH, _READ = wordings("concepts"), wordings("speech"), wordings("physics")["read"]


def named(items: Sequence[Item], k: int, random: np.random.Generator) -> Document:
    """Things and their names in one language."""
    spoken = language(random, named_in(items[k].fields))
    chosen = (k, *sprites.others(items, k, int(random.integers(*SEEN)) - 1, random))
    named = [items[n] for n in chosen if spoken in items[n].fields["names"]]
    pairs = [(sprites.seen(item, random), item.fields["names"][spoken]) for item in named]
    return _page(worded(_CONCEPTS["page"], spoken, random), pairs, "gallery of things")


def kinds(items: Sequence[Item], k: int, random: np.random.Generator) -> Document:
    """Things and what kind of thing each is: what is never named is known by that alone."""
    spoken = language(random, [tag for tag in LANGUAGES if tag in items[k].fields.get("category", {})] or ["en"])
    chosen = (k, *sprites.others(items, k, int(random.integers(*SEEN)) - 1, random))
    known = [(items[n], items[n].fields.get("category", {}).get(spoken)) for n in chosen]
    pairs = [(sprites.seen(item, random), kind) for item, kind in known if kind]
    return (
        _page(worded(_CONCEPTS["kind"], spoken, random), pairs, "gallery of kinds")
        if pairs
        else named(items, k, random)
    )


def lettered(items: Sequence[Item], k: int, random: np.random.Generator) -> Document:
    """Printed and written lines: names in one language, numbers, and some of both."""
    spoken = language(random, [tag for tag in handwriting.SCRIPTS if tag in items[k].fields["names"]])
    chosen = (k, *sprites.others(items, k, int(random.integers(*READ)) - 1, random))
    pairs = []
    for name in (items[n].fields["names"].get(spoken) for n in chosen):
        kind = random.random()
        line = number(random) if name is None or kind < 0.35 else name
        if name is not None and 0.35 <= kind < 0.45:
            line = f"{name} {number(random)}"
        drawn = handwriting.printed([line], random) if random.random() < 0.75 else handwriting.page([line], random)
        pairs.append((Image(drawn), line))
    return _page(asking(_READ, language(random), random), pairs, "gallery of lines")


def heard(items: Sequence[Item], k: int, random: np.random.Generator) -> Document:
    """Recordings and what is said in them."""
    chosen = (k, *sprites.others(items, k, int(random.integers(*HEARD)) - 1, random))
    pairs = [speech.transcribed(items, n, random) for n in chosen if items[n].kind == "speech"]
    return _page(worded(_SPEECH["page"], language(random), random), pairs, "gallery of recordings")


def plotted(items: Sequence[Item], k: int, random: np.random.Generator) -> Document:
    """Charts and their tables, with numbers that must be read: they are nobody's."""
    chosen = (k, *sprites.others(items, k, int(random.integers(*PLOTTED)) - 1, random))
    tables = [items[n].fields for n in chosen if items[n].fields["shape"] != "points"]
    pairs = []
    for fields in tables or [items[k].fields]:
        panel = charts.panel_of(charts.redrawn(fields, random), random)
        size, font = one(charts.PIXELS, random), one(plots.FONTS, random)
        pairs.append((Image(plots.drawn(panel, size, font, plots.some_style(random))), charts.table(panel)))
    return _page(asking(charts.WORDS["table"], language(random), random), pairs, "gallery of charts")


def number(random: np.random.Generator) -> str:
    """As they stand on axes and in tables: whole, with decimals, with separators, in percent, negative."""
    digits = int(random.integers(1, 7))
    value = int(random.integers(10 ** (digits - 1) if digits > 1 else 0, 10**digits))
    decimals = int(random.integers(1, 4)) if random.random() < 0.4 else 0
    text = f"{value / 10**decimals:.{decimals}f}" if random.random() < 0.7 else f"{value / 10**decimals:,.{decimals}f}"
    kind = random.random()
    return f"-{text}" if kind < 0.1 else f"{text}%" if kind < 0.2 else text


def gallery(items: Sequence[Item], k: int, random: np.random.Generator) -> Document | None:
    """A page about item k and others of its source; None for a kind that there is none of."""
    ways = WAYS.get(items[k].kind)
    return one(ways, random)(items, k, random) if ways else None


WAYS: dict[str, Sequence[Callable[[Sequence[Item], int, np.random.Generator], Document]]] = {
    "concept": (named, named, named, lettered, kinds),
    "stamp": (named,),
    "chart": (plotted,),
    "speech": (heard,),
}


def _page(heading: str, pairs: Sequence[tuple[Part, str]], source: str) -> Document:
    parts = (Text(heading), *(part for shown, said in pairs for part in (shown, Text(said))))
    learnt = tuple(number > 0 and isinstance(part, Text) for number, part in enumerate(parts))
    return Document(parts, learnt, (None,) * len(parts), source)
