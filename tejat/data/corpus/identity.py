"""What decides a source's items, as a hash: by it a build knows which sources of a corpus it may keep.

A source is built again where its manifest, its parser, a step of cleaning that looked at something in it, or the
content of one of its packages is another than when it was built; else it is kept. Code is hashed as it is parsed,
without comments and docstrings: the file of a function, and the files of this project's parsers and cleaning that it
imports, with the lists beside them that they name. What stands under all of it (shards, decoding of media, the build
itself) is not hashed.
"""

import ast
import functools
import hashlib
import inspect
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import tejat
from tejat.data.corpus import ledger, packages
from tejat.data.corpus.packages import Package, Pin
from tejat.data.corpus.source import Source, Step

_ROOT = Path(tejat.__file__).parent
_HASHED = ("data/corpus", "data/cleaning", "data/presenting", "data/drawing.py")
_FRAME = frozenset(
    f"data/{name}.py"
    for name in (
        *("corpus/build", "corpus/identity", "corpus/ledger", "corpus/packages", "corpus/recipe", "corpus/report"),
        *("corpus/source", "corpus/spooling", "corpus/writing", "corpus/text_sources", "corpus/media_sources"),
        *("cleaning/report", "cleaning/__init__", "presenting/__init__"),
    )
)
"""Files of which a function counts by itself, and which are not followed: manifests, and the build."""


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
    told += [_told(source.items), _told(source.heldout), _told(source.measure or ledger.measure), _code(_RECORDS)]
    return Identity(_hash(told), steps)


def step_codes(steps: Iterable[tuple[str, Step]]) -> dict[str, str]:
    """A hash of the code and the settings of each step, by its name, in their order."""
    return {name: _hash([type(step).__qualname__, _told(step)]) for name, step in steps}


def presenting() -> str:
    """A hash of all that makes documents of items: how long they are depends on it, and no item."""
    files = sorted((_ROOT / "data/presenting").rglob("*"))
    code = [_code(file) for file in files if file.suffix == ".py"]
    return _hash([*code, *(hashlib.sha256(file.read_bytes()).hexdigest() for file in files if file.suffix == ".json")])


_RECORDS = _ROOT / "data/cleaning/records.py"


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:16]


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
        return _function(value)
    if isinstance(value, type):
        return [value.__qualname__, *map(_function, _methods(value)[:1])]
    settings = {name: inner for name, inner in getattr(value, "__dict__", {}).items() if name != "report"}
    return [_told(type(value)), _told(settings)]


def _methods(of: type) -> list[Any]:
    return [
        value for value in vars(of).values() if inspect.isfunction(value) and Path(value.__code__.co_filename).exists()
    ]


def _function(of: Any) -> list[str]:
    path = Path(of.__code__.co_filename).resolve()
    if _place(path) in _FRAME:
        return [of.__qualname__, ast.unparse(_bare(ast.parse(inspect.getsource(of))))]
    return [of.__qualname__, *(_code(file) for file in sorted(_followed(path)))]


def _place(path: Path) -> str:
    return path.relative_to(_ROOT).as_posix() if path.is_relative_to(_ROOT) else ""


def _followed(path: Path) -> set[Path]:
    """A file, and those of parsers and cleaning that it imports, and that these import."""
    found: set[Path] = set()
    waiting = [path]
    while waiting:
        file = waiting.pop()
        if file not in found:
            found.add(file)
            waiting += _imported(file)
    return found


@functools.cache
def _imported(path: Path) -> tuple[Path, ...]:
    names: list[str] = []
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    files = [_ROOT.parent / f"{name.replace('.', '/')}.py" for name in names if name.startswith("tejat.")]
    return tuple(
        file for file in files if file.is_file() and _place(file).startswith(_HASHED) and _place(file) not in _FRAME
    )


@functools.cache
def _code(path: Path) -> str:
    """Of a file of Python, and of the lists beside it that it names."""
    tree = _bare(ast.parse(path.read_bytes()))
    named = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    lists = [path.parent / "lists" / name for name in sorted(named) if 3 < len(name) < 40 and name.isprintable()]
    data = [hashlib.sha256(file.read_bytes()).hexdigest() for file in lists if file.is_file()]
    return _hash([ast.unparse(tree), *data])


def _bare(tree: ast.Module) -> ast.Module:
    """Without docstrings, be they of a module, a class, a function or a value."""
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            kept = [line for line in body if not (isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant))]
            node.body = kept or [ast.Pass()]
    return tree
