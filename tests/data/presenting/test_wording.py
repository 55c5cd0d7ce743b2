"""Ways to ask: whole in every language, apart from those held out, and typed as people type."""

import re
from importlib import resources

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tejat.data.presenting import wording
from tejat.data.presenting.wording import LANGUAGES, articled, asking, casual, heldout, wordings

FOLDER = resources.files("tejat.data.presenting").joinpath("wordings")
FILES = sorted(file.name.removesuffix(".json") for file in FOLDER.iterdir() if file.name != "heldout.json")
USES = [(name, use) for name in FILES for use in wordings(name)]
ENGLISH = {
    ("concepts", "looks"),
    ("concepts", "three"),
    *(("words", use) for use in ("what", "mean", "word", "synonym", "above", "example", "explain")),
}
"""Uses whose material is English alone."""


def places(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"{(\w*)}", text))


@pytest.mark.parametrize("name", FILES)
def test_every_wording_is_there_in_all_languages_with_the_same_places(name):
    for use, by_language in wordings(name).items():
        texts = [text for texts in by_language.values() for text in texts]
        if name == "facts":
            assert all(places(text) == {"s"} for text in texts), use
            continue
        assert set(by_language) == ({"en"} if (name, use) in ENGLISH else set(LANGUAGES)), use
        assert all(text.strip() for text in texts)
        if name == "words":  # some say the part of speech, some the function's name, some do not
            assert frozenset.intersection(*map(places, texts)) or use in ("languages", "explain")
        else:
            assert len({places(text) for text in texts}) == 1 or use in ("yes_no", "true"), use


def test_wordings_held_out_are_about_a_tenth_and_nowhere_else():
    for name, uses in heldout().items():
        for use, by_language in uses.items():
            for language, texts in by_language.items():
                kept = wordings(name)[use][language]
                assert texts and not {*texts} & {*kept}
                assert len(texts) <= 1 + (len(texts) + len(kept)) / 10
                assert {places(text) for text in texts} <= {places(text) for text in kept}
    asked = [len(texts) for name, use in USES for texts in wordings(name)[use].values() if len(texts) > 5]
    out = [len(texts) for uses in heldout().values() for by in uses.values() for texts in by.values()]
    assert 0.05 < sum(out) / (sum(asked) + sum(out)) < 0.2


@given(st.sampled_from(USES), st.integers(0, 10_000))
@settings(deadline=None)
def test_every_wording_is_filled_however_it_is_typed(use, seed):
    by_language = wordings(use[0])[use[1]]
    random = np.random.default_rng(seed)
    language = sorted(by_language)[seed % len(by_language)]
    parts = {place: f"<{place} {{0}}>" for text in by_language[language] for place in places(text) if place != "name"}
    if language == "en" or any("name" in places(text) for text in by_language[language]):
        parts["name"] = "Ab Cd"
    text = asking(by_language, language, random, **parts)
    assert any(
        all(parts[place] in text or parts[place].lower() in text for place in places(way))
        for way in by_language[language]
    )


def test_a_few_are_typed_carelessly():
    way = "Could you name this, please?"
    typed = [casual(way, np.random.default_rng(n)) for n in range(2_000)]
    careless = [text for text in typed if text != way]
    assert 0.6 * wording.CASUAL < len(careless) / len(typed) < 1.2 * wording.CASUAL
    assert {way.lower(), way[:-1].lower()} <= {*careless}
    assert all(abs(len(text) - len(way)) <= 2 for text in careless)


@pytest.mark.parametrize(
    ("name", "told"),
    [("cat", "a cat"), ("owl", "an owl"), ("unicorn", "a unicorn"), ("glasses", "glasses"), ("bus", "a bus"),
     ("flag: Chad", "flag: Chad"), ("face with tears", "a face with tears"), ("Japanese dolls", "Japanese dolls")],
)  # fmt: skip
def test_english_has_its_articles(name, told):
    assert articled("Draw a {name}.", name).format(name=name) == f"Draw {told}."
