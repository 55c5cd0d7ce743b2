"""The routes of the OpenAI dialect, and three that let lm-eval measure a server without a tokenizer of its own."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from functools import partial
from typing import Any

import numpy as np
from starlette.requests import Request as HttpRequest
from starlette.responses import PlainTextResponse, Response

from tejat.codecs.vocabulary import BOS
from tejat.errors import BadInput
from tejat.infer.constraints import picture_tokens
from tejat.infer.likelihood import likelihoods
from tejat.infer.pieces import Piece
from tejat.parts import Audio, Image, Text
from tejat.serve import drawing, multipart, openai, picture_file
from tejat.serve.answers import Chosen, Step, Usage, Writing, best, rendered, shown
from tejat.serve.decoder import Medium
from tejat.serve.exchange import Json, Server, Stream, deadline, event, in_time, unless_gone
from tejat.serve.fields import Fields, invalid, parse
from tejat.serve.gemini_routes import embedded, shortened
from tejat.serve.hosting import Hosted
from tejat.serve.picture_file import PictureFile
from tejat.serve.problems import openai_body, while_answering
from tejat.serve.requests import Request, Said, Wanted, options, plain, prepare

TRANSCRIBE = "Transcribe this sound."
DONE = "data: [DONE]\n\n"
SIDE_BY_SIDE = 8
"""Prompts of one completion that are in the engine at once: a long list leaves room in its queue for others."""


class OpenAIRoutes:
    """Bound to one server."""

    def __init__(self, server: Server):
        self.server, self.limits = server, server.limits

    async def chat(self, request: HttpRequest) -> Response:
        """POST /v1/chat/completions."""
        until, id = deadline(request, self.limits), request.scope["tejat.id"]

        def begin(body: bytes) -> tuple[openai.Chat, Hosted, Writing]:
            asked = openai.chat(Fields(parse(body)), self.limits)
            hosted = self.server.models.find(asked.model)
            return asked, hosted, self._write(asked.request, hosted, until)

        asked, hosted, writing = await self.server.prepared(
            request, begin, lambda begun: begun[2].cancel(), self.server.models.admits
        )
        wanted = asked.request.wanted
        if not asked.stream:
            steps = await self._whole(request, writing, until, asked.request, hosted)
            shape = partial(openai.chat_whole, steps, wanted, hosted, writing.usage, id)
            return Json(await rendered(steps, shape))
        begun: set[int] = set()

        def piece(step: Step) -> dict[str, Any] | None:
            if not (step.parts or step.finish or (wanted.logprobs and step.chosen)):
                return None
            first = step.candidate not in begun
            begun.add(step.candidate)
            return openai.chat_piece(step, wanted, hosted, id, first)

        def end() -> dict[str, Any] | None:
            return openai.chat_end(hosted, writing.usage, id) if asked.usage else None

        return Stream(self._events(writing, piece, end, request), "text/event-stream")

    async def completions(self, request: HttpRequest) -> Response:
        """POST /v1/completions: text or ids continued, or only scored."""
        until, id = deadline(request, self.limits), request.scope["tejat.id"]

        def begin(body: bytes) -> tuple[openai.Completion, Hosted, list[list[int]]]:
            fields = Fields(parse(body))
            hosted = self.server.models.find(fields.text("model", ""))
            asked = openai.completion(fields, self.limits)
            return asked, hosted, [_ids(prompt, hosted) for prompt in asked.prompts]

        asked, hosted, prompts = await self.server.prepared(request, begin)
        echoed: list[list[Chosen]] = [[] for _ in prompts]
        if asked.echo:
            doing = self.server.score(lambda: self._echoed(prompts, hosted, asked))
            echoed = await unless_gone(request.receive, in_time(doing, until))
        gate = asyncio.Semaphore(SIDE_BY_SIDE)

        def write(ids: list[int]) -> Writing:
            prompt = plain(ids, hosted)
            wishes, chosen = options(asked.wanted, hosted, prompt), asked.wanted.logprobs
            return Writing(hosted, prompt, wishes, until, chosen=chosen)

        if asked.stream and not asked.nothing_new:
            writing = await self.server.prepare(lambda: write(prompts[0]), Writing.cancel)
            return self._completion_stream(request, asked, hosted, writing, id)

        async def one(ids: list[int]) -> tuple[list[Step], Usage]:
            if asked.nothing_new:
                return [Step(0, (), (), "length")], Usage({"TEXT": len(ids)})
            async with gate, await self.server.prepare(lambda: write(ids), Writing.cancel) as writing:
                return await writing.whole(), writing.usage

        async def every() -> list[tuple[list[Step], Usage]]:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(one(ids)) for ids in prompts]
            return [task.result() for task in tasks]

        try:
            answers = await unless_gone(request.receive, in_time(every(), until + 5))
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from failed
        usage, choices = Usage({}), list[dict[str, Any]]()
        for (steps, used), chosen in zip(answers, echoed, strict=True):
            _add(usage, used)
            for step in steps:
                tokens = [*chosen, *step.chosen]
                told = openai.completion_logprobs(tokens, asked.wanted.alternatives)
                logprobs = told if asked.wanted.logprobs else None
                text = "".join(c.text for c in chosen if c.bytes) + _text(step)
                choices.append(openai.completion_choice(len(choices), text, logprobs, step.finish))
        self.server.metrics.tokens(usage.prompt, usage.written)
        return Json({**openai.completion_head(hosted, id), "choices": choices, "usage": openai.usage_json(usage)})

    async def images(self, request: HttpRequest) -> Response:
        """POST /v1/images/generations."""
        until = deadline(request, self.limits)

        def begin(body: bytes) -> tuple[bool, PictureFile, Hosted, Request, Writing]:
            fields = Fields(parse(body))
            fields.ignore("quality", "style", "moderation", "user")
            if fields.flag("stream", False):
                raise invalid("stream is not to be had for images; leave it out")
            if not isinstance(prompt := fields.need("prompt"), str) or not prompt:
                raise invalid("prompt is empty; say what is to be drawn")
            count = fields.whole("n", 1)
            if not 1 <= count <= self.limits.candidates:
                raise invalid(f"n is {count}; give 1 to {self.limits.candidates}")
            hosted = self.server.models.find(fields.text("model", self.server.models.all[0].name))
            picture, config = drawing.of_images(fields, self.limits, count), hosted.bundle.config.picture
            rows, columns = picture.size.grid(config) if picture.size is not None and config is not None else (1, 1)
            # One picture and no more: its first mark is the prompt's last token.
            most, seed = picture_tokens(rows, columns) - 1, fields.whole("seed")
            wanted = Wanted(candidates=count, pictures="must", picture=picture, max_tokens=most, seed=seed)
            as_url = fields.one_of("response_format", ("url", "b64_json"), "b64_json") == "url"
            file = picture_file.of_images(fields)
            fields.done()
            asked = Request((Said("user", (Text(prompt),)),), wanted)
            return as_url, file, hosted, asked, self._write(asked, hosted, until)

        as_url, file, hosted, asked, writing = await self.server.prepared(
            request, begin, lambda begun: begun[-1].cancel(), self.server.models.admits
        )
        steps = await self._whole(request, writing, until, asked, hosted)
        pictures = [p for s in steps for p in s.parts if isinstance(p, Image)]
        uris = await rendered(steps, lambda: [file.uri(picture) for picture in pictures])
        data = [{"url": uri} if as_url else {"b64_json": uri.partition(",")[2]} for uri in uris]
        used = openai.usage_json(writing.usage)
        usage = {"input_tokens": used["prompt_tokens"], "output_tokens": used["completion_tokens"]}
        usage["total_tokens"] = used["total_tokens"]
        return Json({"created": int(time.time()), "data": data, "output_format": file.kind, "usage": usage})

    async def transcriptions(self, request: HttpRequest) -> Response:
        """POST /v1/audio/transcriptions, a form with a sound in it."""
        until, kind = deadline(request, self.limits), request.headers.get("content-type", "")

        def begin(body: bytes) -> tuple[dict[str, str], float, Writing]:
            form = multipart.parse(body, kind)
            fields = {field.name: field.text for field in form if field.name != "file"}
            files = [field.data for field in form if field.name == "file"]
            if len(files) != 1 or not files[0]:
                raise invalid("the form has no one field named file with a sound in it; send the sound")
            if fields.get("response_format", "json") not in ("json", "text", "verbose_json"):
                raise invalid("response_format must be json, text or verbose_json")
            if fields.get("stream", "false").lower() == "true":
                raise invalid("stream is not to be had for transcriptions; leave it out")
            hosted = self.server.models.find(fields.get("model", ""))
            hosted.admits()
            sound = self.server.decoder.decode(Medium(files[0], "audio", "file"))
            wanted = Wanted(temperature=_number(fields.get("temperature", "0")))
            said = Said("user", (sound, Text(TRANSCRIBE)))
            writing = self._write(Request((said,), wanted), hosted, until)
            return fields, sound.seconds if isinstance(sound, Audio) else 0.0, writing

        fields, seconds, writing = await self.server.prepared(
            request, begin, lambda begun: begun[2].cancel(), self.server.models.admits
        )
        (step,) = await self._whole(request, writing, until)
        text = _text(step).strip()
        if fields.get("response_format") == "text":
            return PlainTextResponse(text + "\n")
        if fields.get("response_format") == "verbose_json":
            more = {"task": "transcribe", "language": fields.get("language", ""), "duration": seconds, "segments": []}
            return Json(more | {"text": text})
        return Json({"text": text})

    async def embeddings(self, request: HttpRequest) -> Response:
        """POST /v1/embeddings."""

        def work(body: bytes) -> dict[str, Any]:
            fields = Fields(parse(body))
            fields.ignore("user")
            hosted = self.server.models.find(fields.text("model", ""))
            inputs = openai.strings_or_ids(fields, "input", self.limits.batch)
            size = fields.whole("dimensions")
            packed = fields.one_of("encoding_format", ("float", "base64"), "float") == "base64"
            fields.done()
            if size is not None and size < 1:
                raise invalid(f"dimensions is {size}; give 1 or more")
            decode_ids = hosted.bundle.vocabulary.decode
            texts = [one if isinstance(one, str) else decode_ids(_checked(one, hosted)) for one in inputs]
            vectors = embedded([Said("user", (Text(text),)) for text in texts], hosted, self.server)
            data = [openai.embedding_json(shortened(v, size), n, packed) for n, v in enumerate(vectors)]
            tokens = sum(len(hosted.bundle.vocabulary.encode(text)) for text in texts)
            usage = {"prompt_tokens": tokens, "total_tokens": tokens}
            return {"object": "list", "data": data, "model": hosted.name, "usage": usage}

        return Json(await self.server.scored(request, work))

    async def tokenizer_info(self, request: HttpRequest) -> Response:
        """GET /tokenizer_info, as lm-eval asks it."""
        hosted = self.server.models.all[0]
        special = {"bos_token": "<bos>", "eos_token": "<eos>", "pad_token": "<pad>"}
        return Json({"name_or_path": hosted.name, "vocab_size": hosted.bundle.vocabulary.text_size, **special})

    async def tokenize(self, request: HttpRequest) -> Response:
        """POST /tokenize {prompt, add_special_tokens} gives {tokens}; the name of a mark alone is the mark."""

        def work(body: bytes) -> dict[str, Any]:
            fields = Fields(parse(body))
            fields.ignore("return_token_strs")
            hosted = self._hosted(fields)
            prompt, special = fields.text("prompt", ""), fields.flag("add_special_tokens", False)
            if len(prompt) > self.limits.text:
                raise invalid(f"prompt has over {self.limits.text:,} characters; send less")
            vocabulary = hosted.bundle.vocabulary
            marks = {"<pad>": 0, "<eos>": 1, "<bos>": 2} | vocabulary.controls
            tokens = [marks[prompt]] if prompt in marks else vocabulary.encode(prompt)
            fields.done()
            tokens = [BOS, *tokens] if special else tokens
            return {"tokens": tokens, "count": len(tokens), "max_model_len": hosted.bundle.config.context}

        return Json(await self.server.prepared(request, work))

    async def detokenize(self, request: HttpRequest) -> Response:
        """POST /detokenize {tokens} gives {prompt}."""

        def work(body: bytes) -> dict[str, Any]:
            fields = Fields(parse(body))
            hosted = self._hosted(fields)
            (tokens,) = openai.strings_or_ids(fields, "tokens", 1) if fields.elements("tokens") else ((),)
            if isinstance(tokens, str):
                raise invalid("tokens is text; give ids")
            fields.done()
            return {"prompt": hosted.bundle.vocabulary.decode(_checked(tokens, hosted) if tokens else ())}

        return Json(await self.server.prepared(request, work))

    def _hosted(self, fields: Fields) -> Hosted:
        name = fields.text("model")
        return self.server.models.all[0] if name is None else self.server.models.find(name)

    def _write(self, asked: Request, hosted: Hosted, until: float) -> Writing:
        hosted.admits()
        prompt = prepare(asked, hosted, self.server.decoder, self.limits)
        return Writing(hosted, prompt, options(asked.wanted, hosted, prompt), until, chosen=asked.wanted.logprobs)

    def _echoed(self, prompts: list[list[int]], hosted: Hosted, asked: openai.Completion) -> list[list[Chosen]]:
        """The prompts' own tokens, scored where log-probabilities are wanted."""
        vocabulary, echoed = hosted.bundle.vocabulary, []
        if asked.wanted.logprobs:
            found = likelihoods(hosted.engine, [plain(ids, hosted) for ids in prompts])
            for ids, (logprobs, best, best_logprobs) in zip(prompts, found, strict=True):
                tops = tuple(zip(best[:, None], best_logprobs[:, None], strict=True))
                echoed.append(list(shown(Piece(np.asarray(ids[1:], np.int32), logprobs, None, tops), vocabulary)))
        else:
            for ids in prompts:
                nothing = np.zeros(len(ids) - 1, np.float32)
                echoed.append(list(shown(Piece(np.asarray(ids[1:], np.int32), nothing, None), vocabulary)))
        for given, ids, chosen in zip(asked.prompts, prompts, echoed, strict=True):
            if not isinstance(given, str) and len(given) == len(ids):  # it began with <bos>, before which nothing is
                chosen.insert(0, Chosen("<bos>", BOS, float("nan"), b""))
        return echoed

    def _completion_stream(
        self, request: HttpRequest, asked: openai.Completion, hosted: Hosted, writing: Writing, id: str
    ) -> Response:
        head = openai.completion_head(hosted, id)

        def piece(step: Step) -> dict[str, Any] | None:
            if not (step.parts or step.finish or (asked.wanted.logprobs and step.chosen)):
                return None
            logprobs = openai.completion_logprobs(step.chosen, asked.wanted.alternatives)
            wanted = logprobs if asked.wanted.logprobs else None
            return {**head, "choices": [openai.completion_choice(step.candidate, _text(step), wanted, step.finish)]}

        def end() -> dict[str, Any] | None:
            return {**head, "choices": [], "usage": openai.usage_json(writing.usage)} if asked.usage else None

        return Stream(self._events(writing, piece, end, request), "text/event-stream")

    async def _events(
        self,
        writing: Writing,
        piece: Callable[[Step], dict[str, Any] | None],
        end: Callable[[], dict[str, Any] | None],
        request: HttpRequest,
    ) -> AsyncGenerator[str, None]:
        """Events of a stream; an error after the start is the last of them."""
        first = True
        async with writing:
            try:
                async with aclosing(writing.steps()) as steps:
                    async for step in steps:
                        if (body := await rendered([step], partial(piece, step))) is None:
                            continue
                        if first:
                            self.server.note_first(request)
                        first = False
                        yield event(body)
                if (last := end()) is not None:
                    yield event(last)
            except Exception as error:
                yield event(openai_body(while_answering(error)))
            finally:
                self.server.metrics.tokens(writing.usage.prompt, writing.usage.written)
            yield DONE

    async def _whole(
        self,
        request: HttpRequest,
        writing: Writing,
        until: float,
        asked: Request | None = None,
        hosted: Hosted | None = None,
    ) -> list[Step]:
        """Every candidate; of what was `asked` and has pictures, the best."""

        async def work() -> list[Step]:
            async with writing:
                steps = await writing.whole()
                return steps if asked is None or hosted is None else await best(steps, asked, self.server, hosted)

        steps = await unless_gone(request.receive, in_time(work(), until + 5))
        self.server.metrics.tokens(writing.usage.prompt, writing.usage.written)
        return steps


def _ids(prompt: str | tuple[int, ...], hosted: Hosted) -> list[int]:
    """A prompt's tokens, begun by <bos> as every document is."""
    ids = hosted.bundle.vocabulary.encode(prompt) if isinstance(prompt, str) else list(_checked(prompt, hosted))
    return ids if ids and ids[0] == BOS else [BOS, *ids]


def _checked(ids: tuple[int, ...], hosted: Hosted) -> tuple[int, ...]:
    plain(ids, hosted)
    return ids


def _text(step: Step) -> str:
    return "".join(part.text for part in step.parts if isinstance(part, Text))


def _add(total: Usage, more: Usage) -> None:
    for mine, theirs in ((total.prompt, more.prompt), (total.written, more.written)):
        for name, count in theirs.items():
            mine[name] = mine.get(name, 0) + count
    total.cached += more.cached


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise BadInput(f"temperature is {text[:20]!r}; give a number") from error
