"""Rules and classifier of prose: real prose of ten languages stays, what is none goes, in every script."""

import random

import numpy as np
import pytest

from tejat import sample
from tejat.data.cleaning.learned_quality import BITS, LEAST, SHIPPED, SHORTEST, Model, Quality, features, fit
from tejat.data.cleaning.quality import Heuristics, faults
from tejat.data.cleaning.safety import Safety, unsafe
from tejat.data.cleaning.wordlists import stopwords
from tejat.data.cleaning.words import words
from tejat.data.shards import Item
from tejat.errors import BadInput


@pytest.fixture(scope="module")
def pages() -> dict[str, list[str]]:
    """Passages of three paragraphs by language."""
    return {
        language: ["\n".join(lines[k : k + 3]) for k in range(0, min(len(lines), 150) - 2, 3)]
        for language in sample.languages()
        if (lines := sample.prose(language).splitlines())
    }


def items(texts: list[str], language: str) -> list[Item]:
    return [Item("text", {"text": text, "language": language}) for text in texts]


def test_prose_of_every_language_passes_the_rules(pages):
    for language, texts in pages.items():
        step = Heuristics()
        assert list(step(items(texts, language))) == items(texts, language), step.report.lines()


def test_function_words_tell_languages_apart(pages):
    assert set(pages) <= set(stopwords())
    for own, other in (("en", "ru"), ("ru", "de"), ("ja", "ko"), ("ko", "en"), ("zh", "ru"), ("de", "ko")):
        texts = [text for text, count in zip(pages[own], words(pages[own]).counts, strict=True) if count > 60]
        found = faults(texts, [other] * len(texts))
        assert found.count("no function words of its language") > 0.8 * len(texts) > 0, (own, other)


def test_the_classifier_leaves_short_texts_and_code_alone():
    step = Quality()
    records = [*items(["| A | B | C |", "menu"], "en"), *items(["x = [1]; " * 40], "zxx")]
    assert list(step(records)) == records


@pytest.mark.parametrize(
    ("text", "language", "reason"),
    [
        ("Two words", "en", "fewer than three words"),
        ("+----+----+\n| 12 | 44 | a b c\n+----+----+ 0x3f 0x4e 0x11", "en", "hardly letters"),
        ("antidisestablishmentarianismwithoutspaces " * 4, "en", "words too short or too long"),
        ("a b c d e f g h i j k", "en", "words too short or too long"),
        ("der die und in den von zu das " * 3 + "Haus Hof Baum Tier Kind Mann Frau " * 5, "en", "no function words"),
        ("this is the cat. " * 30, "en", "a few words over and over"),
        ("很多很多很多" * 30 + "的一是", "zh", "a few words over and over"),
        ("\n".join(f"and then the {k} story of {k + 7} more ..." for k in range(20)), "en", "most lines are cut off"),
    ],
)
def test_what_is_no_prose_is_told(text, language, reason):
    (found,) = faults([text], [language])
    assert found.startswith(reason)


def test_a_passage_that_comes_again_is_told(pages):
    text = pages["en"][0]
    assert faults([text], ["en"]) == [""]
    assert faults(["\n".join([text] * 3)], ["en"]) == ["passages that come again"]


def test_a_run_of_characters_is_twice_as_long_as_one_of_words():
    """Of Chinese, refrains of fifteen characters are seven words: shorter than the runs that count."""
    fill = "".join(map(chr, range(0x5100, 0x5100 + 7 * 12)))
    verses = [f"我的家在东北松花江上那里有森林。{fill[7 * k : 7 * k + 7]}。" for k in range(12)]
    twice = "\n".join(["这是一段很长的话，其中没有别的内容，只是为了试一试而写下来的，请不要在意。"] * 4)
    assert faults(["\n".join(verses), twice], ["zh", "zh"]) == ["", "passages that come again"]


def test_code_and_other_kinds_pass_the_rules():
    step = Heuristics()
    records = [Item("text", {"text": "{}[]();", "language": "zxx"}), Item("drawing", {"name": "x"}, {"svg": b""})]
    assert list(step(records)) == records and step.report.notes["no prose, passed"] == 2


def menu(text: str) -> str:
    """Its words in any order, a line for each."""
    parts = text.split() if text.count(" ") > len(text) / 12 else list(text)
    random.Random(0).shuffle(parts)
    return "\n".join(part.strip(".,;:").capitalize() for part in parts)


def test_the_shipped_classifier_sets_prose_above_menus_in_every_language(pages):
    model = Model.load(SHIPPED)
    for language in pages:
        texts = sample.prose(language, heldout=True).splitlines()
        held = [text for text, count in zip(texts, words(texts).counts, strict=True) if count >= SHORTEST]
        good, bad = model(held), model([menu(text) for text in held])
        assert good.min() > LEAST and np.median(bad) < 0.2 < 0.6 < np.median(good), language


def test_the_classifier_learns_what_it_is_shown():
    random = np.random.default_rng(0)
    good = [" ".join(random.choice(["soft", "warm", "mild"], 40)) for _ in range(60)]
    bad = [" ".join(random.choice(["SOFT!", "WARM!", "mild"], 40)) for _ in range(60)]
    found = features(good[:50] + bad[:50])
    assert found.ids.min() >= 0 and found.ids.max() < 1 << BITS
    np.testing.assert_allclose(np.bincount(found.text_of, found.share), 3, rtol=1e-5)
    model = fit(found, np.repeat([1.0, 0.0], 50), steps=80, batch=50)
    assert (model(good[50:]) > 0.9).all() and (model(bad[50:]) < 0.1).all()


def test_a_classifier_is_the_same_from_its_file_and_a_damaged_one_is_told(tmp_path):
    weights = np.random.default_rng(0).standard_normal(1 << BITS).astype(np.float32)
    Model(weights, 0.5).save(tmp_path / "model.npz")
    kept = Model.load(tmp_path / "model.npz")
    assert np.abs(kept.weights - weights).max() < 0.02 and kept.bias == 0.5
    (tmp_path / "model.npz").write_bytes(b"PK")
    with pytest.raises(BadInput, match="recipes/quality.py"):
        Model.load(tmp_path / "model.npz")


def test_prose_of_every_language_passes_the_lists(pages):
    for language, texts in pages.items():
        step = Safety()
        assert list(step(items(texts, language))) == items(texts, language), step.report.lines()


@pytest.mark.parametrize(
    ("text", "language", "kind"),
    [
        ("child porn " + "word " * 500, "en", "abuse"),
        ("porn, blowjob and porn again", "en", "explicit"),
        ("porn, blowjob and porn again", "", "explicit"),
        ("porn, blowjob and porn again, in a page of " + "many words " * 200, "en", ""),
        ("A study of pornography and the law.", "en", ""),
        ("How to make a bomb: how to build a bomb", "en", "harm"),
        ("口交 肛交 色情", "zh", "explicit"),
    ],
)
def test_lists_condemn_by_number_and_share(text, language, kind):
    assert unsafe(text, language)[0] == kind


def test_reports_of_the_lists_veil_what_they_found():
    step = Safety()
    assert list(step(items(["porn, blowjob and porn again"], "en"))) == []
    assert "b·····b" in step.report.examples["pornography"][0]
