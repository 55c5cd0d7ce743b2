"""A supervised run on several hosts: the same program on each, begun by the scheduler, by hand, or again after a fault.

Each host has an agent, which runs that host's processes and keeps copies of the state of others' in its memory. Whoever
holds the lock of the run's directory leads: it says which hosts take part, and supervises them as one machine's
supervisor does its processes. A leader that dies loses the lock; the next one goes on from what survives. A host that
does not answer, or whose agent is gone, is lost: a spare takes its place, which is any agent beyond those wanted; where
none comes in time, fewer go on. Whoever comes back is a spare, or makes the world whole again at its next beginning.

All hosts see one file system, with locks. On it lie

RUN/surviving/hosts/N.json   address of the agent of host N
              key            what agents must know to be answered
              excluded.jsonl hosts that compute wrongly, and why; without its line, one may come again
"""

import contextlib
import fcntl
import json
import os
import shutil
import signal
import socket
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from tejat.errors import BadInput
from tejat.parts import write_whole
from tejat.train import identity
from tejat.train.surviving import copies
from tejat.train.surviving.copies import Share
from tejat.train.surviving.crew import Crew, Host
from tejat.train.surviving.exclusive import held
from tejat.train.surviving.pulse import Beat
from tejat.train.surviving.supervisor import SHARED, Ended, GaveUp, Supervised, Supervisor, place_of
from tejat.train.surviving.worker import DONE, STOPPED, Order

LOOK = 0.2
"""Seconds between two looks of those that do not lead."""

AT_FIRST = 900.0
"""Seconds in which all hosts must have come to begin a run."""


@dataclass(frozen=True)
class Post:
    """What this host is among others.

    Attributes:
      host: its number, of which no two are the same.
      hosts: how many are wanted; others are spares.
      address: under which the others reach it.
      wait: seconds in which a lost host's place must be taken, before fewer go on.
      memory: a directory in this host's shared memory.
    """

    host: int
    hosts: int
    address: str
    wait: float = 60.0
    memory: Path = SHARED


