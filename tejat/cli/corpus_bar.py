"""How far the build of a corpus is: a bar in a terminal, a line now and then elsewhere."""

import sys
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

from tejat.data.corpus.source import Source
from tejat.data.corpus.spooling import Progress

PLAIN_SECONDS = 10.0  # between two lines


class CorpusBar:
    """To be entered; then called with every `Progress` of the build."""

    def __init__(self, sources: Sequence[Source], limit: int | None):
        self._due = {source.name: source.megabytes * 1e6 for source in sources}
        self._at: dict[str, float] = {}  # bytes of each source, as they are parsed
        self._limit = limit
        self._whole: set[str] = set()
        self._kept = 0.0
        self._began = self._said = time.monotonic()
        self._bar: Any = None

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

            self._bar = Progress(
                TextColumn("building"),
                BarColumn(bar_width=28),
                TextColumn("{task.description}"),
                TimeElapsedColumn(),
                console=Console(stderr=True),
            )
            self._task = self._bar.add_task("fetching …", total=sum(self._due.values()))
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
        if kind in (KeyboardInterrupt, SystemExit):
            print(f"{len(self._whole)} sources are whole and kept; run it again to go on", file=sys.stderr)

    def __call__(self, progress: Progress) -> None:
        name = progress.source
        if progress.doing.startswith("is built again"):  # to be known before the work, which may be long
            print(f"{name} {progress.doing}", file=sys.stderr, flush=True)
            return
        self._at[name] = float(progress.bytes)
        if progress.doing in ("done", "kept") or progress.doing.startswith("left out"):
            self._whole.add(name)
            if progress.doing == "kept":
                self._kept += self._due[name]
            self._at[name] = self._due[name]
        # What a source yields is known only about: near its end a bar may wait or jump.
        done = sum(min(size, self._due[name]) for name, size in self._at.items())
        seconds = time.monotonic() - self._began
        rate = (done - self._kept) / max(seconds, 1e-3)
        left = f"{(sum(self._due.values()) - done) / rate:.0f} s left" if rate > 0 and not self._limit else ""
        count = f"{len(self._whole)}/{len(self._due)} sources"
        told = ", ".join(filter(None, (count, f"{name} {progress.doing}", f"{rate / 1e6:.1f} MB/s", left)))
        if self._bar is not None:
            self._bar.update(self._task, completed=done, description=told)
            return
        now = time.monotonic()
        if now - self._said >= PLAIN_SECONDS or progress.doing == "done" or progress.doing.startswith("left out"):
            self._said = now
            print(f"building: {told}", file=sys.stderr, flush=True)
