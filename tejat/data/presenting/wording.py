"""Words that presenters share: languages, wordings by language, and how to choose among them.

Wordings are data: `wordings/NAME.json` holds, for each question or answer that a presenter has, a list by language.
About a tenth of the ways to ask each thing are kept out of these, in `wordings/heldout.json`, so that it can be
measured whether a model understands what it is asked rather than how.

Nothing is bent: a name stands in a sentence as it is listed, in quotes or after a colon where a language would bend it.
Where a wording has an article, all of a language's genders are among the wordings, whichever the name has: users say
such things, and nobody learns to say what users say.
"""

import functools
import json
import re
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any, TypeVar

import numpy as np

from tejat.data.corpus.language import NAMES
from tejat.parts import Part, Text

Thing = TypeVar("Thing")

LANGUAGES = ("en", "de", "fr", "es", "it", "pt", "nl", "pl", "ru", "ja", "zh", "ko")
"""Languages in which all questions are worded."""

ENGLISH = 0.4
"""The share of English among questions whose material is of no language."""


@functools.cache
def wordings(name: str) -> Mapping[str, Mapping[str, Sequence[str]]]:
    """What a presenter says, by use and language."""
    return json.loads(resources.files("tejat.data.presenting").joinpath("wordings", f"{name}.json").read_text("utf-8"))


def heldout() -> Mapping[str, Mapping[str, Mapping[str, Sequence[str]]]]:
    """Wordings that no document is made with, by the name of their file, use and language: for measuring alone."""
    return json.loads(resources.files("tejat.data.presenting").joinpath("wordings", "heldout.json").read_text("utf-8"))


def one(things: Sequence[Thing], random: np.random.Generator) -> Thing:
    """One of the things."""
    return things[int(random.integers(len(things)))]


def language(random: np.random.Generator, among: Sequence[str] = LANGUAGES, english: float = ENGLISH) -> str:
    """English with its share, else one of the languages."""
    if "en" in among and random.random() < english:
        return "en"
    return one(among, random)


def named_in(fields: Mapping[str, Any]) -> list[str]:
    """Of the languages in which questions are worded, those in which a thing has a name."""
    return [tag for tag in LANGUAGES if tag in fields["names"]]


def worded(wordings: Mapping[str, Sequence[str]], language: str, random: np.random.Generator, /, **parts: str) -> str:
    """One of the wordings in a language, with its places filled. A part with braces in it is safe."""
    return one(wordings[language], random).format(**parts)


def asking(wordings: Mapping[str, Sequence[str]], language: str, random: np.random.Generator, /, **parts: str) -> str:
    """As `worded`, for what a user says, as users type it (`casual`). The parts stay as they are, but a part "name" may
    be in small letters then."""
    text = one(wordings[language], random)
    if language == "en" and "name" in parts:
        text = articled(text, parts["name"])
    typed = casual(text, random)
    if typed is not text and "name" in parts and random.random() < 0.4:
        parts["name"] = parts["name"].lower()
    return typed.format(**parts)


def casual(text: str, random: np.random.Generator) -> str:
    """A wording as it is, or with its share in small letters, without the mark at its end, or with a slip."""
    drawn = random.random()
    if drawn >= CASUAL:
        return text
    if drawn < 0.6 * CASUAL:
        text = text.lower()  # the places of the parts are in small letters already
    if 0.4 * CASUAL < drawn < 0.8 * CASUAL:
        text = text.lstrip("¿¡").rstrip(".?!。？！ ") or text
    return _slipped(text, random) if drawn > 0.7 * CASUAL else text


def beside(medium: Part, asked: str, random: np.random.Generator) -> tuple[Part, Part]:
    """What is shown or played, and then what is asked of it; now and then the other way round."""
    return (Text(asked), medium) if random.random() < 0.15 else (medium, Text(asked))


def articled(text: str, name: str) -> str:
    """An English wording with "an" before a vowel, and without its article before what is several or has a name of its
    own: "Draw a {name}." for apples."""
    head = re.split(" (?:with|of|in|on|and) ", name)[0]
    several = head.endswith("s") and not head.endswith(("ss", "us", "is"))
    if several or ":" in name or not name[:1].islower():
        return _ARTICLE.sub("", text)
    vowel = name[0] in "aeiou" and not name.startswith(("uni", "eu", "one"))
    return _ARTICLE.sub(lambda found: f"{found[1]}n ", text) if vowel else text


def _slipped(text: str, random: np.random.Generator) -> str:
    """One of its longer words with two neighbouring letters changed over, or a letter left out."""
    words = [found for found in _WORD.finditer(text) if found[0].lower() != found[0].upper()]
    if not words:
        return text
    word = one(words, random)
    at = word.start() + 1 + int(random.integers(len(word[0]) - 2))
    return text[:at] + (text[at + 1] + text[at] if random.random() < 0.5 else text[at + 1]) + text[at + 2 :]


CASUAL = 0.12
"""The share of what users say that is typed carelessly."""

_ARTICLE = re.compile(r"\b([Aa]) (?={name})")
_WORD = re.compile(r"(?<![{\w])[^\W\d_]{4,}(?![\w}])")  # not the place of a part

CALLED = NAMES | {
    **{"zh": "Chinese", "zh-hant": "Traditional Chinese", "yue": "Cantonese", "fil": "Filipino", "zu": "Zulu"},
    **{"so": "Somali", "ha": "Hausa", "ig": "Igbo", "yo": "Yoruba", "jv": "Javanese", "lo": "Lao", "my": "Burmese"},
    **{"ps": "Pashto", "sd": "Sindhi", "tk": "Turkmen", "fo": "Faroese", "rm": "Romansh", "cv": "Chuvash"},
    **{"ba": "Bashkir", "mi": "Maori", "om": "Oromo", "qu": "Quechua", "ti": "Tigrinya", "to": "Tongan"},
    **{"hsb": "Upper Sorbian", "dsb": "Lower Sorbian", "kok": "Konkani", "ak": "Akan", "chr": "Cherokee"},
}
"""What English calls the languages that things are named in; names in others are passed by."""
