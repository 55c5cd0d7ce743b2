"""What a corpus is made from: sources, each a manifest and a function that yields items."""

import re
import zlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from tejat.data.corpus.packages import Package
from tejat.data.shards import Item
from tejat.errors import BadInput

EXAMPLES = 5  # of each reason for dropping
_NAME = re.compile(r"[A-Za-z0-9][\w.-]*")


@dataclass
class Dropped:
    """What a parser or a step leaves out, by reason, with the first few examples: nothing vanishes silently."""

    counts: Counter = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def drop(self, reason: str, example: object = "", count: int = 1) -> None:
        """Counts `count` of what is read (lines, pages, entries: the reason says which) as left out."""
        self.counts[reason] += count
        kept = self.examples[reason]
        if example != "" and len(kept) < EXAMPLES:
            kept.append(" ".join(str(example).split())[:160])

    def to_json(self) -> dict[str, Any]:
        return {
            reason: {"count": count, "examples": self.examples.get(reason, [])}
            for reason, count in self.counts.most_common()
        }


Paths = Mapping[str, Path]
"""The directories of a source's packages by their names; those that could not be had are left out."""

Items = Callable[[Paths, Dropped], Iterable[Item]]
"""A parser or generator. The same packages give the same items in the same order."""


class Step(Protocol):
    """A step of cleaning: of a stream of items, those that stay, perhaps changed. See `tejat.data.cleaning`.

    Its report notes each item that it does not look at under a name that ends in "passed": where that is all of a
    source's, a change of the step does not ask for the source to be built again.
    """

    report: Any

    def __call__(self, records: Iterable[Item], source: str = "") -> Iterator[Item]: ...


def name_of(step: Step) -> str:
    """What a step calls itself."""
    return getattr(step.report, "step", type(step).__name__)


def by_group(item: Item, share: float = 0.01) -> bool:
    """Is the item kept from training? By a checksum of fields["group"], which says what it is about: all languages of
    a page, all lines of a scene are on one side. Items without a group are for training."""
    group = item.fields.get("group")
    return group is not None and zlib.crc32(f"heldout/{group}".encode()) % 10_000 < share * 10_000


@dataclass(frozen=True)
class Source:
    """A source's manifest.

    Attributes:
      name: of its folder in the corpus.
      items: makes its items of the packages' directories.
      packages: where it comes from; none for a generator.
      licence: SPDX expression where there is one.
      copyleft: does the licence ask that what is made from it be shared alike?
      about: one line.
      megabytes: about how much `items` yields, before cleaning and caps; for the time that is left.
      cap: bytes of items at most; the largest languages give way first.
      small: the cap of `--size small`; 0 leaves the source out there.
      heldout: is an item kept from training?
      measure: documents, bytes and tokens of an item by modality; None: `ledger.measure`.

    Raises BadInput for a name that is no folder's, and for caps that are none.
    """

    name: str
    items: Items
    packages: tuple[Package, ...]
    licence: str
    copyleft: bool
    about: str
    megabytes: float
    cap: int | None = None
    small: int = 0
    heldout: Callable[[Item], bool] = by_group
    measure: Callable[[Item], Any] | None = None

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise BadInput(f"a source is named {self.name!r}; give letters, digits, dots, - and _ (it names a folder)")
        if (self.cap is not None and self.cap < 1) or self.small < 0:
            told = f"the source {self.name!r} has a cap of {self.cap} bytes, and of {self.small} where it is small"
            raise BadInput(f"{told}; give 1 or more (None: no cap; 0: not in the small corpus)")


def debs(*names: str) -> tuple[Package, ...]:
    """Debian packages by name."""
    return tuple(Package("deb", name) for name in names)


def npms(*names: str) -> tuple[Package, ...]:
    """Packages of npm by name."""
    return tuple(Package("npm", name) for name in names)


def wheels(*names: str) -> tuple[Package, ...]:
    """Packages of PyPI by name."""
    return tuple(Package("pypi", name) for name in names)


def descriptions(*languages: str) -> tuple[Package, ...]:
    """The descriptions of all Debian packages, by language."""
    return tuple(Package("apt", language) for language in languages)
