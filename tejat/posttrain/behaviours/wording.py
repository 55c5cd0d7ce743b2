"""How behaviours are worded, in twelve languages (`wordings.json`), and what a dialogue is put together from."""

import functools
import json
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any, NamedTuple

import numpy as np

from tejat.data.presenting.wording import casual, one
from tejat.parts import Document, Part, Text, Turn


class Exchange(NamedTuple):
    """What is asked, after what is shown with it; the answer; and what the exchange is an example of."""

    asked: str
    answer: str
    kind: str  # "told", "silent" …
    shown: tuple[Part, ...] = ()


@functools.cache
def data() -> Mapping[str, Any]:
    """ "attributes": what can be told of things; "words": phrases by use and language; "names": to make up names of."""
    return json.loads(resources.files(__package__).joinpath("wordings.json").read_text("utf-8"))


def say(use: str, language: str, random: np.random.Generator, /, **parts: str) -> str:
    """One of the phrases of a use, in the language or, where it has none, in English; its first letter a capital."""
    text = one(_phrases(use, language), random).format(**parts)
    return mended(text[:1].upper() + text[1:])


def mended(text: str) -> str:
    """A sentence whose name at the end has a full stop of its own: one is enough."""
    return text[:-1] if text.endswith("..") else text


def ask(use: str, language: str, random: np.random.Generator, /, **parts: str) -> str:
    """As `say`, for what a user says, as users type it."""
    return casual(one(_phrases(use, language), random), random).format(**parts)


def quoted(answer: str, sentence: str, language: str) -> str:
    """An answer with the sentence that says so."""
    return _phrases("quoted", language)[0].format(a=answer, q=sentence)


def has(use: str, language: str) -> bool:
    """Is there a phrase of this use in the language?"""
    return language in data()["words"][use]


def dialogue(exchanges: Sequence[Exchange]) -> Document:
    """The exchanges one after the other."""
    turns = []
    for each in exchanges:
        turns += [Turn("user", (*each.shown, Text(each.asked))), Turn("model", (Text(each.answer),))]
    return Document.from_turns(turns, "behaviours")


def _phrases(use: str, language: str) -> Sequence[str]:
    phrases = data()["words"][use]
    found = phrases.get(language) or phrases["en"]
    return found if isinstance(found, list) else [found]
