"""Dialogues about things by their names alone, and dialogues that go from one skill to another.

Whether to draw is decided by what is asked, never by there being a name in it.
"""

from collections.abc import Callable, Sequence

import numpy as np

from tejat.data.presenting import arithmetic, edits, persona, sprites
from tejat.data.presenting.wording import LANGUAGES, asking, beside, language, named_in, one, wordings
from tejat.data.shards import Item
from tejat.parts import Document, Text, Turn

WORDS = wordings("concepts")
TONGUES = wordings("words")["languages"]
"""What each of `LANGUAGES` calls them, in their order."""

Exchange = Callable[[Sequence[Item], int, str, np.random.Generator], list[Turn]]
"""Turns of the user and the model about item k in a language in which it is named."""


def told(items: Sequence[Item], k: int, random: np.random.Generator) -> Document:
    """One to three questions about a thing by name, or errands with the name, each answered in words."""
    spoken = language(random, named_in(items[k].fields))
    kinds = [one((sort, sort, looks, write, called, emoji), random) for _ in range(int(random.integers(1, 4)))]
    return Document.from_turns([turn for make in kinds for turn in make(items, k, spoken, random)], "told")


def mixed(items: Sequence[Item], k: int, random: np.random.Generator) -> Document:
    """Two to five exchanges of several skills in one language: greeted, something drawn and asked about, a sum, a word
    in another language, a picture looked at, thanked."""
    spoken = language(random, named_in(items[k].fields))
    turns = persona.talk("greet", spoken, random) if random.random() < 0.25 else []
    drawn = 0
    for _ in range(int(random.integers(2, 5))):
        n = k if random.random() < 0.6 else next(iter(sprites.others(items, k, 1, random)), k)
        n = n if spoken in items[n].fields["names"] else k
        way = random.random()
        if way < 0.4 and drawn < edits.PICTURES:
            asked, made = edits.begun(edits.drawing(items[n], spoken, random), spoken, random)
            turns += [Turn("user", (Text(asked),)), made.answer()]
            drawn += 1
            if random.random() < 0.4:
                turns += edits.question(made, spoken, random)
            elif random.random() < 0.4 and drawn < edits.PICTURES:
                asked, made = edits.changed(made, items, n, spoken, random)
                turns += [Turn("user", (Text(asked),)), made.answer()]
                drawn += 1
        else:
            make = one((sort, looks, write, called, emoji, name, add, add, self), random)
            turns += make(items, n, spoken, random)
    if random.random() < 0.15:
        turns += persona.talk("thank", spoken, random)
    return Document.from_turns(turns, "mixed")


def sort(items: Sequence[Item], k: int, spoken: str, random: np.random.Generator) -> list[Turn]:
    """What kind of thing it is."""
    category = items[k].fields.get("category", {}).get(spoken)
    if not category:
        return called(items, k, spoken, random)
    return _turns(asking(WORDS["sort"], spoken, random, name=items[k].fields["names"][spoken]), category)


def looks(items: Sequence[Item], k: int, spoken: str, random: np.random.Generator) -> list[Turn]:
    """What it looks like, in words that go with it; in English, in which these are."""
    tags = items[k].fields.get("tags", ())
    if spoken not in WORDS["looks"] or len(tags) < 3:
        return sort(items, k, spoken, random)
    some = [tags[int(n)] for n in sorted(random.permutation(len(tags))[:6])]
    return _turns(asking(WORDS["looks"], spoken, random, name=items[k].fields["names"][spoken]), ", ".join(some))


def write(items: Sequence[Item], k: int, spoken: str, random: np.random.Generator) -> list[Turn]:
    """Its name, written and not drawn."""
    name = items[k].fields["names"][spoken]
    # What is to be copied is shown as it is to be.
    return _turns(asking(WORDS["write"], spoken, random, name=name).replace(name.lower(), name), name)


def called(items: Sequence[Item], k: int, spoken: str, random: np.random.Generator) -> list[Turn]:
    """What it is called in another language."""
    names = items[k].fields["names"]
    others = [tag for tag in LANGUAGES if tag in names and tag != spoken]
    if not others:
        return write(items, k, spoken, random)
    other = one(others, random)
    tongue = TONGUES[spoken][LANGUAGES.index(other)]
    return _turns(asking(WORDS["called"], spoken, random, name=names[spoken], language=tongue), names[other])


def emoji(items: Sequence[Item], k: int, spoken: str, random: np.random.Generator) -> list[Turn]:
    """The character that stands for it, or what a character stands for."""
    character, name = items[k].fields.get("emoji"), items[k].fields["names"][spoken]
    if not character or spoken != "en":
        return sort(items, k, spoken, random)
    if random.random() < 0.5:
        return _turns(one(("Which emoji stands for: {}", "Emoji for {}?"), random).format(name), character)
    return _turns(one(("What does {} stand for?", "What does the emoji {} mean?"), random).format(character), name)


def name(items: Sequence[Item], k: int, spoken: str, random: np.random.Generator) -> list[Turn]:
    """A picture of it, and what it is."""
    asked = asking(WORDS["what"], spoken, random)
    return [
        Turn("user", beside(sprites.seen(items[k], random), asked, random)),
        Turn("model", (Text(items[k].fields["names"][spoken]),)),
    ]


def add(items: Sequence[Item], k: int, spoken: str, random: np.random.Generator) -> list[Turn]:
    """A sum."""
    make = one([*arithmetic.TASKS.values()], random)
    return _turns(*make(spoken, int(random.integers(1, 4)), random))


def self(items: Sequence[Item], k: int, spoken: str, random: np.random.Generator) -> list[Turn]:
    """About the model, or about what it cannot know."""
    if random.random() < 0.3:
        return persona.nowhere(spoken, random)
    return persona.talk(one(("who", "can", "maker", "limits", "now"), random), spoken, random)


def _turns(asked: str, answer: str) -> list[Turn]:
    return [Turn("user", (Text(asked),)), Turn("model", (Text(answer),))]
