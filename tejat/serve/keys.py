"""API keys: made once, shown once, kept as hashes, with limits of their own.

A key has 256 random bits, so one round of SHA-256 hides it as well as many would. The file is read again when it
changes: a key that is taken out is refused within a second, without a restart.

    {"keys": [{"name": "alice", "sha256": "…", "requests_per_minute": 60, "concurrent": 4}]}
"""

import contextlib
import hashlib
import json
import os
import re
import secrets
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from tejat.bundle import build
from tejat.errors import BadInput
from tejat.parts import write_whole

PREFIX = "tejat-"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")
_LOOK = 1.0  # seconds between two looks at the file


@dataclass(frozen=True)
class Caller:
    """Who sends a request, and what that key may take. Files belong to the name."""

    name: str
    requests_per_minute: int | None = None
    concurrent: int | None = None


ANYONE = Caller("local")
"""Whoever reaches a server without keys; it listens on this machine alone."""


@dataclass(frozen=True)
class _Entry:
    name: str
    sha256: str
    requests_per_minute: int | None = None
    concurrent: int | None = None


class Keys:
    """The keys in a file."""

    def __init__(self, path: Path):
        """Raises BadInput, naming the file, where it cannot be used or holds no key."""
        self.path, self._lock = path, threading.Lock()
        self._callers = _read(path)
        self._stamp, self._looked = _stamp(path), time.monotonic()
        if not self._callers:
            raise BadInput(f"{path} holds no key; make one with `tejat serve --keys {path} --add-key NAME`")

    def caller(self, key: str) -> Caller | None:
        """Whose key it is. Hashes are looked up, so the time that it takes tells nothing of the keys."""
        with self._lock:
            if time.monotonic() - self._looked > _LOOK:
                self._looked = time.monotonic()
                self._reload()
            return self._callers.get(hashlib.sha256(key.encode(errors="replace")).hexdigest())

    def _reload(self) -> None:
        stamp = _stamp(self.path)
        if stamp != self._stamp:
            with contextlib.suppress(BadInput):  # half-edited: the keys that were read last hold on
                self._callers, self._stamp = _read(self.path), stamp


def add(path: Path, name: str, requests_per_minute: int | None = None, concurrent: int | None = None) -> str:
    """Makes a key, writes its hash to the file, and returns it: nobody can read it again. Raises BadInput."""
    if not _NAME.fullmatch(name):
        raise BadInput(f"{name!r} cannot name a key; use letters, digits, '.', '-' and '_', 63 at most")
    for limit in (requests_per_minute, concurrent):
        if limit is not None and limit < 1:
            raise BadInput(f"a limit of {limit} lets nothing through; give 1 or more, or leave it out")
    known = list(_read(path).items()) if path.exists() else []
    if any(caller.name == name for _, caller in known):
        raise BadInput(f"{path} has a key named {name!r} already; choose another name or take that one out")
    key = PREFIX + secrets.token_urlsafe(32)
    digest = hashlib.sha256(key.encode()).hexdigest()
    known.append((digest, Caller(name, requests_per_minute, concurrent)))
    entries = [asdict(_Entry(c.name, digest, c.requests_per_minute, c.concurrent)) for digest, c in known]
    before = os.umask(0o077)
    try:
        write_whole(path, (json.dumps({"keys": entries}, indent=2) + "\n").encode())
    except OSError as error:
        raise BadInput(f"{path} cannot be written ({error.strerror}); choose another place") from error
    finally:
        os.umask(before)
    return key


def _stamp(path: Path) -> tuple[int, int, int]:
    try:
        status = path.stat()
    except OSError:
        return 0, 0, 0
    return status.st_mtime_ns, status.st_size, status.st_ino


def _read(path: Path) -> dict[str, Caller]:
    try:
        value = json.loads(path.read_text("utf-8"))
    except OSError as error:
        mend = f"make one with `tejat serve --keys {path} --add-key NAME`"
        raise BadInput(f"{path} cannot be read ({error.strerror}); {mend}") from error
    except ValueError as error:
        raise BadInput(f"{path} is no JSON of keys ({error}); mend it") from error
    if not isinstance(value, dict) or not isinstance(value.get("keys"), list):
        raise BadInput(f'{path} has no list "keys"; mend it')
    try:
        entries = [build(_Entry, entry, f"key {number}") for number, entry in enumerate(value["keys"], 1)]
    except BadInput as error:
        told = str(error).rpartition("; ")[0]  # the mend told there is for models
        raise BadInput(f"{path}: {told}; mend it or make the key again") from error
    return {e.sha256: Caller(e.name, e.requests_per_minute, e.concurrent) for e in entries}
