"""How far a long run is: one line that renews itself in a terminal, a plain line now and then elsewhere."""

import sys
import time
from typing import TextIO

PLAIN_SECONDS, TERMINAL_SECONDS = 5.0, 0.2  # between two lines


class Progress:
    """Counts to a total; says the rate and the time left. What a resumed run had finished is not in the rate."""

    def __init__(self, label: str, total: int, done: int = 0, stream: TextIO | None = None):
        self.label, self.total, self.done, self.first = label, total, done, done
        self.stream = sys.stderr if stream is None else stream
        self.start = self.said = time.monotonic()
        self.terminal = self.stream.isatty()

    def advance(self, count: int) -> None:
        """Counts, and says so where it is time or the end."""
        self.done += count
        now = time.monotonic()
        pause = TERMINAL_SECONDS if self.terminal else PLAIN_SECONDS
        if now - self.said >= pause or self.done >= self.total:
            self.said = now
            self._say(now - self.start)

    def _say(self, seconds: float) -> None:
        rate = (self.done - self.first) / max(seconds, 1e-9)
        left = f"{_clock((self.total - self.done) / rate)} left" if self.done < self.total else _clock(seconds)
        line = f"{self.label}: {self.done}/{self.total}, {rate:.3g}/s, {left}"
        if self.terminal:
            end = "\n" if self.done >= self.total else ""
            self.stream.write(f"\r\x1b[K{line}{end}")
        else:
            self.stream.write(line + "\n")
        self.stream.flush()


def _clock(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"
