"""Rows of batches as a Grain data set, which worker processes can share among them.

A worker fills some of the rows of every batch. Which ones changes nothing in what is in them, so the number of workers
may change whenever a run stops. Arrays come back from a worker as one block of shared memory.
"""

import multiprocessing
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Generator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from functools import partial
from multiprocessing import connection
from pathlib import Path
from typing import Any

import grain
import jax
import numpy as np
from absl import flags
from jaxtyping import UInt8

from tejat.data import kept
from tejat.data.filling import Place, Source, Stream
from tejat.data.packing import Batch, Room, collate, empty
from tejat.errors import BadInput
from tejat.model.multimodal import ModelConfig

SHARED = "/dev/shm"

Filled = tuple[Sequence[int], Batch, Sequence[Place]]
"""Numbers of rows, their arrays, and where the stream of each stands after them."""


class Rows(grain.IterDataset):
    """Of batch after batch, beginning with number `step`, the rows in `places`."""

    def __init__(self, source: Source, config: ModelConfig, room: Room, step: int, places: dict[int, Place]):
        super().__init__()
        self.source, self.config, self.room, self.step, self.places = source, config, room, step, places

    def __iter__(self) -> "_Iterator":
        return _Iterator(self)

    def set_slice(self, sl: slice, sequential_slice: bool = False) -> None:
        """Grain's way to give a worker its share."""
        self.places = dict(sorted(self.places.items())[sl])


class _Iterator(grain.DatasetIterator):
    def __init__(self, rows: Rows):
        super().__init__()
        self._rows = rows
        self.set_state({"step": rows.step, "places": {row: asdict(place) for row, place in rows.places.items()}})

    def __next__(self) -> Filled:
        filled = [stream.fill(self._step) for stream in self._streams.values()]
        self._step += 1
        batch = collate(filled, self._rows.config, self._rows.room, np.uint8)
        return list(self._streams), batch, [stream.place for stream in self._streams.values()]

    def get_state(self) -> dict[str, Any]:
        return {"step": self._step, "places": {row: asdict(s.place) for row, s in self._streams.items()}}

    def set_state(self, state: dict[str, Any]) -> None:
        self._step, rows = state["step"], self._rows
        places = {int(row): Place.from_json(place) for row, place in state["places"].items()}
        self._streams = {row: Stream(rows.source, rows.room, row, place) for row, place in places.items()}


def filled(
    rows: Rows, workers: int, ahead: int, directory: Path | None = None
) -> Generator[tuple[Batch, dict[int, Place]], None, None]:
    """Whole batches and the places after them; with `workers`, processes make them, each `ahead` batches in advance.

    What they rasterise and decode they keep for each other; in `directory`, where one is given, and there it stays.

    What a source raises is raised here, from workers too; so is the death of a worker, as a RuntimeError. Raises
    BadInput where the machine's shared memory cannot hold two batches.
    """
    workers = min(workers, len(rows.places))
    if not workers:
        for numbers, batch, places in rows:
            yield batch, dict(zip(numbers, places, strict=True))
        return
    if directory is not None:
        directory.mkdir(parents=True, exist_ok=True)
    if not flags.FLAGS.is_parsed():
        flags.FLAGS.mark_as_parsed()  # Grain asks Abseil's flags, which it takes for those of the command line
    numbers = sorted(rows.places)
    like, form = jax.tree.flatten(empty(rows.config, replace(rows.room, rows=len(numbers))))
    ahead = min(ahead, _room_for(sum(array.nbytes for array in like)))
    options = grain.MultiprocessingOptions(num_workers=workers, per_worker_buffer_size=ahead)
    with ExitStack() as ended:
        if directory is None:
            passing = tempfile.TemporaryDirectory(prefix="tejat-kept-", ignore_cleanup_errors=True)
            directory = Path(ended.enter_context(passing))
        parts = iter(rows.map(_as_block).mp_prefetch(options, worker_init_fn=partial(_begin, directory)))
        ended.callback(parts.close)
        while True:
            arrays = [np.empty_like(array) for array in like]
            known: dict[int, Place] = {}
            for _ in range(workers):
                block, places = next(parts)
                known |= {row: Place.from_json(place) for row, place in places.items()}
                _from_block(block, arrays, [numbers.index(row) for row in places])
                del block  # gives the shared memory back
            yield jax.tree.unflatten(form, arrays), {row: known[row] for row in numbers}


def _room_for(batch: int) -> int:
    """How many batches of so many bytes may wait in shared memory, where one more is being made."""
    try:
        found = os.statvfs(SHARED)
    except OSError:  # a system that has its shared memory elsewhere
        return sys.maxsize
    free = found.f_bavail * found.f_frsize
    if free < 2 * batch:
        raise BadInput(
            f"{SHARED} has {free / 1e6:,.0f} MB free and two batches take {2 * batch / 1e6:,.0f} MB; enlarge it "
            f"(of a container, by --shm-size), or set workers=0"
        )
    return free // batch - 1


def _as_block(filled: Filled) -> tuple[UInt8[np.ndarray, " n"], dict[int, Any]]:
    numbers, batch, places = filled
    leaves = [np.ascontiguousarray(leaf).reshape(-1).view(np.uint8) for leaf in jax.tree.leaves(batch)]
    return np.concatenate(leaves), {row: asdict(place) for row, place in zip(numbers, places, strict=True)}


def _from_block(block: UInt8[np.ndarray, " n"], arrays: Sequence[np.ndarray], rows: Sequence[int]) -> None:
    """Copies the arrays of some rows to their places in those of all."""
    at = 0
    for array in arrays:
        size = array[:1].nbytes * len(rows)
        array[rows] = np.asarray(block[at : at + size]).view(array.dtype).reshape(len(rows), *array.shape[1:])
        at += size


def _begin(common: Path, number: int, count: int) -> None:
    """What a worker process does first: it leaves accelerators to its parent, and Ctrl-C and SIGTERM, which schedulers
    send to all processes of a job; does not outlive it, and has pictures and sounds in common with the others."""
    kept.share(common)
    jax.config.update("jax_platforms", "cpu")
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None
    threading.Thread(target=_end_after, args=(parent.sentinel,), daemon=True).start()


def _end_after(sentinel: int) -> None:
    connection.wait([sentinel])
    os._exit(1)
