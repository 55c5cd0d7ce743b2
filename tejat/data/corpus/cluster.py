"""Sources spooled by a cluster of machines under Ray, each by one task; the spools come back through Ray.

A task whose machine or process dies is run again elsewhere, and a spool that was lost with its machine is made again;
since a source is made of pinned packages by code without chance, what comes is the same to the byte. The machines need
Tejat with `tejat[data,ray]` and the clients of the registries. Cleaning across sources, and the shards, are the
driver's.
"""

import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tejat.data.corpus.recipe import Corpus
from tejat.data.corpus.source import Source, Step
from tejat.data.corpus.spooling import Progress, Spool, spool
from tejat.errors import BadInput

RETRIES = 5  # of a task whose worker died


class Cluster:
    """The cluster that RAY_ADDRESS names or that this process has joined; else one of this machine alone.

    Args:
      corpus: sent to the tasks as it is, so that they need no recipe.
      spools: the directory of this machine where spools come to lie.
      limit: items that a source's parser may yield.
      workers: processors of a cluster that is only begun here.

    Raises BadInput where Ray is not installed or cannot be reached.
    """

    def __init__(self, corpus: Corpus, spools: Path, limit: int | None, workers: int):
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        try:
            import ray
        except ImportError as error:
            raise BadInput("--engine ray needs Ray; install it by `pip install 'tejat[data,ray]'`") from error
        self._ray, self._mine = ray, not ray.is_initialized()
        address = os.environ.get("RAY_ADDRESS")
        try:
            if self._mine and address:
                ray.init(address, log_to_driver=False, logging_level="ERROR")
            elif self._mine:
                ray.init("local", num_cpus=workers, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
        except (OSError, RuntimeError) as error:
            raise BadInput(f"no cluster answers at {address} ({error}); start one by `ray start --head`") from error
        self._sources = {source.name: source for source in corpus.sources}
        self._clean, self._spools, self._limit = ray.put(list(corpus.clean)), spools, limit
        self._task = ray.remote(max_retries=RETRIES)(_spooled)
        self._waiting: list[Any] = []

    def submit(self, source: str) -> "_Ref":
        reference = self._task.remote(self._sources[source], self._clean, self._limit)
        self._waiting.append(reference)
        return _Ref(self._ray, reference, self._spools / source)

    def listen(self, told: Callable[[Progress], None]) -> None:
        if self._waiting:
            done, self._waiting = self._ray.wait(self._waiting, timeout=0.2, fetch_local=False)

    def stop(self) -> None:
        for reference in self._waiting:
            self._ray.cancel(reference, force=True)

    def close(self) -> None:
        if self._mine:
            self._ray.shutdown()


class _Ref:
    """A spool on its way."""

    def __init__(self, ray: Any, reference: Any, path: Path):
        self._ray, self._reference, self._path = ray, reference, path

    def done(self) -> bool:
        return bool(self._ray.wait([self._reference], timeout=0, fetch_local=False)[0])

    def result(self) -> Spool:
        try:
            found, records = self._ray.get(self._reference)
        except self._ray.exceptions.RayTaskError as error:
            raise error.cause from None
        self._path.write_bytes(records)
        self._reference = None  # Ray may forget it
        return replace(found, path=self._path)


def _spooled(source: Source, clean: Sequence[Step], limit: int | None) -> tuple[Spool, bytes]:
    with tempfile.TemporaryDirectory(prefix="tejat-") as folder:
        path = Path(folder) / "spool"
        return spool(source, clean, path, limit, lambda _: None), path.read_bytes()
