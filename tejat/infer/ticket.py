"""A place in the queue and then an answer as it comes: for one reader, in a thread or in a loop of asyncio.

for piece in ticket: ...
async for piece in ticket: ...
"""

import asyncio
import contextlib
import functools
import threading
from collections.abc import Callable, Sequence

from tejat.codecs.framing import Encoded, Framing
from tejat.infer.options import Options
from tejat.infer.pieces import Piece, joined
from tejat.infer.reading import PartReader


class Ticket:
    """Gives out an answer. What was written since the reader last looked comes as one piece; the last has a reason.

    Pictures are decoded by who reads, in a thread beside the loop, so that no other answer waits for them. Iterating
    raises RuntimeError where the engine failed.
    """

    def __init__(self, framing: Framing, options: Options, prompt: Encoded, cancel: Callable[[], None]):
        self.prompt_tokens = len(prompt)
        self.cached_tokens = 0  # of these, found in the prefix cache; known with the first piece
        self._reader, self._cancel = PartReader(framing, options.stop, options.picture_pixels), cancel
        if prompt.tokens[-1] == framing.vocabulary["<|picture>"]:
            self._reader.push(prompt.tokens[-1:])  # the prompt has begun a picture, and the answer goes on with it
        self._picture_end = framing.vocabulary["<picture|>"]
        self._changed = threading.Condition()
        self._pending: list[Piece] = []
        self._ended = False  # the reader has had the last piece
        self._error: BaseException | None = None
        self._wake: Callable[[], object] | None = None

    def cancel(self) -> None:
        """The answer is not wanted any more: its row is free within a step. Its last piece says "cancelled"."""
        self._cancel()

    def give(self, piece: Piece) -> None:
        """For the service: a piece is there."""
        with self._changed:
            self._pending.append(piece)
            self._tell()

    def fail(self, error: BaseException) -> None:
        """For the service: there will be no more."""
        with self._changed:
            self._error = error
            self._tell()

    def _tell(self) -> None:
        self._changed.notify_all()
        if self._wake is not None:
            wake, self._wake = self._wake, None
            wake()

    def __iter__(self) -> "Ticket":
        return self

    def __next__(self) -> Piece:
        with self._changed:
            self._changed.wait_for(self._something)
            pieces = self._taken()
        if pieces is None:
            raise StopIteration
        return self._whole(pieces)

    def __aiter__(self) -> "Ticket":
        return self

    async def __anext__(self) -> Piece:
        while True:
            with self._changed:
                if self._something():
                    pieces = self._taken()
                    break
                event, loop = asyncio.Event(), asyncio.get_running_loop()
                self._wake = functools.partial(_call, loop, event.set)
            await event.wait()
        if pieces is None:
            raise StopAsyncIteration
        if any((piece.tokens == self._picture_end).any() or piece.finish_reason for piece in pieces):
            return await asyncio.to_thread(self._whole, pieces)
        return self._whole(pieces)

    def _something(self) -> bool:
        return bool(self._pending) or self._ended or self._error is not None

    def _taken(self) -> list[Piece] | None:
        """All that is there; None after the end."""
        if self._pending:
            pieces, self._pending = self._pending, []
            self._ended = pieces[-1].finish_reason is not None
            return pieces
        if self._ended:
            return None
        raise RuntimeError("the engine failed while it wrote this answer") from self._error

    def _whole(self, pieces: Sequence[Piece]) -> Piece:
        """Several pieces as one, with what they complete."""
        whole = joined(pieces)
        parts = self._reader.push(whole.tokens)
        if whole.finish_reason not in (None, "cancelled"):
            parts += self._reader.finish()
        return whole._replace(parts=parts)


def _call(loop: asyncio.AbstractEventLoop, function: Callable[[], object]) -> None:
    with contextlib.suppress(RuntimeError):  # the loop is closed: nobody reads
        loop.call_soon_threadsafe(function)