def here() -> str:
    """This host's address, as others may reach it: of what leads to the outside, else its name."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        try:
            asked.connect(("192.0.2.1", 9))  # nothing is sent
            return asked.getsockname()[0]
        except OSError:
            return socket.gethostname()


def exclude(directory: Path, host: int, why: str) -> None:
    """Writes down that a host computes wrongly, and takes it off those that can be asked."""
    own = directory / "surviving"
    own.mkdir(parents=True, exist_ok=True)
    with (own / "excluded.jsonl").open("a") as file:
        file.write(json.dumps({"host": host, "why": why, "at": time.time()}) + "\n")
    (own / "hosts" / f"{host}.json").unlink(missing_ok=True)


def excluded(directory: Path) -> dict[int, str]:
    """Hosts that are, and why."""
    path = directory / "surviving" / "excluded.jsonl"
    lines = path.read_text().splitlines() if path.is_file() else []
    return {told["host"]: told["why"] for told in map(json.loads, lines)}


def supervise(
    task: Supervised,
    post: Post,
    told: Callable[[str], None] = lambda what: None,
    logged: Callable[[dict[str, Any]], None] = lambda line: None,
) -> int:
    """Takes part in a run until its end, and leads it where it falls to this host. A run that the directory holds is
    gone on with, since agents come and go. The code is as of `supervisor.supervise`, the same on all hosts.

    Raises:
      BadInput: as there; for a host that is excluded; for one whose number another agent has.
      GaveUp: as there.
    """
    own = task.directory / "surviving"
    (own / "hosts").mkdir(parents=True, exist_ok=True)
    if why := excluded(task.directory).get(post.host):
        where = own / "excluded.jsonl"
        raise BadInput(f"host {post.host} is excluded: {why}; mend it, and remove its line from {where}")
    place = place_of(task.directory, post.memory)
    if task.copy_every and not place.is_dir():
        copies.check_room(post.memory if post.memory.is_dir() else own, -(-task.state_bytes // post.hosts))
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    with held(place / "agent", f"an agent of this run is on this host already; host {post.host} is another one"):
        agent = _Agent(task, post, place, told, logged)
        try:
            return agent.run()
        finally:
            agent.close()


class _Agent:
    def __init__(self, task: Supervised, post: Post, place: Path, told: Callable, logged: Callable):
        self._task, self._post, self._place, self._told, self._logged = task, post, place, told, logged
        self._own = task.directory / "surviving"
        self._key = _key(self._own / "key")
        order = Order(
            recipe=task.recipe,
            settings=task.settings,
            directory=task.directory,
            place=place,
            programs=task.programs or place / "programs",
            pulse=place,
            mesh=None,
            coordinator="",
            domains=(),
            rank=0,
            beside=(0, 1),
            resume=False,
            known=False,
            shares=(),
            until=task.until,
        )
        self._crew = Crew(order, post.host, self._key)
        self._card = self._own / "hosts" / f"{post.host}.json"
        write_whole(self._card, json.dumps({"address": f"{post.address}:{self._crew.port}"}).encode())

    def close(self) -> None:
        self._card.unlink(missing_ok=True)
        self._crew.close()

    def run(self) -> int:
        """Waits for what the leader says, or for its end."""
        with (self._own / "supervisor").open("a") as lock, self._heeding():
            while True:
                if (over := self._crew.over) is not None:
                    return self._ended(over)
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    if self._notice and not self._crew.running:
                        return STOPPED
                    if self._crew.running and time.monotonic() - self._crew.heard > 2 * self._task.silence:
                        self._told("the leader is silent: the processes here are ended")
                        self._crew.end()
                    time.sleep(LOOK)
                    continue
                if (over := self._crew.over) is not None:  # it had come meanwhile
                    return self._ended(over)
                self._crew.end()
                leader = Leader(self._task, self._post, self._key, self._place, self._told, self._logged)
                with leader.heeding():
                    return leader.lead()

    @contextlib.contextmanager
    def _heeding(self) -> Iterator[None]:
        """This host is to be taken away: its processes are told, and all agree on a step after which they stop."""

        def note(number: int, frame: Any) -> None:
            self._notice = True
            self._crew.signal()

        self._notice = False
        before = {number: signal.signal(number, note) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _ended(self, over: dict[str, Any]) -> int:
        if over["code"] in (DONE, STOPPED):
            return over["code"]
        raise (BadInput if over["bad"] else GaveUp)(over["why"])


class Leader(Supervisor):
    """Supervises hosts by their agents, its own among them."""

    def __init__(self, task: Supervised, post: Post, key: bytes, place: Path, told: Callable, logged: Callable):
        super().__init__(task, told, logged, place)
        self._post, self._key = post, key
        self._hosts: list[Host] = []
        self._ports: dict[int, int] = {}  # of hosts that answered last, a free one of each
        self._resume = (task.directory / identity.NAME).is_file()

    def lead(self) -> int:
        """As `Supervisor.run`, and tells all hosts how it ended."""
        code, why, bad = DONE, "", False
        self._told(f"host {self._post.host} leads")
        try:
            code = self.run()
            return code
        except (BadInput, GaveUp) as error:
            code, why, bad = -1, str(error), isinstance(error, BadInput)
            raise
        finally:
            for host in self._all_hosts():
                host.tell("over", code=code, why=why, bad=bad, clear=self._cleared)
                host.close()

    # ---- Who takes part ----------------------------------------------------------------------------------------------

    def _gathered(self) -> None:
        """Chooses the hosts of the next generation: those of the last one that are left, each in its place, and others
        in the places of the lost."""
        wanted, first = self._post.hosts, not self._hosts and not self._resume
        deadline = time.monotonic() + (AT_FIRST if first else self._post.wait)
        while len(alive := self._alive()) < wanted and time.monotonic() < deadline and not self._stop.is_set():
            time.sleep(LOOK)
        if self._stop.is_set():
            return
        if first and len(alive) < wanted:
            self._give_up(f"{len(alive)} of {wanted} hosts came within {AT_FIRST:.0f} s")
        before = [host.number for host in self._hosts]
        chosen = places(before, alive, wanted)
        each, whole = self._task.processes, wanted * self._task.processes
        self._domains, self._mesh = list(range(whole)), self._task.mesh
        if len(chosen) < wanted:
            lost = f"{wanted - len(chosen)} of {wanted} hosts are lost and no spare came"
            count, self._mesh = self._fewer(lost, len(chosen) * each, each)
            chosen = chosen[: count // each]
            self._shrunk = True
            self._events.tell("shrunk", processes=count)
            self._told(f"{lost}: {count} processes go on")
        for host in self._hosts:
            host.close()
        self._ports = alive
        cards = self._cards()
        self._hosts = [Host(number, cards[number], self._key, self._task.silence) for number in chosen]
        self._domains = [number for number in chosen for _ in range(each)]
        if new := [number for number in chosen if before and number not in before]:
            self._told(f"hosts {', '.join(map(str, new))} take part now")

    def _alive(self) -> dict[int, int]:
        """Hosts that answer, and a free port of each."""
        found = {}
        out = excluded(self._task.directory)
        for host in self._all_hosts():
            if host.number not in out and (port := host.hello(self._run())) is not None:
                found[host.number] = port
            host.close()
        return found

    def _all_hosts(self) -> list[Host]:
        patience = min(5.0, self._task.silence)
        return [Host(number, address, self._key, patience) for number, address in sorted(self._cards().items())]

    def _cards(self) -> dict[int, str]:
        found = {}
        for path in (self._own / "hosts").glob("*.json"):
            with contextlib.suppress(OSError, ValueError):  # it has just gone
                found[int(path.stem)] = json.loads(path.read_text())["address"]
        return found

    def _give_up(self, why: str) -> NoReturn:
        self._events.tell("gave up", why=why)
        raise GaveUp(why)

    # ---- What a supervisor of one machine does by itself -------------------------------------------------------------

    def _generation(self) -> Ended:
        self._gathered()
        if self._stop.is_set():
            return Ended(STOPPED, None, "stopped before its first step", False)
        try:
            return super()._generation()
        finally:
            for host in self._hosts:
                host.end()

    def _begun(self, pulses: list[Path], resume: bool, shares: list[Share], turns: Sequence[Any] = ()) -> list:
        first = self._hosts[0]
        told = {
            "mesh": self._mesh,
            "coordinator": f"{first.address.rpartition(':')[0]}:{self._ports[first.number]}",
            "domains": self._domains,
            "resume": resume,
            "known": self._known,
            "step": shares[0].step if shares else max(self._checkpoints(), default=0),
            "shares": [[str(share.path), share.host] for share in shares],
            "addresses": {str(number): address for number, address in self._cards().items()},
        }
        members: dict[int, Any] = {}
        for host in self._hosts:
            ranks = [rank for rank, number in enumerate(self._domains) if number == host.number]
            members |= host.begin(ranks, **told)
        return [members[rank] for rank in range(len(self._domains))]

    def _beats(self, pulses: list[Path]) -> dict[int, Beat]:
        return {rank: beat for host in self._hosts for rank, beat in host.beats.items()}

    def _stepping(self) -> None:
        for host in self._all_hosts():
            host.tell("stepping", run=self._run())
            host.close()

    def _survivors(self) -> list[Share]:
        found = []
        for host in self._all_hosts():
            if host.number in self._ports:
                found += host.shares()
            host.close()
        return found

    def _tidy(self) -> None:
        found = self._survivors()
        if (whole := copies.newest(found)) and whole[0].of == len(self._domains):
            for host in self._hosts:
                host.tell("forget", after=None, of=len(self._domains))
            self._shrunk = False

    def _forget_others(self) -> None:
        """Each host does, when it is asked who it is."""

    def _clear(self) -> None:
        self._cleared = True
        shutil.rmtree(self._place, ignore_errors=True)

    _cleared = False

    def _replace(self, rank: int, spares: int) -> None:
        """An audit has found a host to compute wrongly."""
        number = self._domains[rank]
        why = f"an audit found that process {rank} on it computes wrongly"
        exclude(self._task.directory, number, why)
        for host in self._hosts:
            if host.number == number:
                host.tell("over", code=-1, why=f"host {number} is excluded: {why}", bad=False, clear=True)
        self._events.tell("excluded", host=number, why=why)
        self._told(f"host {number} is excluded: {why}")


def places(before: Sequence[int], alive: Collection[int], wanted: int) -> list[int]:
    """Hosts that take part, at most `wanted` of those that are alive: who did before keeps its place, which spares its
    processes a compilation, as far as nobody before it is missing."""
    others = [number for number in sorted(alive) if number not in before]
    chosen = [number if number in alive else others.pop(0) if others else None for number in before]
    left = [number for number in chosen if number is not None]
    return [*left, *others[: max(0, wanted - len(left))]]


def _key(path: Path) -> bytes:
    """The key of a run, made by the first that comes."""
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        deadline = time.monotonic() + 10
        while len(found := path.read_bytes()) < 32 and time.monotonic() < deadline:
            time.sleep(0.05)
        if len(found) < 32:
            raise BadInput(f"{path} is no key of a run; remove it, and begin on all hosts again") from None
        return found
    with os.fdopen(file, "wb") as made:
        made.write(key := os.urandom(32))
    return key
