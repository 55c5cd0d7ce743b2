"""The routes of the Gemini dialect: models, answers, counts and vectors."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from tejat.errors import BadInput
from tejat.parts import Document
from tejat.serve import drawing, gemini
from tejat.serve.answers import Writing, best, counts, rendered
from tejat.serve.dialects import dialect
from tejat.serve.exchange import Json, Server, Stream, caller, deadline, dumped, event, in_time, unless_gone
from tejat.serve.fields import invalid, parse
from tejat.serve.files import File
from tejat.serve.hosting import Hosted
from tejat.serve.openai import model_json as openai_model
from tejat.serve.problems import Problem, gemini_body, while_answering
from tejat.serve.requests import Request, Said, Wanted, budget, decode, merged, options, prepare

METHODS = ("generateContent", "streamGenerateContent", "countTokens", "embedContent", "batchEmbedContents")


class GeminiRoutes:
    """Bound to one server."""

    def __init__(self, server: Server):
        self.server = server

    async def models(self, request: HttpRequest) -> Response:
        """All models, as the caller's dialect has them; both ways at once where nothing tells which it is."""
        speaks, hosted = dialect(request), self.server.models.all
        body: dict[str, Any] = {}
        if speaks != "gemini":
            body |= {"object": "list", "data": [openai_model(one) for one in hosted]}
        if speaks != "openai":
            start, size = _page(request)
            body["models"] = [gemini.model_json(one) for one in hosted[start : start + size]]
            if start + size < len(hosted):
                body["nextPageToken"] = str(start + size)
        return Json(body)

    async def model(self, request: HttpRequest) -> Response:
        hosted = self.server.models.find(request.path_params["model"])
        speaks = dialect(request)
        body: dict[str, Any] = {}
        if speaks != "gemini":
            body |= openai_model(hosted)
        if speaks != "openai":
            body |= gemini.model_json(hosted)
        return Json(body)

    async def call(self, request: HttpRequest) -> Response:
        """POST models/NAME:METHOD."""
        name, colon, method = request.path_params["model"].rpartition(":")
        if not colon or method not in METHODS:
            raise Problem("NOT_FOUND", f"there is no method {method[:40]!r}; use one of {', '.join(METHODS)}")
        hosted = self.server.models.find(name)
        if method == "generateContent":
            return await self._generate(request, hosted)
        if method == "streamGenerateContent":
            return await self._stream(request, hosted)
        reader, many = self._reader(request), method == "batchEmbedContents"
        if method == "countTokens":
            return Json(
                await self.server.prepared(request, lambda body: self._count(reader.count(parse(body)), hosted))
            )
        return Json(await self.server.scored(request, lambda b: self._embed(reader.embed(parse(b)), hosted, many)))

    async def _generate(self, request: HttpRequest, hosted: Hosted) -> Response:
        until = deadline(request, self.server.limits)
        asked, writing = await self._begun(request, hosted, until)

        async def work() -> dict[str, Any]:
            async with writing:
                steps = await best(await writing.whole(), asked, self.server, hosted)
                shape = partial(gemini.whole, steps, asked.wanted, hosted, writing.usage, request.scope["tejat.id"])
                return await rendered(steps, shape)

        body = await unless_gone(request.receive, in_time(work(), until + 5))
        self.server.metrics.tokens(writing.usage.prompt, writing.usage.written)
        return Json(body)

    async def _stream(self, request: HttpRequest, hosted: Hosted) -> Response:
        until, events = deadline(request, self.server.limits), request.query_params.get("alt") == "sse"
        asked, writing = await self._begun(request, hosted, until, streamed=True)
        chunks = self._chunks(request, hosted, asked.wanted, writing, events)
        return Stream(chunks, "text/event-stream" if events else "application/json; charset=utf-8")

    async def _chunks(
        self, request: HttpRequest, hosted: Hosted, wanted: Wanted, writing: Writing, events: bool
    ) -> AsyncGenerator[str, None]:
        """Events, or, without alt=sse, the elements of one list. An error after the start is the last of them."""
        first = True
        async with writing:
            try:
                async with aclosing(writing.steps()) as steps:
                    async for step in steps:
                        if not (step.parts or step.finish or (wanted.logprobs and step.chosen)):
                            continue
                        if first:
                            self.server.note_first(request)
                        shape = partial(gemini.piece, step, wanted, hosted, writing.usage, request.scope["tejat.id"])
                        body = await rendered([step], shape)
                        yield event(body) if events else ("[" if first else ",\n") + dumped(body)
                        first = False
            except Exception as error:
                body = gemini_body(while_answering(error))
                yield event(body) if events else ("[" if first else ",\n") + dumped(body)
                first = False
            finally:
                self.server.metrics.tokens(writing.usage.prompt, writing.usage.written)
            if not events:
                yield "[]" if first else "]"

    async def _begun(
        self, request: HttpRequest, hosted: Hosted, until: float, *, streamed: bool = False
    ) -> tuple[Request, Writing]:
        """What is asked, and the answer that is being written."""
        reader = self._reader(request)

        def begin(body: bytes) -> tuple[Request, Writing]:
            asked = reader.generate(parse(body))
            if streamed:
                drawing.check_stream(asked.wanted.picture, "imageConfig.bestOf")
            prompt = prepare(asked, hosted, self.server.decoder, self.server.limits)
            wishes, chosen = options(asked.wanted, hosted, prompt), asked.wanted.logprobs
            return asked, Writing(hosted, prompt, wishes, until, chosen=chosen)

        return await self.server.prepared(request, begin, lambda begun: begun[1].cancel(), hosted.admits)

    def _count(self, asked: Request, hosted: Hosted) -> dict[str, Any]:
        """Of a dialogue as the model would read it, whoever speaks last."""
        turns = merged(asked.turns)
        if not turns:
            raise BadInput("the request says nothing; give contents with text or media")
        decoded = decode(turns, self.server.decoder, self.server.limits)
        return gemini.counted(counts(hosted.bundle.framing.prompt(decoded, budget(asked.wanted.resolution, hosted))))

    def _embed(self, wanted: list[tuple[Said, int | None]], hosted: Hosted, many: bool) -> dict[str, Any]:
        if not wanted:
            raise invalid("requests is empty; give at least one content")
        vectors = embedded([said for said, _ in wanted], hosted, self.server)
        shown = [{"values": shortened(vector, size)} for vector, (_, size) in zip(vectors, wanted, strict=True)]
        return {"embeddings": shown} if many else {"embedding": shown[0]}

    def _reader(self, request: HttpRequest) -> gemini.Reader:
        store, owner = self.server.store, caller(request).name

        def file_of(name: str) -> tuple[File, Path]:
            file = store.get(owner, name)
            return file, store.path(owner, file)

        return gemini.Reader(file_of, self.server.limits)


