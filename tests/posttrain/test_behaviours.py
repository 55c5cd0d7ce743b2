"""Dialogues of the three behaviours: what is right follows from how they are made."""

import hashlib
import itertools
import json
import pickle
import re
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

from tejat.data.corpus.ledger import Index
from tejat.data.mixture import STAGE, Mixture, Stage
from tejat.data.presenting.wording import LANGUAGES
from tejat.data.shards import Item, Writer
from tejat.errors import BadInput
from tejat.parts import Audio, Document, Image, Text
from tejat.posttrain import verify
from tejat.posttrain.behaviours import cases, heard, invented, known, missing, pages, passages, refusing, seen
from tejat.posttrain.behaviours.invented import Names
from tejat.posttrain.behaviours.known import Facts
from tejat.posttrain.behaviours.mixture import NEEDED, Behaved, Reading
from tejat.posttrain.behaviours.wording import data

NAMES = Names(["Lyon", "Porto", "Bergen"], [{"en": "Norway", "de": "Norwegen", "zh-CN": "挪威"}])
COUNTRIES = {"France": "Paris", "Spain": "Madrid", "Norway": "Oslo", "Peru": "Lima", "Chad": "N'Djamena"}


def _facts() -> list[Item]:
    found = []
    for n in range(5):  # more than twenty of a relation
        for country, capital in COUNTRIES.items():
            told = {"capital": capital, "landlocked": "Yes" if country == "Chad" else "No", "country of city": country}
            for relation, answer in told.items():
                fields = {"relation": relation, "subject": {"en": country, "de": country}, "answer": answer}
                for asked in (False, True):
                    group = f"{'asked' if asked else 'stated'}/{relation}/{country}{n}"
                    found.append(Item("fact", fields | {"asked": asked, "language": "en", "group": group}))
    return found


def _sources() -> dict[str, list[Item]]:
    text = "The printer is in the cupboard. Pull the lever downwards to open it. Insert some paper afterwards."
    page = {"text": text, "title": "Printing", "language": "en"}
    word = {
        "words": ["lever"],
        "meaning": "a rigid bar",
        "part": "noun",
        "examples": ["he pulled it"],
        "language": "en",
    }
    made = {
        name: [Item("page", page | {"group": f"g{n}"}) for n in range(4)] for name in ("gnome-help", "libreoffice-help")
    }
    made |= {name: [Item("text", {"text": "none", "language": "xx"})] for name in ("voices", "readings", "dialogues")}
    things = [{"names": {tag: f"thing {letter}" for tag in (*LANGUAGES, "zh-CN")}} for letter in "abc"]
    made["concepts"] = [Item("concept", thing | {"group": str(n)}) for n, thing in enumerate(things)]
    return made | {"world": _facts(), "elements": _facts()[:2], "wordnet": [Item("meaning", word)]}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    directory, told = tmp_path_factory.mktemp("corpus"), {}
    for name, items in _sources().items():
        with Writer(directory, name, "train") as writer:
            for item in items:
                writer.write(item)
        sizes = np.full((len(items), 4), 30.0)
        index = Index(("en",), np.zeros(len(items), int), np.ones(len(items), int), sizes, sizes)
        index.save(directory / name / "train-index.npz")
        (directory / name / "heldout.json").write_bytes(b"[]")
        sha = hashlib.sha256(b"[]").hexdigest()
        told[name] = {"splits": {"train": {"document_tokens": 30.0}}, "heldout_sha256": sha}
    (directory / "corpus.json").write_text(json.dumps({"sources": told}))
    return directory


def _rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def _pairs(document: Document) -> list[tuple[str, str]]:
    """What is asked and answered, in words."""
    turns = document.turns()
    words = ["".join(part.text for part in turn.parts if isinstance(part, Text)) for turn in turns]
    return list(zip(words[::2], words[1::2], strict=True))


