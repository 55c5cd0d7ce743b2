"""A mixture of dialogues alone, for the stage after pre-training: of every item what is asked and answered about it.

Several dialogues may follow each other in one document, of whatever sources, so that the model learns to go from one
skill to another, and that what was said before need not bear on what is asked now.
"""

from dataclasses import replace

import numpy as np

from tejat.data.mixture import STAGE, Mixture
from tejat.data.presenting import present
from tejat.data.presenting.edits import PICTURES
from tejat.parts import Document, Image

TRIES = 12  # items that are asked for a dialogue before one that is none is taken
JOINED = 0.3  # of dialogues, followed by another
TURNS = 14  # of a document to which another is joined, at most


class Conversations(Mixture):
    """As `Mixture`; its documents are dialogues, but for pages, and for pictures that nobody asks for, which guidance
    needs. In plain stages, and of sources without, they are as they are.

    The ledger of what was seen (`seen`) counts each document as the item that its number stands for: neither what is
    joined to it, nor that a neighbour was taken where the item has no dialogue.
    """

    def document(self, index: int) -> Document:
        """Document `index`. Raises BadInput for a damaged item, which it names."""
        stage, number = divmod(index, STAGE)
        if self.stages[stage].plain:
            return super().document(index)
        if (page := self.page(index)) is not None:
            return page
        random = np.random.default_rng([self.seed, 4, stage, number])
        document = self._dialogue(index, random)
        while _is_dialogue(document) and len(document.turns()) <= TURNS and random.random() < JOINED:
            # One that came before, whose place in the order is known; worded anew.
            other = self._dialogue(stage * STAGE + int(random.integers(number + 1)), random)
            if not _is_dialogue(other) or _pictures(document) + _pictures(other) > PICTURES:
                break
            document = Document.from_turns((*document.turns(), *other.turns()), document.source)
        return document

    def _dialogue(self, index: int, random: np.random.Generator) -> Document:
        """Of the item of document `index`, or of one not far from it."""
        drawn = self.where(index)
        items, place = self._items(drawn.source), drawn.item
        for _ in range(TRIES):
            document = present(items, place, random)
            if _is_dialogue(document) or _is_unasked(document):
                break
            place = (drawn.item + int(random.integers(-TRIES, TRIES + 1))) % len(items)
        return replace(document, source=drawn.source)


def _is_dialogue(document: Document) -> bool:
    return None not in document.roles


def _is_unasked(document: Document) -> bool:
    """Is it a picture alone, to be drawn?"""
    return len(document.parts) == 1 and isinstance(document.parts[0], Image) and document.loss[0]


def _pictures(document: Document) -> int:
    """How many the model draws in it."""
    parts = zip(document.parts, document.roles, strict=True)
    return sum(isinstance(part, Image) and role == "model" for part, role in parts)
