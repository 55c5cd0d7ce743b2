"""One answer to be written: what was asked, and how far it has come."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from tejat.codecs.framing import Encoded
from tejat.infer.grammar import Grammar
from tejat.infer.options import Options
from tejat.infer.pieces import FinishReason, Piece
from tejat.infer.prefix import Chunk
from tejat.infer.reading import TextReader


@dataclass(eq=False)
class Job:
    """One answer to be written. `give` takes its pieces; `stop_now` may be set from any thread."""

    prompt: Encoded
    options: Options
    limit: int  # tokens that it may take
    give: Callable[[Piece], None]
    parts: list[Chunk]
    soft: Sequence[Float[np.ndarray, "n D"]] = ()  # soft tokens of each medium of the prompt
    draws: bool = False
    reader: TextReader | None = None  # where there are stop strings
    grammar: Grammar | None = None
    deadline: float | None = None  # by time.monotonic()
    stop_now: bool = False
    row: int = -1
    begun: int = 0  # the turn of the service in which it got its row
    cached: int = 0  # tokens of the prompt that were known
    read: int = 0  # parts that are in the cache
    drawn: int = 0  # tokens of a picture that is not whole yet, as far as the host has seen them
    unsent: int = 0  # steps of the batch before the first token that was not given yet

    @property
    def watched(self) -> bool:
        """Does each of its tokens have to be looked at?"""
        bound = self.reader is not None or self.grammar is not None
        return bound or self.options.ends_with_picture or self.guided

    @property
    def guided(self) -> bool:
        """Are its pictures drawn by guidance?"""
        return self.draws and self.options.picture_guidance != 1

    @property
    def over(self) -> bool:
        """Is it not wanted any more, or is its time over?"""
        return self.stop_now or (self.deadline is not None and time.monotonic() >= self.deadline)

    @property
    def why(self) -> FinishReason:
        """Why it is over."""
        return "cancelled" if self.stop_now else "deadline"

    def finish(self, last: Piece | None = None) -> None:
        """Gives the last piece."""
        self.give(last or Piece(np.zeros(0, np.int32), np.zeros(0, np.float32), self.why))
