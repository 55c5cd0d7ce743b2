"""What counts as the same answer."""

import pytest

from tejat.evals.matching import ends, matches, normalise


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("The Cat.", "cat"),
        ("  a  hot\tdog ", "hot dog"),
        ("L’éléphant", "éléphant"),
        ("Guinea-Bissau", "Guinea Bissau"),
        ("straße", "STRASSE"),
        ("ＡＢＣ", "abc"),  # full width
        ("der Hund!", "Hund"),
        ("-5", "−5"),
    ],
)
def test_the_same(said: str, answer: str) -> None:
    assert matches(said, [answer]) and matches(answer, [said])


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("cat", "cats"),
        ("the cat sat", "cat"),
        ("-5", "5"),
        ("3.5", "35"),
        ("peche", "pêche"),
        ("", "cat"),
        ("?", "!"),
        ("", "?"),
        ("a", "the"),
    ],
)
def test_not_the_same(said: str, answer: str) -> None:
    assert not matches(said, [answer])


def test_an_article_alone_is_an_answer() -> None:
    assert normalise("A") == "a"
    assert normalise("Die, die") == "die"


def test_any_of_the_answers() -> None:
    assert matches("automobile", ["car", "the automobile"])
    assert not matches("car", [])


def test_ends_are_whole_words() -> None:
    assert ends("The cat moves left.", ["moves left"]) == "moves left"
    assert ends("The cat moves left", ["left", "moves left"]) == "moves left"
    assert ends("moves left", ["moves left"]) == "moves left"
    assert ends("The cat removes left", ["moves left"]) is None
    assert ends("The cat moves left and grows", ["moves left"]) is None
    assert ends("", ["spins"]) is None and ends("spins", [""]) is None
