"""A corpus as a value: sources, cleaning and the stages of its mixture. Recipe files define `RECIPE`."""

import functools
import hashlib
import inspect
import json
import runpy
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tejat.data.corpus.source import Items, Source, Step
from tejat.data.mixture import Stage
from tejat.errors import BadInput

SIZES = ("full", "small")


@dataclass(frozen=True)
class Corpus:
    """Everything that one build needs.

    Attributes:
      name: of the corpus.
      sources: in this order, which decides what a later near-duplicate is a duplicate of.
      clean: steps that look at one item at a time, in this order.
      across: steps that remember what they saw, over all sources in their order.
      stages: of the mixture.
    """

    name: str
    sources: Sequence[Source]
    clean: Sequence[Step] = ()
    across: Sequence[Step] = ()
    stages: Sequence[Stage] = field(default=())

    def __post_init__(self) -> None:
        names = [source.name for source in self.sources]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise BadInput(f"the corpus {self.name!r} has two sources named {twice[0]!r}; name each once")
        for stage in self.stages:
            unknown = sorted({*stage.weights, *stage.final} - {*names})
            if unknown:
                raise BadInput(f"the stage {stage.name!r} weighs {unknown[0]!r}, which is no source of {self.name!r}")


def read(path: Path) -> Corpus:
    """The RECIPE of a file. Raises BadInput for a file that is missing, fails, or defines no corpus."""
    if not path.is_file():
        raise BadInput(f"there is no recipe {path}; give a Python file that defines RECIPE")
    try:
        value = runpy.run_path(str(path)).get("RECIPE")
    except BadInput as error:
        raise BadInput(f"the recipe {path} is refused: {error}") from error
    except Exception as error:
        raise BadInput(f"the recipe {path} fails ({type(error).__name__}: {error}); mend it") from error
    if not isinstance(value, Corpus):
        raise BadInput(f"the recipe {path} defines no RECIPE of type Corpus; see recipes/corpus.py")
    return value


def chosen(corpus: Corpus, only: Sequence[str], size: str) -> list[Source]:
    """The sources to build. Raises BadInput for a name that is none."""
    known = {source.name: source for source in corpus.sources}
    for name in only:
        if name not in known:
            raise BadInput(f"the corpus {corpus.name!r} has no source {name!r}; there are {', '.join(known)}")
    sources = [source for source in corpus.sources if not only or source.name in only]
    return [source for source in sources if size == "full" or source.small]


def identity(corpus: Corpus, source: Source, size: str, limit: int | None) -> str:
    """A hash of what decides a source's items, but for its packages: its manifest, the code of its parser, the names of
    the steps. A source that is there under another identity is built again."""
    items = source.items
    told = [
        source.name,
        [str(package) for package in source.packages],
        [repr(getattr(items, "args", "")), repr(getattr(items, "keywords", ""))],
        [hashlib.sha256(path.read_bytes()).hexdigest() for path in _code(items)],
        source.cap if size == "full" else source.small,
        limit,
        [f"{type(step).__module__}.{type(step).__qualname__}" for step in (*corpus.clean, *corpus.across)],
    ]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:16]


def _code(items: Items) -> list[Path]:
    """The file of a parser and those of this package that it uses something of."""
    while isinstance(items, functools.partial):
        items = items.func
    own = inspect.getsourcefile(items)
    used = {getattr(value, "__module__", None) for value in getattr(items, "__globals__", {}).values()}
    here = {name for name in used if isinstance(name, str) and name.startswith("tejat.data.corpus.")}
    files = {sys.modules[name].__file__ for name in here - {"tejat.data.corpus.source"}}
    return sorted({Path(file) for file in (own, *files) if file})
