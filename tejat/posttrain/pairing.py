"""Pairs as batches: as many as fit into rows, in an order shuffled anew in each epoch; the two answers side by side."""

from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Array, Float, Int

from tejat.codecs.framing import Encoded, Framing
from tejat.data.packing import Room
from tejat.errors import BadInput
from tejat.posttrain import preferences, rooms
from tejat.posttrain.dialogues import order
from tejat.posttrain.lines import Lines
from tejat.posttrain.packed import Packed, Rows
from tejat.posttrain.preferences import Pair
from tejat.posttrain.recipe import Preferring

Taken = tuple[Pair, tuple[Encoded, Encoded]]
"""A pair, and its two documents."""


class Pairs(NamedTuple):
    """A batch of N pairs: documents 2i (chosen) and 2i + 1 (rejected) of `packed`."""

    packed: Packed
    real: Float[Array | np.ndarray, " N"]  # 0: no pair here
    margins: Float[Array | np.ndarray, " N"]
    groups: Int[Array | np.ndarray, " N"]  # what the pair is about, by number


def at_the_end(document: Encoded) -> Encoded:
    """The same with its last token alone to be predicted: its place is that of the mark which ends the answer."""
    loss = np.zeros(len(document), bool)
    loss[-1] = True
    return Encoded(document.tokens, loss, *document[2:])


class Batches:
    """Batch after batch of the pairs of a file, made one ahead in a thread.

    Raises BadInput for a file with a line that is no pair, for pairs of behaviours that `groups` do not name, and where
    rows hold no pair.
    """

    def __init__(self, recipe: Preferring, framing: Framing, groups: dict[str, int], ends: bool):
        """`groups`: numbers by behaviour. `ends`: the last token of each answer is the target, else all of it are."""
        self.lines = checked(recipe.data, groups)
        self._recipe, self._framing, self._groups, self._ends = recipe, framing, groups, ends
        self.config = framing.config
        count = min(rooms.LOOKED_AT // 2, len(self.lines))
        first = [document for index in range(count) for document in self.taken(self.lines, index)[1]]
        self.room = rooms.room(first, self.config, recipe.rows, recipe.tokens)

    def encoded(self, pair: Pair) -> tuple[Encoded, Encoded]:
        """The chosen document and the rejected one."""
        found = [self._framing.encode(document) for document in pair.documents()]
        chosen, rejected = map(at_the_end, found) if self._ends else found
        return chosen, rejected

    def taken(self, lines: Lines[Pair], index: int) -> Taken:
        """The pair of a line. Raises BadInput, naming the line, for one that the model does not take."""
        with lines.told(index):
            pair = lines[index]
            return pair, self.encoded(pair)

    def of(self, pairs: Iterator[Taken], room: Room | None = None) -> Iterator[tuple[Pairs, int, list[Pair]]]:
        """(a batch, pairs read so far, those in it); a pair that no row holds is left out.

        Raises BadInput where none of many is held.
        """
        room, idle, read = room or self.room, 0, 0
        rows, held = Rows(self.config, room), list[Pair]()
        for pair, documents in pairs:
            if not Rows(self.config, room).take(documents):
                read, idle = read + 1, idle + 1
                if idle > len(self.lines):
                    raise BadInput(f"rows of {room.tokens:,} tokens hold no pair of {self.lines.path}; set tokens")
                continue
            if len(held) == self._recipe.pairs or not rows.take(documents):
                yield self._finish(rows, held), read, held
                rows, held = Rows(self.config, room), []
                rows.take(documents)
            held.append(pair)
            read, idle = read + 1, 0
        if held:
            yield self._finish(rows, held), read, held

    def forever(self, start: int) -> Generator[tuple[Pairs, int], None, None]:
        """(a batch, pairs read so far) from a number of pairs on."""

        def pairs() -> Iterator[Taken]:
            at = start
            while True:
                epoch, place = divmod(at, len(self.lines))
                yield self.taken(self.lines, int(order(len(self.lines), self._recipe.seed, epoch)[place]))
                at += 1

        made = ((batch, start + read) for batch, read, _ in self.of(pairs()))
        with ThreadPoolExecutor(1, "pairs") as thread:
            ahead = thread.submit(next, made)
            while True:
                found = ahead.result()
                ahead = thread.submit(next, made)
                yield found

    def _finish(self, rows: Rows, held: list[Pair]) -> Pairs:
        count, most = len(held), self._recipe.pairs

        def column(values: list[Any], dtype: type) -> np.ndarray:
            return np.asarray(values + [0] * (most - count), dtype)

        return Pairs(
            rows.finish(2 * most),
            column([1.0] * count, np.float32),
            column([pair.margin for pair in held], np.float32),
            column([self._groups[pair.behaviour] for pair in held], np.int32),
        )


def checked(path: Path, groups: dict[str, int]) -> Lines[Pair]:
    """The pairs of a file. Raises BadInput where a line is none, or of a behaviour that no group has."""
    lines = preferences.needed(path)
    for index in range(len(lines)):
        if (behaviour := lines[index].behaviour) not in groups:
            known = ", ".join(sorted(groups))
            raise BadInput(f"{path} has a pair of behaviour {behaviour!r}, which no head learns; there are {known}")
    return lines


def heldout(path: Path, groups: dict[str, int], batches: Batches) -> Lines[Pair]:
    """The held-out pairs. Raises BadInput as `checked` and `apart` do, and for one that the model does not take."""
    lines = checked(path, groups)
    apart(batches.lines, lines)
    for index in range(min(rooms.LOOKED_AT // 2, len(lines))):
        batches.taken(lines, index)
    return lines


def apart(training: Lines[Pair], heldout: Lines[Pair]) -> None:
    """Raises BadInput where a held-out pair is among those of training."""
    known = {preferences.fingerprint(training[index]) for index in range(len(training))}
    shared = sum(preferences.fingerprint(heldout[index]) in known for index in range(len(heldout)))
    if shared:
        raise BadInput(f"{shared:,} pairs of {heldout.path} are in {training.path} too; hold them out of it")
