"""All routes of a server, as one ASGI application."""

import asyncio
import contextlib
import mimetypes
from collections.abc import AsyncIterator
from importlib import resources
from pathlib import Path
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route, Router
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tejat.serve.edge import Edge
from tejat.serve.exchange import Json, Server
from tejat.serve.file_routes import FileRoutes
from tejat.serve.gemini_routes import GeminiRoutes
from tejat.serve.metrics import Labels
from tejat.serve.openai_routes import OpenAIRoutes
from tejat.serve.openapi import document

SWEEP = 600.0
"""Seconds between two removals of what has expired."""

PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "media-src 'self' data: blob:; connect-src 'self'; font-src 'self'; manifest-src 'self'; worker-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Of the playground: nothing inline runs, and nothing comes from or goes to anywhere else."""


def build(server: Server, **edge: Any) -> ASGIApp:
    """The application. `edge` are options of `Edge`."""
    routes = [*_gemini(server), *_openai(server), *_operations(server)]
    mimetypes.add_type("text/javascript", ".js")
    mimetypes.add_type("font/woff2", ".woff2")
    page = _Page(StaticFiles(directory=Path(str(resources.files("tejat.serve") / "playground")), html=True))

    @contextlib.asynccontextmanager
    async def lifespan(_: Any) -> AsyncIterator[None]:
        sweeping = asyncio.create_task(_sweep(server))
        try:
            yield
        finally:
            sweeping.cancel()
            server.close()

    router = Router(routes, redirect_slashes=False, default=page, lifespan=lifespan)
    return Edge(router, server.keys, server.limits, server.metrics, server.origins, **edge)


def _gemini(server: Server) -> list[BaseRoute]:
    gemini, files = GeminiRoutes(server), FileRoutes(server)
    routes: list[BaseRoute] = []
    for version in ("v1", "v1beta"):
        routes += [
            Route(f"/{version}/models", gemini.models, methods=["GET"]),
            Route(f"/{version}/models/{{model}}", gemini.model, methods=["GET"]),
            Route(f"/{version}/models/{{model}}", gemini.call, methods=["POST"]),
            Route(f"/{version}/files", files.listing, methods=["GET"]),
            Route(f"/{version}/files/{{file}}", files.get, methods=["GET"]),
            Route(f"/{version}/files/{{file}}", files.delete, methods=["DELETE"]),
            Route(f"/upload/{version}/files", files.upload, methods=["POST", "PUT"]),
        ]
    return routes


def _openai(server: Server) -> list[BaseRoute]:
    openai = OpenAIRoutes(server)
    routes: list[BaseRoute] = [
        Route("/v1/chat/completions", openai.chat, methods=["POST"]),
        Route("/v1/completions", openai.completions, methods=["POST"]),
        Route("/v1/images/generations", openai.images, methods=["POST"]),
        Route("/v1/audio/transcriptions", openai.transcriptions, methods=["POST"]),
        Route("/v1/embeddings", openai.embeddings, methods=["POST"]),
    ]
    for prefix in ("", "/v1"):
        routes += [
            Route(f"{prefix}/tokenizer_info", openai.tokenizer_info, methods=["GET"]),
            Route(f"{prefix}/tokenize", openai.tokenize, methods=["POST"]),
            Route(f"{prefix}/detokenize", openai.detokenize, methods=["POST"]),
        ]
    return routes


def _operations(server: Server) -> list[BaseRoute]:
    async def health(_: Request) -> Response:
        """The process lives."""
        return Json({"status": "ok"})

    async def ready(_: Request) -> Response:
        """Requests are welcome; not while the server drains."""
        return Json({"status": "stopping"}, 503) if server.stopping else Json({"status": "ready"})

    async def metrics(_: Request) -> Response:
        """Prometheus' text format."""
        gauges: dict[str, dict[Labels, float]] = {}
        for hosted in server.models.all:
            for name, value in hosted.service.stats()._asdict().items():
                gauges.setdefault(f"tejat_engine_{name}", {})[(("model", hosted.name),)] = value
        return PlainTextResponse(server.metrics.text(gauges), media_type="text/plain; version=0.0.4")

    async def openapi(_: Request) -> Response:
        """What the server takes and gives."""
        return Json(document([hosted.name for hosted in server.models.all]))

    return [
        Route("/openapi.json", openapi, methods=["GET"]),
        Route("/health", health, methods=["GET"]),
        Route("/ready", ready, methods=["GET"]),
        Route("/metrics", metrics, methods=["GET"]),
    ]


async def _sweep(server: Server) -> None:
    while True:
        with contextlib.suppress(OSError):  # another replica may be removing the same
            await server.on_disk(server.store.sweep)
        await asyncio.sleep(SWEEP)


class _Page:
    """The playground's files, with the policy of a page, at every path that is no route."""

    def __init__(self, files: ASGIApp):
        self._files = files

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] not in ("GET", "HEAD"):
            raise HTTPException(404)

        async def outward(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = ((b"content-security-policy", PAGE_POLICY.encode()), (b"cache-control", b"no-cache"))
                message["headers"] = [*message["headers"], *own]
            await send(message)

        await self._files(scope, receive, outward)
