"""Passages that tell anything of anything: the answer stands there, is of the thing asked about, and is not learnt."""

import itertools
import re

import numpy as np
import pytest

from tejat.data.presenting.wording import LANGUAGES
from tejat.data.shards import Item
from tejat.evals.factuality import worlds
from tejat.posttrain import verify
from tejat.posttrain.behaviours import anything, cases, invented, passages
from tejat.posttrain.behaviours.invented import Names
from tejat.posttrain.behaviours.known import Facts

MEANINGS = [
    Item("meaning", {"part": part, "words": words, "language": "en", "group": str(n)})
    for n, (part, words) in enumerate(
        [
            ("noun", ["lever", "pry bar"]),
            *[("verb", ["hop"])] * 3,
            ("verb", ["carry", "bear"]),
            *[("verb", ["hop"])] * 3,
            ("verb", ["guess", "ply", "Play"]),
            *[("verb", ["hop"])] * 3,
            ("noun", ["wingspan", "reach"]),
            *[("noun", ["unread"])] * 3,
            ("noun", ["DNA", "x2", "basket"]),
            *[("noun", ["unread"])] * 3,
            ("noun", ["slave ship"]),
        ]
    )
]
THINGS = [Item("concept", {"names": {"en": "flag: Chad", "de": "Löwe", "zh-CN": "狮子"}, "group": "lion"})]
THINGS += [
    Item("concept", {"names": {tag: f"{tag}{letter}" for tag in (*LANGUAGES, "zh-CN")}, "group": letter})
    for letter in "abcdefgh"
]


@pytest.fixture(scope="module")
def names():
    countries = [{"en": "Norway", "de": "Norwegen", "zh-CN": "挪威"}, {"en": "Chad"}]
    return Names(["Lyon", "Porto", "Bergen"], countries, anything.vocabulary(MEANINGS, THINGS))


def test_words_are_plain_nouns_and_names_of_things():
    words = anything.vocabulary(MEANINGS, THINGS)
    english = words.by_language["en"]
    assert {"lever", "pry bar", "reach", "basket"} <= {*english}
    assert not {"DNA", "x2", "hop", "unread", "wingspan", "slave ship", "flag: Chad"} & {*english}
    assert words.by_language["de"][0] == "Löwe" and "狮子" in words.by_language["zh"]
    assert words.alike == {"lever": ["pry bar"], "pry bar": ["lever"]}
    assert words.verbs == [["guess", "ply"]]  # "carry" is asked where it is measured


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_way_can_be_told_and_asked(language, names):
    ways = set()
    for seed in range(60):
        random = np.random.default_rng(seed)
        for attribute in anything.attributes(language, random, names, 4):
            ways.add(attribute["key"].partition(" ")[0])
            value = invented.value(attribute["value"], language, random, names)
            told = passages.sentence(attribute, "Norvo", value, language, random)
            asked = passages.question(attribute, "Norvo", language, random)
            assert value.lower() in told.lower() and "Norvo" in told and "Norvo" in asked
            assert not re.search(r"[{}]", told + asked)
    assert {"count", "who", "when", "where", "amount"} <= ways
    assert ({"does", "undergoes"} <= ways) == (language == "en")


def test_what_is_asked_is_told_of_that_thing_or_owned_up_to(names, monkeypatch):
    monkeypatch.setattr(passages, "ANYTHING", 1.0)
    kinds = set()
    for seed in range(150):
        random = np.random.default_rng(seed)
        made = passages.passage("en", random, names)
        assert made.of == anything.OF and all(each.sentence in made.text for each in made.told)
        subject, attribute = passages.untold(made, "en", random, names)
        assert (subject, attribute["key"]) not in {(each.subject, each.attribute["key"]) for each in made.told}
        kinds.add((subject in made.subjects, any(attribute is each for each in made.others)))
    assert kinds == {(True, True), (True, False), (False, False)}  # of none, of another, of a stranger


def test_a_synonym_may_ask_for_it(names):
    asked = [
        passages.question(attribute, "Norvo", "en", np.random.default_rng(seed))
        for seed in range(300)
        for attribute in anything.attributes("en", np.random.default_rng(seed), names, 1)
        if attribute["names"]["en"] == "lever"
    ]
    assert any("pry bar" in each for each in asked) and any("lever" in each for each in asked)


def test_what_is_done_may_be_asked_in_other_words(names):
    """By a verb that means the same, and by a noun for whoever does it."""
    texts = {"does": set(), "who built by": set()}
    for seed in range(4_000):
        random = np.random.default_rng(seed)
        for attribute in anything.attributes("en", random, names, 1):
            told = passages.sentence(attribute, "Norvo", "Ada", "en", random)
            asked = passages.question(attribute, "Norvo", "en", random)
            key = attribute["key"] if attribute["key"] in texts else attribute["key"].partition(" ")[0]
            texts.setdefault(key, set()).add((told, asked))
    pairs = {tuple(bool(re.search(r"guess", text)) for text in pair) for pair in texts["does"]}
    assert pairs == {(a, b) for a in (True, False) for b in (True, False)}
    assert any("guesses" in told for told, _ in texts["does"]) and any("plies" in told for told, _ in texts["does"])
    built = " ".join(text for pair in texts["who built by"] for text in pair)
    assert "builder" in built and "constructed" in built and "built" in built


def test_without_a_dictionary_passages_are_as_they_were():
    bare = Names(["Lyon"], [{"en": "Chad"}])
    assert {passages.passage("en", np.random.default_rng(n), bare).of for n in range(80)} == {*invented.kinds()}


def test_rewards_find_the_good_answers_right(names, monkeypatch):
    monkeypatch.setattr(passages, "ANYTHING", 1.0)
    stated = [
        {"relation": "capital", "subject": {"en": f"Land{n}"}, "answer": f"Town{n}", "group": f"capital/Land{n}"}
        for n in range(40)
    ]
    items = [Item("fact", fact | {"asked": asked, "language": "en"}) for fact in stated for asked in (False, True)]
    for case in itertools.islice(cases.cases(Facts(items, names.words), 5), 500):
        check = verify.checked(case.check)
        assert verify.reward(check, case.good) == 1, (case.good, check)
        assert verify.reward(check, case.bad) == 0, (case.bad, check)


def test_evaluation_asks_for_none_of_it():
    """Neither sentences nor verbs of the passages that measure; words of their relations are left out."""
    for language, verbs in anything.data()["verbs"].items():
        texts = [
            text
            for of in worlds.data()["relations"]
            for side in ("told", "asked")
            for text in of[side].get(language, ())
        ]
        spoken = {*re.findall(r"\w+", " ".join(texts).lower())}
        spaceless = language in ("ja", "zh", "ko")
        assert not [verb for verb in verbs if (any(verb in text for text in texts) if spaceless else verb in spoken)]
        ways = anything.data()["ways"][language].values()
        assert not {text for way in ways for side in ("told", "asked") for text in way[side]} & {*texts}
    spoken = {*re.findall(r"[a-z]+", " ".join(t for of in worlds.data()["relations"] for t in of["told"]["en"]))}
    assert {"carry", "command", "draw", "lecture", "pilot"} <= {*anything.data()["verbs_left_out"]}
    assert not [verb for verb in anything.data()["doers"].values() if verb in spoken]
    relations = {word for of in worlds.data()["relations"] for word in (of["of"], of["key"])} - {
        "goes",
        "met",
        "serves",
    }
    assert relations <= {*anything.data()["left_out"]}
