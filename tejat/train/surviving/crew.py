"""The processes of a run on one host, and its memory: what an agent answers for, and what its leader sees of it.

Crew   on the host itself: begins processes as it is told, and tells how they fare
Host   with the leader: asks a host's crew ten times a second; its processes look like those of the leader's own
"""

import contextlib
import multiprocessing
import os
import shutil
import socket
import threading
import time
from collections.abc import Mapping, Sequence
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

from tejat.train.guards import Phase
from tejat.train.surviving import copies, pulse, standby
from tejat.train.surviving.afar import Abroad, Sender, Shelf
from tejat.train.surviving.copies import Share
from tejat.train.surviving.pulse import Beat
from tejat.train.surviving.wire import Answer, Peer, Refused, Server, Told, Unreachable
from tejat.train.surviving.worker import GONE, Order, work

LOOK = 0.1
"""Seconds between two questions to a host."""

REFUSED = 3
"""Questions in a row that reach nobody: the agent is gone."""

PATIENCE = 600.0
"""Seconds in which a host has looked at all copies that it has."""


class Crew:
    """Processes that this host runs for a leader, which may be on it too.

    Args:
      order: what all of them have in common; the rest comes from the leader.
      number: of the host.
      key: of the run, to know whoever asks.
    """

    def __init__(self, order: Order, number: int, key: bytes):
        self._order, self.number, self._key = order, number, key
        self._place = order.place
        self._processes: dict[int, Any] = {}
        self._lock = threading.Lock()
        self.heard = time.monotonic()
        self.over: Told | None = None
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload([f"{__package__}.forked"])
        # By this thread, which lives as long as the agent: Linux ends a process with the thread that made it.
        forkserver.ensure_running()
        shelf = Shelf(self._place)
        mine = {"hello": self._hello, "begin": self._begin, "status": self._status, "signal": self._signal}
        mine |= {"end": self._end, "stepping": self._stepping, "over": self._told_over, "forget": self._forget}
        self._server = Server(mine | dict(shelf.handlers), key, shelf.room)
        self.port = self._server.port

    def close(self) -> None:
        self.end()
        self._server.close()

    def end(self) -> None:
        """By SIGKILL."""
        with self._lock:
            standby.end(list(self._processes.values()))
            self._processes = {}

    def signal(self) -> None:
        """SIGTERM."""
        for process in list(self._processes.values()):
            process.terminate()

    @property
    def running(self) -> bool:
        return bool(self._processes)

    # ---- What the leader asks --------------------------------------------------------------------------------------

    def _hello(self, told: Told) -> Answer:
        """Who this is, and a free port for what process 0 listens at. `run`: copies of another one are removed."""
        self.heard = time.monotonic()
        whose = self._place / "run"
        if not whose.is_file() or whose.read_text() != told["run"]:
            for domain in self._place.glob("domain-*"):
                shutil.rmtree(domain, ignore_errors=True)
        with socket.socket() as free:
            free.bind(("", 0))
            return {"number": self.number, "port": free.getsockname()[1]}, b""

    def _begin(self, told: Told) -> Answer:
        """Begins the processes of some ranks."""
        self.end()
        shares = tuple(
            Path(path) if where == self.number else Abroad(Path(path), told["addresses"][str(where)], self._key)
            for path, where in told["shares"]
        )
        abroad = {
            int(number): Sender(address, self._key, int(number))
            for number, address in told["addresses"].items()
            if int(number) != self.number
        }
        self._forget({"after": told["step"], "of": None})
        for path in self._place.glob("pulse-*"):
            path.unlink()
        with self._lock:
            self.heard = time.monotonic()
            for at, rank in enumerate(told["ranks"]):
                order = Order(
                    **{name: getattr(self._order, name) for name in ("recipe", "settings", "directory", "place")},
                    **{name: getattr(self._order, name) for name in ("programs", "until")},
                    **{name: told[name] for name in ("mesh", "coordinator", "resume", "known")},
                    pulse=self._place / f"pulse-{rank}",
                    domains=tuple(told["domains"]),
                    rank=rank,
                    beside=(at, len(told["ranks"])),
                    shares=shares,
                    abroad=abroad,
                )
                process = self._context.Process(target=work, args=(order,))
                process.start()
                self._processes[rank] = process
        return {}, b""

    def _status(self, told: Told) -> Answer:
        """How each process fares; times of its heartbeat as seconds ago, since clocks differ between hosts."""
        self.heard = now = time.monotonic()
        found: dict[str, Any] = {}
        with self._lock:
            for rank, process in self._processes.items():
                beat = pulse.read(self._place / f"pulse-{rank}")
                ago = beat and beat._replace(beat=now - beat.beat, since=now - beat.since, done_at=now - beat.done_at)
                found[str(rank)] = {"code": process.exitcode, "pid": process.pid, "beat": ago}
        return {"ranks": found}, b""

    def _signal(self, told: Told) -> Answer:
        self.signal()
        return {}, b""

    def _end(self, told: Told) -> Answer:
        self.end()
        return {}, b""

    def _stepping(self, told: Told) -> Answer:
        """The copies here are of this run from now on."""
        (self._place / "run").write_text(told["run"])
        return {}, b""

    def _forget(self, told: Told) -> Answer:
        """Removes copies of later steps than `after`, and those of worlds of another size than `of`."""
        for path in self._place.glob("domain-*/step-*.rank-*"):
            late = told["after"] is not None and copies.step_of(path) > told["after"]
            if late or (told["of"] is not None and (copies.header(path) or {"of": None})["of"] != told["of"]):
                path.unlink(missing_ok=True)
        return {}, b""

    def _told_over(self, told: Told) -> Answer:
        self.end()
        if told["clear"]:
            shutil.rmtree(self._place, ignore_errors=True)
        self.over = told
        return {}, b""


