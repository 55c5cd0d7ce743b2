"""Copies of a run's state in memory: files of shared memory, which outlive the processes that write them.

PLACE/domain-D/      memory that is lost at once, with whatever machine it belongs to
  step-S.rank-R      the share of process R after step S; a copy of it lies in the domain of a peer

Every process writes the pieces of the state that are its own, each with a checksum, and all else that a run needs to
go on. A file is filled under another name and then renamed: what a kill cuts short never bears the name of a copy, and
the memory of the oldest copy is used again for the newest. A step can be gone on from where some copy of every
process's share of it survives.
"""

import contextlib
import json
import mmap
import os
import re
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from tejat.errors import BadInput

KEPT = 2
"""Copies of a share in each of the places where it is kept."""

_NAME = re.compile(r"step-(\d+)\.rank-(\d+)")
_HEAD = 16  # bytes at a file's beginning: the length of its header, and the header's checksum


@dataclass(frozen=True)
class Piece:
    """A box of an array: where it begins in it, its shape, and where its bytes lie behind the header."""

    name: str
    start: tuple[int, ...]
    shape: tuple[int, ...]
    dtype: str
    at: int

    @property
    def bytes(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64)) * np.dtype(self.dtype).itemsize


def laid_out(boxes: Iterable[tuple[str, tuple[int, ...], tuple[int, ...], str]]) -> list[Piece]:
    """Pieces one after the other, from (name, start, shape, dtype) of each; on multiples of 64 bytes."""
    found: list[Piece] = []
    for name, start, shape, dtype in boxes:
        at = -(-(found[-1].at + found[-1].bytes) // 64) * 64 if found else 0
        found.append(Piece(name, start, shape, dtype, at))
    return found


def size(pieces: Sequence[Piece]) -> int:
    return pieces[-1].at + pieces[-1].bytes if pieces else 0


class Slots:
    """Where one process keeps its share in one domain: `KEPT` files, of which the oldest is written over.

    All have their memory from the beginning: raises BadInput where there is too little. A domain that has lost its
    files, or its directory, gets new ones. Files of an earlier process of this rank are taken over up to `step`, from
    which the run goes on; those of later steps are removed, since they would be taken for newer than what is made
    again.
    """

    def __init__(self, domain: Path, rank: int, pieces: Sequence[Piece], step: int = 0):
        self._domain, self._rank, self._pieces = domain, rank, pieces
        # The header of a copy: its pieces, once more as much for their checksums, and facts that grow.
        self._data = _HEAD + 2 * 4096 * -(-len(json.dumps([asdict(p) for p in pieces])) // 4096) + FACTS
        self._whole = self._data + max(size(pieces), 1)
        self._files: list[tuple[Path, mmap.mmap]] = []  # oldest first
        self._writing: tuple[Path, mmap.mmap] | None = None
        for path in sorted(domain.glob(f"*.rank-{rank}"), key=step_of):
            if not 0 <= step_of(path) <= step:
                path.unlink()
            elif path.stat().st_size == self._whole:  # those of another world may still be read by others
                with path.open("r+b") as file:
                    self._files.append((path, mmap.mmap(file.fileno(), self._whole)))
        try:
            empty = [domain / f"empty-{number}.rank-{rank}" for number in range(KEPT - len(self._files))]
            self._files = [*((path, self._made(path)) for path in empty), *self._files]
        except OSError as error:
            for path in empty:
                path.unlink(missing_ok=True)
            raise BadInput(_no_room(domain, self._whole * len(empty))) from error

    def begin(self) -> list[np.ndarray]:
        """The pieces of a new copy, to be filled."""
        path = self._domain / f"writing.rank-{self._rank}"
        old, mapped = self._files.pop(0)
        try:
            old.rename(path)
        except FileNotFoundError:  # the domain was lost
            mapped = self._made(path)
        self._writing = path, mapped
        data = np.frombuffer(mapped, np.uint8)
        found = []
        for piece in self._pieces:
            at = self._data + piece.at
            found.append(data[at : at + piece.bytes].view(piece.dtype).reshape(piece.shape))
        return found

    def finish(self, step: int, of: int, facts: Mapping[str, Any], sums: Sequence[int]) -> None:
        """Gives the copy its name. `of`: processes that have a share; `sums`: checksums of the pieces."""
        path, mapped = self._writing or (None, None)
        assert path is not None and mapped is not None
        told = [asdict(piece) | {"sum": total} for piece, total in zip(self._pieces, sums, strict=True)]
        header = json.dumps({"step": step, "rank": self._rank, "of": of, "facts": facts, "pieces": told}).encode()
        if _HEAD + len(header) > self._data:
            raise BadInput(f"what process {self._rank} has to keep beside its arrays has grown to {len(header)} bytes")
        mapped[_HEAD : _HEAD + len(header)] = header
        mapped[:_HEAD] = len(header).to_bytes(8, "little") + zlib.crc32(header).to_bytes(8, "little")
        name = self._domain / f"step-{step}.rank-{self._rank}"
        with contextlib.suppress(FileNotFoundError):  # the domain was lost meanwhile: a later copy makes it anew
            path.rename(name)
        self._files, self._writing = [*self._files, (name, mapped)], None

    @property
    def newest(self) -> tuple[str, mmap.mmap]:
        """Name and bytes of the copy that was finished last."""
        path, mapped = self._files[-1]
        return path.name, mapped

    def _made(self, path: Path) -> mmap.mmap:
        return allocated(path, self._whole)


def allocated(path: Path, size: int) -> mmap.mmap:
    """A new file, all of whose memory is there: else a full memory ended the process when it is touched."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w+b") as file:
        os.posix_fallocate(file.fileno(), 0, size)
        return mmap.mmap(file.fileno(), size)


FACTS = 1 << 18
"""Bytes kept free for what goes with the arrays, such as the place of every row in the data."""


def step_of(path: Path) -> int:
    """The step in a copy's name; -1 of one that is being written."""
    found = _NAME.fullmatch(path.name)
    return int(found[1]) if found else -1


def sums(arrays: Sequence[np.ndarray]) -> list[int]:
    """The CRC-32 of each."""
    return [zlib.crc32(np.ascontiguousarray(array).reshape(-1).view(np.uint8)) for array in arrays]


# ---- What survives ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Share:
    """A copy of a process's share that was found, whole; `host` is whose memory it is in, where there are several."""

    path: Path
    step: int
    rank: int
    of: int
    host: int | None = None


def survivors(place: Path) -> list[Share]:
    """All copies in all domains whose every checksum is right, but those that are damaged or being written."""
    found = []
    for path in sorted(place.glob("domain-*/step-*.rank-*")):
        told = header(path)
        if told is None or not right(path, told):
            continue
        found.append(Share(path, told["step"], told["rank"], told["of"]))
    return found


def newest(shares: Iterable[Share], until: int | None = None) -> list[Share]:
    """One copy of each share of the newest step (not after `until`) of which all survive; empty where there is none."""
    steps: dict[tuple[int, int], dict[int, Share]] = {}
    for share in shares:
        if until is None or share.step <= until:
            steps.setdefault((share.step, share.of), {}).setdefault(share.rank, share)
    whole = [(key, ranks) for key, ranks in steps.items() if len(ranks) == key[1]]
    if not whole:
        return []
    _, ranks = max(whole, key=lambda each: each[0])
    return [ranks[rank] for rank in sorted(ranks)]


class Afar(Protocol):
    """A copy that lies on another host."""

    def header(self) -> dict[str, Any] | None:
        """As `header` tells it; None where there is no such copy any more."""
        ...

    def read(self, at: int, count: int) -> Any:
        """So many of its bytes."""
        ...


class Assembly:
    """Arrays put together from the shares of a step, any box of them. Of those that lie elsewhere, only what is asked
    for is fetched."""

    def __init__(self, sources: Sequence[Path | Afar]):
        self.facts: list[dict[str, Any]] = []
        self._boxes: dict[str, list[tuple[Piece, Callable[[], np.ndarray]]]] = {}
        for source in sources:
            told = header(source) if isinstance(source, Path) else source.header()
            if told is None:
                raise BadInput(f"the copy {source} has gone or is damaged; let the supervisor choose again")
            self.facts.append(told["facts"])
            data = np.memmap(source, np.uint8, "r") if isinstance(source, Path) else source
            for piece, total in told["pieces"]:
                array = partial(_array, data, told["data"], piece, total)
                self._boxes.setdefault(piece.name, []).append((piece, array))

    def box(self, name: str, shape: Sequence[int], dtype: np.dtype, index: tuple[slice, ...]) -> np.ndarray:
        """The part `index` of the array of this name, whole `shape` and type. Raises BadInput where a part is lost."""
        index = tuple(slice(*each.indices(length)) for each, length in zip(index, shape, strict=True))
        found = np.empty([each.stop - each.start for each in index], dtype)
        filled = 0
        for piece, array in self._boxes.get(name, ()):
            if np.dtype(piece.dtype) != dtype or len(piece.start) != len(shape):
                break
            here, there, count = [], [], 1
            for wanted, start, length in zip(index, piece.start, piece.shape, strict=True):
                first, last = max(wanted.start, start), min(wanted.stop, start + length)
                here.append(slice(first - wanted.start, last - wanted.start))
                there.append(slice(first - start, last - start))
                count *= max(0, last - first)
            if count:
                found[tuple(here)] = array()[tuple(there)]
                filled += count
        if filled != found.size:
            raise BadInput(f"the copies in memory do not hold all of {name} as {dtype}{list(shape)}; remove them")
        return found


def _array(source: np.ndarray | Afar, data: int, piece: Piece, total: int) -> np.ndarray:
    """A piece of a copy. Here it was looked at already; on its way from elsewhere it may have changed."""
    at = data + piece.at
    if isinstance(source, np.ndarray):
        found = source[at : at + piece.bytes]
    else:
        found = np.frombuffer(source.read(at, piece.bytes), np.uint8)
        if len(found) != piece.bytes or zlib.crc32(found) != total:
            raise BadInput(f"{piece.name} of the copy {source} is damaged; let the supervisor choose again")
    return found.view(piece.dtype).reshape(piece.shape)


def header(path: Path) -> dict[str, Any] | None:
    """What a copy says of itself: "pieces", each with its checksum, behind byte "data"; None where it is damaged."""
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
            length = int.from_bytes(head[:8], "little")
            if not 0 < length <= os.fstat(file.fileno()).st_size:
                return None
            data = file.read(length)
    except OSError:
        return None
    if zlib.crc32(data) != int.from_bytes(head[8:], "little"):
        return None
    told = json.loads(data)
    pieces = [{"start": tuple(p.pop("start")), "shape": tuple(p.pop("shape")), **p} for p in told["pieces"]]
    summed = [(piece.pop("sum"), Piece(**piece)) for piece in pieces]
    told["pieces"] = [(piece, total) for total, piece in summed]
    told["data"] = path.stat().st_size - max(size([piece for piece, _ in told["pieces"]]), 1)
    return told


def right(path: Path, told: dict[str, Any]) -> bool:
    """Is every piece what was written?"""
    try:
        data = np.memmap(path, np.uint8, "r")
    except (OSError, ValueError):
        return False
    for piece, total in told["pieces"]:
        at = told["data"] + piece.at
        if at + piece.bytes > len(data) or zlib.crc32(data[at : at + piece.bytes]) != total:
            return False
    return True


# ---- Room ------------------------------------------------------------------------------------------------------------


def check_room(place: Path, state: int) -> None:
    """Is there room in `place` for the copies of a state of so many bytes? Raises BadInput."""
    wanted = 2 * KEPT * state
    found = os.statvfs(place)
    if wanted > found.f_bavail * found.f_frsize:
        raise BadInput(_no_room(place, wanted))


def _no_room(place: Path, wanted: int) -> str:
    found = os.statvfs(place)
    free = found.f_bavail * found.f_frsize / 1e6
    return (
        f"{place} has {free:,.0f} MB free where copies of the state take {wanted / 1e6:,.0f} MB; enlarge it (of a "
        f"container, by --shm-size), or set copy_every=0"
    )
