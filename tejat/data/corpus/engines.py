"""Where sources are spooled: in processes of this machine. `cluster` has the other engine, machines under Ray."""

import multiprocessing
import os
import queue
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import connection
from pathlib import Path
from typing import Any, Protocol

from tejat.data.corpus import recipe
from tejat.data.corpus.recipe import Corpus
from tejat.data.corpus.spooling import Progress, Spool, spool

ENGINES = ("local", "ray")


class Pending(Protocol):
    """A spool that is being made. `result` raises what its maker raised."""

    def done(self) -> bool: ...

    def result(self) -> Spool: ...


class Engine(Protocol):
    """Makes spools of sources side by side, in the order in which they are asked for as far as that goes."""

    def submit(self, source: str) -> Pending: ...

    def listen(self, told: Callable[[Progress], None]) -> None:
        """Waits a fraction of a second for a word of the workers, and tells it."""

    def stop(self) -> None:
        """Ends the workers at once, whatever they do."""

    def close(self) -> None:
        """Lets everything go; to be called last, stopped or not."""


class Processes:
    """Processes of this machine.

    They end with this one, however it ends: each is a group of its own, so that what it has started (pip, npm, a
    voice) ends too.

    Args:
      path: of the recipe, which each reads anew.
      spools: the directory for spools.
      limit: items that a source's parser may yield.
      workers: their number.
    """

    def __init__(self, path: Path, spools: Path, limit: int | None, workers: int):
        context = multiprocessing.get_context("spawn")
        self._words = context.Queue()
        self._spools, self._limit = spools, limit
        self._pool = ProcessPoolExecutor(workers, context, _begin, (path, self._words))

    def submit(self, source: str) -> Pending:
        return self._pool.submit(_spool, source, self._spools, self._limit)

    def listen(self, told: Callable[[Progress], None]) -> None:
        try:
            told(self._words.get(timeout=0.2))
        except queue.Empty:
            return

    def stop(self) -> None:
        for process in list((self._pool._processes or {}).values()):
            try:
                os.killpg(process.pid, signal.SIGTERM)
            except OSError:  # it is only beginning, or gone
                process.terminate()

    def close(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._words.close()


_corpus: Corpus
_words: Any


def _begin(path: Path, words: Any) -> None:
    """Makes a process ready to spool sources of the recipe."""
    global _corpus, _words
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the main process, which ends this one
    os.setpgid(0, 0)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _corpus, _words = recipe.read(path), words


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    connection.wait([parent.sentinel])
    os.killpg(0, signal.SIGKILL)


def _spool(name: str, directory: Path, limit: int | None) -> Spool:
    source = next(source for source in _corpus.sources if source.name == name)
    return spool(source, _corpus.clean, directory / name, limit, _words.put)
