"""Measures against values computed by hand, and against the packages that define them."""

import jiwer
import pytest
import sacrebleu
from hypothesis import given
from hypothesis import strategies as st

from tejat.evals import measures

WORDS = st.lists(st.sampled_from(["the", "cat", "sat", "on", "a", "mat"]), max_size=8).map(" ".join)


def test_rouge_by_hand() -> None:
    said, due = "the cat sat on the mat", "the cat is on the mat"
    assert measures.rouge_n(said, due, 1) == pytest.approx(5 / 6)
    assert measures.rouge_n(said, due, 2) == pytest.approx(3 / 5)
    assert measures.rouge_l(said, due) == pytest.approx(5 / 6)
    assert measures.rouge_l("Mat the. ON", "on the mat") == pytest.approx(1 / 3)
    assert measures.rouge_l("", "on the mat") == measures.rouge_l("a", "") == 0
    assert measures.words("東京 Tower") == ["東", "京", "tower"]


@given(WORDS, WORDS)
def test_word_errors_are_jiwers(said: str, due: str) -> None:
    if due:
        found = jiwer.process_words(due, said)
        errors = found.substitutions + found.deletions + found.insertions
        assert measures.word_errors(said, due) == (errors, len(due.split()))


def test_errors_of_characters() -> None:
    assert measures.character_errors("Hallo, Welt", "hello welt") == (1, 10)
    assert measures.word_errors("東京都", "東京", "ja") == (1, 2)


def test_chrf_and_bleu() -> None:
    assert measures.chrf("the cat", "the cat") == pytest.approx(1) and measures.chrf("xyz", "the cat") == 0
    said = ["the cat sat on a mat today", "猫が寝る", "no"]
    due = ["the cat sat on the mat", "猫が寝ている", "yes it is"]
    for language, tokenize in (("en", "13a"), ("ja", "char")):
        counts = sum(measures.bleu_counts(a, b, language) for a, b in zip(said, due, strict=True))
        together = sacrebleu.corpus_bleu(said, [due], tokenize=tokenize).score
        assert measures.bleu_of(counts) == pytest.approx(together) and 0 < together < 100


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("12 + 5 = 17", [12, 5, 17]),
        ("1,250.5 kg", [1250.5]),
        ("3/4", [0.75]),
        ("−4 °C", [-4]),
        ("none", []),
        ("1/0", []),
    ],
)
def test_numbers(text: str, found: list[float]) -> None:
    assert measures.numbers(text) == found


@pytest.mark.parametrize(
    ("said", "due", "right"),
    [("104", "100", True), ("106", "100", False), ("about 98", "100", True), ("-3", "3", False), ("0", "0", True)]
    + [("France", "france", True), ("Spain", "France", False), ("7", "Type 7", False), ("", "100", False)],
)
def test_relaxed(said: str, due: str, right: bool) -> None:
    assert measures.relaxed(said, due) is right
