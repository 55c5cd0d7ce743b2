"""Items on disk: ArrayRecord files with random access.

`directory/name/split-00000.array_record`, `split-00001…`: the items of one source and split in the order in which they
were written. A shard is written under another name and renamed when it is whole, so that none is ever half there.

A record is four bytes with the length of its head, the head `[kind, fields, [[name, size], …]]` in JSON, and the blobs
one after the other.
"""

import bisect
import contextlib
import json
import os
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import Any

from array_record.python.array_record_module import ArrayRecordReader, ArrayRecordWriter

from tejat.errors import BadInput

SHARD = 15 << 20
"""Bytes of records in a shard before they are compressed. With its index and padding no file is larger than 16 MiB."""

GROUP = 16
"""Records compressed together. One read decodes all (60 µs for pages of text); alone they would pack a third worse."""


SMALL = 2 << 20
"""Bytes of all shards of a source below which its items are kept decoded, group by group as they are read. Facts and
names are read in tens for a short document; they take some ten times their room on disk."""


@dataclass(frozen=True)
class Item:
    """Raw material of documents: text, vector drawings, compressed sound and clips.

    Attributes:
      kind: which presenter makes a document of it, a key of `tejat.data.presenting.KINDS`.
      fields: anything that JSON holds.
      blobs: bytes by name: SVG, WebP, Opus …
    """

    kind: str
    fields: dict[str, Any] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)

    def to_bytes(self) -> bytes:
        """The record. Raises BadInput for fields that JSON does not hold."""
        sizes = [[name, len(blob)] for name, blob in self.blobs.items()]
        try:
            head = json.dumps(
                [self.kind, self.fields, sizes], ensure_ascii=False, separators=(",", ":"), sort_keys=True
            )
            coded = head.encode()
        except (TypeError, ValueError) as error:  # a lone surrogate is a ValueError too
            raise BadInput(
                f"an item of kind {self.kind!r} cannot be stored ({error}); its fields must be JSON"
            ) from error
        return b"".join([struct.pack("<I", len(coded)), coded, *self.blobs.values()])

    @classmethod
    def from_bytes(cls, record: bytes) -> "Item":
        """The item of a record. Raises ValueError for bytes that are none."""
        if len(record) < 4:
            raise ValueError("the record is shorter than its head")
        at = 4 + struct.unpack_from("<I", record)[0]
        kind, fields, sizes = json.loads(record[4:at].decode())  # bytes would be searched for their encoding
        blobs = {}
        for name, size in sizes:
            blobs[name] = record[at : at + size]
            at += size
        if at != len(record):
            raise ValueError(f"the record has {len(record)} bytes where its head tells of {at}")
        return cls(kind, fields, blobs)


class Writer:
    """Writes the items of one source and split; a context. Left by an exception, it takes back the shard begun.

    Args:
      directory: of the corpus.
      name: of the source.
      split: "train" or "heldout".
      limit: bytes of records in a shard before compression; a larger item has a shard of its own.
      group: records compressed together.
    """

    def __init__(self, directory: Path, name: str, split: str, limit: int = SHARD, group: int = GROUP):
        self._folder, self._split = Path(directory) / name, split
        self._limit, self._options = limit, f"group_size:{group},zstd:9"
        self._writer: ArrayRecordWriter | None = None
        self._room = 0
        self.shards = self.items = 0

    def __enter__(self) -> "Writer":
        return self

    def __exit__(self, kind: type | None, *_: object) -> None:
        if kind is None:
            self.close()
        elif self._writer is not None:
            self._writer.close()
            self._writer = None
            self._part.unlink(missing_ok=True)

    @property
    def _part(self) -> Path:
        return self._folder / f".{self._split}-{self.shards:05d}.part"

    def write(self, item: Item) -> int:
        """Adds an item; its bytes before compression. Raises BadInput for fields that JSON does not hold."""
        record = item.to_bytes()
        if self._writer is not None and len(record) > self._room:
            self.close()
        if self._writer is None:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._writer, self._room = ArrayRecordWriter(str(self._part), self._options), self._limit
        self._writer.write(record)
        self._room -= len(record)
        self.items += 1
        return len(record)

    def close(self) -> None:
        """Makes the last shard whole."""
        if self._writer is None:
            return
        self._writer.close()
        self._writer = None
        os.replace(self._part, self._folder / f"{self._split}-{self.shards:05d}.array_record")
        self.shards += 1


