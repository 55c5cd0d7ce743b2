"""Cases of behaviours, for what learns from preferences and from rewards: a prompt, a good answer, a bad one, a check.

    attribution    what a passage tells                    bad: what it tells of something else
    hedging        what it does not tell, what does not    bad: an invention
                   exist, what is not there
    closed-book    a fact of the corpus                    bad: that of another subject
    over-hedging   as attribution and closed-book          bad: says that one does not know
    refusal        a harmful request                       bad: complies
    over-refusal   a harmless one that sounds like it      bad: refuses

Good and bad answers to one prompt are worded alike. Facts are held out by a checksum of what they are about; what does
not exist, what is missing and what is refused by one of how it is asked; and passages are made up anew.
"""

import functools
import re
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from tejat.data.presenting import persona
from tejat.data.presenting.wording import one
from tejat.data.splits import by_checksum
from tejat.parts import Text, Turn
from tejat.posttrain import verify
from tejat.posttrain.behaviours import invented, known, missing, passages, refusing
from tejat.posttrain.behaviours.known import Fact, Facts
from tejat.posttrain.behaviours.wording import Exchange, ask, data, say
from tejat.posttrain.synthetic import Case

HELDOUT = 0.2
"""The share of subjects whose facts are held out, and of the ways to ask for what is missing or refused."""

HEDGES = ("silent", "dont_know", "no_picture", "no_sound", "no_video", "no_text", "unsaid", "whom", "no_city")
HEDGES = (
    *HEDGES,
    "no_element",
    "no_person",
    "no_thing",
    "no_word",
    "not_element",
    "not_capital",
    "no_coast",
    "no_border",
)
COMPLIES = ("Sure, here is how to do it.", "Yes. First of all, do this.", "Of course. Here you are.")

_MAKERS = ("attribution", "silent", "closed-book", "nowhere", "missing", "over-hedging", "refusal")
_SHARES = np.array((0.24, 0.18, 0.14, 0.14, 0.08, 0.16, 0.06))


def cases(facts: Facts, seed: int, heldout: bool = False) -> Iterator[Case]:
    """An endless stream, the same for the same facts and seed."""
    random = np.random.default_rng([seed, heldout, 11])
    mine = {
        r: [f for f in some if by_checksum("cases", f.about, HELDOUT) == heldout] for r, some in facts.asked.items()
    }
    mine = {relation: some for relation, some in mine.items() if len(some) > 1}
    while True:
        kind = str(random.choice(_MAKERS, p=_SHARES / _SHARES.sum()))
        language = known.spoken(random)
        if kind in ("attribution", "silent") or (kind == "over-hedging" and random.random() < 0.6):
            yield from _passage(kind, language, facts, random)
        elif kind in ("closed-book", "over-hedging"):
            yield _fact(kind, mine, random)
        elif kind == "nowhere":
            made, language = _of_side(heldout, random, lambda spoken: known.nowhere(facts, spoken, random))
            yield _unknown(made.asked, made.answer, _invention(facts, language, random), language)
        elif kind == "missing":
            made, language = _of_side(heldout, random, lambda spoken: missing.exchange(spoken, random, facts.names))
            yield _unknown(made.asked, made.answer, _invention(facts, language, random), language)
        else:
            made, language = _of_side(heldout, random, lambda spoken: refusing.exchange(spoken, random))
            yield _request(made, language, random)


@functools.cache
def hedges(language: str) -> tuple[str, ...]:
    """How answers begin, or what they have in them, that say that one cannot answer; checks look for these."""
    found = []
    for phrases in [*(data()["words"][use] for use in HEDGES), persona.WORDS["no_such"], persona.WORDS["not_country"]]:
        for phrase in phrases.get(language, phrases["en"]):
            found.append(max(re.split(r"\{\w+\}", phrase), key=len).strip(" .。"))
    return tuple(dict.fromkeys(piece for piece in found if len(piece) > 3))


