"""Builds a corpus: sources spooled side by side by workers, then put together one after the other.

The main process takes the spools in the order of the recipe: cuts them to their caps, runs the steps that remember what
they saw in earlier sources, and writes the shards. A source's `ledger.json` is written last: a source that has one of
the recipe's identity (`identity`) is whole, and is kept when the build is run again. What is kept is not looked at
again for being nearly the same as what is built anew before it.

    DIR/corpus.json                  the ledger of all that is whole, the recipe's stages
       /NAME/ledger.json             the source's part of it
            /train-00000.array_record …, heldout-…     its items
            /train-index.npz, heldout-index.npz        columns over them (`ledger.Index`)
            /heldout.json            the groups that are kept from training
"""

import copy
import json
import os
import shutil
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tejat.data.corpus import ledger, packages, recipe, writing
from tejat.data.corpus.engines import ENGINES, Engine, Pending, Processes
from tejat.data.corpus.identity import Identity
from tejat.data.corpus.recipe import Corpus
from tejat.data.corpus.source import Source, Step, name_of
from tejat.data.corpus.spooling import Counted, Progress, Spool, told_of
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
    stale: dict[str, str] = field(default_factory=dict)  # built again, and what of them was another
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
    engine: str = "local",
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
      engine: "local", processes of this machine; or "ray", the machines of a cluster.

    Raises BadInput for a recipe that cannot be used, before anything is written. Ended by SIGTERM, it takes back what
    is not whole and raises SystemExit.
    """
    corpus = recipe.read(path)
    sources = recipe.chosen(corpus, only, size)
    if directory.exists() and not directory.is_dir():
        raise BadInput(f"{directory} is a file; choose a directory with --out")
    if engine not in ENGINES:
        raise BadInput(f"there is no engine {engine!r}; there are {', '.join(ENGINES)}")
    identities = recipe.identities(corpus, sources, size, limit)
    reasons = {source.name: writing.stale(directory, source.name, identities[source.name]) for source in sources}
    due = [source for source in sources if reasons[source.name] != ""]
    for name, why in reasons.items():
        if why:
            told(Progress(name, f"is built again: {why} is another"))
    if whole is not None:
        return _excerpt(corpus, due, identities, whole, directory, size, shard, told)
    across, outcome = _Across(corpus.across), Outcome(stale={name: why for name, why in reasons.items() if why})
    spools = directory / ".spool"
    with _ended_by_sigterm(), _engine(engine, corpus, path, spools, limit, workers, len(due)) as makers:
        pending = {source.name: makers.submit(source.name) for source in due}
        for source in corpus.sources:
            if source.name not in pending:
                if source in sources:
                    outcome.kept.append(source.name)
                    told(Progress(source.name, "kept"))
                    writing.measure_again(directory, source.name)
                if pending and (directory / source.name / "ledger.json").exists():
                    across.remember(directory, source.name)
                continue
            found = _awaited(pending.pop(source.name), makers, told, source.name, outcome)
            if found is None:
                continue
            size_in_bytes = int(found.sizes.sum())
            told(Progress(source.name, "writing", found.read, size_in_bytes))
            cap = source.cap if size == "full" else source.small
            _put(source, found, cap, across, directory, identities[source.name], shard)
            outcome.built.append(source.name)
            told(Progress(source.name, "done", found.read, size_in_bytes))
            write_ledger(corpus, directory, size)
    outcome.ledger = write_ledger(corpus, directory, size)
    return outcome


@contextmanager
def _engine(
    name: str, corpus: Corpus, path: Path, spools: Path, limit: int | None, workers: int | None, due: int
) -> Iterator[Engine]:
    """The engine of a name; its workers end with the block, and the spools go."""
    count = min(workers or os.cpu_count() or 1, max(due, 1))
    made: Engine
    if name == "ray":
        from tejat.data.corpus.cluster import Cluster

        made = Cluster(corpus, spools, limit, count)
    else:
        made = Processes(path, spools, limit, count)
    try:
        spools.mkdir(parents=True, exist_ok=True)
        yield made
    except BaseException:
        made.stop()
        raise
    finally:
        made.close()
        shutil.rmtree(spools, ignore_errors=True)


@contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """SIGTERM raises SystemExit in the block, so that its workers end and what is half done goes."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(*_: object) -> None:
        raise SystemExit(128 + signal.SIGTERM)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _excerpt(
    corpus: Corpus,
    due: Sequence[Source],
    identities: Mapping[str, Identity],
    whole: Path,
    directory: Path,
    size: str,
    shard: int,
    told: Callable[[Progress], None],
) -> Outcome:
    """Builds sources of those of a whole corpus, where it has them."""
    found, outcome = ledger.read(whole), Outcome()
    known, theirs = found["sources"], recipe.identities(corpus, due, found["size"], None)
    if found["name"] != corpus.name:
        raise BadInput(f"{whole} is of the recipe {found['name']!r}, this one is {corpus.name!r}; give one of the same")
    if whole.resolve() == directory.resolve():
        raise BadInput(f"{whole} cannot be an excerpt of itself; choose another directory with --out")
    for source in due:
        if source.name not in known:
            outcome.failed[source.name] = f"{whole} has it not; build it there first"
            continue
        if why := theirs[source.name].differs(known[source.name]):
            outcome.failed[source.name] = (
                f"in {whole} it is another ({why}); build it there again first, or set what the recipe reads, such as "
                "TEJAT_EVALUATIONS, as it was set there"
            )
            continue
        told(Progress(source.name, "writing"))
        cap = source.cap if size == "full" else source.small
        writing.excerpt(directory, source, whole, cap or 1 << 60, shard, identities[source.name].items)
        told(Progress(source.name, "done"))
    if not directory.exists():
        name, why = next(iter(outcome.failed.items()), ("the recipe", "it has no source of this size"))
        raise BadInput(f"nothing of {whole} can be taken; {name}: {why}")
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
        "across": [name_of(step) for step in corpus.across],
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
        self._counts = [Counted() for _ in range(len(self._steps) + 1)]

    def __call__(self, items: Iterator[Item], source: str, heldout: bool) -> Iterator[Item]:
        """Of the items, those that stay, perhaps changed. They are to be taken before it is called again."""
        stream = self._counts[0](items)
        for step, count in zip(self._steps, self._counts[1:], strict=True):
            if hasattr(step, "heldout"):
                step.heldout = heldout
            stream = count(step(stream, source=source))
        return stream

    def told(self) -> list[dict[str, Any]]:
        """What each step left out since the start."""
        steps = zip(self._steps, self._counts, self._counts[1:], strict=False)
        return [told_of(step, before.items, after.items) for step, before, after in steps]


