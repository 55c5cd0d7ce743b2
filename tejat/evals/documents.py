"""Pages with something to be found on them: lists of names, receipts, timetables, in four languages.

A page is printed or written from a seed of its own, and one thing on it is asked for; to choose from is what stands
beside other things on the same page, so whoever reads without finding is right by chance.
"""

from typing import NamedTuple

import numpy as np

from tejat.data.presenting import handwriting
from tejat.evals.ground import Ground, mixed, rng
from tejat.evals.tasks import Item
from tejat.parts import Image, Text, Turn

CHOICES = 4

WORDS = {
    "en": {
        "list": ("Chair", "Author", "Doctor", "Teacher", "Cook", "Driver"),
        "receipt": ("Bread", "Milk", "Apples", "Rice", "Tea", "Soap"),
        "timetable": ("Oslo", "Lyon", "Porto", "Gdańsk", "Graz", "Bari"),
        "asks": ("What stands beside “{}”?", "How much does “{}” cost?", "When is the departure for {}?"),
        "titles": ("Staff", "Receipt", "Departures"),
    },
    "de": {
        "list": ("Leitung", "Autor", "Arzt", "Lehrer", "Koch", "Fahrer"),
        "receipt": ("Brot", "Milch", "Äpfel", "Reis", "Tee", "Seife"),
        "timetable": ("Oslo", "Lyon", "Porto", "Danzig", "Graz", "Bari"),
        "asks": ("Was steht neben „{}“?", "Was kostet „{}“?", "Wann ist die Abfahrt nach {}?"),
        "titles": ("Personal", "Quittung", "Abfahrt"),
    },
    "fr": {
        "list": ("Direction", "Auteur", "Médecin", "Professeur", "Cuisinier", "Chauffeur"),
        "receipt": ("Pain", "Lait", "Pommes", "Riz", "Thé", "Savon"),
        "timetable": ("Oslo", "Lyon", "Porto", "Gdańsk", "Graz", "Bari"),
        "asks": ("Qu’y a-t-il à côté de « {} » ?", "Combien coûte « {} » ?", "À quelle heure est le départ pour {} ?"),
        "titles": ("Équipe", "Ticket", "Départs"),
    },
    "es": {
        "list": ("Dirección", "Autor", "Médico", "Profesor", "Cocinero", "Conductor"),
        "receipt": ("Pan", "Leche", "Manzanas", "Arroz", "Té", "Jabón"),
        "timetable": ("Oslo", "Lyon", "Oporto", "Gdansk", "Graz", "Bari"),
        "asks": ("¿Qué pone junto a «{}»?", "¿Cuánto cuesta «{}»?", "¿A qué hora es la salida para {}?"),
        "titles": ("Personal", "Recibo", "Salidas"),
    },
}
_BEGIN = ("B", "D", "F", "G", "K", "L", "M", "N", "P", "R", "S", "T", "V")
_END = ("an", "en", "in", "on", "ar", "er", "il", "ol", "ek", "ov")


class Line(NamedTuple):
    """What stands on the left of a page, and what on the right."""

    left: str
    right: str


def items(ground: Ground) -> list[Item]:
    """Pages of the three kinds in the four languages, in turn; one in five is written by hand."""
    makers = {"list": _names, "receipt": _receipt, "timetable": _timetable}
    made = []
    for n in range(min(ground.most, 360)):
        random, language = rng("documents", n), list(WORDS)[n // len(makers) % len(WORDS)]
        at = n % len(makers)
        kind, words = list(makers)[at], WORDS[language]
        lines = makers[kind](words[kind], random)
        chosen = int(random.integers(len(lines)))
        answer = lines[chosen].right
        others = list(dict.fromkeys(line.right for line in lines if line.right != answer))
        wrong = [others[int(k)] for k in random.permutation(len(others))[: CHOICES - 1]]
        told = [words["titles"][at], *(f"{line.left}: {line.right}" for line in lines)]
        by_hand = n % 5 == 4
        page = handwriting.page(told, random) if by_hand else handwriting.printed(told, random, 15)
        turns = (Turn("user", (Image(page), Text(words["asks"][at].format(lines[chosen].left)))),)
        tags = {"page": kind, "language": language, "script": "written" if by_hand else "printed"}
        choices = mixed(answer, wrong, random)
        made.append(Item(f"{n:04d}", str(n), turns, (answer,), choices=choices, chance=1 / CHOICES, tags=tags))
    return made


def _names(labels: tuple[str, ...], random: np.random.Generator) -> list[Line]:
    return [Line(label, f"{_word(random)} {_word(random)}") for label in labels]


def _receipt(goods: tuple[str, ...], random: np.random.Generator) -> list[Line]:
    cents = random.choice(np.arange(50, 2000), len(goods), replace=False)
    return [Line(good, f"{value // 100}.{value % 100:02d}") for good, value in zip(goods, cents, strict=True)]


def _timetable(places: tuple[str, ...], random: np.random.Generator) -> list[Line]:
    minutes = np.sort(random.choice(np.arange(5 * 60, 23 * 60), len(places), replace=False))
    order = random.permutation(len(places))
    return [
        Line(places[int(k)], f"{at // 60:02d}:{at % 60:02d}") for k, at in zip(order, minutes.tolist(), strict=True)
    ]


def _word(random: np.random.Generator) -> str:
    """A name that nobody has."""
    begin, middle = (_BEGIN[int(k)] for k in random.integers(len(_BEGIN), size=2))
    first, second = (_END[int(k)] for k in random.integers(len(_END), size=2))
    return f"{begin}{first}{middle.lower()}{second}"
