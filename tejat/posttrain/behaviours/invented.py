"""Names and values that were made up: of people, places, products, firms, events, books, and what is told of them."""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from tejat.data.presenting.wording import one
from tejat.posttrain.behaviours.wording import data

_HEADS = (*"bcdfghjklmnprstvwz", "br", "ch", "cl", "dr", "fl", "gr", "kl", "pr", "sh", "st", "tr", "th", "sk", "sl")
_HEARTS = (*"aeiou", "ai", "au", "ea", "ei", "ie", "oo", "ou")
_TAILS = ("", "", "", *"lmnrst", "nd", "rk", "lt", "x", "ck", "ng")
_ODD_HEADS = (*_HEADS, "", "q", "x", "y", "gh", "hv", "mb", "nd", "ps", "rh", "sch", "tl", "ts", "vr", "xh", "zd", "ll")
_ODD_HEARTS = (*_HEARTS, "y", "ae", "eo", "io", "oa", "ue", "uo", "aa", "ee", "uu", "iy", "oy")
_ODD_TAILS = (*_TAILS, "b", "d", "g", "p", "v", "z", "tt", "ss", "lm", "mp", "nk", "rn", "sk", "zz", "tch", "que")
_UNITS = ("g", "kg", "t", "mm", "cm", "m", "km", "ml", "l", "s", "min", "h", "°C", "°F", "%", "V", "A", "W", "kW")
_UNITS = (*_UNITS, "kB", "MB", "GB", "Hz", "dB", "ha", "m²", "km²", "m³", "bar", "lb", "ft", "px", "rpm", "kWh", "pt")
_YEARS = {
    **{"en": "{n} years", "de": "{n} Jahre", "fr": "{n} ans", "es": "{n} años", "it": "{n} anni", "pt": "{n} anos"},
    **{"nl": "{n} jaar", "pl": "{n} lat", "ru": "{n} лет", "ja": "{n}年", "zh": "{n}年", "ko": "{n}년"},
}
_MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October")


class Words(NamedTuple):
    """Of a dictionary: words by language; for some of English others that mean the same; English verbs that mean the
    same, in groups."""

    by_language: Mapping[str, Sequence[str]] = {}
    alike: Mapping[str, Sequence[str]] = {}
    verbs: Sequence[Sequence[str]] = ()


@dataclass(frozen=True)
class Names:
    """Real names that values are drawn from.

    Attributes:
      cities: in Latin letters.
      countries: each by language.
      words: of a dictionary (`anything`).
    """

    cities: Sequence[str]
    countries: Sequence[Mapping[str, str]] = field(default_factory=tuple)
    words: Words = Words()


def root(random: np.random.Generator) -> str:
    """A name: a family's, or syllables that sound like one."""
    return one(data()["names"]["family"][""], random) if random.random() < 0.4 else syllables(random).capitalize()


def syllables(random: np.random.Generator, least: int = 2) -> str:
    """Two or three syllables that are seldom a word of any language."""
    parts = [one(_HEADS, random) + one(_HEARTS, random) for _ in range(int(random.integers(least, 4)))]
    return "".join(parts) + one(_TAILS, random)


def label(random: np.random.Generator) -> str:
    """A name in letters that follow each other as in no language: it can only be copied."""
    if random.random() < 0.25:
        return root(random)
    parts = [one(_ODD_HEADS, random) + one(_ODD_HEARTS, random) for _ in range(int(random.integers(1, 4)))]
    return ("".join(parts) + one(_ODD_TAILS, random)).capitalize()


def thing(of: str, language: str, random: np.random.Generator, names: Names) -> str:
    """A name for a "person", "place", "product", "org", "event" or "work", as it is written in a language."""
    known = data()["names"]
    if of == "person":
        own = language if language in known["given"] and random.random() < 0.6 else ""
        given, family = one(known["given"][own], random), one(known["family"][own], random)
        if own:
            return {"ru": f"{given} {family}"}.get(own, f"{family}{given}")
        return f"{given} {root(random) if random.random() < 0.3 else family}"
    forms = known[of if language != "en" or f"{of}_en" not in known else f"{of}_en"]
    name = one(names.cities, random) if of in ("place", "event", "work") and random.random() < 0.3 else root(random)
    number, other = str(int(random.integers(2, 10)) * int(one((1, 10, 50, 100), random))), root(random)
    return one(forms, random).format(n=name, d=number, f=other, w=one(known["nouns"], random))


