"""Pages, words, facts and parallel texts as documents: pure, whole, and in the languages that they say."""

from collections import Counter

import numpy as np
import pytest

from tejat.data.corpus.language import NAMES
from tejat.data.presenting import facts, present, wording
from tejat.data.presenting.facts import ASKED, STATED
from tejat.data.presenting.pages import joined
from tejat.data.presenting.wording import LANGUAGES, wordings
from tejat.data.shards import Item
from tejat.parts import Document

PAGE = {"title": "Printing", "text": "How to print.\n\n" + "More words. " * 30, "summary": "Print.", "language": "de"}
ITEMS = {
    "page": [Item("page", PAGE)],
    "package": [Item("package", {**PAGE, "title": "cups"})],
    "code": [Item("code", {"text": "x = 1", "path": "a/b.py", "language": "zxx"})],
    "dictionary": [Item("dictionary", {"text": "Abend\nevening", "from": "de", "language": "en"})],
    "meaning": [
        Item("meaning", {"words": ["dog", "domestic dog"], "part": "noun", "meaning": "a pet", "language": "en",
                         "examples": ["the dog barked"], "above": ["canine"]}),
        Item("meaning", {"words": ["cat"], "part": "noun", "meaning": "another pet", "language": "en"}),
    ],
    "parallel": [
        Item("parallel", {"texts": {"en": "one", "de": "eins", "fr": "un"}}),
        Item("parallel", {"texts": {"en": "two", "de": "zwei"}}),
        Item("text", {"text": "in between"}),
        Item("parallel", {"texts": {"de": "drei", "fr": "trois"}}),
    ],
    "fact": [
        Item("fact", {"relation": r, "subject": {"en": "France", "de": "Frankreich"}, "answer": a, "asked": asked})
        for r, a in (("capital", "Paris"), ("landlocked", "No"), ("area", "551,695 km²"))
        for asked in (False, True)
    ],
}  # fmt: skip


def drawn(items: list[Item], k: int, count: int = 300) -> list[Document]:
    return [present(items, k, np.random.default_rng(n)) for n in range(count)]


@pytest.mark.parametrize("kind", ITEMS)
def test_a_document_is_a_function_of_its_arguments(kind):
    assert drawn(ITEMS[kind], 0, 30) == drawn(ITEMS[kind], 0, 30)


@pytest.mark.parametrize("kind", ITEMS)
def test_dialogues_end_with_what_is_learnt(kind):
    documents = [d for k, item in enumerate(ITEMS[kind]) if item.kind == kind for d in drawn(ITEMS[kind], k)]
    for document in documents:
        assert all(part.text.strip() for part in document.parts)
        if any(document.roles):
            turns = len(document.roles) // 2
            assert document.roles == ("user", "model") * turns and document.loss == (False, True) * turns
            assert turns == 1 or kind in ("fact", "parallel")
        else:
            assert document.loss == (True,)


def test_a_page_is_read_titled_and_summed_up():
    documents = drawn(ITEMS["page"], 0)
    plain = [d for d in documents if not any(d.roles)]
    assert 0.65 < len(plain) / len(documents) < 0.85
    assert {d.parts[0].text for d in plain} == {f"# Printing\n\n{PAGE['text']}"}
    answers = Counter(d.parts[-1].text for d in documents if any(d.roles))
    assert {*answers} == {"Printing", "Print."}
    for document in documents:
        if any(document.roles) and document.parts[1].text == "Printing":
            assert "Printing" not in document.parts[0].text  # the answer is not in the question
            assert "Überschrift" in document.parts[0].text or "Abschnitt" in document.parts[0].text


def test_of_a_page_in_pieces_only_the_first_is_asked_about():
    middle = [Item("page", {**PAGE, "piece": [1, 3]})]
    assert {d.parts[0].text for d in drawn(middle, 0)} == {PAGE["text"]}


def test_translations_are_between_the_languages_that_they_name():
    found = Counter()
    # The third has no English: what another has is asked for in its own turn.
    texts = [item.fields["texts"] for item in ITEMS["parallel"] if item.kind == "parallel"]
    of = {text: code for pair in texts for code, text in pair.items()}
    called = wordings("words")["languages"]
    for document in drawn(ITEMS["parallel"], 0, 500):
        text = document.parts[0].text
        if any(document.roles):
            said = [part.text for part in document.parts]
            for asked, answer in zip(said[::2], said[1::2], strict=True):
                place = LANGUAGES.index(of[answer])
                assert any(names[place].lower() in asked.lower() for names in called.values())
                assert any(text in asked for pair in texts if answer in pair.values() for text in pair.values())
                assert answer not in asked.split()
                found[of[answer]] += 1
        elif " | " in text:
            head, *lines = text.split("\n")
            pairs = [tuple(line.split(" | ")) for line in (head, *lines)]
            names = {NAMES[code]: code for code in ("en", "de", "fr")}
            one, other = (names[name] for name in pairs[0])
            assert pairs[1:] == [(t[one], t[other]) for t in texts if one in t and other in t]
        else:
            assert all(line.partition(": ")[0] in NAMES.values() for line in text.split("\n"))
    assert all(found[code] > 20 for code in ("en", "de", "fr"))


