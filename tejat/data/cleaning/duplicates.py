"""Records that were there before: the same text exactly, or nearly (MinHash, Broder 1997; LSH, Indyk & Motwani 1998).

Both drop a record for an earlier one that was kept, of any source; the first stays. `remember` makes them know records
without dropping any: those of sources that a build finished before it was stopped. While `heldout` is set, what stays
is held out: doubles of it must not be trained on, and are told apart in reports.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import numpy as np
from jaxtyping import UInt32, UInt64

from tejat.data.cleaning.records import UNREAD, Record, group, is_plain, text
from tejat.data.cleaning.report import Report
from tejat.data.cleaning.table import Table
from tejat.data.cleaning.words import mixed, runs, words
from tejat.data.shards import Item
from tejat.errors import BadInput

HELD_OUT = "of a held-out record"


class Exact:
    """Drops records whose text, letter case and white space aside, or whose fields and media, were there before.

    What grows: 20 to 40 bytes for each record. Digests have 64 bits: of 10 million records, 3 in a million runs of this
    would drop one wrongly.
    """

    def __init__(self) -> None:
        self.report = Report("exact duplicates")
        self.heldout = False
        self._seen = Table()

    def remember(self, records: Iterable[Record], heldout: bool = False) -> None:
        """Knows these from now on."""
        for batch in _batches(records):
            self._seen.add(_digests(batch), np.full(len(batch), int(heldout)))

    def __call__(self, records: Iterable[Record], source: str = "") -> Iterator[Record]:
        for batch in _batches(records):
            digests = _digests(batch)
            before = self._seen.find(digests)
            _, firsts = np.unique(digests, return_index=True)
            first = np.zeros(len(batch), bool)
            first[firsts] = True
            self._seen.add(digests, np.full(len(batch), int(self.heldout)))
            for record, known, new in zip(batch, before, first, strict=True):
                told, content = group(record, source), text(record)
                self.report.see(told, len(content))
                if known < 0 and new:
                    yield record
                else:
                    reason = f"the same, {HELD_OUT}" if known == 1 and not self.heldout else "the same"
                    self.report.drop(reason, told, content, len(content))


class Near:
    """Drops running text whose runs of five words are those of an earlier text, by `threshold` (Jaccard, estimated).

    128 values of MinHash (rensa's R-MinHash) in 16 bands of 8: a pair of similarity 0.9 is looked at with probability
    0.9999, of 0.8 with 0.95, of 0.6 with 0.24, and then dropped if its sketches agree in `threshold` of the values
    (standard error 0.035). Texts of fewer than `least` words are kept: by chance alone, they are like others. Records
    that are not running text pass.

    What grows: for each text kept, 256 bytes of sketch, 320 to 640 of index, and its first 80 characters for reports.
    """

    VALUES, BANDS, RUN = 128, 16, 5

    def __init__(self, threshold: float = 0.8, least: int = 20):
        self.report = Report("near duplicates")
        self.heldout = False
        self._threshold, self._least = threshold, least
        self._index, self._sketches = Table(), _Rows(self.VALUES)
        self._heldout: list[bool] = []
        self._heads: list[str] = []

    def remember(self, records: Iterable[Record], heldout: bool = False) -> None:
        """Knows these from now on."""
        for batch, sketches, bands in self._sketched(record for record in records if is_plain(record)):
            for k, _ in enumerate(batch):
                if bands[k, 0]:
                    self._keep(text(batch[k]), sketches[k], bands[k], heldout)

    def __call__(self, records: Iterable[Record], source: str = "") -> Iterator[Record]:
        for batch, sketches, bands in self._sketched(records):
            yield from self._sifted(batch, sketches, bands, source)

    def _sifted(
        self,
        batch: Sequence[Record],
        sketches: UInt32[np.ndarray, "n values"],
        bands: UInt64[np.ndarray, "n bands"],
        source: str,
    ) -> Iterator[Record]:
        before = self._index.find(bands.ravel()).reshape(bands.shape)
        within: dict[int, int] = {}  # bands of the texts of this batch which are kept
        first = len(self._heads)
        added: list[int] = []
        for k, record in enumerate(batch):
            if not bands[k, 0]:
                self.report.notes["too short or no running text, passed"] += 1
                yield record
                continue
            told, content = group(record, source), text(record)
            self.report.see(told, len(content))
            keys = bands[k].tolist()
            like = {within[key] for key in keys if key in within} | set(before[k][before[k] >= 0].tolist())
            twin = self._twin(sketches[k], sorted(like))
            if twin is None:
                within |= dict.fromkeys(keys, len(self._heads))
                added.append(k)
                self._remember(content, sketches[k], self.heldout)
                yield record
            else:
                held = self._heldout[twin] and not self.heldout
                reason = f"nearly the same, {HELD_OUT}" if held else "nearly the same"
                self.report.drop(reason, told, f"{content[:120]} ≈ {self._heads[twin]}", len(content))
        self._index.add(bands[added].ravel(), np.repeat(np.arange(first, first + len(added)), self.BANDS))

    def _twin(self, sketch: UInt32[np.ndarray, " values"], like: list[int]) -> int | None:
        if not like:
            return None
        alike = np.mean(self._sketches.rows[like] == sketch.astype(np.uint16), axis=1)
        best = int(np.argmax(alike))
        return like[best] if alike[best] >= self._threshold else None

    def _keep(self, content: str, sketch, bands, heldout: bool) -> None:
        self._index.add(bands, np.full(self.BANDS, len(self._heads)))
        self._remember(content, sketch, heldout)

    def _remember(self, content: str, sketch: UInt32[np.ndarray, " values"], heldout: bool) -> None:
        self._heads.append(content[:80])
        self._heldout.append(heldout)
        self._sketches.append(sketch)

    def _sketched(self, records: Iterable[Record]):
        """(batch, sketches, band keys) in order; the next batch is sketched while one is looked at."""
        batches = _batches(records)
        with ThreadPoolExecutor(1) as pool:
            ahead = None
            for batch in batches:
                coming = batch, pool.submit(self._sketch, [text(r) if is_plain(r) else "" for r in batch])
                if ahead:
                    yield ahead[0], *ahead[1].result()
                ahead = coming
            if ahead:
                yield ahead[0], *ahead[1].result()

    def _sketch(self, texts: Sequence[str]) -> tuple[UInt32[np.ndarray, "n values"], UInt64[np.ndarray, "n bands"]]:
        try:
            from rensa import RMinHash
        except ImportError as error:
            raise BadInput("near-duplicates need rensa; install it with: pip install 'tejat[data]'") from error
        found = words(texts)
        hashes, at = runs(found, self.RUN)
        ends = np.searchsorted(at, found.offsets).astype(np.uint64)
        matrix = RMinHash.digest_matrix_from_flat_token_hashes(hashes, ends, self.VALUES, 1)
        sketches = np.asarray(matrix.to_rows(), np.uint32).reshape(len(texts), self.VALUES)
        bands = sketches.reshape(len(texts), self.BANDS, -1).astype(np.uint64)
        keys = np.zeros(bands.shape[:2], np.uint64)
        for k in range(bands.shape[2]):
            keys = mixed(keys + bands[:, :, k])
        keys = np.maximum(mixed(keys + np.arange(self.BANDS, dtype=np.uint64)), np.uint64(1))
        keys[found.counts < self._least] = 0
        return sketches, keys


class _Rows:
    """Rows of the low 16 bits of values, in one array that doubles."""

    def __init__(self, width: int):
        self._array, self._count = np.zeros((256, width), np.uint16), 0

    @property
    def rows(self) -> np.ndarray:
        return self._array[: self._count]

    def append(self, row: UInt32[np.ndarray, " width"]) -> None:
        if self._count == len(self._array):
            self._array = np.concatenate([self._array, np.zeros_like(self._array)])
        self._array[self._count] = row.astype(np.uint16)
        self._count += 1


def _batches(records: Iterable[Record], size: int = 256) -> Iterator[list[Record]]:
    records = iter(records)
    while batch := list(islice(records, size)):
        yield batch


def _digests(batch: Sequence[Record]) -> UInt64[np.ndarray, " n"]:
    return np.asarray([digest(record) for record in batch], np.uint64)


def digest(record: Record) -> int:
    """64 bits that are the same for the same text, letter case and white space aside, or the same fields and media."""
    if is_plain(record):
        content = " ".join(text(record).lower().split()).encode()
    elif isinstance(record, Item):
        fields = {name: value for name, value in record.fields.items() if name not in UNREAD}
        content = Item(record.kind, fields, record.blobs).to_bytes()
    else:
        from tejat.parts import to_json

        content = json.dumps(to_json(record)["parts"], sort_keys=True).encode()
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "little")
