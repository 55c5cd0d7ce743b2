"""A classifier of prose: logistic regression over hashed runs of words and of shapes. recipes/quality.py trains it.

A text is seen as three bags: its words, its pairs of words, and runs of one to four shapes. A shape is a run of
characters of one class (small letters, capitals, letters without case, digits, white space, each sign) and how long it
is, so that it says in any language where words end, sentences begin and signs stand. Each bag is a mean: long texts and
short ones are judged alike. The weights of words know the ten languages of the training text; of any other, shapes
decide.
"""

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Int64, UInt8, UInt64

from tejat.data.cleaning.records import Record, group, is_prose, text
from tejat.data.cleaning.report import Report
from tejat.data.cleaning.words import mixed, runs, words
from tejat.errors import BadInput

SHIPPED = Path(__file__).parent / "lists" / "quality.npz"
BITS = 16  # of a feature's hash
LONGEST = 4_000  # characters of a text that are looked at
SHORTEST = 30  # words of a text that is judged
LEAST = 0.01
"""The probability of being prose below which a text is dropped; see recipes/quality.py for what that costs."""


class Quality:
    """Drops running text that the classifier takes for no prose. Short texts, and code (language "zxx"), pass.

    Nothing grows.
    """

    def __init__(self, least: float = LEAST, path: Path = SHIPPED):
        self.report = Report("learned quality")
        self._model, self._least = Model.load(path), least

    def __call__(self, records: Iterable[Record], source: str = "") -> Iterator[Record]:
        records = iter(records)
        while batch := list(islice(records, 256)):
            texts = [text(record) if is_prose(record) else "" for record in batch]
            for record, content, sure in zip(batch, texts, self._model(texts), strict=True):
                if not content:
                    self.report.notes["no prose, passed"] += 1
                    yield record
                    continue
                told = group(record, source)
                self.report.see(told, len(content))
                if sure < self._least:
                    self.report.drop("no prose, by the classifier", told, f"{sure:.3f}: {content}", len(content))
                else:
                    yield record


@dataclass(frozen=True)
class Features:
    """The features of a batch of texts.

    Attributes:
      ids: hashes below 2^BITS.
      text_of: the text that each is of, in order.
      share: what each counts: the parts of a bag sum to one.
      count: of texts.
    """

    ids: Int64[np.ndarray, " n"]
    text_of: Int64[np.ndarray, " n"]
    share: Float32[np.ndarray, " n"]
    count: int

    def only(self, texts: np.ndarray) -> "Features":
        """Those of some texts, which keep their numbers in the order given."""
        place = np.full(self.count, -1, np.int64)
        place[texts] = np.arange(len(texts))
        kept = place[self.text_of] >= 0
        return Features(self.ids[kept], place[self.text_of[kept]], self.share[kept], len(texts))


@dataclass(frozen=True)
class Model:
    """Weights and bias."""

    weights: Float32[np.ndarray, " 2^BITS"]
    bias: float

    def __call__(self, texts: Sequence[str]) -> Float32[np.ndarray, " texts"]:
        """The probability that each is prose; 1 for those too short to be judged."""
        shown = [content[:LONGEST] for content in texts]
        return np.where(words(shown).counts < SHORTEST, np.float32(1), self.probabilities(features(shown)))

    def probabilities(self, found: Features) -> Float32[np.ndarray, " texts"]:
        """Of texts, by their features."""
        scores = np.bincount(found.text_of, self.weights[found.ids] * found.share, minlength=found.count)
        return (1 / (1 + np.exp(-(scores + self.bias)))).astype(np.float32)

    def save(self, path: Path) -> None:
        """In 8 bits a weight."""
        scale = np.abs(self.weights).max() / 127
        np.savez_compressed(path, weights=np.rint(self.weights / scale).astype(np.int8), scale=scale, bias=self.bias)

    @classmethod
    def load(cls, path: Path) -> "Model":
        """Raises BadInput for a file that is missing or not one of these."""
        try:
            with np.load(path) as found:
                weights, bias = found["weights"].astype(np.float32) * np.float32(found["scale"]), float(found["bias"])
        except (OSError, KeyError, ValueError) as error:
            raise BadInput(f"{path} is no quality classifier ({error}); train one with recipes/quality.py") from error
        if weights.shape != (1 << BITS,):
            raise BadInput(f"{path} has weights of shape {weights.shape}; train it anew with recipes/quality.py")
        return cls(weights, bias)


