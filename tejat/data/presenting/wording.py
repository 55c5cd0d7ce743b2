"""Words that presenters share: languages, wordings by language, and how to choose among them.

Wordings are data: `wordings/NAME.json` holds, for each question or answer that a presenter has, a list by language.
"""

import functools
import json
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import TypeVar

import numpy as np

from tejat.data.corpus.language import NAMES

Thing = TypeVar("Thing")

LANGUAGES = ("en", "de", "fr", "es", "it", "pt", "nl", "pl", "ru", "ja", "zh", "ko")
"""Languages in which all questions are worded."""

ENGLISH = 0.4
"""The share of English among questions whose material is of no language."""


@functools.cache
def wordings(name: str) -> Mapping[str, Mapping[str, Sequence[str]]]:
    """What a presenter says, by use and language."""
    return json.loads(resources.files("tejat.data.presenting").joinpath("wordings", f"{name}.json").read_text("utf-8"))


def one(things: Sequence[Thing], random: np.random.Generator) -> Thing:
    """One of the things."""
    return things[int(random.integers(len(things)))]


def language(random: np.random.Generator, among: Sequence[str] = LANGUAGES, english: float = ENGLISH) -> str:
    """English with its share, else one of the languages."""
    if "en" in among and random.random() < english:
        return "en"
    return one(among, random)


def worded(wordings: Mapping[str, Sequence[str]], language: str, random: np.random.Generator, **parts: str) -> str:
    """One of the wordings in a language, with its places filled. A part with braces in it is safe."""
    return one(wordings[language], random).format(**parts)


CALLED = NAMES | {
    **{"zh": "Chinese", "zh-hant": "Traditional Chinese", "yue": "Cantonese", "fil": "Filipino", "zu": "Zulu"},
    **{"so": "Somali", "ha": "Hausa", "ig": "Igbo", "yo": "Yoruba", "jv": "Javanese", "lo": "Lao", "my": "Burmese"},
    **{"ps": "Pashto", "sd": "Sindhi", "tk": "Turkmen", "fo": "Faroese", "rm": "Romansh", "cv": "Chuvash"},
    **{"ba": "Bashkir", "mi": "Maori", "om": "Oromo", "qu": "Quechua", "ti": "Tigrinya", "to": "Tongan"},
    **{"hsb": "Upper Sorbian", "dsb": "Lower Sorbian", "kok": "Konkani", "ak": "Akan", "chr": "Cherokee"},
}
"""What English calls the languages that things are named in; names in others are passed by."""
