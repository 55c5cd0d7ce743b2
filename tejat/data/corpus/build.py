"""Builds a corpus: sources spooled side by side by workers, then put together one after the other.

The main process takes the spools in the order of the recipe: cuts them to their caps, runs the steps that remember what
they saw in earlier sources, and writes the shards. A source's `ledger.json` is written last: a source that has one of
the recipe's identity is whole, and is kept when the build is run again.

    DIR/corpus.json                  the ledger of all that is whole, the recipe's stages
       /NAME/ledger.json             the source's part of it
            /train-00000.array_record …, heldout-…     its items
            /train-index.npz, heldout-index.npz        columns over them (`ledger.Index`)
            /heldout.json            the groups that are kept from training
"""

import copy
import json
import multiprocessing
import os
import queue
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tejat.data.corpus import ledger, packages, recipe, writing
from tejat.data.corpus.recipe import Corpus
from tejat.data.corpus.source import Source, Step
from tejat.data.corpus.spooling import Counted, Progress, Spool, begin, name_of, spool
from tejat.data.corpus.writing import SPLITS
from tejat.data.shards import SHARD, Item, Shards
from tejat.errors import BadInput
from tejat.parts import write_whole


@dataclass
class Outcome:
    """What a build did."""

    ledger: dict[str, Any] = field(default_factory=dict)
    built: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)  # sources that were whole already
    absent: dict[str, str] = field(default_factory=dict)  # left out: the client of their registry is not here
    failed: dict[str, str] = field(default_factory=dict)  # left out, and why


def build(
    path: Path,
    directory: Path,
    only: Sequence[str] = (),
    size: str = "full",
    limit: int | None = None,
    shard: int = SHARD,
    workers: int | None = None,
    told: Callable[[Progress], None] = lambda _: None,
    whole: Path | None = None,
) -> Outcome:
    """Builds the corpus of a recipe into a directory, or goes on with it.

    Args:
      path: the recipe.
      directory: for the corpus; made if it is not there.
      only: names of sources; all, if none.
      size: "full" or "small".
      limit: items that a source's parser may yield, for a try.
      shard: bytes of records in a shard before compression.
      workers: processes; as many as there are cores, if None.
      told: called often, with how far each source is.
      whole: a corpus of the same recipe, of which to take the sources rather than of their packages.

    Raises BadInput for a recipe that cannot be used, before anything is written.
    """
    corpus = recipe.read(path)
    sources = recipe.chosen(corpus, only, size)
    if directory.exists() and not directory.is_dir():
        raise BadInput(f"{directory} is a file; choose a directory with --out")
    identities = {source.name: recipe.identity(corpus, source, size, limit) for source in sources}
    due = [source for source in sources if not writing.is_whole(directory, source.name, identities[source.name])]
    if whole is not None:
        return _excerpt(corpus, due, identities, whole, directory, size, shard, told)
    across, outcome = _Across(corpus.across), Outcome()
    spools = directory / ".spool"
    spools.mkdir(parents=True, exist_ok=True)
    context = multiprocessing.get_context("spawn")
    words = context.Queue()
    pool = ProcessPoolExecutor(min(workers or os.cpu_count() or 1, max(len(due), 1)), context, begin, (path, words))
    try:
        futures = {source.name: pool.submit(spool, source.name, spools, limit) for source in due}
        for source in corpus.sources:
            if source.name not in futures:
                if source in sources:
                    outcome.kept.append(source.name)
                    told(Progress(source.name, "kept"))
                if futures and (directory / source.name / "ledger.json").exists():
                    across.remember(directory, source.name)
                continue
            found = _awaited(futures.pop(source.name), words, told, source.name, outcome)
            if found is None:
                continue
            size_in_bytes = int(found.sizes.sum())
            told(Progress(source.name, "writing", found.read, size_in_bytes))
            cap = source.cap if size == "full" else source.small
            _put(source, found, cap, across, directory, identities[source.name], shard)
            outcome.built.append(source.name)
            told(Progress(source.name, "done", found.read, size_in_bytes))
            write_ledger(corpus, directory, size)
    except BaseException:
        for process in list((pool._processes or {}).values()):
            process.terminate()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        words.close()
        shutil.rmtree(spools, ignore_errors=True)
    outcome.ledger = write_ledger(corpus, directory, size)
    return outcome


