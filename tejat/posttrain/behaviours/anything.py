"""Attributes of anything: any word of a dictionary as what a thing has, and what was done to it, by whom, when, where.

The attributes of `invented` are few enough to be known by heart: a model that has learnt them owns up to every other
question, whatever the passage tells. Here the word is one of thousands and stands for nothing (the banana of Quandel
is 35 m), so that there is no way to the answer but to find where the passage says so. How it is worded is
`anything.json`; a few words are left out there, of which evaluation asks.
"""

import functools
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
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
    "does": ("person", "person", "person", "org"),
    "undergoes": ("word", "label", "label", "product", "org", "measure"),
}
"""What the answers are, of each way to tell something of a thing; the last two are of verbs of a dictionary."""

_SIDES = ("told", "asked")
_SHARES = np.array((0.28, 0.11, 0.18, 0.1, 0.11, 0.04, 0.12, 0.06))
_STRIDE = 4  # of a dictionary's entries, one of so many is read: there are more than enough
_ALIKE = 0.5  # of the words that have synonyms are asked for by one
_DOER = 0.4  # of what somebody did, the share that is told or asked by a noun for whoever does it
_PLAIN = re.compile(r"[a-z]{3,14}(?: [a-z]{3,12})?")
_MARKED = re.compile(r"[:：“”()（）\d]")
_UNFIT = re.compile(
    "offensiv|obscen|slur|vulgar|derogat|disparag|sexual|genital|copulat|incest|prostitut|pornog|murder|suicid|tortur|"
    r"\brapes?\b|rapist|feces|excrement|genocid|lynch|slave"
)
"""In a word or its meaning: what nobody should be told a thing has."""
_VERB = re.compile(r"[a-z]{3,12}")
_ES, _IES = re.compile(r"(s|x|z|ch|sh|o)$"), re.compile(r"(?<![aeiou])y$")


@functools.cache
def data() -> Mapping[str, Any]:
    """ "ways": told and asked, by language; "verbs" of what is done, English ones that are "alike", nouns for their
    "doers", and how these are told ("doing"); "left_out" and "verbs_left_out", words that are no attributes."""
    return json.loads(resources.files(__package__).joinpath("anything.json").read_text("utf-8"))


def vocabulary(meanings: Sequence[Item], things: Iterable[Item]) -> Words:
    """Words for attributes: nouns and verbs of a dictionary of English, and names of things in all languages."""
    verbs: list[Sequence[str]] = []
    found: dict[str, set[str]] = {language: set() for language in LANGUAGES}
    alike: dict[str, set[str]] = {}
    for n in range(0, len(meanings), _STRIDE):
        fields = meanings[n].fields
        if _UNFIT.search(" ".join((*fields["words"], fields.get("meaning", ""))).lower()):
            continue
        if fields.get("part") == "verb":
            group = [word for word in fields["words"] if _VERB.fullmatch(word)]
            if len(group) > 1 and not {*group} & {*data()["verbs_left_out"]}:
                verbs.append(group)
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
    return Words(ordered, {word: sorted(others) for word, others in alike.items()}, verbs)


def attributes(language: str, random: np.random.Generator, names: Names, count: int) -> list[Mapping]:
    """So many things to tell, no two alike, in the form of those of `invented`."""
    found: dict[str, Mapping] = {}
    while len(found) < count:
        made = _attribute(language, random, names)
        found.setdefault(made["key"], made)
    return [*found.values()]


def _attribute(language: str, random: np.random.Generator, names: Names) -> Mapping:
    shares = _SHARES if language == "en" and names.words.verbs else _SHARES[: len(_SHARES) - 2]
    way = str(random.choice([*VALUES][: len(shares)], p=shares / shares.sum()))
    worded = data()["ways"][language][way]
    told, asked = worded["told"], worded["asked"]
    if way in ("noun", "count"):
        name = one(names.words.by_language[language], random)
        if name in names.words.alike and language == "en" and random.random() < _ALIKE:
            asked = [text.replace("{r}", one(names.words.alike[name], random)) for text in asked]
    elif way in ("does", "undergoes"):
        first, second = (str(verb) for verb in random.permutation(one(names.words.verbs, random))[:2])
        name, told = _conjugated([worded["label"]], first)[0], _conjugated(told, first)
        asked = _conjugated(asked, second if random.random() < _ALIKE else first)
    else:
        verb = one(data()["verbs"][language], random)
        name = worded["label"].format(v=verb)
        told, asked = _done(way, verb, worded, language, random)
    return {
        "key": name if way == "noun" else f"{way} {name}",
        "of": OF,
        "value": one(VALUES[way], random),
        "names": {language: name},
        "told": {language: told},
        "asked": {language: asked},
        "named": way in ("noun", "count"),
    }


def _done(way: str, verb: str, worded: Mapping, language: str, random: np.random.Generator) -> Iterator[list[str]]:
    """What is told of what was done, and what is asked: in English by another verb, too, or by a noun for the doer."""
    english = language == "en"
    other = one(data()["alike"].get(verb, [verb]), random) if english and random.random() < _ALIKE else verb
    doer = data()["doers"].get(verb) if english and way == "who" else None
    for side, said in zip(_SIDES, (verb, other), strict=True):
        if doer and random.random() < _DOER:
            yield [text.replace("{d}", doer) for text in data()["doing"][side]]
        else:
            yield [text.replace("{v}", said) for text in worded[side]]


def _conjugated(texts: Sequence[str], verb: str) -> list[str]:
    """With a verb as it is (`{v}`), and as one does it (`{vs}`)."""
    third = _IES.sub("ies", verb) if _IES.search(verb) else f"{verb}es" if _ES.search(verb) else f"{verb}s"
    return [text.replace("{vs}", third).replace("{v}", verb) for text in texts]


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
