"""Passages about ships, birds, dishes and the like that were made up (`worlds.json`)."""

import functools
import json
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any, NamedTuple

import numpy as np

from tejat.data.presenting.wording import one

LANGUAGES = ("en", "de", "fr", "es", "it", "zh")


class Statement(NamedTuple):
    """One sentence: what it is about, by which relation, and the answer to the question that it settles."""

    subject: str
    relation: Mapping[str, Any]
    answer: str
    sentence: str


class Passage(NamedTuple):
    """Sentences in the order in which they stand, what they are about, and the text that they make."""

    text: str
    told: Sequence[Statement]
    subjects: Sequence[str]
    of: str


@functools.cache
def data() -> Mapping[str, Any]:
    """ "relations" with their wordings; "words": other phrases by use and language; "names" to make up names of."""
    return json.loads(resources.files(__package__).joinpath("worlds.json").read_text("utf-8"))


def phrase(use: str, language: str, random: np.random.Generator, /, **parts: str) -> str:
    """One of the phrases of a use, filled in."""
    return one(data()["words"][use][language], random).format(**parts)


def relations(of: str) -> list[Mapping[str, Any]]:
    """What is told of ships, of birds …"""
    return [each for each in data()["relations"] if each["of"] == of]


def kinds() -> list[str]:
    """What passages are about."""
    return list(dict.fromkeys(each["of"] for each in data()["relations"]))


def name(random: np.random.Generator) -> str:
    """A name that nothing has."""
    known = data()["names"]
    return one(known["heads"], random) + one(known["hearts"], random) + one(known["ends"], random)


def person(random: np.random.Generator) -> str:
    """Someone's name."""
    return f"{one(data()['names']['given'], random)} {one(data()['names']['family'], random)}"


def subject(of: str, random: np.random.Generator) -> str:
    """What a ship, a flight … is called."""
    if of == "flight":
        return f"{one('QXZWY', random)}{one('QXZWY', random)} {int(random.integers(1_000, 9_999))}"
    return one(data()["names"]["lectures"], random) if of == "course" else name(random)


def value(kind: str, random: np.random.Generator) -> str:
    """What a relation of this kind may be."""
    match kind:
        case "person":
            return person(random)
        case "town":
            return one(data()["names"]["town"], random)
        case "gate":
            return f"{one('ABCD', random)}{int(random.integers(10, 90))}"
        case "few":
            return str(int(random.integers(2, 25)))
        case "small":
            return str(int(random.integers(11, 99)))
        case "metres":
            return f"{int(random.integers(3, 400))} m"
        case "centimetres":
            return f"{int(random.integers(12, 250))} cm"
        case "celsius":
            return f"{int(random.integers(12, 25)) * 10} °C"
        case _:
            return f"{int(random.integers(2, 60)) * 10} g"


def asked(statement: Statement, language: str, random: np.random.Generator) -> str:
    """The question that a statement answers."""
    return one(statement.relation["asked"][language], random).format(s=statement.subject)


def stated(about: str, relation: Mapping[str, Any], language: str, random: np.random.Generator) -> Statement:
    """A relation of something, with an answer that is drawn."""
    answer = value(relation["value"], random)
    sentence = one(relation["told"][language], random).format(s=about, a=answer)
    return Statement(about, relation, answer, sentence[:1].upper() + sentence[1:])


def passage(language: str, random: np.random.Generator, most: int = 3) -> Passage:
    """All relations but one of one to `most` things of a kind, each sentence once, now and then in a mixed order."""
    of = one(kinds(), random)
    subjects = list(dict.fromkeys(subject(of, random) for _ in range(int(random.integers(1, most + 1)))))
    known, told = relations(of), []
    for about in subjects:
        left_out = int(random.integers(len(known)))
        told += [stated(about, r, language, random) for n, r in enumerate(known) if n != left_out]
    if random.random() < 0.3:
        told = [told[int(n)] for n in random.permutation(len(told))]
    between = "" if language == "zh" else "\n" if random.random() < 0.25 else " "
    return Passage(between.join(each.sentence for each in told), told, subjects, of)


def untold(made: Passage, language: str, random: np.random.Generator) -> Statement:
    """A statement that the passage does not make, of something that it speaks of, or of something of the same kind."""
    if random.random() < 0.35:
        while (about := subject(made.of, random)) in made.subjects:
            continue
        return stated(about, one(relations(made.of), random), language, random)
    about = one(made.subjects, random)
    told = {each.relation["key"] for each in made.told if each.subject == about}
    return stated(about, next(r for r in relations(made.of) if r["key"] not in told), language, random)
