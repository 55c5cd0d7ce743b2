"""The outermost layer: who may come in, what leaves with every answer, and what is written down of it.

request ──▶ host, origin, size ──▶ key, its limits ──▶ routes ──▶ answer, or a Problem as the dialect says it
"""

import ipaddress
import secrets
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import ExitStack
from urllib.parse import urlsplit

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tejat.errors import BadInput
from tejat.serve.dialects import is_openai, is_public
from tejat.serve.keys import ANYONE, Caller, Keys
from tejat.serve.limits import Busy, Limits, Room, Turnstile
from tejat.serve.metrics import Metrics
from tejat.serve.problems import Problem, gemini_body, openai_body

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
}
"""With every answer, unless the route gives its own."""


class Edge:
    """Wraps the routes. Without keys only this machine is served, and only under its own names."""

    def __init__(
        self,
        routes: ASGIApp,
        keys: Keys | None,
        limits: Limits,
        metrics: Metrics,
        origins: frozenset[str] = frozenset(),
        log: Callable[[str], None] | None = None,
    ):
        self._routes, self._keys, self._limits, self._metrics, self._origins = routes, keys, limits, metrics, origins
        self._turnstile, self._open = Turnstile(), Room(limits.requests, "requests")
        self._log = log or (lambda line: print(line, file=sys.stderr, flush=True))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._routes(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1000})
            return
        request = Request(scope)
        started, id, code, caller = time.monotonic(), secrets.token_hex(8), 0, None
        scope["tejat.started"], scope["tejat.id"], scope["app"] = started, id, self
        origin = request.headers.get("origin")

        async def outward(message: Message) -> None:
            nonlocal code
            if message["type"] == "http.response.start":
                code = message["status"]
                message["headers"] = self._headers(message["headers"], id, origin)
            await send(message)

        self._metrics.add("tejat_requests_open", 1)
        try:
            with ExitStack() as held:
                self._check(request, origin)
                if request.method == "OPTIONS" and origin in self._origins:
                    await JSONResponse({})(scope, receive, outward)
                    return
                caller = self._caller(request)
                scope["tejat.caller"] = caller
                if request.scope["path"] not in ("/health", "/ready"):
                    held.enter_context(self._open.hold())(1)
                    held.enter_context(self._turnstile.pass_through(caller))
                await self._routes(scope, receive, outward)
        except ClientDisconnect:
            code = code or 499
        except Exception as error:
            problem = _problem(error)
            if problem.code >= 500:
                self._log(escaped(f"{id} {type(error).__name__}: {''.join(traceback.format_exception(error))}", 4000))
            if isinstance(problem, Busy):
                self._metrics.add("tejat_refused_total")
            if code == 0:  # else the answer has begun, and closing the connection is all that is left to say
                body = openai_body(problem) if is_openai(request) else gemini_body(problem)
                await JSONResponse(body, problem.code, problem.headers)(scope, receive, outward)
        finally:
            self._metrics.add("tejat_requests_open", -1)
            self._note(request, scope, code, started, caller, id)

    def _headers(self, given: list[tuple[bytes, bytes]], id: str, origin: str | None) -> list[tuple[bytes, bytes]]:
        names = {name.lower() for name, _ in given}
        added = HEADERS | {"X-Request-Id": id}
        if origin in self._origins and origin is not None:
            added |= {
                "Access-Control-Allow-Origin": origin,
                "Access-Control-Allow-Headers": "*, Authorization",
                "Access-Control-Allow-Methods": "GET, POST, DELETE",
                "Access-Control-Expose-Headers": "X-Goog-Upload-URL, X-Goog-Upload-Status",
                "Cross-Origin-Resource-Policy": "cross-origin",
                "Vary": "Origin",
            }
        return given + [(n.encode(), v.encode()) for n, v in added.items() if n.lower().encode() not in names]

    def _check(self, request: Request, origin: str | None) -> None:
        """Raises Problem for a page of another site, and, without keys, for a name that only a rebound DNS gives us."""
        if any(ord(character) < 0x20 for character in request.scope["path"]):
            raise Problem("INVALID_ARGUMENT", "the path has control characters; mend it")
        host = request.headers.get("host", "")
        if self._keys is None and not is_loopback(_name(host)):
            raise Problem("PERMISSION_DENIED", "without keys this server answers to localhost alone; use that name")
        if origin is not None and origin not in self._origins and urlsplit(origin).netloc != host:
            raise Problem("PERMISSION_DENIED", "this server answers no pages of other sites; see --allow-origin")
        length = request.headers.get("content-length", "")
        if length and not (length.isascii() and length.isdigit()):
            raise Problem("INVALID_ARGUMENT", "Content-Length is no number; mend it")
        if request.headers.get("content-encoding", "identity") != "identity":
            raise Problem("INVALID_ARGUMENT", "the body is compressed; send it as it is", 415)

    def _caller(self, request: Request) -> Caller:
        if self._keys is None:
            return ANYONE
        kind, _, bearer = request.headers.get("authorization", "").partition(" ")
        given = (
            request.headers.get("x-goog-api-key")
            or (bearer.strip() if kind.lower() == "bearer" else "")
            or request.query_params.get("key", "")
        )
        caller = self._keys.caller(given) if given else None
        if caller is not None:
            return caller
        if is_public(request):
            return Caller("")
        told = "the API key is not valid" if given else "an API key is needed"
        raise Problem(
            "UNAUTHENTICATED",
            f"{told}; send one as x-goog-api-key, or as Authorization: Bearer",
            headers={"WWW-Authenticate": "Bearer"},
        )

    def _note(self, request: Request, scope: Scope, code: int, started: float, caller: Caller | None, id: str) -> None:
        """One line, without the query, which may hold a key, and without anything of the body."""
        if request.scope["path"] in ("/health", "/ready", "/metrics") and code == 200:
            return  # asked every few seconds by machines, and of interest to none when all is well
        seconds = time.monotonic() - started
        route = getattr(scope.get("endpoint"), "__name__", "none")
        self._metrics.add("tejat_requests_total", route=route, code=str(code))
        self._metrics.time("tejat_request_seconds", seconds, route=route)
        when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        client = request.client.host if request.client else "-"
        name = caller.name if caller and caller.name else "-"
        path = escaped(request.scope["path"], 200)
        self._log(f"{when} {id} {client} {name} {escaped(request.method, 20)} {path} {code} {seconds * 1000:.0f}ms")


def escaped(text: str, most: int) -> str:
    """Text that cannot break out of its line, nor tell a terminal what to do."""
    return text[:most].encode("unicode_escape").decode("ascii").replace(" ", "\\x20" if most <= 200 else " ")


def is_loopback(host: str) -> bool:
    """Does this address or name reach this machine alone?"""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _name(host: str) -> str:
    """The name in a Host header, without the port."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].lower()


def _problem(error: Exception) -> Problem:
    """What is told of an error: of our own all of it, of any other nothing."""
    match error:
        case Problem():
            return error
        case BadInput():
            return Problem("INVALID_ARGUMENT", str(error))
        case HTTPException(status_code=405):
            return Problem("INVALID_ARGUMENT", "this path does not take that method", 405, dict(error.headers or {}))
        case HTTPException(status_code=404):
            return Problem("NOT_FOUND", "there is nothing at this path")
        case HTTPException(status_code=code) if 400 <= code < 500:
            return Problem("INVALID_ARGUMENT", "the request cannot be read", code)
    return Problem("INTERNAL", "something went wrong on the server; its log tells under this request's X-Request-Id")
