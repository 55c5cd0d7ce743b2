"""Rewards that can be verified: is this answer right? Arithmetic, facts, quotations, admissions of not knowing.

A check is JSON: {"kind": "number", "answer": 7}
                 {"kind": "fact", "answers": ["Paris"], "others": ["London", …]}
                 {"kind": "quote", "answers": ["1887"], "passage": "… built in 1887 …"}
                 {"kind": "unknown", "says": ["don't know", …]}
A "fact" or "quote" may have "says" as well, and then "abstained", what an answer earns that says so; 0 if not given.
An "unknown" may have "others", which who owns up may not name: that would be a guess.
"""

import math
import re
import unicodedata
from collections.abc import Callable, Mapping
from typing import Any

from tejat.errors import BadInput
from tejat.posttrain.lines import is_number

Check = Mapping[str, Any]

_NUMBER = re.compile(r"[-−]?\d+(?:[.,]\d+)*")
_QUOTED = re.compile(r'"([^"]+)"|“([^”]+)”|«\s*([^»]+?)\s*»|„([^“”]+)[“”]|「([^」]+)」')
_FIELDS = {"number": {"answer"}, "fact": {"answers"}, "quote": {"answers", "passage"}, "unknown": {"says"}}
_OPTIONAL = {
    "number": set(),
    "fact": {"others", "says", "abstained"},
    "quote": {"says", "abstained"},
    "unknown": {"others"},
}


def checked(value: Any) -> Check:
    """The check, if it is one. Raises BadInput, saying why not."""
    if not isinstance(value, Mapping) or value.get("kind") not in _FIELDS:
        raise BadInput(f'its "check" has no kind of {", ".join(_FIELDS)}')
    kind, given = value["kind"], value.keys() - {"kind"}
    if lost := sorted(_FIELDS[kind] - given):
        raise BadInput(f'its "check" of kind {kind} lacks "{lost[0]}"')
    if strange := sorted(given - _FIELDS[kind] - _OPTIONAL[kind]):
        raise BadInput(f'its "check" of kind {kind} has an unknown "{strange[0]}"')
    for name in ("answers", "others", "says"):
        if name in value and not _are_words(value[name]):
            raise BadInput(f'"{name}" of its "check" is not a list of words')
    if kind == "number" and not is_number(value["answer"]):
        raise BadInput('"answer" of its "check" is not a number')
    if kind == "quote" and not isinstance(value["passage"], str):
        raise BadInput('"passage" of its "check" is not text')
    if "abstained" in value and not (is_number(value["abstained"]) and "says" in value):
        raise BadInput('"abstained" of its "check" is not a number, or there is no "says"')
    return value


def reward(check: Check, answer: str) -> float:
    """0 (wrong) to 1 (right) for an answer's text."""
    if check["kind"] != "unknown" and "says" in check and says(answer, check["says"]):
        return float(check.get("abstained", 0.0))
    return _KINDS[check["kind"]](check, answer)


def says(answer: str, phrases: list[str]) -> bool:
    """Does the answer say one of these?"""
    text = words(answer)
    return any(_within(words(phrase), text) for phrase in phrases)


def words(text: str) -> str:
    """Letters and digits in lower case, one space between words: what is compared."""
    plain = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(re.sub(r"[^\w]+", " ", plain).split())


def _number(check: Check, answer: str) -> float:
    """The last number of the answer counts; separators of thousands are read over."""
    found = _NUMBER.findall(answer)
    if not found:
        return 0.0
    text = found[-1].replace("−", "-")
    if re.fullmatch(r"-?\d{1,3}(,\d{3})+(\.\d+)?", text):
        text = text.replace(",", "")
    try:
        return float(math.isclose(float(text.replace(",", ".")), check["answer"], rel_tol=1e-9, abs_tol=1e-9))
    except ValueError:  # a date, or another run of digits and points
        return 0.0


def _fact(check: Check, answer: str) -> float:
    """One of the answers is named, and none of the others, unless it is part of the right one."""
    text = words(answer)
    right = [mine for mine in map(words, check["answers"]) if _within(mine, text)]
    rest = f" {text} "
    for mine in sorted(right, key=len, reverse=True):
        rest = rest.replace(f" {mine} ", " ")
    return float(bool(right) and not any(_within(words(other), rest.strip()) for other in check.get("others", ())))


def _quote(check: Check, answer: str) -> float:
    """Half for naming an answer, half for a quotation that stands in the passage word for word and has it in it."""
    text, passage = words(answer), words(check["passage"])
    named = any(_within(words(one), text) for one in check["answers"])
    quoted = [words(next(filter(None, found))) for found in _QUOTED.findall(answer)]
    faithful = bool(quoted) and all(_within(each, passage) for each in quoted)
    proves = any(_within(words(one), each) for one in check["answers"] for each in quoted)
    return 0.5 * named + 0.5 * (named and faithful and proves)


def _unknown(check: Check, answer: str) -> float:
    text = words(answer)
    guessed = any(_within(words(other), text) for other in check.get("others", ()))
    return float(says(answer, check["says"]) and not guessed)


_KINDS: dict[str, Callable[[Check, str], float]] = {
    "number": _number,
    "fact": _fact,
    "quote": _quote,
    "unknown": _unknown,
}


def _within(part: str, whole: str) -> bool:
    """Do whole words of one stand in the other? Where no spaces divide words, as in Chinese, anywhere counts."""
    if not part:
        return False
    spaced = all(ord(letter) < 0x2E80 for letter in part)
    return f" {part} " in f" {whole} " if spaced else part.replace(" ", "") in whole.replace(" ", "")


def _are_words(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(each, str) and words(each) for each in value)