def _excerpt(
    corpus: Corpus,
    due: Sequence[Source],
    identities: Mapping[str, str],
    whole: Path,
    directory: Path,
    size: str,
    shard: int,
    told: Callable[[Progress], None],
) -> Outcome:
    """Builds sources of those of a whole corpus, where it has them."""
    found, outcome = ledger.read(whole), Outcome()
    known = found["sources"]
    if found["name"] != corpus.name:
        raise BadInput(f"{whole} is of the recipe {found['name']!r}, this one is {corpus.name!r}; give one of the same")
    if whole.resolve() == directory.resolve():
        raise BadInput(f"{whole} cannot be an excerpt of itself; choose another directory with --out")
    for source in due:
        if source.name not in known:
            outcome.failed[source.name] = f"{whole} has it not"
            continue
        told(Progress(source.name, "writing"))
        cap = source.cap if size == "full" else source.small
        writing.excerpt(directory, source, whole, cap or 1 << 60, shard, identities[source.name])
        told(Progress(source.name, "done"))
    outcome.ledger = write_ledger(corpus, directory, size)
    return outcome


def write_ledger(corpus: Corpus, directory: Path, size: str) -> dict[str, Any]:
    """Puts `corpus.json` together from the ledgers of the sources that are whole."""
    found = {}
    for source in corpus.sources:
        path = directory / source.name / "ledger.json"
        if path.exists():
            found[source.name] = json.loads(path.read_text())
    whole = {
        "name": corpus.name,
        "size": size,
        "total": ledger.totals(list(found.values())),
        "stages": [asdict(stage) for stage in corpus.stages],
        "sources": found,
    }
    write_whole(directory / "corpus.json", json.dumps(whole, ensure_ascii=False, indent=1).encode())
    return whole


class _Across:
    """The steps that remember earlier sources."""

    def __init__(self, steps: Sequence[Step]):
        self._steps = [copy.deepcopy(step) for step in steps]
        self._blank = [copy.deepcopy(step.report) for step in self._steps]

    def remember(self, directory: Path, source: str) -> None:
        """Shows the steps a source that is whole already."""
        for step in self._steps:
            for split in SPLITS:
                if hasattr(step, "remember"):
                    step.remember(Shards(directory, source, split), heldout=split == "heldout")

    def start(self) -> None:
        """A blank report for each step: they are kept by source."""
        for step, blank in zip(self._steps, self._blank, strict=True):
            step.report = copy.deepcopy(blank)
        self._dropped = [0] * len(self._steps)

    def __call__(self, items: Iterator[Item], source: str) -> Iterator[Item]:
        """Of the items, those that stay, perhaps changed."""
        counts = [Counted() for _ in range(len(self._steps) + 1)]
        stream = counts[0](items)
        for step, count in zip(self._steps, counts[1:], strict=True):
            stream = count(step(stream, source=source))
        yield from stream
        for number in range(len(self._steps)):
            self._dropped[number] += counts[number].items - counts[number + 1].items

    def told(self) -> list[dict[str, Any]]:
        """What each step left out since the start."""
        pairs = zip(self._steps, self._dropped, strict=True)
        return [{"step": name_of(step), "dropped": n, "report": step.report.to_json()} for step, n in pairs]


def _awaited(future: Future, words: Any, told: Callable[[Progress], None], name: str, outcome: Outcome) -> Spool | None:
    """A source's spool, telling meanwhile what all workers say; None where it cannot be had, which `outcome` notes."""
    while not future.done():
        try:
            told(words.get(timeout=0.2))
        except queue.Empty:
            continue
    try:
        return future.result()
    except packages.Absent as error:
        outcome.absent[name] = f"{error} is not on this machine"
    except BadInput as error:
        outcome.failed[name] = str(error)
    except Exception as error:  # a parser that fails must not take the other sources with it
        outcome.failed[name] = f"{type(error).__name__}: {error}"
    told(Progress(name, f"left out: {outcome.absent.get(name) or outcome.failed[name]}"))
    return None


def _put(
    source: Source, found: Spool, cap: int | None, across: _Across, directory: Path, identity: str, shard: int
) -> None:
    """Writes a source of its spool."""
    writing.begin(directory, source)
    keep = writing.under_cap(found.index, found.order, cap)
    across.start()
    splits = {}
    for split in reversed(SPLITS):  # what is held out first: what is too near to it then leaves the training set
        rows = np.flatnonzero(keep & (found.heldout == (split == "heldout")))
        items = across(found.items(rows), source.name)
        splits[split] = writing.write(directory, source, split, items, shard)
    told = {name: getattr(found, name) for name in ("packages", "missing", "differences", "read", "parser")}
    steps = [*found.steps, {"step": "cap", "dropped": int((~keep).sum())}, *across.told()]
    told |= {"steps": steps, "seconds": round(found.seconds, 1), "identity": identity}
    writing.seal(directory, source, splits, found.groups, told)
    found.path.unlink()
