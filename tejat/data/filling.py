"""One row of every batch, filled from a stream of documents of its own.

Row r of a batch of R rows reads the documents numbered r, r + R, r + 2 R, …, whoever fills it: which documents go into
batch s, and where, depends on nothing but the documents and s. A `Place` says where such a stream stands.

A row is filled by best fit over a bounded buffer: `AHEAD` documents wait, of which ever again the largest that fits is
taken, until none does. One that has waited while `OVERDUE` were drawn begins the next row, so that none waits forever.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from tejat.codecs.framing import Encoded
from tejat.data.cutting import pieces
from tejat.data.packing import Room, Row, Size, sizes
from tejat.errors import BadInput, Refused

AHEAD = 16
"""Documents that wait. Of rows of 8,192 tokens, pages of manuals and code fill 99.3% with 16, and 99.6% with 32."""

OVERDUE = 64
"""Were the longest waiting to begin every row, they would fill 98.1%; short rows of pictures 84% instead of 88%."""

PATIENCE = 1_000
"""Documents without use, one after the other, that end the work: the stream is not made for these rows."""

LISTED = 8
"""Documents without use that a row lists by number and reason; beyond, they are counted."""

STAGE = 1 << 40
"""Documents of stage k of a mixture are numbered from k x STAGE."""


class Source(Protocol):
    """Document number i of an endless stream; a pure function of i, which raises BadInput for one that is damaged.

    A source whose mixture changes has `begins`, the steps at which its stages begin, the first of them 0. From exactly
    the step where stage k begins, documents are those numbered k x STAGE, k x STAGE + 1, …

    One that keeps a ledger has `seen`, which makes JSON of the places of all rows: what was drawn of it.
    """

    def __call__(self, index: int, /) -> Encoded: ...


@dataclass
class Place:
    """Where the stream of one row stands.

    Attributes:
      stage: of the mixture.
      drawn: documents drawn in it.
      ended: documents drawn in each stage before it.
      waiting: those of them that wait, as (document, piece), the one that waited longest first.
      dropped: documents that no row can hold.
      damaged: documents that could not be read.
      left: pieces that waited when a stage ended, and belonged to no batch after it.
      listed: the first few dropped or damaged, as (document, reason).
    """

    stage: int = 0
    drawn: int = 0
    ended: list[int] = field(default_factory=list)
    waiting: list[tuple[int, int]] = field(default_factory=list)
    dropped: int = 0
    damaged: int = 0
    left: int = 0
    listed: list[tuple[int, str]] = field(default_factory=list)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "Place":
        pairs = {name: [(a, b) for a, b in value[name]] for name in ("waiting", "listed")}
        return cls(**(value | pairs))


@dataclass(frozen=True, eq=False)
class _Waiting:
    index: int
    number: int
    piece: Encoded
    size: Size


class Stream:
    """Fills row number `row` of batch after batch. Documents that waited at its place are made again."""

    def __init__(self, source: Source, room: Room, row: int, place: Place):
        self._source, self._room, self._row, self._place = source, room, row, place
        self._begins: Sequence[int] = getattr(source, "begins", (0,))
        self._waiting: list[_Waiting] = []
        made: dict[int, list[_Waiting]] = {}
        for index, number in place.waiting:
            if index not in made:
                made[index] = self._pieces(index)
            self._waiting.append(made[index][number])
        self._idle = 0  # documents without use since the last of use

    @property
    def place(self) -> Place:
        """A copy, which stays as it is."""
        kept, waiting = self._place, [(w.index, w.number) for w in self._waiting]
        return Place(**(vars(kept) | {"waiting": waiting, "listed": [*kept.listed], "ended": [*kept.ended]}))

    def fill(self, step: int) -> Row:
        """The row of batch number `step`, counted from 0. Raises BadInput for a stream of which nothing is of use."""
        self._enter(step)
        row = Row(self._room)
        self._draw()
        if self._place.drawn - self._waiting[0].index % STAGE // self._room.rows >= OVERDUE:
            overdue = self._waiting.pop(0)
            row.add(overdue.piece, overdue.size)
        took = True
        while took:
            self._draw()
            took = False
            for each in sorted(self._waiting, key=lambda w: -w.size.tokens):
                if row.fits(each.size):
                    row.add(each.piece, each.size)
                    self._waiting.remove(each)
                    took = True
        return row

    def _enter(self, step: int) -> None:
        """The stage that the step is in. What waits from the one before it would come too late, and is left."""
        stage = sum(step >= begin for begin in self._begins) - 1
        place = self._place
        if stage != place.stage:
            place.left += len(self._waiting)
            place.ended += [place.drawn, *[0] * (stage - place.stage - 1)]  # stages of no length are passed over
            place.stage, place.drawn, self._waiting = stage, 0, []

    def _draw(self) -> None:
        """Draws documents until enough wait. Raises Refused for one that is held out."""
        place = self._place
        while len(self._waiting) < AHEAD:
            index = place.stage * STAGE + place.drawn * self._room.rows + self._row
            place.drawn += 1
            try:
                found = self._pieces(index)
            except Refused:
                raise
            except BadInput as error:
                place.damaged += 1
                self._list(index, str(error))
                continue
            if not found:
                place.dropped += 1
                self._list(index, "no row can hold it")
                continue
            self._idle = 0
            self._waiting += found

    def _pieces(self, index: int) -> list[_Waiting]:
        found = pieces(self._source(index), self._room)
        return [_Waiting(index, number, piece, sizes(piece)) for number, piece in enumerate(found)]

    def _list(self, index: int, reason: str) -> None:
        place = self._place
        if len(place.listed) < LISTED:
            place.listed.append((index, reason))
        self._idle += 1
        if self._idle == PATIENCE:
            told = f"{PATIENCE:,} documents in a row are of no use, the last, number {index}, because: {reason}"
            raise BadInput(f"{told}; give rows more room, or other documents")
