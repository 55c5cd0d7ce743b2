"""A corpus as a value: sources, cleaning and the stages of its mixture. Recipe files define `RECIPE`."""

import runpy
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tejat.data.corpus.identity import Identity, identity, step_codes
from tejat.data.corpus.source import Source, Step, name_of
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

    Raises BadInput for no sources, steps that are none, two of a name, and stages that weigh what is no source.
    """

    name: str
    sources: Sequence[Source]
    clean: Sequence[Step] = ()
    across: Sequence[Step] = ()
    stages: Sequence[Stage] = field(default=())

    def __post_init__(self) -> None:
        if not self.sources:
            raise BadInput(f"the corpus {self.name!r} has no source; give at least one")
        for step in (*self.clean, *self.across):
            if isinstance(step, type) or not callable(step) or not hasattr(step, "report"):
                raise BadInput(
                    f"the corpus {self.name!r} has the step {step!r}, which is none; give one such as "
                    "language.Language() of tejat.data.cleaning"
                )
        names = [source.name for source in self.sources]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise BadInput(f"the corpus {self.name!r} has two sources named {twice[0]!r}; name each once")
        steps = [name_of(step) for step in (*self.clean, *self.across)]
        again = sorted({step for step in steps if steps.count(step) > 1})
        if again:
            raise BadInput(
                f"the corpus {self.name!r} has two steps named {again[0]!r}; give the report of one another name"
            )
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


def identities(corpus: Corpus, sources: Sequence[Source], size: str, limit: int | None) -> dict[str, Identity]:
    """What decides the items of each source, by its name. One that is there under another identity is built again."""
    steps = step_codes((name_of(step), step) for step in (*corpus.clean, *corpus.across))
    return {
        source.name: identity(source, steps, source.cap if size == "full" else source.small, limit)
        for source in sources
    }
