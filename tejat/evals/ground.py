"""What tasks are made of: the held-out part of a corpus, folders of benchmarks, and how many items are wanted."""

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from tejat.data.shards import Item, Shards
from tejat.errors import BadInput

Thing = TypeVar("Thing")

CORPUS = Path("runs/corpus")
HELD_OUT = "held out of the corpus"
MADE = "made anew from a seed of its own; a small problem may occur in training too"


@dataclass(frozen=True)
class Ground:
    """Where material lies, and how many items a task has at most.

    Attributes:
      corpus: a corpus built by `tejat data build`; CORPUS when None.
      benchmarks: a folder with benchmark files of the user's; None: there is none.
      most: items of a task.
    """

    corpus: Path | None = None
    benchmarks: Path | None = None
    most: int = 1_000

    def heldout(self, *sources: str) -> list[Item]:
        """All held-out items of those of the sources that the corpus has. Raises BadInput where it has none of them."""
        return [item for source in self.present(sources) for item in self.shards(source, "heldout")]

    def present(self, sources: Sequence[str]) -> Sequence[str]:
        """Those of the sources that the corpus has; all, where it has none: the first is then said to be missing."""
        return [source for source in sources if (self.corpus or CORPUS).joinpath(source).is_dir()] or sources

    def shards(self, source: str, split: str) -> Sequence[Item]:
        """The items of a source, on disk. Raises BadInput as `heldout`."""
        corpus = self.corpus or CORPUS
        if not (corpus / "corpus.json").is_file():
            raise BadInput(
                f"there is no corpus in {corpus}; build one with `tejat data build`, or name it with --corpus"
            )
        shards = Shards(corpus, source, split)
        if not len(shards):
            raise BadInput(f"the source {source!r} of {corpus} has no {split} items; build it again or name another")
        return shards

    def some(self, things: Iterable[Thing], seed: str) -> list[Thing]:
        """Up to `most` of the things, spread over all and in their order: the first of a source may be all alike."""
        listed = list(things)
        if len(listed) <= self.most:
            return listed
        chosen = np.sort(rng(seed).permutation(len(listed))[: self.most])
        return [listed[int(n)] for n in chosen]


def rng(*names: str | int) -> np.random.Generator:
    """Chance that depends on the names alone: the same in every run."""
    return np.random.default_rng(zlib.crc32("/".join(map(str, names)).encode()))


def mixed(right: str, wrong: Sequence[str], random: np.random.Generator) -> tuple[str, ...]:
    """The choices in an order that tells nothing."""
    choices = [right, *wrong]
    return tuple(choices[int(n)] for n in random.permutation(len(choices)))