class Shards(Sequence[Item]):
    """All items of one source and split. Files are opened when they are first read; it can be pickled and forked.

    Raises BadInput for a source that is not there, for a shard that is missing, and for damage, which it names.
    """

    def __init__(self, directory: Path, name: str, split: str):
        folder = Path(directory) / name
        if not folder.is_dir():
            raise BadInput(f"there is no source {name!r} in {directory}; build it with `tejat data build`")
        self.paths = sorted(folder.glob(f"{split}-*.array_record"))
        due = [f"{split}-{number:05d}.array_record" for number in range(len(self.paths))]
        lost = sorted({*due} - {path.name for path in self.paths})
        if lost:
            raise BadInput(f"{folder / lost[0]} is missing; build the source again with `tejat data build`")
        self._readers: list[ArrayRecordReader | None] = [None] * len(self.paths)
        self._process = os.getpid()
        self._ends = list(accumulate(map(_count, self.paths)))
        self._small = sum(path.stat().st_size for path in self.paths) <= SMALL
        self._forget()

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def __getitem__(self, index):
        if isinstance(index, slice):
            return [self[k] for k in range(*index.indices(len(self)))]
        if index in self._kept:
            return self._kept[index]
        at = index.__index__()
        if at < 0:
            at += len(self)
        if not 0 <= at < len(self):
            raise IndexError(f"item {index} of {len(self)}")
        shard = bisect.bisect_right(self._ends, at)
        begin = self._ends[shard - 1] if shard else 0
        if self._small:
            first = (at - begin) // GROUP * GROUP
            for place in range(first, min(first + GROUP, self._ends[shard] - begin)):
                with contextlib.suppress(BadInput):
                    self._kept[begin + place] = self._read(shard, place)
            if at in self._kept:
                return self._kept[at]
        return self._read(shard, at - begin)

    def __iter__(self) -> Iterator[Item]:
        """All items in order, each group decoded once."""
        begin = 0
        for shard, end in enumerate(self._ends):
            for first in range(0, end - begin, 8 * GROUP):
                places = list(range(first, min(first + 8 * GROUP, end - begin)))
                try:
                    records = self._reader(shard).read(places)
                    items = [Item.from_bytes(record) for record in records]
                except Exception:  # one of them is damaged: name it
                    items = [self._read(shard, place) for place in places]
                yield from items
            begin = end

    def __getstate__(self) -> dict[str, Any]:
        there = {"_readers": [None] * len(self.paths), "_process": 0, "_near": (-1, 0, []), "_kept": {}}
        return self.__dict__ | there

    def _forget(self) -> None:
        self._near: tuple[int, int, list[bytes]] = (-1, 0, [])
        self._kept: dict[int, Item] = {}

    def _read(self, shard: int, place: int) -> Item:
        # Presenters look at neighbours: the group that was read last is kept, since one read decodes all of it.
        known, first, records = self._near
        try:
            if known != shard or not first <= place < first + len(records):
                first = place - place % GROUP
                count = self._ends[shard] - (self._ends[shard - 1] if shard else 0)
                records = self._reader(shard).read(list(range(first, min(first + GROUP, count))))
                self._near = shard, first, records
            return Item.from_bytes(records[place - first])
        except Exception as error:  # the reader raises several kinds for a damaged file
            where = f"item {place} of {self.paths[shard]}"
            raise BadInput(f"{where} is damaged ({_line(error)}); build the source again") from error

    def _reader(self, shard: int) -> ArrayRecordReader:
        if self._process != os.getpid():  # the threads of a reader do not survive a fork
            self._readers, self._process = [None] * len(self.paths), os.getpid()
        reader = self._readers[shard]
        if reader is None:
            reader = self._readers[shard] = _opened(self.paths[shard])
        return reader


def _opened(path: Path) -> ArrayRecordReader:
    return ArrayRecordReader(str(path), "readahead_buffer_size:0")


def _count(path: Path) -> int:
    try:
        reader = _opened(path)
        count = reader.num_records()
        reader.close()  # raises what went wrong while opening
    except Exception as error:  # as above
        raise BadInput(f"{path} is no whole ArrayRecord file ({_line(error)}); build the source again") from error
    return count


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
