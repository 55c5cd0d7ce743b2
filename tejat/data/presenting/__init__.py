"""From items to training documents: one presenter for each kind of item.

What can be made when a document is drawn is made then: its wording, the size and ground of its pictures, which items
stand together on a page. The item keeps the raw material alone.
"""

from collections.abc import Callable, Sequence

import numpy as np

from tejat.data.presenting import (
    arithmetic,
    charts,
    concepts,
    facts,
    instructions,
    moving,
    pages,
    physics,
    retrieval,
    speech,
    text,
    words,
)
from tejat.data.shards import Item
from tejat.errors import BadInput
from tejat.parts import Document

Presenter = Callable[[Sequence[Item], int, np.random.Generator], Document]
"""Makes a document of item k of a sequence, and of others in it where several stand together. A pure function."""

KINDS: dict[str, Presenter] = {
    "text": text.text,
    "document": text.document,
    "page": pages.page,
    "package": pages.package,
    "meaning": words.meaning,
    "dictionary": words.dictionary,
    "parallel": words.parallel,
    "code": words.code,
    "fact": facts.fact,
    "concept": concepts.concept,
    "chart": charts.chart,
    "stamp": concepts.stamp,
    "speech": speech.speech,
    "clip": moving.animation,
    "arithmetic": arithmetic.arithmetic,
    "physics": physics.physics,
    "retrieval": retrieval.retrieval,
    "instruction": instructions.instruction,
}


def present(items: Sequence[Item], k: int, random: np.random.Generator) -> Document:
    """The document of item k. Raises BadInput for a kind that no presenter is for."""
    kind = items[k].kind
    if kind not in KINDS:
        raise BadInput(f"an item is of the kind {kind!r}, which nothing presents; there are {', '.join(sorted(KINDS))}")
    return KINDS[kind](items, k, random)
