"""Instructions whose fulfilment can be checked: so many, in this order, in that form.

An item of the kind "instruction" is a category of things: "category" and "words", its name and its members' names, by
language.
"""

import json
from collections.abc import Callable, Sequence

import numpy as np

from tejat.data.presenting import persona, sprites
from tejat.data.presenting.wording import LANGUAGES, asking, language, one, worded, wordings
from tejat.data.shards import Item
from tejat.parts import Document, Text, Turn

WORDS = wordings("instructions")

SELF = 0.35
"""The share of documents that are about the model itself, which has no source of its own."""

FORMS: dict[str, Callable[[Sequence[str]], str]] = {
    "lines": "\n".join,
    "numbered": lambda words: "\n".join(f"{n}. {word}" for n, word in enumerate(words, 1)),
    "capitals": lambda words: ", ".join(words).upper(),
    "json": lambda words: json.dumps(list(words), ensure_ascii=False),
    "semicolons": "; ".join,
}
"""Forms of a list, by the instruction that asks for them."""


def instruction(items: Sequence[Item], k: int, random: np.random.Generator) -> Document:
    """One or two instructions about the things of a category, each with what fulfils it; or talk about the model."""
    if random.random() < SELF:
        return persona.dialogue(random)
    fields = items[k].fields
    spoken = language(random, [tag for tag in LANGUAGES if tag in fields["words"]])
    turns: list[Turn] = []
    for _ in range(int(random.integers(1, 3))):
        kind = one(("list", "list", "sort", "repeat", "length", "backwards", "odd", "kind"), random)
        asked, answer = _made(kind, items, k, spoken, random)
        turns += [Turn("user", (Text(asked),)), Turn("model", (Text(answer),))]
    return Document.from_turns(turns, "instruction")


def _made(kind: str, items: Sequence[Item], k: int, spoken: str, random: np.random.Generator) -> tuple[str, str]:
    words, category = items[k].fields["words"][spoken], items[k].fields["category"][spoken]
    word = one(words, random)
    several = [words[int(n)] for n in random.permutation(len(words))[: int(random.integers(2, 7))]]
    listed = ", ".join(several)
    ask = WORDS[kind]
    if kind == "list":
        return _formed(asking(ask, spoken, random, count=str(len(several)), category=category), several, spoken, random)
    if kind == "sort":
        return _formed(asking(ask, spoken, random, words=listed), sorted(several, key=str.casefold), spoken, random)
    if kind == "repeat":
        count = int(random.integers(2, 6))
        return _formed(asking(ask, spoken, random, count=str(count), word=word), [word] * count, spoken, random)
    if kind == "length":
        return asking(ask, spoken, random, word=word), str(len(word))
    if kind == "backwards":
        return asking(ask, spoken, random, word=word), word[::-1]
    if kind == "odd":
        other = items[sprites.others(items, k, 1, random)[0]] if len(items) > 1 else items[k]
        strangers = [w for w in other.fields["words"].get(spoken, ()) if w not in words]
        if strangers and len(several) > 2:
            stranger = one(strangers, random)
            mixed = [*several, stranger]
            shuffled = ", ".join(mixed[int(n)] for n in random.permutation(len(mixed)))
            return asking(ask, spoken, random, words=shuffled), stranger
    return asking(WORDS["kind"], spoken, random, word=word), category


def _formed(asked: str, words: Sequence[str], spoken: str, random: np.random.Generator) -> tuple[str, str]:
    """The instruction with a form asked for, half the time, and the words in it."""
    form = one([*FORMS], random)
    if random.random() < 0.5 or (form == "capitals" and "".join(words).upper() == "".join(words)):
        return asked, ", ".join(words)
    between = " " if asked[-1] in ".?!。？！" else "\n"
    return f"{asked}{between}{worded(WORDS[form], spoken, random)}", FORMS[form](words)
