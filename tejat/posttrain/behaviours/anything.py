"""Attributes of anything: any word of a dictionary as what a thing has, and what was done to it, by whom, when, where.

The attributes of `invented` are few enough to be known by heart: a model that has learnt them owns up to every other
question, whatever the passage tells. Here the word is one of thousands and stands for nothing (the banana of Quandel
is 35 m), so that there is no way to the answer but to find where the passage says so. How it is worded is
`anything.json`; a few words are left out there, of which evaluation asks.
"""

import functools
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from string import ascii_uppercase
from typing import Any

import numpy as np

from tejat.data.presenting.wording import LANGUAGES, one
from tejat.data.shards import Item
from tejat.posttrain.behaviours import invented
from tejat.posttrain.behaviours.invented import Names, Words

OF = "anything"
"""What a passage is about whose attributes are these."""

VALUES: Mapping[str, Sequence[str]] = {
    "noun": (
        *("person", "org", "product", "city", "country", "years", "date", "year", "phone", "email", "code", "money"),
        *("count", "room", "measure", "measure", "time", "label", "label", "word", "word"),
    ),
    "count": ("small", "small", "count", "few"),
    "who": ("person",),
    "when": ("date", "year"),
    "where": ("city", "city", "country"),
    "amount": ("money", "measure", "count"),
}
"""What the answers are, of each way to tell something of a thing."""

_SHARES = np.array((0.36, 0.14, 0.2, 0.12, 0.13, 0.05))
_STRIDE = 4  # of a dictionary's entries, one of so many is read: there are more than enough
_ALIKE = 0.5  # of the words that have synonyms are asked for by one
_PLAIN = re.compile(r"[a-z]{3,14}(?: [a-z]{3,12})?")
_MARKED = re.compile(r"[:：“”()（）\d]")


@functools.cache
def data() -> Mapping[str, Any]:
    """ "ways": told and asked, by language; "verbs" of what is done; "left_out", words that are no attributes."""
    return json.loads(resources.files(__package__).joinpath("anything.json").read_text("utf-8"))


def vocabulary(meanings: Sequence[Item], things: Iterable[Item]) -> Words:
    """Words for attributes: nouns of a dictionary of English, and names of things in all languages."""
    found: dict[str, set[str]] = {language: set() for language in LANGUAGES}
    alike: dict[str, set[str]] = {}
    for n in range(0, len(meanings), _STRIDE):
        fields = meanings[n].fields
        if fields.get("part") != "noun":
            continue
        words = {word for word in fields["words"] if _PLAIN.fullmatch(word)} - {*data()["left_out"]}
        found["en"] |= words
        for word in words if len(words) > 1 else ():
            alike.setdefault(word, set()).update(words - {word})
    for item in things:
        names = item.fields.get("names") or {}
        if names.get("en") in data()["left_out"]:
            continue
        for language in LANGUAGES:
            name = names.get({"zh": "zh-CN"}.get(language, language)) or names.get(language) or ""
            if 1 < len(name) <= 18 and not _MARKED.search(name):
                found[language].add(name)
    ordered = {language: sorted(words) for language, words in found.items()}
    return Words(ordered, {word: sorted(others) for word, others in alike.items()})


def attributes(language: str, random: np.random.Generator, names: Names, count: int) -> list[Mapping]:
    """So many things to tell, no two alike, in the form of those of `invented`."""
    found: dict[str, Mapping] = {}
    while len(found) < count:
        made = _attribute(language, random, names)
        found.setdefault(made["key"], made)
    return [*found.values()]


def _attribute(language: str, random: np.random.Generator, names: Names) -> Mapping:
    way = str(random.choice([*VALUES], p=_SHARES / _SHARES.sum()))
    worded = data()["ways"][language][way]
    if way in ("noun", "count"):
        name = one(names.words.by_language[language], random)
        told, asked = worded["told"], worded["asked"]
        if name in names.words.alike and language == "en" and random.random() < _ALIKE:
            asked = [text.replace("{r}", one(names.words.alike[name], random)) for text in asked]
    else:
        verb = one(data()["verbs"][language], random)
        name = worded["label"].format(v=verb)
        told, asked = ([text.replace("{v}", verb) for text in worded[side]] for side in ("told", "asked"))
    return {
        "key": name if way == "noun" else f"{way} {name}",
        "of": OF,
        "value": one(VALUES[way], random),
        "names": {language: name},
        "told": {language: told},
        "asked": {language: asked},
        "named": way in ("noun", "count"),
    }


def thing(language: str, random: np.random.Generator, names: Names) -> str:
    """Something to tell of: a name as nothing has it, a word with a name, a code, or what `invented` has."""
    drawn = random.random()
    label = invented.label(random)
    if drawn < 0.35:
        return label
    if drawn < 0.55:
        word = one(names.words.by_language[language], random)
        return f"the {word} {label}" if language == "en" else f"{word} {label}"
    if drawn < 0.65:
        return f"{label} {invented.label(random)}"
    if drawn < 0.75:
        return f"{one(ascii_uppercase, random)}{one(ascii_uppercase, random)} {int(random.integers(10, 9_999))}"
    return invented.thing(one(invented.kinds(), random), language, random, names)
