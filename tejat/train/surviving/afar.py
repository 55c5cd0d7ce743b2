"""Copies that lie on other hosts: how a process sends its own there, how a host keeps them, and how they are read.

A copy travels as it lies in memory, header and all. The host that gets it looks at every checksum before it gives it
its name; who reads a piece of it looks again.
"""

import mmap
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tejat.train.surviving import copies
from tejat.train.surviving.copies import KEPT, Piece
from tejat.train.surviving.wire import Answer, Peer, Refused, Told, Unreachable

_NAME = re.compile(r"step-(\d+)\.rank-(\d+)")


# ---- Who has them ----------------------------------------------------------------------------------------------------


class Shelf:
    """The copies in a host's memory, to be answered for by its `Server`. `place` is where its domains are."""

    def __init__(self, place: Path):
        self._place = place

    @property
    def handlers(self) -> Mapping[str, Any]:
        return {"keep": self._keep, "shares": self._shares, "header": self._header, "read": self._read}

    def room(self, told: Told, count: int) -> Any:
        """Memory for a copy that comes: that of the oldest of its process, where there are enough. Raises ValueError
        for what is no copy, and OSError where there is too little."""
        if told.get("what") != "keep":
            return bytearray(count)
        path = self._named(told)
        rank = _NAME.fullmatch(path.name)[2]
        coming = path.with_name(f"writing.rank-{rank}")
        held = sorted(path.parent.glob(f"step-*.rank-{rank}"), key=copies.step_of)
        old = held[: max(0, len(held) + 1 - KEPT)]
        reused = next((each for each in old if each.stat().st_size == count), None)
        for each in old:
            if each != reused:
                each.unlink()
        if reused is None:
            return copies.allocated(coming, count)
        reused.rename(coming)
        with coming.open("r+b") as file:
            return mmap.mmap(file.fileno(), count)

    def _keep(self, told: Told) -> Answer:
        path = self._named(told)
        coming = path.with_name(f"writing.{path.name.partition('.')[2]}")
        found = copies.header(coming)
        if found is None or not copies.right(coming, found):
            raise ValueError(f"the copy {path.name} came damaged")
        coming.rename(path)
        return {}, b""

    def _shares(self, told: Told) -> Answer:
        found = copies.survivors(self._place)
        return {"shares": [[str(each.path), each.step, each.rank, each.of] for each in found]}, b""

    def _header(self, told: Told) -> Answer:
        found = copies.header(self._here(told))
        if found is None:
            return {"found": None}, b""
        pieces = [asdict(piece) | {"sum": total} for piece, total in found["pieces"]]
        return {"found": found | {"pieces": pieces}}, b""

    def _read(self, told: Told) -> Answer:
        with self._here(told).open("rb") as file:
            file.seek(told["at"])
            return {}, file.read(told["count"])

    def _named(self, told: Told) -> Path:
        """Where a copy that comes is to lie."""
        if not _NAME.fullmatch(told["name"]):
            raise ValueError(f"{told['name']!r} is no name of a copy")
        return self._place / f"domain-{int(told['domain'])}" / told["name"]

    def _here(self, told: Told) -> Path:
        """A copy that is asked for. Raises ValueError for any other file."""
        path = Path(told["path"])
        if path.parent.parent != self._place or not _NAME.fullmatch(path.name):
            raise ValueError(f"{path} is no copy of this run")
        return path


# ---- Who sends and reads them ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Abroad:
    """A copy on another host, to be read there."""

    path: Path
    address: str
    key: bytes

    def __str__(self) -> str:
        return f"{self.path} on {self.address}"

    def header(self) -> dict[str, Any] | None:
        """Raises Unreachable."""
        answer, _ = _peer(self.address, self.key).ask("header", path=str(self.path))
        if (found := answer["found"]) is None:
            return None
        pieces = []
        for told in found["pieces"]:
            total = told.pop("sum")
            start, shape = tuple(told.pop("start")), tuple(told.pop("shape"))
            pieces.append((Piece(start=start, shape=shape, **told), total))
        return found | {"pieces": pieces}

    def read(self, at: int, count: int) -> bytes:
        """Raises Unreachable."""
        return _peer(self.address, self.key).ask("read", path=str(self.path), at=at, count=count)[1]


class Sender:
    """Sends a process's copies to the memory of another host."""

    def __init__(self, address: str, key: bytes, domain: int):
        self._address, self._key, self._domain = address, key, domain

    def send(self, name: str, data: Any) -> str | None:
        """Why it could not, where that is so: the run goes on without this copy, as a host may be lost at any time."""
        try:
            _peer(self._address, self._key).ask("keep", data, name=name, domain=self._domain)
        except (Unreachable, Refused) as error:
            return str(error)
        return None


_peers: dict[tuple[str, bytes], Peer] = {}


def _peer(address: str, key: bytes) -> Peer:
    """One connection of this process to each host."""
    return _peers.setdefault((address, key), Peer(address, key))
