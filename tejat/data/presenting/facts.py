"""Facts: stated, alone or with their neighbours, or asked closed-book.

How a relation is stated is here, by language, and how it is asked in `wordings/facts.json`; {s} is the subject, {a} the
answer.
In a language other than English a fact is stated only where both sides have a name in it, or the answer is a name or
number that stays as it is; a question may also be answered by a name in Latin letters, where no other is known.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from tejat.data.presenting import persona
from tejat.data.presenting.wording import LANGUAGES, casual, language, wordings
from tejat.data.shards import Item
from tejat.parts import Document, Text, Turn

NEAR, TURNS = 8, 4  # facts told in one breath, and asked in one dialogue, at most
_LATIN = ("en", "de", "fr", "es", "it", "pt", "nl", "sv")  # where a name in Latin letters stays as it is

STATED: Mapping[str, Mapping[str, Sequence[str]]] = {
    "capital": {
        "en": ("The capital of {s} is {a}.", "{a} is the capital of {s}.", "{s} has the capital {a}."),
        "de": ("Die Hauptstadt von {s} ist {a}.",),
        "fr": ("Capitale ({s}) : {a}.",),
        "es": ("La capital de {s} es {a}.",),
        "it": ("Capitale ({s}): {a}.",),
        "pt": ("Capital ({s}): {a}.",),
        "nl": ("De hoofdstad van {s} is {a}.",),
        "sv": ("Huvudstaden i {s} är {a}.",),
    },
    "capital of": {"en": ("{s} is the capital of {a}.",), "de": ("{s} ist die Hauptstadt von {a}.",)},
    "region": {"en": ("{s} is in {a}.", "{s} belongs to {a}.")},
    "currency": {"en": ("In {s} one pays with the {a}.", "The currency of {s} is the {a}.")},
    "languages": {"en": ("Official languages of {s}: {a}.", "In {s} the official languages are: {a}.")},
    "borders": {"en": ("{s} borders {a}.", "The neighbours of {s} are {a}.")},
    "demonym": {"en": ("Someone from {s} is called {a}.", "{a} is the word for people and things from {s}.")},
    "area": {"en": ("{s} covers {a}.", "The area of {s} is {a}.")},
    "domain": {"en": ("The Internet domain of {s} is {a}.",), "de": ("Die Internetdomain von {s} ist {a}.",)},
    "calling code": {"en": ("The calling code of {s} is {a}.",), "de": ("Die Vorwahl von {s} ist {a}.",)},
    "country of city": {"en": ("{s} is a city in {a}.",), "de": ("{s} ist eine Stadt in {a}.",)},
    "symbol": {"en": ("The chemical symbol of {s} is {a}.",)},
    "element of symbol": {"en": ("{s} is the chemical symbol of {a}.",)},
    "atomic number": {"en": ("The atomic number of {s} is {a}.",)},
    "element of number": {"en": ("The element with atomic number {s} is {a}.",)},
    "atomic mass": {"en": ("The atomic mass of {s} is {a}.",)},
}
ASKED: Mapping[str, Mapping[str, Sequence[str]]] = wordings("facts")

NOWHERE = 0.12
"""The share of dialogues in which a country is asked about that does not exist."""


def fact(items: Sequence[Item], k: int, random: np.random.Generator) -> Document:
    """Fields: "relation", "subject" (a name by language), "answer" (a text, or a name by language), and "asked": is it
    a question? The fact with a few of its kind near it: questions one after the other, from item k on; what is stated
    in an order drawn."""
    asked = items[k].fields["asked"]
    last = min(len(items), k + 2 * int(random.integers(1, (TURNS if asked else NEAR) + 1)))
    near = [item.fields for item in (items[j] for j in range(k, last)) if item.kind == "fact"]
    told = [_worded(ASKED if asked else STATED, fields, random) for fields in near if fields["asked"] == asked]
    if asked:
        pairs = [[Turn("user", (Text(question),)), Turn("model", (Text(answer),))] for question, answer in told]
        if random.random() < NOWHERE:
            pairs.insert(int(random.integers(len(pairs) + 1)), persona.nowhere(language(random, LANGUAGES), random))
        return Document.from_turns([turn for pair in pairs for turn in pair])
    random.shuffle(told)
    return Document.of([Text(" ".join(sentence for sentence, _ in told))])


def _worded(
    table: Mapping[str, Mapping[str, Sequence[str]]], fields: dict, random: np.random.Generator
) -> tuple[str, str]:
    """(sentence, answer) in a language of the relation's that the fact can be told in."""
    relation, subject, answer = fields["relation"], fields["subject"], fields["answer"]
    if relation == "landlocked" and table is STATED:
        name = subject["en"]
        return (f"{name} is landlocked." if answer == "Yes" else f"{name} has a coast."), answer
    ways = table[relation]
    # One number for two choices: these are made millions of times.
    drawn = random.random()
    if drawn < 0.5:
        tag, drawn = "en", 2 * drawn
    else:
        open_to = [
            tag
            for tag in ways
            if (tag in subject or len(subject) == 1 and tag in _LATIN)
            and (tag in answer if isinstance(answer, dict) else tag in _LATIN or table is ASKED)
        ]
        drawn = (2 * drawn - 1) * len(open_to)
        tag, drawn = open_to[int(drawn)], drawn % 1
    chosen = ways[tag][int(drawn * len(ways[tag]))]
    a = answer[tag] if isinstance(answer, dict) else answer
    if table is ASKED:
        chosen = casual(chosen, random)
    return chosen.format(s=subject.get(tag, subject["en"]), a=a), a