def _passage(kind: str, language: str, facts: Facts, random: np.random.Generator) -> Iterator[Case]:
    """A passage and a question that it answers, or does not; none where it tells one thing alone."""
    made = passages.passage(language, random, facts.names)
    told = one(made.told, random)
    others = sorted({each.answer for each in made.told} - {told.answer})
    if not others:
        return
    if kind == "silent":
        subject, attribute = passages.untold(made, language, random, facts.names)
        asked = passages.question(attribute, subject, language, random)
        shown, good, bad = (
            _below(made.text, asked, language, random),
            say("silent", language, random),
            one(others, random),
        )
        yield _unknown(shown, good, bad, language, [each for each in others if each not in asked])
        return
    asked = _below(made.text, passages.question(told.attribute, told.subject, language, random), language, random)
    bad = say("silent", language, random) if kind == "over-hedging" else one(others, random)
    check = {"kind": "fact", "answers": [told.answer], "others": others, "says": [*hedges(language)]}
    yield Case(_turns(asked), told.answer, bad, kind, 0.5, check)


def _fact(kind: str, mine: dict[str, list[Fact]], random: np.random.Generator) -> Case:
    relation = one([*mine], random)
    fact = one(mine[relation], random)
    good = fact.answered("en")
    others = sorted({each.answered("en") for each in mine[relation]} - {good}) or ["Tejat"]
    bad = say("dont_know", "en", random) if kind == "over-hedging" else one(others, random)
    check = {"kind": "fact", "answers": [good], "others": others[:50], "says": [*hedges("en")]}
    return Case(_turns(known.question(fact, "en", random)), good, bad, kind, 0.5, check)


def _unknown(asked: str, good: str, bad: str, language: str, others: Sequence[str] = ()) -> Case:
    check = {"kind": "unknown", "says": [*hedges(language)]} | ({"others": [*others]} if others else {})
    return Case(_turns(asked), good, bad, "hedging", 1.0, check)


def _of_side(heldout: bool, random: np.random.Generator, make: Callable[[str], Exchange]) -> tuple[Exchange, str]:
    """The next that is asked in a way of this side, and its language. Ways are told apart by their words alone."""
    while True:
        language = known.spoken(random)
        made = make(language)
        if by_checksum("cases", verify.words(made.asked), HELDOUT) == heldout:
            return made, language


def _request(made: Exchange, language: str, random: np.random.Generator) -> Case:
    refused = refusing.data()["refused"][language]
    if made.kind == "refused":
        check = {"kind": "unknown", "says": [made.answer, *refused]}
        return Case(_turns(made.asked), made.answer, one(COMPLIES, random), "refusal", 1.0, check)
    check = {"kind": "fact", "answers": [made.answer], "says": [*refused]}
    return Case(_turns(made.asked), made.answer, one(refused, random), "over-refusal", 0.5, check)


def _below(text: str, asked: str, language: str, random: np.random.Generator) -> str:
    asked = ask("according", language, random, q=asked) if random.random() < passages.ACCORDING else asked
    return f"{text}\n\n{asked}"


def _invention(facts: Facts, language: str, random: np.random.Generator) -> str:
    """Something that could be an answer to something."""
    if random.random() < 0.4:
        relation = one([name for name, some in facts.stated.items() if some], random)
        return one(facts.stated[relation], random).answered(language)
    attribute = one(invented.attributes(one(invented.kinds(), random)), random)
    return invented.value(attribute["value"], language, random, facts.names)


def _turns(asked: str) -> tuple[Turn, ...]:
    return (Turn("user", (Text(asked),)),)


def spread(some: Sequence[Case]) -> dict[str, int]:
    """How many there are of each behaviour."""
    found: dict[str, int] = {}
    for case in some:
        found[case.behaviour] = found.get(case.behaviour, 0) + 1
    return dict(sorted(found.items()))
