"""Facts: stated, alone or with their neighbours, or asked closed-book.

The wordings of a relation: how it is stated, and how it is asked, each by language; {s} is the subject, {a} the answer.
In a language other than English a fact is told only where both sides have a name in it, or the answer is a name or
number that stays as it is.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from tejat.data.shards import Item
from tejat.parts import Document, Text, Turn

NEAR, TURNS = 8, 4  # facts told in one breath, and asked in one dialogue, at most
_LATIN = ("en", "de", "fr", "es", "it", "pt", "nl", "sv")  # where a name in Latin letters stays as it is

Wordings = Mapping[str, tuple[str, ...]]

STATED: Mapping[str, Wordings] = {
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
ASKED: Mapping[str, Wordings] = {
    "capital": {
        "en": ("What is the capital of {s}?", "Which city is the capital of {s}?", "Name the capital of {s}."),
        "de": ("Was ist die Hauptstadt von {s}?",),
        "fr": ("Quelle est la capitale ? Pays : {s}",),
        "es": ("¿Cuál es la capital de {s}?",),
        "it": ("Qual è la capitale? Paese: {s}",),
        "pt": ("Qual é a capital? País: {s}",),
        "nl": ("Wat is de hoofdstad van {s}?",),
        "sv": ("Vad heter huvudstaden i {s}?",),
    },
    "capital of": {"en": ("Of which country is {s} the capital?",), "de": ("Wessen Hauptstadt ist {s}?",)},
    "region": {"en": ("Where is {s}?", "In which part of the world is {s}?")},
    "currency": {"en": ("What is the currency of {s}?", "How does one pay in {s}?")},
    "languages": {"en": ("Which languages are official in {s}?",)},
    "borders": {"en": ("Which countries border {s}?", "Name the neighbours of {s}.")},
    "demonym": {"en": ("What does one call someone from {s}?",)},
    "area": {"en": ("How large is {s}?", "What is the area of {s}?")},
    "domain": {"en": ("What is the Internet domain of {s}?",)},
    "calling code": {"en": ("What is the calling code of {s}?",), "de": ("Welche Vorwahl hat {s}?",)},
    "landlocked": {"en": ("Is {s} landlocked?", "Has {s} no coast?")},
    "country of city": {"en": ("In which country is {s}?", "Where is the city of {s}?")},
    "symbol": {"en": ("What is the chemical symbol of {s}?",)},
    "element of symbol": {"en": ("Which element has the symbol {s}?",)},
    "atomic number": {"en": ("What is the atomic number of {s}?",)},
    "element of number": {"en": ("Which element has the atomic number {s}?",)},
    "atomic mass": {"en": ("What is the atomic mass of {s}?",)},
}


def fact(items: Sequence[Item], k: int, random: np.random.Generator) -> Document:
    """Fields: "relation", "subject" (a name by language), "answer" (a text, or a name by language), and "asked": is it
    a question? The fact with a few of its kind near it: questions one after the other, from item k on; what is stated
    in an order drawn."""
    asked = items[k].fields["asked"]
    last = min(len(items), k + 2 * int(random.integers(1, (TURNS if asked else NEAR) + 1)))
    near = [item.fields for item in (items[j] for j in range(k, last)) if item.kind == "fact"]
    told = [_worded(ASKED if asked else STATED, fields, random) for fields in near if fields["asked"] == asked]
    if asked:
        pairs = ((Turn("user", (Text(question),)), Turn("model", (Text(answer),))) for question, answer in told)
        return Document.from_turns([turn for pair in pairs for turn in pair])
    random.shuffle(told)
    return Document.of([Text(" ".join(sentence for sentence, _ in told))])


def _worded(table: Mapping[str, Wordings], fields: dict, random: np.random.Generator) -> tuple[str, str]:
    """(sentence, answer) in a language of the relation's that the fact can be told in."""
    relation, subject, answer = fields["relation"], fields["subject"], fields["answer"]
    if relation == "landlocked" and table is STATED:
        name = subject["en"]
        return (f"{name} is landlocked." if answer == "Yes" else f"{name} has a coast."), answer
    wordings = table[relation]
    # One number for two choices: these are made millions of times.
    drawn = random.random()
    if drawn < 0.5:
        language, drawn = "en", 2 * drawn
    else:
        open_to = [
            language
            for language in wordings
            if (language in subject or len(subject) == 1 and language in _LATIN)
            and (language in answer if isinstance(answer, dict) else language in _LATIN)
        ]
        drawn = (2 * drawn - 1) * len(open_to)
        language, drawn = open_to[int(drawn)], drawn % 1
    chosen = wordings[language][int(drawn * len(wordings[language]))]
    a = answer[language] if isinstance(answer, dict) else answer
    return chosen.format(s=subject.get(language, subject["en"]), a=a), a