def _awaited(
    pending: Pending, makers: Engine, told: Callable[[Progress], None], name: str, outcome: Outcome
) -> Spool | None:
    """A source's spool, telling meanwhile what all workers say; None where it cannot be had, which `outcome` notes."""
    while not pending.done():
        makers.listen(told)
    try:
        return pending.result()
    except packages.Absent as error:
        outcome.absent[name] = f"{error} is not on this machine"
    except BadInput as error:
        outcome.failed[name] = str(error)
    except Exception as error:  # a parser that fails must not take the other sources with it
        outcome.failed[name] = f"{type(error).__name__}: {error}"
    told(Progress(name, f"left out: {outcome.absent.get(name) or outcome.failed[name]}"))
    return None


def _put(
    source: Source, found: Spool, cap: int | None, across: _Across, directory: Path, identity: Identity, shard: int
) -> None:
    """Writes a source of its spool."""
    keep = writing.under_cap(found.index, found.order, cap)
    across.start()
    splits = {}
    with writing.replacing(directory, source.name) as stage:
        for split in reversed(SPLITS):  # what is held out first: what is too near to it then leaves the training set
            rows = np.flatnonzero(keep & (found.heldout == (split == "heldout")))
            items = across(found.items(rows), source.name, split == "heldout")
            splits[split] = writing.write(stage, source, split, items, shard)
        told = {name: getattr(found, name) for name in ("packages", "missing", "differences", "read", "parser")}
        steps = [*found.steps, {"step": "cap", "dropped": int((~keep).sum())}, *across.told()]
        looked = {step["step"]: step.pop("looked") for step in steps if "looked" in step}
        told |= {"steps": steps, "seconds": round(found.seconds, 1), "identity": identity.told(looked)}
        writing.seal(stage, source, splits, found.groups, told)
    found.path.unlink()
