"""How far a training run is: a bar with its losses in a terminal, a line now and then elsewhere."""

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from tejat.evals.plots import is_loss, label

if TYPE_CHECKING:
    from tejat.train.recipe import Recipe

PLAIN_SECONDS = 10.0  # between two lines


def tell_idle(recipe: "Recipe", processes: int) -> None:
    """Says so where a batch has fewer rows than there are to be workers, of which each fills some."""
    rows = recipe.room.rows // processes
    if (idle := recipe.workers - rows) > 0:
        left = "1 of them is" if idle == 1 else f"{idle} of them are"
        print(
            f"tejat: {recipe.workers} workers fill {rows} rows of a batch, one each: {left} left out; "
            f"more rows, computed in parts, have work for all (--set room.rows=… --set accumulate=…)",
            file=sys.stderr,
            flush=True,
        )


class TrainingBar:
    """To be entered; then called with every line of the log, as `tejat.train.loop.train` does."""

    def __init__(self, steps: int):
        self.steps = steps
        self.said = time.monotonic()
        self.start: tuple[float, int] | None = None  # time and step of the first line: compiling is not in the rate
        self._bar: Any = None

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

            self._bar = Progress(
                TextColumn("training"),
                BarColumn(bar_width=28),
                TextColumn("{task.completed}/{task.total}"),
                TimeElapsedColumn(),
                TextColumn("left"),
                TimeRemainingColumn(),
                TextColumn("{task.description}"),
                console=Console(stderr=True),
            )
            self._task = self._bar.add_task("compiling …", total=self.steps)
            self._bar.start()
        else:
            print("training: compiling", file=sys.stderr, flush=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, line: dict[str, Any]) -> None:
        step = line["step"]
        losses = ", ".join(f"{label(name)} {value:.2f}" for name, value in line.items() if is_loss(name) and value)
        told = f"{losses}, {line['tokens_per_s']:,.0f} tokens/s"
        if self._bar is not None:
            self._bar.update(self._task, completed=step, description=told)
            return
        now = time.monotonic()
        if self.start is None:
            self.start = now, step
        if now - self.said >= PLAIN_SECONDS or step >= self.steps:
            began, first = self.start
            rate = (step - first) / max(now - began, 1e-9)
            left = f", {(self.steps - step) / rate:.0f} s left" if rate and step < self.steps else ""
            print(f"training: {step}/{self.steps}{left}, {told}", file=sys.stderr, flush=True)
            self.said = now