def _unsure() -> set[str]:
    uses = ("silent", "silent_picture", "illegible", "no_picture", "no_sound", "no_video", "no_text", "dont_know")
    return {said for use in (*uses, "unsaid", "whom", "unheard") for said in sum(data()["words"][use].values(), [])}


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_a_passage_tells_is_in_it_and_what_it_does_not_tell_is_not(language):
    told, silent = 0, 0
    for seed in range(60):
        random = _rng(seed)
        made = passages.passage(language, random, NAMES)
        for each in passages.questions(made, language, random, NAMES, "silent"):
            if each.kind == "told":
                told += 1
                answer = re.sub(r" \(“.*”\)$", "", each.answer)
                assert answer.lower() in made.text.lower()
                assert "(“" not in each.answer or each.answer.partition("(“")[2][:-2] in made.text
            else:
                silent += 1
                assert each.answer in _unsure()
        for each in made.told:
            assert each.sentence in made.text and each.answer in each.sentence
    assert min(told, silent) > 30


def test_what_is_untold_is_untold_of_that_thing():
    for seed in range(200):
        random = _rng(seed)
        made = passages.passage("en", random, NAMES)
        subject, attribute = passages.untold(made, "en", random, NAMES)
        assert not any(each.subject == subject and each.attribute["key"] == attribute["key"] for each in made.told)


def test_facts_are_answered_and_what_does_not_exist_is_not():
    facts, kinds = Facts(_facts()), set()
    for seed in range(300):
        random = _rng(seed)
        exchange = known.nowhere(facts, "en", random)
        if name := re.search(r"(?:country|city|element) called (\w+)\.$", exchange.answer):
            assert name[1].lower() not in facts.known
        true = known.remembered(facts, "de", random)
        assert true.answer in {*COUNTRIES.values(), *COUNTRIES, "Yes", "No"}
        kinds.add(known.premise(facts, "en", random).kind)
    assert kinds == {"premise", "known"}


def test_a_wrong_capital_is_put_right():
    facts = Facts(_facts())
    for seed in range(200):
        exchange = known.premise(facts, "en", _rng(seed))
        if found := re.search(r"^(.+) is not the capital of (.+): that is (.+)\.$", exchange.answer):
            wrong, country, right = found.groups()
            assert COUNTRIES[country] == right != wrong
            assert wrong.lower() in exchange.asked.lower()


def test_a_passage_may_contradict_what_is_known():
    facts, other = Facts(_facts()), 0
    for seed in range(120):
        document = known.contradicted(facts, "en", _rng(seed))
        for asked, answer in _pairs(document) if document else ():
            found = re.search(r"apital of (\w+)", asked.rpartition("\n\n")[2])
            text = _pairs(document)[0][0].rpartition("\n\n")[0]
            assert answer in _unsure() or answer.partition(" (“")[0] in text
            other += bool(found) and answer in COUNTRIES.values() and COUNTRIES[found[1]] != answer
    assert other > 5


def test_words_that_a_page_does_not_have_are_said_to_be_missing():
    printing = "The printer is in the cupboard. Pull the lever downwards to open it."
    cooking = "Chop the onions finely with a kitchen knife. Afterwards season everything with parsley."
    items = [Item("page", {"text": text, "language": "en"}) for text in (printing, cooking)]
    kinds = {True: 0, False: 0}
    for seed in range(80):
        document = pages.document(items, _rng(seed))
        text = printing if printing in _pairs(document)[0][0] else cooking
        for asked, answer in _pairs(document):
            said = re.search(r"“(.+)”", asked)[1]
            if pages.GAP in said:
                absent = answer in data()["words"]["silent"]["en"]
                assert absent or said.replace(pages.GAP, answer) in text
                assert not absent or max(said.split(pages.GAP), key=len) not in text
            else:
                absent = answer.startswith("The text does not mention")
                assert absent == (said.lower() not in text.lower())
                assert absent or (answer in text and said.lower() in answer.lower())
            kinds[absent] += 1
    assert min(kinds.values()) > 15
    assert pages.document([Item("page", {"text": "None.", "language": "en"})], _rng(0)) is None


