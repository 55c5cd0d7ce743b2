"""Facts of the corpus: asked from memory, told differently in a passage, or asked about what does not exist.

Of the questions only those of the corpus's training part are asked here: a fifth of them is held out, to measure.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from tejat.data.presenting import persona
from tejat.data.presenting.facts import ASKED, STATED
from tejat.data.presenting.wording import LANGUAGES, casual, one
from tejat.data.shards import Item
from tejat.parts import Document
from tejat.posttrain.behaviours import invented, passages
from tejat.posttrain.behaviours.invented import Names, Words
from tejat.posttrain.behaviours.wording import Exchange, ask, dialogue, has, quoted, say

MADE_UP = 0.35  # of the questions are about what does not exist
MEANINGS = 0.15  # ask for a word, or for someone whom a dictionary has
PREMISE = 0.2  # of the questions assume what is not so, or could
CONTRADICTED = 0.6  # of the passages tell something else than what is known

_TRIES = 30
_LIFE = re.compile(r"\(\d{4}-\d{4}\)")
_LATIN = ("en", "de", "fr", "es", "it", "pt", "nl")


class Fact(NamedTuple):
    """A relation of a subject, both by language; of what group the fact is (a country, a city)."""

    relation: str
    subject: Mapping[str, str]
    answer: str | Mapping[str, str]
    about: str

    def named(self, language: str) -> str:
        """The subject in a language, or in English."""
        return self.subject.get(_tag(language), self.subject["en"])

    def answered(self, language: str) -> str:
        """The answer in a language, or in English."""
        answer = self.answer
        return answer if isinstance(answer, str) else answer.get(_tag(language), answer["en"])


class Facts:
    """The facts of some items of the kind "fact" by relation: those that are stated, and those that are asked.

    `words` are what passages tell of anything (`anything.vocabulary`).
    """

    def __init__(self, items: Iterable[Item], words: Words | None = None):
        self.stated: dict[str, list[Fact]] = defaultdict(list)
        self.asked: dict[str, list[Fact]] = defaultdict(list)
        for item in items:
            fields = item.fields
            fact = Fact(fields["relation"], fields["subject"], fields["answer"], fields["group"].rpartition("/")[2])
            (self.asked if fields["asked"] else self.stated)[fact.relation].append(fact)
        self.capitals = {fact.about: fact for fact in self.stated["capital"]}
        self.borders = {fact.about for fact in self.stated["borders"]}
        self.known = {
            name.lower() for facts in self.stated.values() for fact in facts for name in fact.subject.values()
        }
        self.names = Names(
            sorted({fact.subject["en"] for fact in self.stated["country of city"]}) or ["Lyon", "Porto"],
            [fact.subject for fact in self.stated["capital"]],
            words or Words(),
        )


def closed_book(facts: Facts, meanings: Sequence[Item], language: str, random: np.random.Generator) -> Document:
    """One to four questions without a source; `meanings` are entries of a dictionary."""
    found = []
    for _ in range(int(random.integers(1, 5))):
        drawn = random.random()
        if drawn < MADE_UP:
            found.append(nowhere(facts, language, random))
        elif drawn < MADE_UP + PREMISE:
            found.append(premise(facts, language, random))
        elif drawn > 1 - MEANINGS and (entry := meaning(meanings, random)):
            found.append(entry)
        else:
            found.append(remembered(facts, language, random))
    return dialogue(found)


def contradicted(facts: Facts, language: str, random: np.random.Generator) -> Document | None:
    """A passage that tells facts, some otherwise than they are; asked is what it tells, or does not. None where chance
    gave no question that stands."""
    relations = [name for name in STATED if len(facts.stated[name]) > 20 and language in STATED[name]]
    language, relations = (
        (language, relations) if relations else ("en", [n for n in STATED if len(facts.stated[n]) > 20])
    )
    told: list[tuple[Fact, str, str]] = []
    for relation in [one(relations, random) for _ in range(int(random.integers(1, 3)))]:
        some = facts.stated[relation]
        for n in random.permutation(len(some))[: int(random.integers(1, 5))]:
            fact = some[int(n)]
            if language not in _LATIN and _tag(language) not in fact.subject:
                continue
            answer = fact.answered(language)
            if random.random() < CONTRADICTED:
                answer = one(some, random).answered(language)
            told.append(
                (fact, answer, one(STATED[relation][language], random).format(s=fact.named(language), a=answer))
            )
    told = list({(fact.relation, fact.about): (fact, answer, text) for fact, answer, text in told}.values())
    if not told:
        return None
    text = " ".join(sentence for *_, sentence in told)
    exchanges: list[Exchange] = []
    for _ in range(int(random.integers(1, 4))):
        fact, answer, sentence = one(told, random)
        kind = "told"
        if random.random() < 0.4:
            fact = one(facts.stated[one(relations, random)], random)
            answer, kind = say("silent", language, random), "silent"
            # A sentence may tell of it from its other side: what names it at all is not asked.
            if fact.named(language) in text and any(
                f.about == fact.about or f.named(language) in s for f, _, s in told
            ):
                continue
        asked = question(fact, language, random)
        if not asked:
            continue
        if kind == "silent" or not exchanges or random.random() < 0.3:
            asked = ask("according", language, random, q=asked)
        if kind == "told" and random.random() < 0.3:
            asked = f"{asked} {say('quote', language, random)}"
            answer = quoted(answer, sentence, language)
        exchanges.append(Exchange(asked, answer, kind))
    if not exchanges:
        return None
    first = exchanges[0]
    return dialogue([first._replace(asked=f"{text}\n\n{first.asked}"), *exchanges[1:]])


def question(fact: Fact, language: str, random: np.random.Generator) -> str:
    """What a fact is asked with; "" where there is no way in the language."""
    ways = ASKED.get(fact.relation, {}).get(_tag(language))
    return casual(one(ways, random), random).format(s=fact.named(language)) if ways else ""


def remembered(facts: Facts, language: str, random: np.random.Generator) -> Exchange:
    """A question of training and its answer: of countries and elements mostly, for cities there are most of."""
    relations = [name for name in facts.asked if _tag(language) in ASKED.get(name, ())] or ["capital"]
    relation = one(relations, random)
    fact = one(facts.asked[relation], random)
    asked = question(fact, language, random)
    return Exchange(asked, fact.answered(language), "known") if asked else remembered(facts, "en", random)


def meaning(items: Sequence[Item], random: np.random.Generator) -> Exchange | None:
    """A common word or a person of a dictionary; None where none was found among a few entries."""
    person = random.random() < 0.5
    for _ in range(_TRIES):
        fields = items[int(random.integers(len(items)))].fields
        word, told = one(fields["words"], random), f"{fields['meaning'][:1].upper()}{fields['meaning'][1:]}."
        if person and " " in word and _LIFE.search(told):
            return Exchange(ask("person_is", "en", random, s=word), told, "known")
        if not person and word.islower() and word.isalpha() and fields.get("examples"):
            return Exchange(ask("word_asked", "en", random, s=word), told, "known")
    return None


def nowhere(facts: Facts, language: str, random: np.random.Generator) -> Exchange:
    """What is asked about a country, a city, an element, a person, a thing or a word that does not exist."""
    kind = one(("country", "country", "city", "city", "element", "person", "person", "thing", "thing", "word"), random)
    if kind == "country":
        turns = persona.nowhere(language, random) if random.random() < 0.4 else None
        if turns is not None:
            return Exchange(turns[0].parts[0].text, turns[1].parts[0].text, "nowhere")
        name = _unknown(facts, facts.names.countries, random)
        relation = one(
            [r for r in facts.asked if r in _OF_COUNTRIES and _tag(language) in ASKED[r]] or ["capital"], random
        )
        ways = ASKED[relation].get(_tag(language)) or ASKED[relation]["en"]
        asked = casual(one(ways, random), random).format(s=name)
        return Exchange(asked, one(persona.WORDS["no_such"][language], random).format(name=name), "nowhere")
    if kind in ("person", "thing"):
        of = "person" if kind == "person" else one([k for k in invented.kinds() if k != "person"], random)
        name = invented.thing(of, language, random, facts.names)
        if kind == "person" and random.random() < 0.5:
            return Exchange(
                ask("person_asked", language, random, s=name), say("no_person", language, random, s=name), "nowhere"
            )
        asked = passages.question(one(invented.attributes(of), random), name, language, random)
        return Exchange(asked, say(f"no_{kind}", language, random, s=name), "nowhere")
    if kind == "word":
        language = "en"
    if kind == "city":
        name = _unknown(facts, [{"en": city} for city in facts.names.cities], random)
    elif kind == "element":
        name = invented.syllables(random) + one(("ium", "on", "ine", "um", "gen"), random)
        if name in facts.known:
            return nowhere(facts, language, random)
    else:
        name = invented.syllables(random)
    return Exchange(
        ask(f"{kind}_asked", language, random, s=name), say(f"no_{kind}", language, random, s=name), "nowhere"
    )


def premise(facts: Facts, language: str, random: np.random.Generator) -> Exchange:
    """A question that assumes a wrong capital, a coast, a neighbour, an element; or one that assumes what is so."""
    kind = one(("capital", "capital", "is capital", "coast", "border", "element"), random)
    if kind == "element":
        name = say("stuffs", language, random)
        name = name if language == "de" else name.lower()
        return Exchange(
            ask("element_asked", language, random, s=name), say("not_element", language, random, s=name), "premise"
        )
    if kind == "coast" and facts.stated["landlocked"]:
        fact = one(facts.stated["landlocked"], random)
        if fact.answer == "Yes":
            name = fact.named(language)
            return Exchange(
                ask("coast_asked", language, random, s=name), say("no_coast", language, random, s=name), "premise"
            )
    if kind == "border" and facts.stated["landlocked"] and has("no_border", language):
        fact = one(facts.stated["landlocked"], random)
        if fact.answer == "No" and fact.about not in facts.borders:
            name = fact.named(language)
            return Exchange(
                ask("border_asked", language, random, s=name), say("no_border", language, random, s=name), "premise"
            )
    fact, other = one(facts.stated["capital"], random), one(facts.stated["capital"], random)
    name, capital = fact.named(language), fact.answered(language)
    if kind == "is capital":
        return Exchange(ask("is_capital", language, random, a=capital, s=name), say("agree", language, random), "known")
    wrong = other.answered(language)
    if wrong == capital:
        return premise(facts, language, random)
    asked = ask("why_capital", language, random, a=wrong, s=name)
    return Exchange(asked, say("not_capital", language, random, a=wrong, s=name, c=capital), "premise")


_OF_COUNTRIES = {"capital", "currency", "languages", "region", "borders", "area", "domain", "calling code", "demonym"}


def _unknown(facts: Facts, real: Sequence[Mapping[str, str]], random: np.random.Generator) -> str:
    """A name like those of places: syllables, or the beginning of one and the end of another."""
    while True:
        if real and random.random() < 0.5:
            first, last = one(real, random)["en"], one(real, random)["en"]
            name = first[: max(2, len(first) // 2)].rstrip() + last[len(last) // 2 :].strip().lower()
        else:
            name = persona.invented(random) if random.random() < 0.5 else invented.syllables(random).capitalize()
        if name.lower() not in facts.known and name.isalpha():
            return name


def _tag(language: str) -> str:
    """As the corpus calls a language."""
    return "zh-CN" if language == "zh" else language


def spoken(random: np.random.Generator) -> str:
    """A language to talk in."""
    return "en" if random.random() < 0.45 else one(LANGUAGES, random)