def value(kind: str, language: str, random: np.random.Generator, names: Names) -> str:
    """Something that an attribute of this kind could be."""
    if kind in ("person", "org", "product"):
        return thing(kind, language, random, names)
    if kind == "city":
        return one(names.cities, random)
    if kind == "country":
        known = one(names.countries, random)
        return known.get({"zh": "zh-CN"}.get(language, language), known["en"])
    if kind == "years":
        return _YEARS[language].format(n=int(random.integers(5, 21)))
    if kind == "word":
        return one(names.words.by_language.get(language) or data()["names"]["nouns"], random)
    if kind == "date":
        return _date(language, random)
    return _MAKERS[kind](random)


@functools.cache
def attributes(of: str) -> Sequence[Mapping]:
    """What can be told of a person, a place …"""
    return [each for each in data()["attributes"] if each["of"] == of]


def kinds() -> Sequence[str]:
    """Of what things are made up."""
    return ("person", "place", "product", "org", "event", "work")


def _date(language: str, random: np.random.Generator) -> str:
    year, month, day = (int(n) for n in random.integers((1990, 1, 1), (2032, len(_MONTHS) + 1, 29)))
    if language == "en":
        return f"{day} {_MONTHS[month - 1]} {year}" if random.random() < 0.6 else f"{_MONTHS[month - 1]} {day}"
    if language in ("ja", "zh"):
        return f"{year}年{month}月{day}日"
    return f"{day}.{month}.{year}" if random.random() < 0.6 else f"{year}-{month:02}-{day:02}"


def _money(random: np.random.Generator) -> str:
    amount = int(random.integers(2, 100)) * int(one((1, 1, 10, 25), random))
    return (
        f"{one('€$£', random)}{amount}" if random.random() < 0.7 else f"{amount} {one(('EUR', 'CHF', 'USD'), random)}"
    )


def _email(random: np.random.Generator) -> str:
    return f"{syllables(random)}@{syllables(random)}.{one(('org', 'com', 'net', 'eu'), random)}"


def _phone(random: np.random.Generator) -> str:
    return f"{int(random.integers(10, 100)):03}-{int(random.integers(1_000, 1_000_000))}"


def _code(random: np.random.Generator) -> str:
    return f"{one('ABCDEFGHKLMNPRSTUVWX', random)}{one(('', '-', ' '), random)}{int(random.integers(1, 1_000))}"


def _measure(random: np.random.Generator) -> str:
    number = int(random.integers(2, 1_000)) / one((1, 1, 1, 10), random)
    return f"{number:g}{one((' ', ' ', ' ', ''), random)}{one(_UNITS, random)}"


def _count(random: np.random.Generator) -> str:
    number = int(random.integers(11, 1_000)) * int(one((1, 1, 10, 100), random))
    return f"{number:,}" if random.random() < 0.3 else str(number)


_MAKERS: Mapping[str, Callable[[np.random.Generator], str]] = {
    "year": lambda random: str(int(random.integers(1790, 2025))),
    "phone": _phone,
    "email": _email,
    "code": _code,
    "money": _money,
    "count": _count,
    "few": lambda random: str(int(random.integers(2, 13))),
    "label": label,
    "measure": _measure,
    "room": lambda random: f"{int(random.integers(1, 500))}{one(('', '', 'a', 'b'), random)}",
    "age": lambda random: str(int(random.integers(18, 95))),
    "cm": lambda random: f"{int(random.integers(148, 206))} cm",
    "metres": lambda random: f"{int(random.integers(8, 320))} m",
    "digits": lambda random: str(int(random.integers(10_000, 100_000))),
    "small": lambda random: str(int(random.integers(2, 60))),
    "time": lambda random: f"{int(random.integers(5, 24))}:{int(one((0, 15, 30, 45), random)):02}",
    "kg": lambda random: f"{int(random.integers(2, 400)) / one((1, 10), random):g} kg",
    "watts": lambda random: f"{int(random.integers(1, 45)) * 50} W",
    "kmh": lambda random: f"{int(random.integers(4, 60)) * 5} km/h",
    "million": lambda random: f"{int(random.integers(12, 900)) / 10:g} M€",
    "minutes": lambda random: f"{int(random.integers(5, 50)) * 5} min",
}
