"""Words of many texts at once, as 64-bit hashes in NumPy arrays, in any script.

A word is a run of letters, marks and digits, in lower case and composed form (NFC). Scripts that set no spaces between
words have no such runs: there each character counts as a word (Han, kana, Thai, Lao, Khmer, Burmese, Tibetan …).
Punctuation, white space and symbols only separate. Python's `str` methods do the folding; all else is arrays, some 10
million characters a second on one core.
"""

import unicodedata
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from jaxtyping import Bool, Int64, UInt8, UInt64

SEPARATOR, LETTER, ALONE, DIGIT = 0, 1, 2, 3
"""Classes of characters."""

_TABLE = 0x20000  # characters from here on are rare Han, all alone
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # odd: powers of it are a permutation of each word's characters
_LONGEST = 64  # characters of a word that count

# First and last of blocks whose scripts set no spaces between words.
_UNSPACED = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x0F00, 0x0FFF),  # Tibetan
    (0x1000, 0x109F),  # Burmese
    (0x1780, 0x17FF),  # Khmer
    (0x1950, 0x19DF),  # Tai Le, New Tai Lue
    (0x1A20, 0x1AAF),  # Tai Tham
    (0x2E80, 0x2FFF),  # radicals
    (0x3005, 0x3007),
    (0x3021, 0x3029),
    (0x3040, 0x30FF),  # kana
    (0x3100, 0x312F),  # bopomofo
    (0x31A0, 0x31FF),
    (0x3400, 0x4DBF),  # Han
    (0x4E00, 0x9FFF),
    (0xA000, 0xA4CF),  # Yi
    (0xA9E0, 0xA9FF),
    (0xAA60, 0xAADF),
    (0xF900, 0xFAFF),
    (0xFF66, 0xFF9D),
    (0x1B000, 0x1B2FF),
)


@dataclass(frozen=True)
class Words:
    """The words of a batch of texts, one after the other.

    Attributes:
      hashes: of each word.
      offsets: text k has the words offsets[k] to offsets[k + 1].
      alone: is the word a character of a script without spaces?
      telling: is it that, or of two characters and more of which the first is a letter?
    """

    hashes: UInt64[np.ndarray, " n"]
    offsets: Int64[np.ndarray, " texts+1"]
    alone: Bool[np.ndarray, " n"]
    telling: Bool[np.ndarray, " n"]

    @property
    def counts(self) -> Int64[np.ndarray, " texts"]:
        return np.diff(self.offsets)

    @property
    def text_of(self) -> Int64[np.ndarray, " n"]:
        """The text that each word is of."""
        return np.repeat(np.arange(len(self.counts)), self.counts)

    @property
    def unspaced(self) -> Bool[np.ndarray, " texts"]:
        """Is most of each text in a script without spaces?"""
        return 2 * np.bincount(self.text_of, self.alone, len(self.counts)) > self.counts


def words(texts: Sequence[str]) -> Words:
    """The words of the texts."""
    folded = [_folded(text) for text in texts]
    # A separator after each text keeps its last word from growing into the next text.
    points = np.frombuffer("\n".join([*folded, ""]).encode("utf-32-le"), "<u4")
    lengths = np.fromiter((len(text) + 1 for text in folded), np.int64, len(folded))
    classes = classes_of(points)
    inside = (classes == LETTER) | (classes == DIGIT)
    before = np.concatenate([[False], inside[:-1]]) if len(inside) else inside
    starts = (inside & ~before) | (classes == ALONE)
    begins = np.flatnonzero(starts)
    if not len(begins):
        none = np.zeros(0, bool)
        return Words(np.zeros(0, np.uint64), np.zeros(len(texts) + 1, np.int64), none, none)
    kept = np.flatnonzero(classes != SEPARATOR)
    # Of each kept character: the word that it is in, and its place there.
    word = np.cumsum(starts[kept]) - 1
    place = np.minimum(kept - begins[word], _LONGEST - 1)
    terms = (points[kept].astype(np.uint64) + np.uint64(1)) * _powers()[place]
    # `kept` runs through words without gaps, so a word's terms are neighbours.
    firsts = np.searchsorted(kept, begins)
    hashes = mixed(np.add.reduceat(terms, firsts))
    ends = np.cumsum(lengths)
    offsets = np.concatenate([[0], np.searchsorted(begins, ends)]).astype(np.int64)
    alone = classes[begins] == ALONE
    long = np.diff(firsts, append=len(kept)) > 1
    return Words(hashes, offsets, alone, alone | (long & (classes[begins] == LETTER)))


def classes_of(points: np.ndarray) -> UInt8[np.ndarray, " n"]:
    """The class of each code point."""
    return _table()[np.minimum(points, _TABLE)]


def runs(words: Words, n: int) -> tuple[UInt64[np.ndarray, " m"], Int64[np.ndarray, " m"]]:
    """Hashes of all runs of n words that lie within one text, and the word that each begins at."""
    for _, hashes, at in all_runs(words, [n]):
        return hashes, at
    return np.zeros(0, np.uint64), np.zeros(0, np.int64)


def all_runs(
    words: Words, sizes: Collection[int]
) -> Iterator[tuple[int, UInt64[np.ndarray, " m"], Int64[np.ndarray, " m"]]]:
    """(n, hashes, places) as `runs` gives them, for each n of `sizes` that some text has."""
    count = len(words.hashes)
    left = np.repeat(words.offsets[1:], words.counts) - np.arange(count)  # words from here to the end of the text
    hashes = np.zeros(count, np.uint64)
    for n in range(1, max(sizes, default=0) + 1):
        hashes = hashes[: count - n + 1] * _MULTIPLIER + words.hashes[n - 1 :]
        if n in sizes:
            at = np.flatnonzero(left[: len(hashes)] >= n)
            yield n, mixed(hashes[at]), at
        if n >= count:
            return


def mixed(hashes: UInt64[np.ndarray, " n"]) -> UInt64[np.ndarray, " n"]:
    """Hashes whose every bit depends on every bit of those given (the finaliser of SplitMix64)."""
    hashes = (hashes ^ (hashes >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    hashes = (hashes ^ (hashes >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return hashes ^ (hashes >> np.uint64(31))


def _folded(text: str) -> str:
    text = text.lower()
    return text if text.isascii() else unicodedata.normalize("NFC", text)


@cache
def _powers() -> UInt64[np.ndarray, " 64"]:
    return np.cumprod(np.full(_LONGEST, _MULTIPLIER, np.uint64))


@cache
def _table() -> UInt8[np.ndarray, " 131073"]:
    kinds = {"L": LETTER, "M": LETTER, "N": DIGIT}  # letters, marks, numbers
    each = (kinds.get(unicodedata.category(chr(p))[0], SEPARATOR) for p in range(_TABLE + 1))
    table = np.fromiter(each, np.uint8, _TABLE + 1)
    unspaced = np.zeros_like(table)
    for first, last in _UNSPACED:
        unspaced[first : last + 1] = 1
    table[(table != SEPARATOR) & (unspaced == 1)] = ALONE
    table[_TABLE] = ALONE
    table.flags.writeable = False
    return table
