"""How much one request, one caller and all callers together may take."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tejat.serve.keys import Caller
from tejat.serve.problems import Problem

MIB = 1 << 20


@dataclass(frozen=True)
class Limits:
    """Of one replica. Media have bounds of their own (`decoder.Bounds`); `tejat serve` gives these."""

    body: int = 32 * MIB  # of a request; larger media come as files
    bodies: int = 256 * MIB  # of all requests that are being read
    requests: int = 512  # open at once
    body_seconds: float = 60.0  # for a body to come in
    answer_seconds: float = 600.0  # for an answer to be written, whatever the caller allows
    text: int = 2_000_000  # bytes of text in one request
    media: int = 128  # in one request
    decoded: int = 800_000_000  # bytes of all its media, decoded
    candidates: int = 8
    schema: int = 64_000  # bytes of a JSON schema
    batch: int = 100  # texts of one call for vectors, or prompts of one completion
    file: int = 2_000_000_000  # bytes of an uploaded file
    quota: int = 20_000_000_000  # bytes of all files of one caller
    files: int = 10_000  # of one caller, unfinished ones included
    file_seconds: float = 48 * 3600.0  # after which a file is gone
    upload_seconds: float = 24 * 3600.0  # after which an unfinished upload is gone


class Busy(Problem):
    """Too much at once; the same request may be sent again later."""

    def __init__(self, message: str, seconds: float = 1.0):
        super().__init__("RESOURCE_EXHAUSTED", message, headers={"Retry-After": str(max(1, round(seconds)))})


@dataclass
class Room:
    """A quantity of which all requests together hold at most `most`."""

    most: int
    what: str
    held: int = 0

    @contextmanager
    def hold(self) -> "Iterator[Callable[[int], None]]":
        """Yields a function that takes more; all that was taken is given back at the end. Raises Busy when full.

        Of one event loop: nothing here is locked.
        """
        mine = 0

        def take(amount: int) -> None:
            nonlocal mine
            if self.held + amount > self.most:
                raise Busy(f"the server holds as many {self.what} as it may; send the request again later")
            self.held += amount
            mine += amount

        try:
            yield take
        finally:
            self.held -= mine


@dataclass
class _Account:
    """What one caller has left: requests in a bucket that refills by the minute, and those open now."""

    bucket: float
    seen: float
    open: int = 0


@dataclass
class Turnstile:
    """Holds each caller to the limits of its key. Per replica: N replicas let N times as much through."""

    clock: Callable[[], float] = time.monotonic
    _accounts: dict[str, _Account] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def pass_through(self, caller: Caller) -> Iterator[None]:
        """While a request is served. Raises Busy, saying which limit and when to come back."""
        rate, most = caller.requests_per_minute, caller.concurrent
        if rate is None and most is None:
            yield
            return
        with self._lock:
            now = self.clock()
            account = self._accounts.setdefault(caller.name, _Account(rate or 0, now))
            if rate is not None:
                account.bucket = min(rate, account.bucket + (now - account.seen) * rate / 60)
                account.seen = now
                if account.bucket < 1:
                    wait = (1 - account.bucket) * 60 / rate
                    raise Busy(f"this key may send {rate} requests a minute; wait {wait:.0f} s", wait)
            if most is not None and account.open >= most:
                raise Busy(f"this key may have {most} requests open at once; wait for one to end")
            account.bucket -= rate is not None
            account.open += 1
        try:
            yield
        finally:
            with self._lock:
                account.open -= 1