def test_pictures_are_read_and_the_spoilt_are_not():
    kinds = {True: 0, False: 0}
    for seed in range(80):
        document = seen.document("en", _rng(seed), NAMES)
        assert isinstance(document.parts[0], Image)
        kinds[_pairs(document)[0][1] in data()["words"]["illegible"]["en"]] += 1
    assert min(kinds.values()) > 10


def test_spoilt_letters_are_gone():
    """A spoilt picture is nearer to another text's spoilt picture than to itself as it was."""
    from tejat.data.presenting import handwriting

    for seed in range(24):
        texts = [[word] for word in ("Harbour 12", "Mirador 47")]
        sharp = [handwriting.printed(text, _rng(seed), 20) for text in texts]
        height, width = min(p.shape[0] for p in sharp), min(p.shape[1] for p in sharp)
        sharp = [picture[:height, :width] for picture in sharp]
        blurred = [seen.spoilt(picture, 20, _rng(seed)).astype(float) for picture in sharp]
        apart = np.abs(blurred[0] - blurred[1]).mean()
        assert apart < np.abs(sharp[0].astype(float) - sharp[1]).mean() * 0.8


def test_sounds_without_words_are_short_and_within_range():
    for seed in range(12):
        sound = heard.wordless(_rng(seed))
        assert isinstance(sound, Audio) and 0.4 < sound.seconds < 3.1 and np.abs(sound.samples).max() <= 1


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_is_missing_is_said_to_be(language):
    answers = {missing.exchange(language, _rng(seed), NAMES).answer for seed in range(120)}
    assert answers <= _unsure() and len(answers) >= 6


def test_harm_is_refused_and_what_sounds_like_it_is_answered():
    for language in LANGUAGES:
        found = {
            (e.kind, e.answer in data_refused(language))
            for e in (refusing.exchange(language, _rng(n)) for n in range(40))
        }
        assert found == {("refused", True), ("harmless", False)}


def data_refused(language: str) -> list[str]:
    cared = [answer for _, answer in refusing.data()["oneself"].get(language, ())]
    return [*refusing.data()["refused"][language], *cared]


def test_every_attribute_can_be_told_and_asked_in_every_language():
    for of in invented.kinds():
        for attribute in invented.attributes(of):
            assert set(attribute["names"]) == set(LANGUAGES)
            for language in LANGUAGES:
                random = _rng(1)
                value = invented.value(attribute["value"], language, random, NAMES)
                assert value and value in passages.sentence(attribute, "Norvo", value, language, random)
                assert passages.question(attribute, "Norvo", language, random)


def test_documents_are_functions_of_their_numbers_and_of_all_kinds(corpus):
    mixture = Behaved(corpus, [Stage("a", 1e4, {"world": 1})], 1e3, seed=3)
    twin = pickle.loads(pickle.dumps(mixture))
    made = [mixture.document(n) for n in range(150)]
    assert all(twin.document(n) == made[n] for n in (149, 3, 77, 3))
    sources = [document.source for document in made]
    assert 0.3 < sources.count("behaviours") / len(sources) < 0.6 and "world" in sources
    assert all(set(document.roles) == {"user", "model"} for document in made if document.source == "behaviours")
    assert sum(Behaved.SHARES.values()) == pytest.approx(1)


def test_reading_has_more_to_be_read_from(corpus):
    made = [Reading(corpus, [Stage("a", 1e4, {"world": 1})], 1e3, seed=3).document(n) for n in range(150)]
    assert 0.5 < sum(document.source == "behaviours" for document in made) / 150 < 0.7
    assert any("thing a" in getattr(part, "text", "") for document in made for part in document.parts)
    assert sum(Reading.SHARES.values()) == pytest.approx(1) and Reading.SHARES.keys() == Behaved.SHARES.keys()
    assert all(Reading.SHARES[kind] > Behaved.SHARES[kind] for kind in ("passages", "seen"))