def fit(found: Features, good: np.ndarray, steps: int = 3_000, batch: int = 512, rate: float = 0.3) -> Model:
    """Logistic regression by Adam on mini-batches, with a little decay. `good` is 1 for prose, 0 for none."""
    random = np.random.default_rng(0)
    weights, bias = np.zeros(1 << BITS, np.float32), 0.0
    mean, square = np.zeros_like(weights), np.zeros_like(weights)
    # Features stand in the order of their texts, so those of a text are a slice.
    edges = np.searchsorted(found.text_of, np.arange(found.count + 1))
    for step in range(1, steps + 1):
        chosen = random.choice(found.count, min(batch, found.count), replace=False)
        rows = np.concatenate([np.arange(edges[k], edges[k + 1]) for k in chosen])
        place = np.repeat(np.arange(len(chosen)), edges[chosen + 1] - edges[chosen])
        ids, share = found.ids[rows], found.share[rows]
        scores = np.bincount(place, weights[ids] * share, minlength=len(chosen)) + bias
        wrong = 1 / (1 + np.exp(-scores)) - good[chosen]
        slope = np.bincount(ids, wrong[place] * share, minlength=len(weights)) / len(chosen) + 1e-6 * weights
        mean += 0.1 * (slope - mean)
        square += 0.01 * (slope**2 - square)
        now = rate * (1 - step / steps)
        weights -= (now * (mean / (1 - 0.9**step)) / (np.sqrt(square / (1 - 0.99**step)) + 1e-6)).astype(np.float32)
        bias -= now * float(wrong.mean())
    return Model(weights, bias)


def features(texts: Sequence[str]) -> Features:
    """The features of texts."""
    found = words(texts)
    bags = [_bag(runs(found, n)[0], _text_of(found.offsets, runs(found, n)[1]), n) for n in (1, 2)]
    symbols, offsets = _shapes(texts)
    text_of = np.repeat(np.arange(len(texts)), np.diff(offsets))
    ids, owners = [], []
    hashes = np.zeros(len(symbols), np.uint64)
    for n in range(1, 5):
        hashes = hashes[: len(symbols) - n + 1] * np.uint64(0x100000001B3) + symbols[n - 1 :]
        within = text_of[: len(hashes)] == text_of[n - 1 :]
        ids.append(mixed(hashes[within] + np.uint64(n << 60)))
        owners.append(text_of[: len(hashes)][within])
    bags.append(_bag(np.concatenate(ids), np.concatenate(owners), 3))
    joined = [np.concatenate([bag[k] for bag in bags]) for k in range(2)]
    share = np.concatenate([_shares(bag[1], len(texts)) for bag in bags])
    order = np.argsort(joined[1], kind="stable")
    return Features(joined[0][order], joined[1][order], share[order], len(texts))


def _bag(hashes: UInt64[np.ndarray, " n"], text_of: np.ndarray, family: int) -> tuple[np.ndarray, np.ndarray]:
    mine = mixed(hashes + np.uint64(family)) >> np.uint64(64 - BITS)
    return mine.astype(np.int64), text_of.astype(np.int64)


def _shares(text_of: np.ndarray, count: int) -> Float32[np.ndarray, " n"]:
    return (1 / np.maximum(np.bincount(text_of, minlength=count), 1)).astype(np.float32)[text_of]


def _text_of(offsets: np.ndarray, at: np.ndarray) -> np.ndarray:
    return np.searchsorted(offsets, at, side="right") - 1


def _shapes(texts: Sequence[str]) -> tuple[UInt64[np.ndarray, " n"], Int64[np.ndarray, " texts+1"]]:
    """(shapes of all texts, where those of each begin)."""
    points = np.frombuffer("\0".join([*texts, ""]).encode("utf-32-le"), "<u4")
    classes = _table()[np.minimum(points, len(_table()) - 1)]
    starts = np.flatnonzero(np.diff(classes, prepend=np.uint8(255)) != 0)
    lengths = np.diff(starts, append=len(classes))
    buckets = np.minimum(np.log2(lengths).astype(np.uint64), 5)  # 1, 2-3, 4-7, 8-15, 16-31, more
    symbols = classes[starts].astype(np.uint64) + np.uint64(64) * buckets
    ends = np.cumsum([len(content) + 1 for content in texts])
    return symbols, np.concatenate([[0], np.searchsorted(starts, ends)]).astype(np.int64)


@cache
def _table() -> UInt8[np.ndarray, " 131073"]:
    """Classes of characters.

    0 parts texts, 1 small, 2 capital, 3 other letters and marks, 4 digits, 5 spaces, 6 ends of lines, 7 other
    punctuation, 8 other symbols, 9 the rest; from 10 on the signs of ASCII, each its own.
    """
    kinds = {"Ll": 1, "Lu": 2, "L": 3, "M": 3, "N": 4, "Z": 5, "P": 7, "S": 8}
    table = np.empty((1 << 17) + 1, np.uint8)
    for point in range(len(table)):
        category = unicodedata.category(chr(point))
        table[point] = kinds.get(category, kinds.get(category[0], 9))
    for number, sign in enumerate("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"):
        table[ord(sign)] = 10 + number
    table[[0, ord("\t"), ord("\n")]] = 0, 5, 6
    return table