def embedded(said: list[Said], hosted: Hosted, server: Server) -> np.ndarray:
    """A vector of length 1 for what each says; for the thread of `Server.score`.

    Raises BadInput for nothing said, or too much of it.
    """
    documents = []
    for one in said:
        turns = merged([one])
        if not turns:
            raise BadInput("there is nothing to embed; give text or media")
        (turn,) = decode(turns, server.decoder, server.limits)
        documents.append(hosted.bundle.framing.encode(Document.of(turn.parts, loss=False)))
    return hosted.engine.embed(documents)


def shortened(vector: np.ndarray, size: int | None) -> list[float]:
    """The first numbers of a vector, of length 1 again. Raises BadInput for more than there are."""
    if size is not None and size > len(vector):
        raise BadInput(
            f"vectors of {size:,} numbers are asked for, and this model's have {len(vector):,}; ask for less"
        )
    cut = vector[:size].astype(np.float64)
    return (cut / max(float(np.linalg.norm(cut)), 1e-30)).tolist()


def _page(request: HttpRequest) -> tuple[int, int]:
    """(first, how many) of a list."""
    values = []
    for name, least, default in (("pageToken", 0, 0), ("pageSize", 1, 50)):
        text = request.query_params.get(name) or str(default)
        if not (text.isascii() and text.isdigit() and len(text) < 7 and int(text) >= least):
            raise invalid(f"{name} is {text[:40]!r}; give a whole number of {least} or more")
        values.append(int(text))
    return values[0], min(values[1], 1000)
