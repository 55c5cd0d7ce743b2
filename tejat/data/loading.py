"""Batches in an order that depends on nothing but documents and step: resumable at any batch, made ahead of their use.

Whatever the number of hosts and of worker processes, batch s is the same: each of its rows is a stream of its own
(`tejat.data.filling`), and hosts and workers are but given streams to fill.
"""

import queue
import threading
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tejat.data.filling import STAGE, Place, Source
from tejat.data.packing import Batch, Room
from tejat.errors import BadInput
from tejat.model.multimodal import ModelConfig

__all__ = ["STAGE", "Loader", "Position", "Source"]


@dataclass
class Position:
    """Where a loader stands: the batches made, and the place of each row's stream. Empty: at the beginning."""

    step: int = 0
    rows: dict[int, Place] = field(default_factory=dict)

    @property
    def dropped(self) -> int:
        """Documents that no row can hold."""
        return sum(place.dropped for place in self.rows.values())

    @property
    def damaged(self) -> int:
        """Documents that could not be read."""
        return sum(place.damaged for place in self.rows.values())

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "Position":
        """Raises BadInput for a position of another version."""
        if value.keys() != {"step", "rows"}:
            raise BadInput("the place in the data is one of another version of Tejat; begin the run anew")
        return cls(value["step"], {int(row): Place.from_json(place) for row, place in value["rows"].items()})

    @classmethod
    def merged(cls, positions: "Iterable[Position]") -> "Position":
        """The position of all rows, of those that each host has of its own. Raises BadInput where the steps differ."""
        positions = list(positions)
        steps = sorted({position.step for position in positions})
        if len(steps) != 1:
            raise BadInput(f"positions of the steps {steps} make none together; give those of one step")
        rows = {row: place for position in positions for row, place in position.rows.items()}
        return cls(steps[0], dict(sorted(rows.items())))


class Loader:
    """An iterator over (batch, position after it). Give that position to a new Loader and it goes on from there.

    Args:
      source: documents by number.
      config: the model that they are for.
      room: sizes of the whole batch, that of all hosts.
      position: where to begin; that of all rows, or of this host's.
      ahead: batches made before they are asked for.
      workers: processes that make them; with none, a thread of this one does. Workers compute on the CPU: where an
        accelerator makes the codes of pictures, and may round one to its neighbour, keep to some workers or to none.
      kept: a directory in which workers keep what they rasterise and decode for those of other loaders and of later
        runs; without one, they keep it for each other, as long as they run.
      process: the number of this host; it is given its share of the rows, in order.
      processes: hosts.

    Raises BadInput where the hosts do not share the rows evenly, and for a position of other rows.
    """

    def __init__(
        self,
        source: Source,
        config: ModelConfig,
        room: Room,
        position: Position | None = None,
        ahead: int = 4,
        *,
        workers: int = 0,
        kept: Path | None = None,
        process: int = 0,
        processes: int = 1,
    ):
        # Grain, a third of a second that `import tejat` need not take. Not in the thread: while it is imported another
        # function is in the place of Python's import, for all threads, and JAX imports while it traces.
        from tejat.data.workers import Rows, filled

        position = position or Position()
        rows = Rows(source, config, room, position.step, _places(position, _share(room, process, processes), room))
        self._queue: queue.Queue = queue.Queue(ahead)
        self._stop = threading.Event()
        self._error: BaseException | None = None
        made = filled(rows, workers, ahead, kept)
        self._thread = threading.Thread(target=self._work, args=(made, position.step), daemon=True, name="loader")
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
        """Ends the thread and its workers; batches not taken are lost, and will be made again from a position."""
        self._stop.set()
        while self._thread.is_alive():
            try:
                self._queue.get(timeout=0.05)
            except queue.Empty:
                continue

    def _work(self, made: Generator[tuple[Batch, dict[int, Place]], None, None], step: int) -> None:
        try:
            with closing(made) as batches:
                for number, (batch, places) in enumerate(batches, step + 1):
                    self._queue.put((batch, Position(number, places)))
                    if self._stop.is_set():
                        break
        except BaseException as error:  # the consumer must see it, whatever it is
            self._queue.put(error)


def _share(room: Room, process: int, processes: int) -> range:
    """Rows of a host."""
    if processes < 1 or room.rows % processes or not 0 <= process < processes:
        raise BadInput(f"{room.rows} rows cannot be shared evenly by host {process} of {processes}; change room.rows")
    share = room.rows // processes
    return range(process * share, (process + 1) * share)


def _places(position: Position, rows: range, room: Room) -> dict[int, Place]:
    if not position.rows and not position.step:
        return {row: Place() for row in rows}
    lost = [row for row in rows if row not in position.rows]
    strange = [row for row in position.rows if row >= room.rows]
    if lost or strange:
        told = f"lacks row {lost[0]}" if lost else f"has a row {strange[0]}"
        raise BadInput(f"the position in the data {told} of a batch of {room.rows} rows; go on with the same room.rows")
    return {row: position.rows[row] for row in rows}