def test_data_of_preferences_are_made_of_a_corpus(corpus, tmp_path, monkeypatch):
    """What is supervised are the right answers to the very questions of RLHF, in their order."""
    recipe = Path(__file__).parents[2] / "recipes" / "tune_behaviours_pairs.py"
    monkeypatch.setattr(
        sys, "argv", [str(recipe), str(tmp_path), "--corpus", str(corpus), "--count", "30", "--heldout", "9"]
    )
    runpy.run_path(str(recipe), run_name="__main__")
    for before, count in (("", 30), ("heldout_", 9)):
        read = {
            kind: [json.loads(line) for line in (tmp_path / f"{before}{kind}.jsonl").read_text().splitlines()]
            for kind in ("pairs", "questions", "dialogues")
        }
        assert {len(lines) for lines in read.values()} == {count}
        for question, dialogue in zip(read["questions"], read["dialogues"], strict=True):
            *prompt, answer = dialogue["parts"]
            assert prompt == question["prompt"]["parts"]
            assert verify.reward(verify.checked(question["check"]), answer["text"]) == 1


def test_behaviours_come_in_the_last_stage_alone(corpus):
    stages = Stage("before", 1e4, {"world": 1}), Stage("last", 1e4, {"world": 1})
    mixture = Behaved(corpus, stages, 1e3, seed=3)
    sources = [[mixture.document(stage * STAGE + n).source for n in range(60)] for stage in range(2)]
    assert {*sources[0]} == {"world"} and {*sources[1]} == {"world", "behaviours"}


def test_they_go_with_documents_as_they_are(corpus):
    stage = Stage("long", 1e4, {"gnome-help": 1}, plain=True, join=10_000)
    mixture, plain = Behaved(corpus, [stage], 1e3, seed=3), Mixture(corpus, [stage], 1e3, seed=3)
    others = [n for n in range(80) if mixture.document(n).source != "behaviours"]
    assert 20 < len(others) < 60 and all(mixture.document(n) == plain.document(n) for n in others)


def test_a_corpus_that_lacks_a_source_is_told(corpus, tmp_path):
    told = json.loads((corpus / "corpus.json").read_text())
    for name in told["sources"]:
        if name != "voices":
            (tmp_path / name).symlink_to(corpus / name)
    del told["sources"]["voices"]
    (tmp_path / "corpus.json").write_text(json.dumps(told))
    mixture = Behaved(tmp_path, [Stage("a", 1e4, {"world": 1})], 1e3)
    with pytest.raises(BadInput, match="no source 'voices'"):
        mixture.behaviour(_rng(0))
    assert "voices" in NEEDED


def test_cases_of_preferences_are_of_every_behaviour_and_judge_themselves_right():
    facts = Facts(_facts())
    made = list(itertools.islice(cases.cases(facts, 3), 400))
    assert set(cases.spread(made)) == {
        *("attribution", "hedging", "closed-book", "over-hedging", "refusal", "over-refusal"),
    }
    for case in made:
        assert case.good != case.bad
        check = verify.checked(case.check)
        assert verify.reward(check, case.good) == 1, (case.good, check)
        assert verify.reward(check, case.bad) == 0, (case.bad, check)
        assert case.pair().behaviour == case.behaviour
    assert made[:9] == list(itertools.islice(cases.cases(facts, 3), 9))
    lands = [
        {"subject": {"en": f"Land{n}"}, "answer": f"Town{n}", "group": f"asked/capital/Land{n}"} for n in range(40)
    ]
    usual = {"relation": "capital", "language": "en"}
    facts = Facts(Item("fact", usual | land | {"asked": asked}) for land in lands for asked in (False, True))
    sides = [list(itertools.islice(cases.cases(facts, 3, heldout), 400)) for heldout in (False, True)]
    for behaviour in cases.spread(sides[0]):
        mine = [[case.turns[0].parts[0].text for case in some if case.behaviour == behaviour] for some in sides]
        first, second = ({verify.words(asked) for asked in some} for some in mine)
        assert first and second and not first & second, behaviour
