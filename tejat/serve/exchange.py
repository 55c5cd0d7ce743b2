"""What every route needs: bodies read within limits, work that ends when its client leaves, streams of events."""

import asyncio
import json
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from tejat.serve.decoder import Decoder
from tejat.serve.files import Store
from tejat.serve.hosting import Models
from tejat.serve.keys import ANYONE, Caller, Keys
from tejat.serve.limits import Limits, Room
from tejat.serve.metrics import Metrics
from tejat.serve.problems import Problem

T = TypeVar("T")
PREPARING = 4
"""Requests whose media are decoded and framed at once; the others wait."""

STALLED = 60.0
"""Seconds that a client may take nothing of a stream before it counts as gone."""


@dataclass
class Server:
    """All that the routes share."""

    models: Models
    store: Store
    decoder: Decoder
    keys: Keys | None = None
    limits: Limits = field(default_factory=Limits)
    metrics: Metrics = field(default_factory=Metrics)
    origins: frozenset[str] = frozenset()
    stopping: bool = False

    def __post_init__(self) -> None:
        self.bodies = Room(self.limits.bodies, "bodies of requests")
        self._preparing = ThreadPoolExecutor(PREPARING, "prepare")
        # One batch at a time: no rows of a service bound its memory, and a new shape takes seconds to compile.
        self._scoring = ThreadPoolExecutor(1, "score")
        self._storing = ThreadPoolExecutor(8, "store")

    def close(self) -> None:
        """Ends what runs beside the loop; services are their owner's."""
        self._preparing.shutdown(wait=False, cancel_futures=True)
        self._scoring.shutdown(wait=False, cancel_futures=True)
        self._storing.shutdown(wait=False, cancel_futures=True)
        self.decoder.close()

    async def prepare(self, work: Callable[[], T], undo: Callable[[T], object] | None = None) -> T:
        """Runs what decodes and frames, off the loop; `undo` takes what nobody waits for any more."""
        return await self._awaited(self._preparing.submit(work), undo)

    async def score(self, work: Callable[[], T]) -> T:
        """Runs what scores or embeds with the model, off the loop; answers do not wait for it."""
        return await self._awaited(self._scoring.submit(work), None)

    @staticmethod
    async def _awaited(future: Future[T], undo: Callable[[T], object] | None) -> T:
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            if not future.cancel() and undo is not None:
                future.add_done_callback(lambda done: None if done.exception() else undo(done.result()))
            raise

    async def on_disk(self, work: Callable[..., T], *arguments: Any) -> T:
        """Runs what reads or writes files, off the loop."""
        return await asyncio.get_running_loop().run_in_executor(self._storing, work, *arguments)

    async def prepared(
        self,
        request: Request,
        work: Callable[[bytes], T],
        undo: Callable[[T], object] | None = None,
        admits: Callable[[], object] | None = None,
    ) -> T:
        """Reads the body and prepares what it asks for, unless the client leaves or its time is over.

        `admits` raises where nothing is to be prepared: asked on the loop, so that a refusal costs next to nothing.
        """
        async with self.body(request) as body:
            if admits is not None:
                admits()
            doing = self.prepare(lambda: work(body), undo)
            return await unless_gone(request.receive, in_time(doing, deadline(request, self.limits)))

    async def scored(self, request: Request, work: Callable[[bytes], T]) -> T:
        """The same for what embeds: the whole of it stands in the queue of `score`."""
        async with self.body(request) as body:
            doing = self.score(lambda: work(body))
            return await unless_gone(request.receive, in_time(doing, deadline(request, self.limits)))

    def note_first(self, request: Request) -> None:
        """The first piece of an answer is on its way."""
        self.metrics.time("tejat_first_piece_seconds", time.monotonic() - request.scope["tejat.started"])

    @asynccontextmanager
    async def body(self, request: Request) -> AsyncIterator[bytes]:
        """The body, counted among all that are being read. Raises Problem for too much, or too slow."""
        limits, chunks, size = self.limits, [], 0
        with self.bodies.hold() as take:
            try:
                async with asyncio.timeout(limits.body_seconds):
                    announced = int(request.headers.get("content-length", "0")[:20])
                    async for chunk in request.stream():
                        size += len(chunk)
                        if max(size, announced) > limits.body:
                            raise Problem("INVALID_ARGUMENT", too_large(limits), 413)
                        take(len(chunk))
                        chunks.append(chunk)
            except TimeoutError as error:
                told = f"the body did not come within {limits.body_seconds:g} s; send it faster"
                raise Problem("INVALID_ARGUMENT", told, 408) from error
            whole = b"".join(chunks)
            chunks.clear()
            yield whole


def too_large(limits: Limits) -> str:
    return f"the body has more than {limits.body:,} bytes; upload large media as files"


def caller(request: Request) -> Caller:
    return request.scope.get("tejat.caller", ANYONE)


def deadline(request: Request, limits: Limits) -> float:
    """When the answer must be whole, by the monotonic clock: what the client allows, and no more than the server."""
    seconds = limits.answer_seconds
    given = request.headers.get("x-server-timeout")
    if given is not None:
        try:
            allowed = float(given)
        except ValueError:
            allowed = 0.0
        if not allowed > 0:
            raise Problem("INVALID_ARGUMENT", "X-Server-Timeout must be a number of seconds above 0; mend it")
        seconds = min(seconds, allowed)
    return request.scope["tejat.started"] + seconds


async def unless_gone(receive: Receive, work: Awaitable[T]) -> T:
    """What the work gives; it is cancelled, and ClientDisconnect raised, when the client leaves before.

    The body must have been read.
    """

    async def gone() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    task, leaving = asyncio.ensure_future(work), asyncio.ensure_future(gone())
    try:
        await asyncio.wait({task, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientDisconnect
        return task.result()
    finally:
        for one in (task, leaving):
            one.cancel()
        await asyncio.gather(task, leaving, return_exceptions=True)


async def in_time(work: Awaitable[T], until: float) -> T:
    """What the work gives, by `until` on the monotonic clock. Raises Problem DEADLINE_EXCEEDED."""
    try:
        async with asyncio.timeout(max(0.0, until - time.monotonic())):
            return await work
    except TimeoutError as error:
        raise Problem("DEADLINE_EXCEEDED", "the answer took longer than it was given; allow it more time") from error


class Json(Response):
    """A body of JSON, UTF-8, without spaces."""

    media_type = "application/json; charset=utf-8"

    def __init__(self, content: Any, status_code: int = 200, headers: Mapping[str, str] | None = None):
        super().__init__(content, status_code, headers)

    def render(self, content: Any) -> bytes:
        return dumped(content).encode()


class Stream(Response):
    """A body that is sent as it is made; making it ends at once when the client leaves."""

    def __init__(self, chunks: AsyncGenerator[str, None], media_type: str):
        super().__init__(None, 200, {"X-Accel-Buffering": "no"}, media_type)
        self.raw_headers = [(name, value) for name, value in self.raw_headers if name != b"content-length"]
        self._chunks = chunks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def pump() -> None:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            async for chunk in self._chunks:
                async with asyncio.timeout(STALLED):
                    await send({"type": "http.response.body", "body": chunk.encode(), "more_body": True})
            await send({"type": "http.response.body", "body": b""})

        try:
            await unless_gone(receive, pump())
        except TimeoutError as error:
            raise ClientDisconnect from error
        finally:
            await self._chunks.aclose()


def dumped(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def event(value: Any) -> str:
    """One event of a stream: the official clients take this form and no other."""
    return f"data: {dumped(value)}\n\n"
