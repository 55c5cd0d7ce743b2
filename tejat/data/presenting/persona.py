"""Who the model says it is, small talk, and what it does not know or cannot do.

The answers claim no more than holds of every size that is trained here. Countries that do not exist are made up of
syllables; whoever measures whether a model owns up to what it does not know makes up others, elsewhere.
"""

import numpy as np

from tejat.data.presenting.wording import asking, language, one, wordings
from tejat.parts import Document, Text, Turn

WORDS = wordings("self")

ANSWERS = {
    "greet": "greeted",
    "thank": "thanked",
    "bye": "parted",
    "who": "am",
    "can": "able",
    "maker": "origin",
    "limits": "limited",
    "now": "unknown",
    "beyond": "unable",
}
"""The use of the answer by that of the question."""

KINDS = "who", "can", "maker", "limits", "now", "beyond"

_FIRST = (*"BDFGKLMNPRSTVZ", "Br", "Dr", "Gr", "Kr", "Str", "Tr", "Sch", "Gl")
_VOWELS = (*"aeiou", "ai", "au", "ea")
_MIDDLE = (*"bdgklmnprstvz", "nd", "rl", "st", "lv", "mb", "rt")
_ENDS = ("ia", "land", "stan", "ova", "ora", "essa", "um", "ien", "eth")


def dialogue(random: np.random.Generator) -> Document:
    """One to four exchanges about the model itself, or about what nobody knows; greeted at the beginning, if at all."""
    spoken = language(random)
    turns = talk("greet", spoken, random) if random.random() < 0.3 else []
    kinds = [str(kind) for kind in random.permutation([*KINDS, "country", "country"])]
    for kind in kinds[: int(random.integers(0 if turns else 1, 4))]:
        turns += nowhere(spoken, random) if kind == "country" else talk(kind, spoken, random)
    if random.random() < 0.2:
        turns += talk(one(("thank", "bye"), random), spoken, random)
    return Document.from_turns(turns, "self")


def talk(kind: str, spoken: str, random: np.random.Generator) -> list[Turn]:
    """A question of `ANSWERS` and its answer."""
    return _turns(asking(WORDS[kind], spoken, random), one(WORDS[ANSWERS[kind]][spoken], random))


def nowhere(spoken: str, random: np.random.Generator) -> list[Turn]:
    """What is asked of a country that does not exist, or of what is none; the answer says so."""
    if random.random() < 0.35:
        name, answer = one(WORDS["places"][spoken], random), "not_country"
    else:
        name, answer = invented(random), "no_such"
    # The answer writes the name as it is, so it is not to be found in small letters alone.
    asked = asking(WORDS["which_country"], spoken, random, name=name).replace(name.lower(), name)
    told = one(WORDS[answer][spoken], random).format(name=name)
    return _turns(asked, told[0].upper() + told[1:])


def invented(random: np.random.Generator) -> str:
    """A name that sounds like a country's."""
    middle = "".join(one(_VOWELS, random) + one(_MIDDLE, random) for _ in range(int(random.integers(1, 3))))
    return one(_FIRST, random) + middle + one(_ENDS, random)


def _turns(asked: str, answer: str) -> list[Turn]:
    return [Turn("user", (Text(asked),)), Turn("model", (Text(answer),))]
