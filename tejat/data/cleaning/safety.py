"""What is not trained on for its content: pornography, abuse of children, hate, instructions to hurt. By lists.

The lists (lists/safety.txt) are short and ours, in 14 languages, the longest in English. What they cannot do, so that
nobody relies on it: they know no language beside these; they see words and not what is meant, so that cruelty in plain
words passes, and a page about slurs, a novel or a court's judgement may be dropped; who spells a word otherwise
evades them. Lists like these fall hardest on texts by and about minorities (Dodge et al. 2021, section 5.3), so names
of peoples, faiths and orientations are not in them, and one word condemns no text but for the abuse of children.
Pictures and sounds are not looked at: sources are chosen so that none need be.
"""

import codecs
import re
from collections.abc import Iterable, Iterator
from functools import cache

from tejat.data.cleaning.records import Record, group, language, text
from tejat.data.cleaning.report import Report
from tejat.data.cleaning.wordlists import lines

LIMITS = {"abuse": (1, 0.0), "explicit": (3, 0.01), "hate": (2, 0.005), "harm": (2, 0.002)}
"""Of each kind the terms, counted as often as they stand there, and their share of the words that condemn a text."""

REASONS = {
    "abuse": "sexual abuse of children",
    "explicit": "pornography",
    "hate": "hate",
    "harm": "instructions or encouragement to hurt",
}


class Safety:
    """Drops records with too many terms of a list of their language, or of the English one. Nothing grows."""

    def __init__(self) -> None:
        self.report = Report("safety lists")

    def __call__(self, records: Iterable[Record], source: str = "") -> Iterator[Record]:
        for record in records:
            told, content = group(record, source), text(record)
            self.report.see(told, len(content))
            kind, terms = unsafe(content, language(record))
            if kind:
                veiled = ", ".join(sorted({f"{term[0]}{'·' * (len(term) - 2)}{term[-1]}" for term in terms}))
                self.report.drop(REASONS[kind], told, f"{veiled} in: {content[:60]}", len(content))
            else:
                yield record


def unsafe(content: str, tongue: str = "") -> tuple[str, list[str]]:
    """(the kind of content that condemns the text, or "", and the terms found of it).

    Every list is looked at where the language is not known.
    """
    content = content.lower()
    size = len(content.split())
    for kind, (least, share) in LIMITS.items():
        # To look for each term is ten times faster than one pattern for all, and hardly any is there.
        there = [term for term in _terms(tongue).get(kind, ()) if term in content]
        found = [match for term in there for match in re.findall(_bounded(term), content)]
        if len(found) >= max(least, share * size):
            return kind, found
    return "", []


@cache
def _terms(tongue: str) -> dict[str, tuple[str, ...]]:
    """The terms of each kind, of the language and of English."""
    terms: dict[str, set[str]] = {}
    for head, rest in lines("safety.txt"):
        kind, of = head.split()
        if of in (tongue, "en") or not tongue:
            terms.setdefault(kind, set()).update(codecs.decode(rest, "rot13").lower().split("|"))
    return {kind: tuple(sorted(found)) for kind, found in terms.items()}


def _bounded(term: str) -> str:
    """A pattern for the term as whole words; Han and kana have no ends of words."""
    return rf"\b{re.escape(term)}\b" if term[0] < "\u2e80" else re.escape(term)
