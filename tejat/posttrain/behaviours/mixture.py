"""Behaviours mixed into the dialogues of a corpus: document i is a function of i and the seed, as in all mixtures."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from tejat.data.conversations import Conversations
from tejat.data.mixture import STAGE
from tejat.data.presenting.wording import one
from tejat.parts import Document
from tejat.posttrain.behaviours import anything, heard, known, missing, pages, passages, refusing, seen
from tejat.posttrain.behaviours.known import Facts, spoken

FACTS = ("world", "elements")
PAGES = ("gnome-help", "libreoffice-help")
MEANINGS, THINGS = "wordnet", "concepts"
SOUNDS = ("voices", "readings", "dialogues")
NEEDED = (*FACTS, *PAGES, MEANINGS, THINGS, *SOUNDS)
"""Sources that a corpus must have."""


class Behaved(Conversations):
    """As `Conversations`, with a `SHARE` of the documents of its last stage given over to behaviours.

    The ledger of what was seen counts each of these as the item that its number would have stood for.
    Raises BadInput for a corpus that lacks one of `NEEDED`.
    """

    SHARE = 0.45
    SHARES: Mapping[str, float] = {
        "passages": 0.3,
        "closed book": 0.2,
        "contradicted": 0.09,
        "pages": 0.09,
        "missing": 0.08,
        "seen": 0.15,
        "heard": 0.07,
        "refusing": 0.02,
    }
    """The share of each kind among the documents of behaviours."""

    def document(self, index: int) -> Document:
        """Document `index`. Raises BadInput for a damaged item, which it names."""
        stage, number = divmod(index, STAGE)
        random = np.random.default_rng([self.seed, 7, stage, number])
        last = stage == len(self.stages) - 1
        return self.behaviour(random) if last and random.random() < self.SHARE else super().document(index)

    def behaviour(self, random: np.random.Generator) -> Document:
        """One of the kinds in `SHARES`; a passage where its material gives none."""
        language, facts = spoken(random), self._facts()
        shares = np.array([*self.SHARES.values()])
        match str(random.choice([*self.SHARES], p=shares / shares.sum())):
            case "closed book":
                return known.closed_book(facts, self._items(MEANINGS), language, random)
            case "contradicted":
                found = known.contradicted(facts, language, random)
            case "missing":
                return missing.document(language, random, facts.names)
            case "refusing":
                return refusing.document(language, random)
            case "seen":
                return seen.document(language if language in seen.LANGUAGES else "en", random, facts.names)
            case "pages":
                found = pages.document(self._items(one(PAGES, random)), random)
            case "heard":
                found = heard.document(self._items(one(SOUNDS, random)), random, facts.names)
            case _:
                found = None
        if found is not None:
            return found
        page = pages.some(self._items(one(PAGES, random)), random, language) if random.random() < 0.15 else None
        return passages.document(language, random, facts.names, page[0] if page else "")

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in super().__getstate__().items() if name != "_known"}

    def _forget(self) -> None:
        super()._forget()
        self._known: Facts | None = None

    def _facts(self) -> Facts:
        if self._known is None:
            for source in NEEDED:
                self._items(source)  # one that is not there is told at once
            words = anything.vocabulary(self._items(MEANINGS), self._items(THINGS))
            facts = (item for source in FACTS for item in self._items(source) if item.kind == "fact")
            self._known = Facts(facts, words)
        return self._known


class Reading(Behaved):
    """The same with more of the documents given over, and of these more to be read from: passages and signs."""

    SHARE = 0.6
    SHARES: Mapping[str, float] = {
        "passages": 0.4,
        "closed book": 0.14,
        "contradicted": 0.07,
        "pages": 0.06,
        "missing": 0.05,
        "seen": 0.19,
        "heard": 0.07,
        "refusing": 0.02,
    }


class Whole(Reading):
    """The same with half of the documents given over, and more of these from memory."""

    SHARE = 0.5
    SHARES: Mapping[str, float] = {**Reading.SHARES, "passages": 0.36, "closed book": 0.22, "heard": 0.09}


class Known(Whole):
    """The same with two fifths of the documents given over, a third of these from memory: what `mini_whole` forgot."""

    SHARE = 0.4
    SHARES: Mapping[str, float] = {**Whole.SHARES, "passages": 0.28, "closed book": 0.33}
