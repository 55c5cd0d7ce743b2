"""Cases made of known facts: a prompt, a good answer, a bad one, and a check; some facts are held out.

What an answer should do is fixed by how a case is made, not by anyone's opinion:

    closed-book    a question that the facts answer         good: the answer     bad: that of another subject
    attribution    a passage and a question about it; it    good: what it says   bad: what it says of another, or
                   may contradict what is known                                  what is known elsewhere
                   a picture and a question about it        good: its name       bad: another's
    hedging        the passage does not say; the subject    good: says so        bad: an invention
                   does not exist; the picture is missing
    over-hedging   as the first two                         good: the answer     bad: says it does not know

Subjects are held out by a checksum of their names: no case of training speaks of one, nor do its wrong answers. Good
and bad answers to one prompt are worded alike, so that their length and dress do not tell them apart.
"""

import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from tejat import sample
from tejat.data import tour
from tejat.parts import Part, Text, Turn, to_json
from tejat.posttrain.preferences import Pair
from tejat.posttrain.verify import Check

HELDOUT = 0.2
"""The share of subjects that are held out."""

UNSURE = ("I do not know", "I can't tell", "I am not sure")
"""How answers begin that admit it; checks look for these."""

_STYLES = ("{}.", "It is {}.", "The answer is {}.", "{}")
_ASKED = {
    "capital": ("What is the capital of {}?", "Name the capital of {}.", "Which city is the capital of {}?"),
    "currency": ("What is the currency of {}?", "How does one pay in {}?", "Name the currency of {}."),
    "continent": ("Where is {}?", "On which continent is {}?", "To which continent does {} belong?"),
}
_TOLD = {
    "capital": "The capital of {} is {}.",
    "currency": "The currency of {} is the {}.",
    "continent": "{} lies in {}.",
}
_WHY = {
    "silent": "the passage does not say",
    "nowhere": "I know of no place called {}",
    "unseen": "there is no picture here",
}
_BEHAVIOURS = ("closed-book", "attribution", "hedging", "over-hedging")


class Fact(NamedTuple):
    """Something known: "capital", "Peru", "Lima"."""

    relation: str
    subject: str
    answer: str


@dataclass(frozen=True)
class Case:
    """One prompt with what is right and wrong about it."""

    turns: tuple[Turn, ...]
    good: str
    bad: str
    behaviour: str
    margin: float
    check: Check

    def pair(self) -> Pair:
        """As a preference."""
        sides = (Text(self.good),), (Text(self.bad),)
        return Pair(self.turns, *sides, self.margin, self.behaviour, "facts")

    def question(self) -> dict[str, Any]:
        """As a line for `tejat.posttrain.questions.Asked`."""
        return {"prompt": self._prompt(), "check": dict(self.check), "kind": self.behaviour}

    def dialogue(self) -> dict[str, Any]:
        """As a line of supervised tuning."""
        prompt = self._prompt()
        parts, roles = [*prompt["parts"], {"text": self.good}], [*prompt["roles"], "model"]
        return {"parts": parts, "roles": roles, "loss": [role == "model" for role in roles], "source": self.behaviour}

    def _prompt(self) -> dict[str, Any]:
        parts = [(to_json(part), turn.role) for turn in self.turns for part in turn.parts]
        return {"parts": [part for part, _ in parts], "roles": [role for _, role in parts]}


def facts() -> list[Fact]:
    """Those that come with Tejat."""
    told = [dict(each) for each in sample.facts()]
    return [Fact(name, str(each["country"]), str(each[name])) for each in told for name in _ASKED]


def is_heldout(subject: str) -> bool:
    """Is the subject kept from training?"""
    return zlib.crc32(f"tune/{subject}".encode()) % 1_000 < HELDOUT * 1_000


def cases(
    known: Sequence[Fact],
    seed: int,
    heldout: bool = False,
    pictures: bool = True,
    behaviours: Sequence[str] = _BEHAVIOURS,
) -> Iterator[Case]:
    """An endless stream, the same for the same facts and seed; `pictures`: some show one of the sample's."""
    mine = [fact for fact in known if is_heldout(fact.subject) == heldout]
    return _Maker(mine, seed, heldout, pictures).all(behaviours)


