"""Answers judged: right, wrong or hedged; and borne out by their source, by its words and by what it says.

Whether an answer hedges is told by phrases in twelve languages (`hedging.json`): that one does not know, cannot tell or
read or hear, that the source does not say, that there is no such thing. They were written for this and know nothing of
the wordings of training. A denial ("there are only twelve months") owns up only where what is asked for cannot be.
Who owns up and answers nevertheless has done neither: that is wrong where there is no answer, and a hedge where there
is one.
"""

import functools
import json
import re
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any, Literal

from tejat.evals import measures
from tejat.evals.matching import normalise
from tejat.evals.tasks import Item

Verdict = Literal["right", "wrong", "hedged"]

HEARD = 0.6  # F1 of words from which on a recording was understood

DENIED = ("impossible", "premise")
"""Reasons for which a denial owns up."""

_DIGITS = re.compile(r"\d+")
_QUOTED = re.compile(r"[“„«「\"]\s*(.+?)\s*[”“»」\"](?=\)|\.|\s|$)", re.DOTALL)
_WIDE = re.compile(r"[぀-ヿ一-鿿가-힣]")


def hedges(answer: str, denial: bool = False) -> bool:
    """Does the answer own up to not knowing, in any of the languages? With `denial`, or deny what was asked?"""
    said = answer.lower().replace("’", "'")  # not casefolded: phrases are written with ß
    plain = _QUOTED.sub(" ", said) if len(_QUOTED.sub("", said).strip()) > 3 else said
    return bool(_pattern("unsure").search(plain)) or (denial and bool(_pattern("denial").search(plain)))


@functools.cache
def _phrases() -> Mapping[str, Any]:
    return json.loads(resources.files(__package__).joinpath("hedging.json").read_text("utf-8"))


@functools.cache
def _pattern(use: str) -> re.Pattern[str]:
    """All phrases of a use, of all languages: an answer may come in another one than the question."""
    return re.compile("|".join(f"(?:{phrase})" for mine in _phrases()[use].values() for phrase in mine))


def verdict(answer: str, item: Item) -> Verdict:
    """Of an answer in words. An item that cannot be answered is never right: its answer is hedged or wrong."""
    reason = item.material["reason"]
    if reason:
        denial = reason in DENIED
        owned = _names_both(answer, item) or (hedges(answer, denial) and (denial or not _guesses(answer, item)))
        return "hedged" if owned else "wrong"
    unsure, heard = hedges(answer), item.tags["kind"] == "heard"
    if right(answer, item) and (heard or not unsure):  # what is heard may be that somebody does not know
        return "right"
    return "hedged" if unsure else "wrong"


def _names_both(answer: str, item: Item) -> bool:
    """Does it name both answers between which the source does not decide, in words not quoted and not copied?"""
    both, said = item.material["both"], _unquoted(answer)
    return bool(both) and _plain(answer) not in _plain(_shown(item)) and all(contains(said, each) for each in both)


def _guesses(answer: str, item: Item) -> bool:
    """Does it name what the source says in answer to another question, or a number that it was not asked about?"""
    said, asked = _unquoted(answer), _shown(item).rpartition("\n\n")[2]
    others = [each for each in item.material.get("others", ()) if not contains(asked, each)]
    return any(contains(said, each) for each in others) or bool({*_DIGITS.findall(said)} - {*_DIGITS.findall(asked)})


def _shown(item: Item) -> str:
    """The words of the prompt."""
    return " ".join(part.text for turn in item.turns for part in turn.parts if hasattr(part, "text"))


def right(answer: str, item: Item) -> bool:
    """Does it say one of the answers, and none that another question would have? A recording: nearly all its words."""
    if item.tags["kind"] == "heard":
        return max(measures.words_f1(answer, each) for each in item.answers) >= HEARD
    found = [each for each in item.answers if contains(answer, each)]
    if not found:
        return False
    rest = f" {normalise(_unquoted(answer))} "
    for each in sorted(item.answers, key=len, reverse=True):
        rest = rest.replace(normalise(each), " ")
    return not any(contains(rest, other) for other in item.material.get("others", ()))


def contains(text: str, wanted: str) -> bool:
    """Are the words of one in the other, one after the other?"""
    text, wanted = normalise(text), normalise(wanted)
    if _WIDE.search(wanted):
        return wanted in text
    # Among letters that are not parted by spaces, Latin letters and digits end where others begin.
    return bool(re.search(rf"(?<![^\W_぀-ヿ一-鿿가-힣]){re.escape(wanted)}(?![^\W_぀-ヿ一-鿿가-힣])", text))


def by_words(answer: str, item: Item) -> bool:
    """Is everything that it says in the words of the source, or of the question? What it quotes must stand there as it
    is."""
    passage = item.material["passage"]
    spans = quotations(answer)
    if any(_plain(span) not in _plain(passage) for span in spans):
        return False
    if _WIDE.search(passage):
        return bool(spans) or normalise(_unquoted(answer)) in normalise(passage) or right(answer, item)
    known = {*normalise(passage).split(), *normalise(_shown(item)).split(), *_phrases()["little"]}
    said = normalise(_unquoted(answer)).split()
    return bool(said or spans) and all(word in known for word in said)


def by_sense(answer: str, item: Item) -> bool:
    """Does the source say so: of this thing, in answer to this question? What it quotes must say so."""
    sentence = item.material.get("sentence", item.material["passage"])
    return verdict(answer, item) == "right" and all(
        contains(span, item.answers[0]) or _plain(span) in _plain(sentence) for span in quotations(answer)
    )


def quotations(answer: str) -> Sequence[str]:
    """The spans in quotation marks, of more than a word or two; a title in them counts for none."""
    return [span for span in _QUOTED.findall(answer) if len(span) > 15]


def _unquoted(answer: str) -> str:
    """The answer without what it quotes; all of it where it quotes alone."""
    spans = quotations(answer)
    rest = answer
    for span in spans:
        rest = rest.replace(span, " ")
    return rest if normalise(rest).strip() and any(c.isalnum() for c in rest) else answer


def _plain(text: str) -> str:
    return "".join(c for c in text.casefold() if c.isalnum())