class Member:
    """A process on a host, as `multiprocessing` tells of one: its exit code, and a `sentinel` to wait for."""

    def __init__(self, host: "Host"):
        self._host, self.exitcode, self.pid = host, None, 0
        self.sentinel, self._ends = os.pipe()

    def ended(self, code: int) -> None:
        if self.exitcode is None:
            self.exitcode = code
            os.close(self._ends)

    def terminate(self) -> None:
        self._host.signal()

    def kill(self) -> None:
        self._host.end()

    def join(self) -> None:
        if self.sentinel >= 0:
            os.close(self.sentinel)
            self.sentinel = -1


class Host:
    """A host as its leader sees it. `silence`: seconds without an answer after which it is gone."""

    def __init__(self, number: int, address: str, key: bytes, silence: float):
        self.number, self.address, self.gone = number, address, False
        self._silence = silence
        # One connection to ask how it fares, and one for what takes its time, such as to look at all copies there.
        self._asked, self._told = Peer(address, key, silence), Peer(address, key, max(silence, PATIENCE))
        self._members: dict[int, Member] = {}
        self._beats: dict[int, Beat] = {}
        self._watching: threading.Event | None = None
        self._signalled = False

    def hello(self, run: str) -> int | None:
        """A free port there; None where it does not answer, or another does."""
        with contextlib.suppress(Unreachable, Refused):
            answer, _ = self._asked.ask("hello", run=run)
            if answer["number"] == self.number:
                return answer["port"]
        return None

    def begin(self, ranks: Sequence[int], **told: Any) -> dict[int, Member]:
        """Its processes of these ranks; all gone at once where the host is."""
        self._members, self._beats, self._signalled = {rank: Member(self) for rank in ranks}, {}, False
        try:
            self._told.ask("begin", ranks=list(ranks), **told)
        except (Unreachable, Refused):
            self._lost()
            return self._members
        self._watching = threading.Event()
        threading.Thread(target=self._watch, args=(self._watching, self._members), name="host", daemon=True).start()
        return self._members

    @property
    def beats(self) -> Mapping[int, Beat]:
        return dict(self._beats)

    def shares(self) -> list[Share]:
        """Copies that survive there."""
        with contextlib.suppress(Unreachable, Refused):
            answer, _ = self._told.ask("shares")
            return [Share(Path(path), *numbers, self.number) for path, *numbers in answer["shares"]]
        return []

    def tell(self, what: str, **told: Any) -> None:
        """What needs no answer: a host that is gone is seen elsewhere."""
        with contextlib.suppress(Unreachable, Refused):
            self._told.ask(what, **told)

    def signal(self) -> None:
        if not self._signalled:
            self._signalled = True
            self.tell("signal")

    def end(self) -> None:
        if self._watching is not None:
            self._watching.set()
            self._watching = None
            if not self.gone:
                self.tell("end")

    def close(self) -> None:
        self._asked.close()
        self._told.close()

    def _watch(self, over: threading.Event, members: dict[int, Member]) -> None:
        """Asks how the processes fare, until it is over or the host is gone."""
        heard, failed = time.monotonic(), 0
        while not over.wait(LOOK):
            try:
                answer, _ = self._asked.ask("status")
            except (Unreachable, Refused):
                failed += 1
                if failed >= REFUSED or time.monotonic() - heard > self._silence:
                    self._lost()
                    return
                continue
            heard, failed = time.monotonic(), 0
            for rank, told in answer["ranks"].items():
                member = members[int(rank)]
                member.pid = told["pid"]
                if told["beat"] is not None:
                    self._beats[int(rank)] = _here(Beat(*told["beat"]), heard)
                if told["code"] is not None:
                    member.ended(told["code"])

    def _lost(self) -> None:
        self.gone = True
        for member in self._members.values():
            member.ended(GONE)


def _here(beat: Beat, now: float) -> Beat:
    """A beat by this host's clock, from seconds ago."""
    phase = Phase(beat.phase)
    return beat._replace(phase=phase, beat=now - beat.beat, since=now - beat.since, done_at=now - beat.done_at)