class _Maker:
    def __init__(self, known: Sequence[Fact], seed: int, heldout: bool, pictures: bool):
        self._known, self._random, self._pictures = list(known), np.random.default_rng([seed, heldout]), pictures
        self._things = [each for each in sample.concepts() if is_heldout(each.id) == heldout]
        self._answers: Mapping[str, list[str]] = {
            relation: sorted({fact.answer for fact in known if fact.relation == relation})
            for relation in {fact.relation for fact in known}
        }

    def all(self, behaviours: Sequence[str]) -> Iterator[Case]:
        made = {
            "closed-book": self._closed_book,
            "attribution": self._attribution,
            "hedging": self._hedging,
            "over-hedging": self._over_hedging,
        }
        while True:
            yield made[self._one(behaviours)]()

    def _closed_book(self) -> Case:
        fact = self._one(self._known)
        wrong = self._other(fact)
        return self._case((Text(self._ask(fact)),), fact.answer, wrong, "closed-book", 0.5, self._fact(fact))

    def _attribution(self) -> Case:
        if self._pictures and self._random.random() < 0.25:
            return self._shown()
        fact = self._one(self._known)
        told = fact._replace(answer=self._other(fact)) if self._random.random() < 0.5 else fact
        same = [each for each in self._known if each.relation == fact.relation]
        near = self._one([each for each in same if each.answer != told.answer and each.subject != fact.subject])
        wrong = near.answer if told == fact else fact.answer
        passage = self._passage([told, near, *self._others(fact.relation)])
        sentence = self._say(told)
        style = self._one(("{} (“{}”)", "{}: “{}”", "{}. It says: “{}”"))
        good = style.format(told.answer, sentence)
        bad = style.format(wrong, self._say(told._replace(answer=wrong)))
        check = {"kind": "quote", "answers": [told.answer], "passage": passage, "says": [*UNSURE]}
        return Case(self._asked((Text(f"{passage}\n\n{self._ask(fact)}"),)), good, bad, "attribution", 0.5, check)

    def _shown(self) -> Case:
        first, second = (self._things[int(n)] for n in self._random.choice(len(self._things), 2, replace=False))
        style = self._one([style for style in sample.styles() if style not in sample.heldout()["styles"]])
        shown = tour.picture(style, first.id, self._random)
        good, bad = first.names["en"], second.names["en"]
        check = {"kind": "fact", "answers": [good], "others": [bad], "says": [*UNSURE]}
        return self._case((shown, Text("What is this?")), good, bad, "attribution", 0.5, check)

    def _hedging(self) -> Case:
        fact, kind = self._one(self._known), self._one(("silent", "nowhere", "unseen"))
        wrong = fact.answer if kind == "silent" else self._one(self._answers[fact.relation])
        question, name = self._ask(fact), ""
        if kind == "silent":
            told = [each for each in self._others(fact.relation, 3) if each.subject != fact.subject]
            question = f"{self._passage(told)}\n\nAccording to the passage: {question}"
        elif kind == "nowhere":
            name = self._invented()
            question = self._one(_ASKED[fact.relation]).format(name)
        else:
            question, wrong = (
                self._one(("What is in the picture?", "What does the sign say?")),
                self._one(self._words()),
            )
        good = f"{self._one(UNSURE)}: {_WHY[kind].format(name)}."
        bad = self._worded(wrong)
        return Case(self._asked((Text(question),)), good, bad, "hedging", 1.0, {"kind": "unknown", "says": [*UNSURE]})

    def _over_hedging(self) -> Case:
        fact, question = self._one(self._known), ""
        if self._random.random() < 0.5:
            question = self._passage([fact, *self._others(fact.relation)]) + "\n\nAccording to the passage: "
        reason = _WHY["silent" if question else "nowhere"].format(fact.subject)
        good, bad = self._worded(fact.answer), f"{self._one(UNSURE)}: {reason}."
        check = self._fact(fact)
        return Case(self._asked((Text(question + self._ask(fact)),)), good, bad, "over-hedging", 0.5, check)

    def _case(
        self, parts: tuple[Part, ...], right: str, wrong: str, behaviour: str, margin: float, check: Check
    ) -> Case:
        style = self._one(_STYLES)
        return Case(self._asked(parts), style.format(right), style.format(wrong), behaviour, margin, check)

    def _asked(self, parts: tuple[Part, ...]) -> tuple[Turn, ...]:
        return (Turn("user", parts),)

    def _fact(self, fact: Fact) -> Check:
        others = [answer for answer in self._answers[fact.relation] if answer != fact.answer]
        return {"kind": "fact", "answers": [fact.answer], "others": others[:50], "says": [*UNSURE]}

    def _ask(self, fact: Fact) -> str:
        return self._one(_ASKED[fact.relation]).format(fact.subject)

    def _say(self, fact: Fact) -> str:
        return _TOLD[fact.relation].format(fact.subject, fact.answer)

    def _passage(self, told: Sequence[Fact]) -> str:
        sentences = {self._say(fact) for fact in {fact.subject: fact for fact in reversed(told)}.values()}
        return " ".join(np.asarray(sorted(sentences))[self._random.permutation(len(sentences))])

    def _others(self, relation: str, count: int = 2) -> list[Fact]:
        same = [fact for fact in self._known if fact.relation == relation]
        return [same[int(n)] for n in self._random.choice(len(same), count, replace=False)]

    def _other(self, fact: Fact) -> str:
        return self._one([answer for answer in self._answers[fact.relation] if answer != fact.answer])

    def _words(self) -> list[str]:
        return [thing.names["en"] for thing in self._things]

    def _worded(self, answer: str) -> str:
        return self._one(_STYLES).format(answer)

    def _invented(self) -> str:
        """A name that is none."""
        subjects = {fact.subject for fact in facts()}
        while True:
            beginnings, middles, ends = ("Var", "Tel", "Mor", "Quen", "Zal", "Bri"), ("o", "a", "i", "u"), _ENDS
            name = self._one(beginnings) + self._one(middles) + self._one(ends)
            if name not in subjects:
                return name

    def _one(self, choices: Sequence[Any]) -> Any:
        return choices[int(self._random.integers(len(choices)))]


_ENDS = ("nia", "land", "stan", "via", "ria", "mark", "ssia", "dor")
