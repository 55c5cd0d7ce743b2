"""Python programs that a model wrote, run where they can do no harm: a process without network, files or privileges.

Linux only, by user namespaces and seccomp (`tejat.evals.jail` is the inside). Where a system has none of that, nothing
is run and `Unavailable` says what is missing: there is no weaker mode.
"""

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tejat.errors import BadInput

MACHINES = ("x86_64", "aarch64")
PATIENCE = 4  # seconds of the clock for each of processor time
BUILDING = 30.0  # seconds to build the program's world, on a busy machine


class Unavailable(BadInput):
    """This system cannot shut a program in."""


@dataclass(frozen=True)
class Limits:
    """What a program may use.

    Attributes:
      seconds: of processor time, for each process; and PATIENCE times as many of the clock, so that it does not
        depend on what else the machine does whether a program passes.
      memory: bytes of addresses, for each process.
      processes: at once, threads among them, the program itself included.
      disk: bytes that it may write, into /tmp and nowhere else.
      files: that it may have there.
      output: bytes of what it prints that are kept.
    """

    seconds: float = 5.0
    memory: int = 512 << 20
    processes: int = 1
    disk: int = 16 << 20
    files: int = 64
    output: int = 64 << 10


@dataclass(frozen=True)
class Ran:
    """How a program ended.

    Attributes:
      ended: "itself", by exit or error; "killed", by the system for what it did or used; "late", stopped by the clock.
      code: of its exit; minus a signal's number where one ended it.
      output, errors: the beginning of what it printed.
    """

    ended: Literal["itself", "killed", "late"]
    code: int
    output: str
    errors: str
    seconds: float

    @property
    def fine(self) -> bool:
        """Did it end by itself, without an error?"""
        return self.ended == "itself" and self.code == 0


def run(program: str, limits: Limits = Limits(), *, packages: bool = False) -> Ran:
    """Runs a program to its end or its limits.

    `packages`: it may import what is installed beside Tejat (read-only), as NumPy and matplotlib; else the standard
    library alone. Raises Unavailable where the system lacks what a sandbox is made of.
    """
    if not sys.platform.startswith("linux") or os.uname().machine not in MACHINES:
        raise Unavailable("code of a model is run in a sandbox only, which needs Linux on x86-64 or ARM; run it there")
    with tempfile.TemporaryDirectory(prefix="tejat-") as scaffold:
        wish = {
            "program": program,
            "scaffold": scaffold,
            "root": os.geteuid() == 0,
            "readable": sorted({*_homes(packages)}),
            "python": sys.executable if packages else os.path.realpath(sys.executable),
            "flags": ["-I"] if packages else ["-I", "-S"],
            "environment": {"PATH": "/usr/bin:/bin", "HOME": "/tmp", "LANG": "C.UTF-8", "MPLBACKEND": "agg"}
            | dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"),
            "memory": limits.memory,
            "seconds": max(1, round(limits.seconds + 0.5)),
            "processes": limits.processes,
            "disk": limits.disk,
            "files": limits.files + 2,  # the folder and the program
        }
        return _run(wish, limits)


def check() -> None:
    """Raises Unavailable where `run` would."""
    if not run("print(1)").fine:
        raise Unavailable("a program that prints a number does not run in the sandbox; see docs/EVALUATION.md")


def _run(wish: dict, limits: Limits) -> Ran:
    told_read, told_write = os.pipe()
    begin = time.monotonic()
    jailer = subprocess.Popen(
        [os.path.realpath(sys.executable), "-I", "-S", str(Path(__file__).with_name("jail.py")), str(told_write)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        pass_fds=(told_write,),
        start_new_session=True,
        env={"PATH": "/usr/bin:/bin"},
        cwd="/",
    )
    os.close(told_write)
    try:
        with os.fdopen(told_read, "rb") as told:
            return _attend(jailer, told, wish, limits, begin)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(jailer.pid, signal.SIGKILL)
        jailer.wait()
        for pipe in (jailer.stdin, jailer.stdout, jailer.stderr):
            with contextlib.suppress(OSError):
                pipe.close()  # type: ignore[union-attr]


def _attend(jailer: subprocess.Popen, told, wish: dict, limits: Limits, begin: float) -> Ran:
    """Sends the wish, maps the users, and reads until the end or the limit."""
    assert jailer.stdin is not None
    jailer.stdin.write(json.dumps(wish).encode() + b"\n")
    jailer.stdin.flush()
    first = _answer(told.readline(), jailer)
    if "error" in first:
        raise Unavailable(_lacks(first["error"]))
    _map_users(jailer.pid)
    jailer.stdin.write(b"go\n")
    jailer.stdin.flush()
    kept = {jailer.stdout: bytearray(), jailer.stderr: bytearray()}
    deadline = time.monotonic() + BUILDING
    last, late = b"", False
    with selectors.DefaultSelector() as selector:
        for pipe in (*kept, told):
            selector.register(pipe, selectors.EVENT_READ)
        while selector.get_map() and not late:
            ready = selector.select(max(0.0, deadline - time.monotonic()))
            late = not ready
            for key, _ in ready:
                piece = os.read(key.fd, 65_536)
                if not piece:
                    selector.unregister(key.fileobj)
                elif key.fileobj is told:
                    begun = not last
                    last += piece
                    deadline = time.monotonic() + PATIENCE * limits.seconds if begun else deadline
                else:
                    mine = kept[key.fileobj]  # type: ignore[index]
                    mine += piece[: limits.output - len(mine)]
    output, errors = (bytes(text).decode("utf-8", "replace") for text in kept.values())
    seconds = time.monotonic() - begin
    if late and not last:
        raise Unavailable(_lacks("it does not start"))
    if late:
        return Ran("late", -signal.SIGKILL, output, errors, seconds)
    end = _answer(last, jailer)
    if "error" in end:
        raise Unavailable(_lacks(end["error"]))
    code = end["exit"]
    if code == -signal.SIGXCPU or (code == -signal.SIGKILL and seconds >= limits.seconds):
        return Ran("late", code, output, errors, seconds)
    return Ran("killed" if code < 0 else "itself", code, output, errors, seconds)


def _answer(line: bytes, jailer: subprocess.Popen) -> dict:
    try:
        return json.loads(line.splitlines()[-1])
    except (ValueError, IndexError):
        return {"error": f"its first program ended with {jailer.poll()} and said nothing"}


def _map_users(pid: int) -> None:
    """Inside there are root, while the world is built, and nobody; or the caller under nobody's number."""
    inside = Path("/proc", str(pid))
    try:
        if os.geteuid() == 0:
            lines = "0 0 1\n65534 65534 1\n"
            users, groups = lines, lines
        else:
            inside.joinpath("setgroups").write_text("deny")
            users, groups = f"65534 {os.geteuid()} 1\n", f"65534 {os.getegid()} 1\n"
        inside.joinpath("uid_map").write_text(users)
        inside.joinpath("gid_map").write_text(groups)
    except OSError as error:
        raise Unavailable(_lacks(f"users cannot be mapped ({error.strerror})")) from error


def _homes(packages: bool) -> list[str]:
    """The folders that Python itself lies in, and those of the packages."""
    base = {os.path.realpath(sys.base_prefix)} - {"/usr"}
    if not packages:
        return sorted(base)
    return sorted(base | {sys.prefix, os.path.realpath(sys.prefix)} - {"/usr"})


def _lacks(what: str) -> str:
    return (
        f"code of a model is run in a sandbox only, and this system offers none ({what}); allow user namespaces, "
        "or leave out the tasks that run code"
    )