def test_a_function_is_asked_for_by_what_it_says_that_it_does():
    program = 'def twice(a):\n    """Returns twice a number."""\n    return 2 * a\n'
    items = [Item("code", {"text": f"import os\n\n\n{program}\n\nx = 1", "path": "a/b.py", "language": "zxx"})]
    asked = [[part.text for part in document.parts] for document in drawn(items, 0) if any(document.roles)]
    assert 0 < len(asked) < 100
    for question, answer in asked:
        if answer == "Returns twice a number.":
            assert "return 2 * a" in question and answer not in question
        else:
            assert "Returns twice a number" in question and answer == f"```python\n{program}```"
    assert len({answer for _, answer in asked}) == 2


@pytest.fixture
def plainly(monkeypatch):
    """Nothing is misspelt, and nothing asked that is not there."""
    monkeypatch.setattr(wording, "CASUAL", 0.0)
    monkeypatch.setattr(facts, "NOWHERE", 0.0)


@pytest.mark.usefixtures("plainly")
def test_facts_are_told_in_languages_that_they_have():
    stated = Counter(d.parts[0].text for d in drawn(ITEMS["fact"], 0))
    assert any("capital of France is Paris" in text for text in stated)
    assert any("Hauptstadt von Frankreich ist Paris" in text for text in stated)
    assert not any("Francia" in text or "{" in text for text in stated)
    asked = {(d.parts[0].text, d.parts[1].text) for d in drawn(ITEMS["fact"], 1)}
    assert ("What is the capital of France?", "Paris") in asked and {answer for _, answer in asked} == {"Paris"}
    assert {*ASKED} - {*STATED} == {"landlocked"}


@pytest.mark.usefixtures("plainly")
def test_facts_are_asked_one_after_the_other():
    """Those near item k that are questions, from it on, each with its own answer."""

    def of(subject: str, answer: str, asked: bool) -> Item:
        return Item("fact", {"relation": "symbol", "subject": {"en": subject}, "answer": answer, "asked": asked})

    metals = (("iron", "Fe"), ("gold", "Au"), ("tin", "Sn"))
    items = [of(subject, answer, asked) for subject, answer in metals for asked in (False, True)]
    seen = {tuple(part.text for part in document.parts) for document in drawn(items, 3)}
    ways = ASKED["symbol"]["en"]
    gold, tin = ([(way.format(s=subject), answer) for way in ways] for subject, answer in metals[1:])
    assert seen <= {*gold, *((*first, *second) for first in gold for second in tin)}
    assert {len(told) for told in seen} == {2, 4}
    stated = {frozenset(document.parts[0].text.split(". ")) for document in drawn(items, 2)}
    assert all("iron" not in sentence for told in stated for sentence in told) and {len(told) for told in stated} == {
        1,
        2,
    }


def test_a_dictionary_page_takes_its_neighbours_along():
    texts = {d.parts[0].text for d in drawn(ITEMS["meaning"], 0) if not any(d.roles)}
    one = 'dog, domestic dog (noun): a pet; "the dog barked"'
    assert texts == {one, f"{one}\ncat (noun): another pet"}


def test_pieces_of_a_page_are_joined_to_a_long_one():
    def piece(number: int, language: str = "en", group: str = "g") -> Item:
        text = f"piece {number} ".ljust(100, ".")
        return Item("text", {"text": text, "language": language, "group": group, "piece": [number, 5]})

    items = [piece(0), piece(1), piece(2), piece(4), piece(0, "de"), piece(1, "de", "h"), Item("text", {"text": "x"})]
    texts = [item.fields["text"] for item in items]
    assert joined(items, 0, 1_000).fields["text"] == "\n\n".join(texts[:3])  # the fourth is not there
    assert joined(items, 0, 210).fields["text"] == "\n\n".join(texts[:2])
    assert joined(items, 1, 50) == items[1]
    assert [joined(items, k, 1_000) for k in (3, 4, 5)] == items[3:6]
