"""Keys and values, any number of them, and the question what belongs to one: how far back does the model see?

An item of the kind "retrieval" says "pairs", how many there are at most. One pair is about nine tokens long, so that
3,400 fill 32k.
"""

from collections.abc import Sequence

import numpy as np

from tejat.data.presenting.wording import asking, language, one, wordings
from tejat.data.shards import Item
from tejat.parts import Document, Text, Turn

QUESTIONS = 4  # at the end of a list, at most
OF_LONG = 24  # at the end of one of 256 pairs and more: all of it is read for them

WORDS = wordings("retrieval")

_FORMS = ("{key}: {value}", "{key} = {value}", "{key}\t{value}", "- {key} → {value}")
_HEADS = (*"bcdfghjklmnprstvwz", "br", "cl", "dr", "fl", "gr", "kr", "pl", "sk", "st", "tr")
_HEARTS = (*"aeiou", "ai", "ea", "oo")


def retrieval(items: Sequence[Item], k: int, random: np.random.Generator) -> Document:
    """A list, and some questions; only the answers are learnt."""
    most = int(items[k].fields["pairs"])
    keys, values = pairs(int(random.integers(max(2, most // 2), most + 1)), random)
    form, spoken = one(_FORMS, random), language(random)
    listed = "\n".join(form.format(key=key, value=value) for key, value in zip(keys, values, strict=True))
    turns: list[Turn] = []
    asked_of = QUESTIONS if len(keys) < 256 else OF_LONG
    for n in random.permutation(len(keys))[: int(random.integers(1, asked_of + 1))]:
        if random.random() < 0.8:
            asked, answer = asking(WORDS["value"], spoken, random, key=keys[n]), values[n]
        else:
            asked, answer = asking(WORDS["key"], spoken, random, value=values[n]), keys[n]
        turns.append(Turn("user", (Text(f"{listed}\n\n{asked}" if not turns else asked),)))
        turns.append(Turn("model", (Text(answer),)))
    return Document.from_turns(turns, "retrieval")


def pairs(count: int, random: np.random.Generator) -> tuple[list[str], list[str]]:
    """Keys that are words of two syllables and a number, and values of five digits; all different."""
    keys: dict[str, None] = {}
    while len(keys) < count:
        parts = random.integers([0, 0, 0, 0, 10], [len(_HEADS), len(_HEARTS), len(_HEADS), len(_HEARTS), 100])
        first, second, third, fourth, number = (int(part) for part in parts)
        keys[f"{_HEADS[first]}{_HEARTS[second]}{_HEADS[third]}{_HEARTS[fourth]}-{number}"] = None
    values = 10_000 + random.choice(90_000, count, replace=False)
    return list(keys), [str(value) for value in values]
