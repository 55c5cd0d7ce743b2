"""Passages about people, places and things that were made up, and questions, some of which they do not answer.

Each passage tells a few attributes of one to three things of a kind, or of any (`anything`). What is asked and not told
is of three sorts: an attribute that the passage tells of another thing, one that it tells of none, and a thing that it
does not name.
"""

import functools
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from tejat.data.presenting.wording import casual, one
from tejat.parts import Document
from tejat.posttrain.behaviours import anything, invented
from tejat.posttrain.behaviours.invented import Names
from tejat.posttrain.behaviours.wording import Exchange, ask, data, dialogue, mended, quoted, say

ANYTHING = 0.6  # of the passages tell what no list has, where there is a dictionary
SILENT = 0.34  # of the questions
ROWS = 0.18  # of the passages are tables
QUOTED = 0.25  # of the questions ask for the sentence
ACCORDING = 0.6  # of the first questions say that the text is to answer
PADDED = 0.12  # of the passages stand in a page of something else


class Told(NamedTuple):
    """One sentence: of which thing, which attribute, what it is."""

    subject: str
    attribute: Mapping
    answer: str
    sentence: str


class Passage(NamedTuple):
    """A text with all that it tells of things of one kind, or of `anything`. Attributes that are `open` are told of
    some of them, the `others` of none."""

    text: str
    told: Sequence[Told]
    subjects: Sequence[str]
    open: Sequence[Mapping]
    others: Sequence[Mapping]
    of: str


def passage(
    language: str, random: np.random.Generator, names: Names, most: int = 3, rows: bool | None = None
) -> Passage:
    """Some attributes of one to `most` things; `rows`: as a table, each in a line of its own."""
    of = one(invented.kinds(), random)
    if names.words.by_language.get(language) and random.random() < ANYTHING:
        of, known = anything.OF, anything.attributes(language, random, names, 8)
    else:
        known = invented.attributes(of)
    count, order = int(random.integers(2, 6)), random.permutation(len(known))
    chosen, others = ([known[int(n)] for n in some] for some in (order[:count], order[count:]))
    subjects = list(dict.fromkeys(_thing(of, language, random, names) for _ in range(random.integers(1, most + 1))))
    tabular = random.random() < ROWS if rows is None else rows
    told: list[Told] = []
    for subject in subjects:
        for attribute in chosen:
            if random.random() < 0.78:
                answer = invented.value(attribute["value"], language, random, names)
                told.append(
                    Told(subject, attribute, answer, sentence(attribute, subject, answer, language, random, tabular))
                )
    if not told:
        answer = invented.value(chosen[0]["value"], language, random, names)
        told = [
            Told(subjects[0], chosen[0], answer, sentence(chosen[0], subjects[0], answer, language, random, tabular))
        ]
    if random.random() < 0.35:
        told = [told[int(n)] for n in random.permutation(len(told))]
    between = "\n" if tabular or random.random() < 0.1 else "" if language in ("ja", "zh") else " "
    return Passage(between.join(each.sentence for each in told), told, subjects, chosen, others, of)


def document(language: str, random: np.random.Generator, names: Names, page: str = "") -> Document:
    """A passage and one to four questions; now and then it stands before or after a `page` of something else."""
    made = passage(language, random, names)
    text = made.text
    if page and random.random() < PADDED:
        text = f"{page}\n\n{text}" if random.random() < 0.5 else f"{text}\n\n{page}"
    exchanges = questions(made, language, random, names, "silent")
    first = exchanges[0].asked
    if random.random() < ACCORDING:
        first = ask("according", language, random, q=first)
    first = f"{text}\n\n{first}" if random.random() < 0.75 else f"{first}\n\n{text}"
    return dialogue([exchanges[0]._replace(asked=first), *exchanges[1:]])


def questions(
    made: Passage, language: str, random: np.random.Generator, names: Names, silent: str, most: int = 4
) -> list[Exchange]:
    """One to `most` questions on a passage. `silent`: the use of the words for what it does not say."""
    found: list[Exchange] = []
    for _ in range(int(random.integers(1, most + 1))):
        if random.random() < SILENT:
            subject, attribute = untold(made, language, random, names)
            asked, answer, kind = (
                question(attribute, subject, language, random),
                say(silent, language, random),
                "silent",
            )
        else:
            told = one(made.told, random)
            asked, answer, kind = question(told.attribute, told.subject, language, random), told.answer, "told"
        if random.random() < QUOTED:
            asked = f"{asked} {say('quote', language, random)}"
            if kind == "told":
                answer = quoted(answer, told.sentence, language)
        found.append(Exchange(asked, answer, kind))
    return found


def question(attribute: Mapping, subject: str, language: str, random: np.random.Generator) -> str:
    """What an attribute of a thing is asked with."""
    ways = attribute["asked"].get(language)
    if not ways or (attribute.get("named", True) and random.random() < (0.2 if language == "en" else 0.35)):
        ways = data()["words"]["asked"][language]
    text = casual(one(ways, random), random)
    return text.format(s=_bare(text, subject), r=attribute["names"][language])


def sentence(
    attribute: Mapping, subject: str, answer: str, language: str, random: np.random.Generator, tabular: bool = False
) -> str:
    """What an attribute of a thing is told with; a line of a table has the thing in it too."""
    if tabular:
        text = one(("{s} | {r} | {a}", "{s} – {r}: {a}", "{s}, {r} = {a}"), random)
    else:
        ways = attribute["told"].get(language)
        if not ways or (attribute.get("named", True) and random.random() < (0.12 if language == "en" else 0.35)):
            ways = data()["words"]["told"][language]
        text = one(ways, random)
    said = text.format(s=_bare(text, subject), r=attribute["names"][language], a=answer)
    return mended(said[:1].upper() + said[1:])


def _bare(text: str, subject: str) -> str:
    """The name without its article where the wording has one."""
    return subject.removeprefix("the ") if "the {s}" in text else subject


def untold(made: Passage, language: str, random: np.random.Generator, names: Names) -> tuple[str, Mapping]:
    """A thing and an attribute that the passage does not tell of it."""
    told = {(each.subject, each.attribute["key"]) for each in made.told}
    gaps = [(s, a) for s in made.subjects for a in made.open if (s, a["key"]) not in told]
    drawn = random.random()
    if gaps and drawn < 0.5:
        return one(gaps, random)
    if drawn < 0.8 and made.others:
        return one(made.subjects, random), one(made.others, random)
    while True:
        stranger = _thing(made.of, language, random, names)
        if stranger not in made.text:
            return stranger, one(made.open, random)


def _thing(of: str, language: str, random: np.random.Generator, names: Names) -> str:
    maker = anything.thing if of == anything.OF else functools.partial(invented.thing, of)
    return maker(language, random, names)
