"""Rules of good prose: of letters, words and repetition. After Rae et al. 2021 (Gopher), appendix A.1.1.

The rules there are for English web pages of fifty words and more. Here words are those of `words.py`, which knows
scripts without spaces; runs of words are twice as long in those, since a word of Chinese or Thai is two characters or
more; rules that count on a text's length are for texts that have it; and a language is judged by words of its own.
"""

import re
import string
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

import numpy as np
from jaxtyping import Float64, Int64

from tejat.data.cleaning.records import Record, group, is_prose, language, text
from tejat.data.cleaning.report import Report
from tejat.data.cleaning.wordlists import stopwords
from tejat.data.cleaning.words import Words, mixed, runs, words

JOINED = ("ja", "km", "ko", "lo", "my", "th", "yue", "zh")  # function words stand beside others without a space
SHORTEST = 3  # words: less is no prose
LONG = 50  # words from which a text has a style
FEWEST_LETTERS = 0.5  # of the characters that are no white space
WORD = (1.5, 16.0)  # letters of the mean word, where words are spaced
OPEN_LINES = 0.5  # lines ending in an ellipsis
TOP, TOP_SHARE = 3, 0.3  # words of a run, and what part of a text the commonest may be
AGAIN, AGAIN_SHARE = 10, 0.6  # words of a run, and what part of a text may lie in runs that came before
SAME_LINES = 0.6  # of a text's characters, in lines that came before


class Heuristics:
    """Drops running text that is no prose: hardly letters, words of no language, or the same again and again.

    Nothing grows. Code, tables and proofs (language "zxx") and records of other kinds pass.
    """

    def __init__(self) -> None:
        self.report = Report("quality rules")

    def __call__(self, records: Iterable[Record], source: str = "") -> Iterator[Record]:
        records = iter(records)
        while batch := list(islice(records, 256)):
            prose = [k for k, record in enumerate(batch) if is_prose(record)]
            texts = [text(batch[k]) for k in prose]
            wrong = dict(zip(prose, faults(texts, [language(batch[k]) for k in prose]), strict=True))
            for k, record in enumerate(batch):
                if k not in wrong:
                    self.report.notes["no prose, passed"] += 1
                    yield record
                    continue
                told, content = group(record, source), text(record)
                self.report.see(told, len(content))
                if wrong[k]:
                    self.report.drop(wrong[k], told, content, len(content))
                else:
                    yield record


def faults(texts: Sequence[str], languages: Sequence[str]) -> list[str]:
    """For each text what is wrong with it, "" where nothing is."""
    found = words(texts)
    top, again = repetition(found)
    return [
        _fault(content, tongue, int(count), bool(dense), float(most), float(twice))
        for content, tongue, count, dense, most, twice in zip(
            texts, languages, found.counts, found.unspaced, top, again, strict=True
        )
    ]


def repetition(found: Words) -> tuple[Float64[np.ndarray, " texts"], Float64[np.ndarray, " texts"]]:
    """(share of the commonest run of TOP words, share of words in runs of AGAIN that came before) of each text."""
    text_of, unspaced = found.text_of, found.unspaced
    top, again = np.zeros(len(found.counts)), np.zeros(len(found.counts))
    for dense in (False, True):
        chosen = unspaced == dense
        if not chosen.any():
            continue
        times = 2 if dense else 1
        hashes, at = runs(found, TOP * times)
        most = np.zeros(len(top))
        np.maximum.at(most, *_counts(hashes, text_of[at]))
        top[chosen] = (most * TOP * times * (most > 1) / np.maximum(found.counts, 1))[chosen]
        hashes, at = runs(found, AGAIN * times)
        keys = hashes ^ mixed(text_of[at].astype(np.uint64))
        first = np.zeros(len(keys), bool)
        first[np.unique(keys, return_index=True)[1]] = True
        covered = np.zeros(len(found.hashes) + 1, np.int64)  # each run that came before covers its words
        np.add.at(covered, at[~first], 1)
        np.add.at(covered, at[~first] + AGAIN * times, -1)
        inside = np.cumsum(covered[:-1]) > 0
        again[chosen] = (np.bincount(text_of[inside], minlength=len(again)) / np.maximum(found.counts, 1))[chosen]
    return top, again


def _counts(
    hashes: np.ndarray, text_of: Int64[np.ndarray, " n"]
) -> tuple[Int64[np.ndarray, " m"], Int64[np.ndarray, " m"]]:
    """(text, how often it has the run) for each different run."""
    _, first, counts = np.unique(hashes ^ mixed(text_of.astype(np.uint64)), return_index=True, return_counts=True)
    return text_of[first], counts


def _fault(content: str, tongue: str, count: int, dense: bool, top: float, again: float) -> str:
    if count < SHORTEST:
        return "fewer than three words"
    solid = "".join(content.split())
    letters = _letters(solid)
    if letters < FEWEST_LETTERS * len(solid):
        return "hardly letters"
    if not dense and not WORD[0] <= letters / count <= WORD[1]:
        return "words too short or too long"
    if count < LONG * (2 if dense else 1):
        return ""
    if tongue in stopwords() and not _has_own_words(content, stopwords()[tongue], dense or tongue in JOINED):
        return "no function words of its language"
    lines = [line.strip() for line in content.splitlines() if line.strip()]
    if len(lines) >= 4 and sum(line.endswith(("...", "…")) for line in lines) > OPEN_LINES * len(lines):
        return "most lines are cut off"
    if top > TOP_SHARE:
        return "a few words over and over"
    if again > AGAIN_SHARE:
        return "passages that come again"
    seen: set[str] = set()
    twice = 0
    for line in lines:
        twice += len(line) if line in seen else 0
        seen.add(line)
    return "lines that come again" if twice > SAME_LINES * len(content) else ""


def _has_own_words(content: str, own: frozenset[str], dense: bool) -> bool:
    """Two different ones; one where few are known."""
    content, due = content.lower(), 2 if len(own) >= 15 else 1
    if dense:
        return sum(word in content for word in own) >= due
    return len(own & set(content.split())) >= due


# `str.translate` over the whole is many times faster than a test of each character.
_NO_LETTERS = str.maketrans("", "", "0123456789" + string.punctuation)
_OTHERS = re.compile(r"[^\W\d_]+|[\u0300-\u036f\u0900-\u0dff]+")  # marks of Indic scripts are no \w


def _letters(solid: str) -> int:
    """Letters and marks of a text without white space."""
    left = solid.translate(_NO_LETTERS)
    return len(left) if left.isascii() else sum(map(len, _OTHERS.findall(left)))
