"""Checks: what they accept, what they do not, and checks that are none."""

import pytest

from tejat.errors import BadInput
from tejat.posttrain import verify

NUMBER = {"kind": "number", "answer": 12}
FACT = {"kind": "fact", "answers": ["Guinea-Bissau"], "others": ["Guinea", "Gabon"]}
QUOTE = {"kind": "quote", "answers": ["1887"], "passage": "The tower was begun in 1887, and finished two years later."}
UNKNOWN = {"kind": "unknown", "says": ["I do not know", "不知道"]}


@pytest.mark.parametrize(
    ("answer", "earns"),
    [
        ("12", 1),
        ("It is 12.", 1),
        ("7 + 5 is 12.0", 1),
        ("13, no: 12", 1),
        ("12 or 13", 0),
        ("twelve", 0),
        ("", 0),
        ("1.2.3", 0),
        ("-12", 0),
        ("−12", 0),
    ],
)
def test_numbers(answer, earns):
    assert verify.reward(NUMBER, answer) == earns


def test_thousands():
    assert verify.reward({"kind": "number", "answer": 12_345}, "That makes 12,345.") == 1
    assert verify.reward({"kind": "number", "answer": 3.5}, "3,5") == 1


@pytest.mark.parametrize(
    ("answer", "earns"),
    [
        ("Guinea-Bissau.", 1),
        ("It lies in guinea bissau!", 1),
        ("Guinea", 0),
        ("Guinea-Bissau or Gabon", 0),
        ("Guinea or Guinea-Bissau", 0),
        ("", 0),
    ],
)
def test_facts(answer, earns):
    assert verify.reward(FACT, answer) == earns


@pytest.mark.parametrize(
    ("answer", "earns"),
    [
        ('1887 ("The tower was begun in 1887")', 1),
        ("1887: “begun in 1887, and finished”", 1),
        ("In 1887.", 0.5),
        ('1887 ("It was begun in the year 1887")', 0.5),  # no such words
        ('1887 ("finished two years later")', 0.5),  # proves nothing
        ('1889 ("begun in 1887")', 0.5 * 0),
    ],
)
def test_quotations(answer, earns):
    told = answer.replace("begun in 1887", "begun in that year") if answer.startswith("1889") else answer
    assert verify.reward(QUOTE, told) == earns


def test_admissions():
    assert verify.reward(UNKNOWN, "I do not know: it is not told.") == 1
    assert verify.reward(UNKNOWN, "这个我不知道。") == 1
    assert verify.reward(UNKNOWN, "Paris") == 0
    told = UNKNOWN | {"others": ["Paris"]}
    assert [verify.reward(told, said) for said in ("I do not know.", "I do not know, but Paris", "Paris")] == [1, 0, 0]
    wavering = FACT | {"says": ["I do not know"], "abstained": 0.25}
    assert verify.reward(wavering, "I do not know. Guinea-Bissau?") == 0.25
    assert verify.reward(FACT | {"says": ["I do not know"]}, "I do not know") == 0


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ({"kind": "taste"}, "no kind of number, fact"),
        ("number", "no kind"),
        ({"kind": "number"}, 'lacks "answer"'),
        ({"kind": "number", "answer": "7"}, "not a number"),
        ({"kind": "number", "answer": 10**400}, "not a number"),
        ({"kind": "fact", "answers": []}, "not a list of words"),
        ({"kind": "fact", "answers": ["…"]}, "not a list of words"),
        ({"kind": "quote", "answers": ["a"], "passage": 3}, "not text"),
        ({"kind": "unknown", "says": ["no"], "colour": 1}, 'unknown "colour"'),
        ({"kind": "fact", "answers": ["a"], "abstained": 0.2}, "no"),
    ],
)
def test_what_is_no_check(value, told):
    with pytest.raises(BadInput, match=told):
        verify.checked(value)


def test_what_is_one():
    for check in (NUMBER, FACT, QUOTE, UNKNOWN):
        assert verify.checked(check) == check
