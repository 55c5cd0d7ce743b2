"""Batches in an order that depends on nothing but the seed: resumable at any batch, prefetched by a thread."""

import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from tejat.codecs.framing import Encoded
from tejat.data.packing import Batch, Room, Row, collate, fits
from tejat.model.multimodal import ModelConfig

Source = Callable[[int], Encoded]
"""Document number i of an endless stream; a pure function of i."""


@dataclass
class Position:
    """Where a loader stands: the next document to draw, and those drawn which did not fit yet."""

    next: int = 0
    waiting: list[int] = field(default_factory=list)
    dropped: int = 0  # documents too large for any row

    def to_json(self) -> dict[str, Any]:
        return {"next": self.next, "waiting": list(self.waiting), "dropped": self.dropped}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "Position":
        return cls(value["next"], list(value["waiting"]), value["dropped"])


class Loader:
    """An iterator over (batch, position after it). Give that position to a new Loader and it goes on from there."""

    def __init__(
        self, source: Source, config: ModelConfig, room: Room, position: Position | None = None, ahead: int = 4
    ):
        self._source, self._config, self._room = source, config, room
        self._position = position or Position()
        self._queue: queue.Queue = queue.Queue(ahead)
        self._stop = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._work, daemon=True, name="loader")
        self._thread.start()

    def __iter__(self) -> Iterator[tuple[Batch, Position]]:
        return self

    def __next__(self) -> tuple[Batch, Position]:
        """The next batch. An error of the source is raised here, and again however often one asks."""
        if self._error is None and self._stop.is_set():
            raise StopIteration
        found = self._error or self._queue.get()
        if isinstance(found, BaseException):
            self._error = found
            raise found
        return found

    def close(self) -> None:
        """Ends the thread; batches not taken are lost, and will be made again from a position."""
        self._stop.set()
        while self._thread.is_alive():
            try:
                self._queue.get(timeout=0.05)
            except queue.Empty:
                continue

    def _work(self) -> None:
        try:
            while not self._stop.is_set():
                batch = self._fill()
                self._queue.put((batch, Position.from_json(self._position.to_json())))
        except BaseException as error:  # the consumer must see it, whatever it is
            self._queue.put(error)

    def _fill(self) -> Batch:
        """First fit: each document goes to the first row with room; after a few that fit nowhere, the batch is full."""
        room, position = self._room, self._position
        rows = [Row(room) for _ in range(room.rows)]
        waiting, position.waiting = position.waiting, []
        patience = 2 * room.rows
        while len(position.waiting) < patience:
            if waiting:
                index = waiting.pop(0)
            else:
                index = position.next
                position.next += 1
            document = self._source(index)
            if not fits(document, room):
                position.dropped += 1
            elif not any(row.take(document) for row in rows):
                position.waiting.append(index)
        position.waiting += waiting
        return collate(rows, self._config, room)
