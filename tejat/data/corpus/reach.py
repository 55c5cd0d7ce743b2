"""The code that a function reaches, as a hash: its own, and every definition that it names, in its file and in others.

Followed are the files of parsers, cleaning and presenters (FOLLOWED), through their imports, name by name: that another
function of a file changes touches nobody who does not call it. Code is hashed as it is parsed, without comments and
docstrings. A string that is the name of a file in `lists/` beside the code counts as that file's content. What stands
under all of it is not followed: shards, decoding, drawing, reports, the build.
"""

import ast
import functools
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tejat

ROOT = Path(tejat.__file__).parent
FOLLOWED = ("data/corpus/", "data/cleaning/", "data/presenting/", "data/splits.py")
APART = frozenset(
    (
        *("data/corpus/packages.py", "data/corpus/source.py", "data/corpus/ledger.py", "data/corpus/recipe.py"),
        "data/cleaning/report.py",
    )
)
"""Not followed from elsewhere, though a function of theirs may be asked about."""

LISTS = "lists"


def reached(path: Path, name: str) -> str:
    """A hash of a definition in a file and of all that it reaches; of the whole file, where it has no such name."""
    path = path.resolve()
    if name not in _module(path).definitions:
        return digest([path.name, whole(path)])
    found: dict[tuple[str, str], str] = {}
    waiting = [(path, name)]
    while waiting:
        file, wanted = waiting.pop()
        key = (_place(file) or file.name, wanted)
        if key not in found:
            found[key] = _code(file, wanted)
            waiting += _named(file, wanted)
    return digest(sorted([*key, code] for key, code in found.items()))


@functools.cache
def whole(path: Path) -> str:
    """A hash of a file and of the lists that it names."""
    tree = _bare(ast.parse(path.read_bytes()))
    return digest([ast.unparse(tree), *_lists(path, tree)])


def digest(value: Any) -> str:
    """Of a value that JSON holds, 16 characters."""
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:16]


@dataclass
class _Module:
    """The top of a file: statements by the names that they define or add to, and where other names come from."""

    definitions: dict[str, list[ast.stmt]] = field(default_factory=dict)
    imports: dict[str, tuple[Path, str]] = field(default_factory=dict)  # (file, name in it); "": the file itself


@functools.cache
def _module(path: Path) -> _Module:
    found = _Module()
    tree = _bare(ast.parse(path.read_bytes()))
    for node in _top(tree.body):
        for name in _defined(node):
            found.definitions.setdefault(name, []).append(node)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                inner = _file(f"{node.module}.{alias.name}")
                outer = _file(node.module)
                if inner or outer:
                    found.imports[alias.asname or alias.name] = (inner, "") if inner else (outer, alias.name)
    return found


def _top(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Statements of a file's top, those under an `if`, a `try` or a `with` there included."""
    for node in body:
        if isinstance(node, ast.If | ast.Try | ast.With):
            for part in ("body", "orelse", "finalbody"):
                yield from _top(getattr(node, part, []))
        else:
            yield node


def _defined(node: ast.stmt) -> set[str]:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return {node.name}
    if isinstance(node, ast.Import | ast.ImportFrom):
        return set()
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", node)]
    # Other statements, as `TABLE.update(…)`, change something that they name.
    return {inner.id for target in targets for inner in ast.walk(target) if isinstance(inner, ast.Name)}


def _code(path: Path, name: str) -> str:
    nodes = _module(path).definitions.get(name, [])
    return digest([[ast.unparse(node), *_lists(path, node)] for node in nodes])


def _named(path: Path, name: str) -> Iterator[tuple[Path, str]]:
    """The definitions that a definition names: of its file, of files imported from, of files imported whole."""
    module = _module(path)
    for node in (inner for statement in module.definitions.get(name, []) for inner in ast.walk(statement)):
        if isinstance(node, ast.Name):
            if node.id in module.definitions:
                yield path, node.id
            elif (there := module.imports.get(node.id)) and there[1]:
                yield there
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            there = module.imports.get(node.value.id)
            if there and not there[1]:
                yield there[0], node.attr


def _file(module: str) -> Path | None:
    """The file of a module, if it is one to follow."""
    if not module.startswith("tejat."):
        return None
    path = ROOT.parent / f"{module.replace('.', '/')}.py"
    place = _place(path)
    return path if place.startswith(FOLLOWED) and place not in APART and path.is_file() else None


def _place(path: Path) -> str:
    return path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else ""


def _lists(path: Path, tree: ast.AST) -> list[str]:
    """Hashes of the lists that code names."""
    named = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    lists = [path.parent / LISTS / name for name in sorted(named) if 3 < len(name) < 40 and name.isprintable()]
    return [hashlib.sha256(file.read_bytes()).hexdigest() for file in lists if file.is_file()]


def _bare(tree: ast.Module) -> ast.Module:
    """Without docstrings, be they of a module, a class, a function or a value."""
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            kept = [line for line in body if not (isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant))]
            node.body = kept or [ast.Pass()]
    return tree


def forget() -> None:
    """Files may have changed since they were read."""
    _module.cache_clear()
    whole.cache_clear()
