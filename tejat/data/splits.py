"""What is kept from training: by concept, family of styles, speaker, data set and group, never by file.

The lists are data files: those that ship (`heldout/AXIS.json`, each with the SHA-256 of its ids, so that a changed one
is noticed), and those that a build writes beside its shards (`SOURCE/heldout.json`, its SHA-256 in the ledger). A
record is held out where *any* axis is. The trainer refuses held-out records (`Training`, `refuse_heldout`): by what
their fields say, and by digest, whatever they say.
"""

import hashlib
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from tejat.data.cleaning.duplicates import digest
from tejat.data.cleaning.records import Record
from tejat.data.shards import Item, Shards
from tejat.errors import BadInput, Refused

FOLDER = Path(__file__).parent / "heldout"


@dataclass(frozen=True)
class HeldOut:
    """Lists of what is held out.

    Attributes:
      ids: by axis; `fields` has the fields of an item that name one.
      fields: by axis.
      groups: what a source's fields["group"] may not be, by source.
      digests: of held-out records.
    """

    ids: Mapping[str, frozenset[str]] = field(default_factory=dict)
    fields: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    groups: Mapping[str, frozenset[str]] = field(default_factory=dict)
    digests: frozenset[int] = frozenset()

    @classmethod
    def of(cls, records: Iterable[Record], ids: Mapping[str, Iterable[str]] | None = None) -> "HeldOut":
        """The shipped lists, these records, and more ids by axis; an axis that does not ship is a field of items."""
        known = _shipped()
        more = {axis: frozenset(found) for axis, found in (ids or {}).items()}
        return cls(
            {axis: known.ids.get(axis, frozenset()) | more.get(axis, frozenset()) for axis in {*known.ids, *more}},
            {axis: (axis,) for axis in more} | dict(known.fields),
            digests=frozenset(map(digest, records)),
        )

    @classmethod
    def of_corpus(cls, directory: Path) -> "HeldOut":
        """The shipped lists, and what a built corpus holds out. Reads its held-out shards, a few per cent of it.

        Raises BadInput for a corpus without a ledger, and for a list that is not as the build wrote it.
        """
        known, groups, digests = _shipped(), {}, set[int]()
        for name, told in _ledger(directory)["sources"].items():
            path = directory / name / "heldout.json"
            try:
                listed = path.read_bytes()
                groups[name] = frozenset(map(str, json.loads(listed)))
            except (OSError, ValueError) as error:
                raise BadInput(f"the held-out list {path} cannot be read ({error}); build the source again") from error
            if hashlib.sha256(listed).hexdigest() != told.get("heldout_sha256"):
                raise BadInput(f"the held-out list {path} was changed since the build; build the source again")
            digests.update(map(digest, Shards(directory, name, "heldout")))
        return cls(known.ids, known.fields, groups, frozenset(digests))

    def why(self, record: Record, source: str = "") -> str:
        """Why a record is held out, "" where it is not."""
        if isinstance(record, Item):
            for axis, found in self.ids.items():
                for name in self.fields[axis]:
                    if (value := record.fields.get(name)) and (held := found & _names(value)):
                        return f"its {axis} {min(held)!r} is held out"
            group = record.fields.get("group")
            if group is not None and str(group) in self.groups.get(source, ()):
                return f"its group {group!r} of {source} is held out"
        return "it is a held-out record, to the byte" if self.digests and digest(record) in self.digests else ""


def is_heldout(axis: str, id: str) -> bool:
    """Is it on the shipped list of an axis ("concept", "style", "speaker", "dataset")? Raises KeyError for another."""
    return id in _shipped().ids[axis]


def by_checksum(axis: str, id: str, share: float) -> bool:
    """Is it in the share that is held out of an axis without a list? Depends on the two names alone."""
    return zlib.crc32(f"{axis}/{id}".encode()) % 10_000 < share * 10_000


def refuse_heldout(records: Iterable[Record], heldout: HeldOut | None = None, source: str = "") -> Iterator[Record]:
    """The records, as long as none is held out. Raises Refused at the first that is."""
    heldout = heldout or _shipped()
    for number, record in enumerate(records):
        _refuse(record, number, heldout, source)
        yield record


class Training(Sequence[Item]):
    """Items to train on, each checked when it is first read. Raises Refused for one that is held out."""

    def __init__(self, items: Sequence[Item], heldout: HeldOut, source: str = ""):
        self._items, self._heldout, self._source = items, heldout, source
        self._passed = bytearray(len(items))  # a page of facts reads ten items, most of them known

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index):
        if isinstance(index, slice):
            return [self[k] for k in range(*index.indices(len(self)))]
        item = self._items[index]
        if not self._passed[index]:
            _refuse(item, index, self._heldout, self._source)
            self._passed[index] = True
        return item


def listed(path: Path) -> tuple[str, tuple[str, ...], frozenset[str]]:
    """(axis, fields, ids) of a held-out list. Raises BadInput for one that cannot be read or was changed by hand."""
    try:
        value = json.loads(path.read_text())
        axis, fields, ids, due = value["axis"], value["fields"], value["heldout"], value["sha256"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadInput(f"the held-out list {path} cannot be read ({error!r}); install Tejat again") from error
    if sha256(ids) != due:
        raise BadInput(f"the held-out list {path} was changed by hand; install Tejat again, or run recipes/heldout.py")
    return axis, tuple(fields), frozenset(ids)


def sha256(ids: Sequence[str]) -> str:
    """Of a list's ids, one a line."""
    return hashlib.sha256("".join(f"{id}\n" for id in ids).encode()).hexdigest()


@cache
def _shipped() -> HeldOut:
    lists = [listed(path) for path in sorted(FOLDER.glob("*.json"))]
    return HeldOut({axis: ids for axis, _, ids in lists}, {axis: fields for axis, fields, _ in lists})


def _ledger(directory: Path) -> dict[str, Any]:
    path = Path(directory) / "corpus.json"
    try:
        value = json.loads(path.read_text())
        if isinstance(value.get("sources"), dict):
            return value
    except (OSError, ValueError, AttributeError) as error:
        raise BadInput(f"{path} cannot be read ({error}); build the corpus with `tejat data build`") from error
    raise BadInput(f"{path} is no ledger of a corpus; build the corpus with `tejat data build`")


def _names(value: Any) -> set[str]:
    """The names in a field: it is one, a list of them, or keyed by them."""
    return {value} if isinstance(value, str) else {v for v in value if isinstance(v, str)}


def _refuse(record: Record, number: int, heldout: HeldOut, source: str) -> None:
    if why := heldout.why(record, source):
        where = f"record {number}" + (f" of {source}" if source else "")
        raise Refused(f"{where} is not to be trained on: {why}; build the corpus again, or leave it out of the recipe")
