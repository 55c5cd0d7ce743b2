"""What decides a source's items, as a hash: by it a build knows which sources of a corpus it may keep.

A source is built again where its manifest, its parser, a step of cleaning that looked at something in it, or the
content of one of its packages is another than when it was built; else it is kept. `reach` says what code counts.
"""

import functools
import hashlib
import inspect
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tejat.data.corpus import counting, ledger, packages
from tejat.data.corpus.packages import Package, Pin
from tejat.data.corpus.reach import ROOT, digest, reached, whole
from tejat.data.corpus.source import Source, Step


@dataclass(frozen=True)
class Identity:
    """Of a source as a recipe has it.

    Attributes:
      items: of its manifest, its parser, and what a step looks at (`cleaning.records`).
      steps: by the name of each step of cleaning, in their order, a hash of its code and settings.
    """

    items: str
    steps: Mapping[str, str]

    def told(self, looked: Mapping[str, bool]) -> dict[str, Any]:
        """For the ledger, once it is built; `looked`: has a step had anything to look at?"""
        return {
            "items": self.items,
            "steps": {name: code if looked[name] else None for name, code in self.steps.items()},
        }

    def differs(self, found: Mapping[str, Any], current: Callable[[Package], Pin | None] = packages.current) -> str:
        """What of a source that is there is another than here, by its ledger; "" where it may be kept.

        Args:
          found: the source's ledger.
          current: which content of a package would be taken now; None where that cannot be said without a network.
        """
        told = found.get("identity")
        if not isinstance(told, dict) or told.get("items") != self.items:
            return "its manifest or its parser"
        known: Mapping[str, str | None] = told["steps"]
        mine = {name: code for name, code in self.steps.items() if known.get(name, code) is not None}
        theirs = {name: code for name, code in known.items() if code is not None}
        if [*mine.items()] != [*theirs.items()]:
            other = [name for name in {**mine, **theirs} if mine.get(name) != theirs.get(name)]
            return f"its cleaning: {', '.join(other) or 'the order of the steps'}"
        for used in found.get("packages", ()):
            now = current(Package(used["kind"], used["name"]))
            if now is not None and now.sha256 != used["sha256"]:
                return f"the package {used['kind']}:{used['name']} {used['version']}, now {now.version}"
        return ""


def identity(source: Source, steps: Mapping[str, str], cap: int | None, limit: int | None) -> Identity:
    """Of a source that goes through the steps (`step_codes`); `cap` is in bytes, `limit` in items."""
    told = [source.name, [str(package) for package in source.packages], cap, limit, source.licence, source.copyleft]
    told += [_told(source.items), _told(source.heldout), _told(source.measure or ledger.measure), whole(_RECORDS)]
    return Identity(digest(told), steps)


def step_codes(steps: Iterable[tuple[str, Step]]) -> dict[str, str]:
    """A hash of the code and the settings of each step, by its name, in their order."""
    return {name: digest([type(step).__qualname__, _told(step)]) for name, step in steps}


def presenting() -> str:
    """A hash of all that makes documents of items, and counts their tokens: how long they are depends on it, and no
    item."""
    files = sorted((ROOT / "data/presenting").rglob("*"))
    code = [whole(file) for file in files if file.suffix == ".py"]
    lists = (hashlib.sha256(file.read_bytes()).hexdigest() for file in files if file.suffix == ".json")
    return digest([*code, *lists, counting.reference()])


_RECORDS = ROOT / "data/cleaning/records.py"


def _told(value: Any) -> Any:
    """A value as JSON which is the same in every process: functions by their code, objects by their settings."""
    match value:
        case None | bool() | int() | float() | str():
            return value
        case bytes():
            return hashlib.sha256(value).hexdigest()
        case np.ndarray():
            return [str(value.dtype), list(value.shape), hashlib.sha256(np.ascontiguousarray(value)).hexdigest()]
        case np.generic():
            return value.item()
        case Path():
            return value.name
        case list() | tuple():
            return [_told(inner) for inner in value]
        case set() | frozenset():
            return sorted(json.dumps(_told(inner)) for inner in value)
        case dict():
            return sorted([json.dumps(_told(key)), _told(inner)] for key, inner in value.items())
        case functools.partial():
            return [_told(value.func), _told(value.args), _told(value.keywords)]
    if inspect.isfunction(value):
        kept = [_told(cell.cell_contents) for cell in value.__closure__ or ()]
        return [value.__qualname__, reached(Path(value.__code__.co_filename), _outermost(value)), kept]
    if isinstance(value, type):
        files = {Path(each.__code__.co_filename) for each in vars(value).values() if inspect.isfunction(each)}
        there = sorted(file for file in files if file.exists())  # not what a dataclass generates
        return [value.__qualname__, *(reached(file, _outermost(value)) for file in there)]
    settings = {name: inner for name, inner in getattr(value, "__dict__", {}).items() if name != "report"}
    return [_told(type(value)), _told(settings)]


def _outermost(of: Any) -> str:
    return of.__qualname__.partition(".")[0]
