"""Candidates of one request while they are written: pieces of tokens become parts, and tokens are counted."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

import numpy as np

from tejat.codecs.framing import Encoded, Modality
from tejat.codecs.vocabulary import Vocabulary
from tejat.infer import ranking
from tejat.infer.options import Options
from tejat.infer.pieces import Piece
from tejat.infer.ticket import Ticket
from tejat.parts import Image, Part, Text
from tejat.serve.exchange import Server
from tejat.serve.hosting import Hosted, taken
from tejat.serve.problems import Problem
from tejat.serve.requests import Request

T = TypeVar("T")


@dataclass(frozen=True)
class Chosen:
    """A token of an answer; `alternatives` are the likeliest at its place: (text, id, log-probability)."""

    text: str
    id: int
    logprob: float
    bytes: bytes
    alternatives: tuple[tuple[str, int, float], ...] = ()


@dataclass(frozen=True)
class Step:
    """What is new of one candidate; `finish` comes with its last step."""

    candidate: int
    parts: tuple[Part, ...]
    chosen: tuple[Chosen, ...]
    finish: str | None


@dataclass
class Usage:
    """Tokens by modality, the names of `Modality`."""

    prompt: dict[str, int]
    written: dict[str, int] = field(default_factory=dict)
    cached: int = 0  # of the prompt's, which were known from earlier ones


def counts(encoded: Encoded) -> dict[str, int]:
    """Tokens of a prompt by modality."""
    found = np.bincount(encoded.modality, minlength=len(Modality))
    return {kind.name: int(found[kind]) for kind in Modality if found[kind]}


class Writing:
    """The candidates of one prompt. Use as an async context: whatever ends it, nothing goes on being written."""

    def __init__(
        self, hosted: Hosted, prompt: Encoded, options: Sequence[Options], deadline: float, *, chosen: bool = False
    ):
        """Blocks for some milliseconds: grammars are built here. `chosen`: steps tell each token.

        Raises Busy where the service takes no more, and BadInput for what does not fit. `deadline` is a time of the
        monotonic clock.
        """
        self.usage = Usage(counts(prompt))
        self._tickets: list[Ticket] = []
        vocabulary = hosted.bundle.vocabulary
        self._candidates = [_Candidate(n, vocabulary, prompt, self.usage, chosen) for n in range(len(options))]
        try:
            for wish in options:
                with taken():
                    self._tickets.append(hosted.service.submit(prompt, wish, deadline=deadline))
        except BaseException:
            self.cancel()
            raise

    def cancel(self) -> None:
        for ticket in self._tickets:
            ticket.cancel()

    async def __aenter__(self) -> "Writing":
        return self

    async def __aexit__(self, *_: object) -> None:
        self.cancel()

    async def steps(self) -> AsyncGenerator[Step, None]:
        """Steps as they come, of all candidates. Raises what the engine raises."""
        if len(self._tickets) == 1:
            async for step in self._of(0):
                yield step
            return
        queue: asyncio.Queue[Step | BaseException] = asyncio.Queue(16)

        async def drain(number: int) -> None:
            try:
                async for step in self._of(number):
                    await queue.put(step)
            except Exception as error:
                await queue.put(error)

        tasks = [asyncio.create_task(drain(number)) for number in range(len(self._tickets))]
        try:
            unfinished = len(tasks)
            while unfinished:
                came = await queue.get()
                if isinstance(came, BaseException):
                    raise came
                unfinished -= came.finish is not None
                yield came
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def whole(self) -> list[Step]:
        """Each candidate as one step, neighbouring text as one part."""
        gathered: list[list[Step]] = [[] for _ in self._candidates]
        async for step in self.steps():
            gathered[step.candidate].append(step)
        return [_joined(number, steps) for number, steps in enumerate(gathered)]

    async def _of(self, number: int) -> AsyncGenerator[Step, None]:
        candidate = self._candidates[number]
        async for piece in self._tickets[number]:
            if piece.finish_reason == "deadline":
                raise Problem("DEADLINE_EXCEEDED", "the answer took longer than it was given; allow it more time")
            self.usage.cached = self._tickets[0].cached_tokens
            yield candidate.step(piece)


class _Candidate:
    """Turns one ticket's pieces into steps, and counts what is written."""

    def __init__(self, number: int, vocabulary: Vocabulary, prompt: Encoded, usage: Usage, chosen: bool):
        self._number, self._vocabulary, self._usage, self._chosen = number, vocabulary, usage, chosen
        self._begin, self._end = vocabulary["<|picture>"], vocabulary["<picture|>"]
        # A prompt that ends with the mark of a picture has begun one.
        self._drawing = int(prompt.tokens[-1]) == self._begin

    def step(self, piece: Piece) -> Step:
        tokens = piece.tokens.tolist()
        written = self._usage.written
        for token in tokens:
            self._drawing = self._drawing or token == self._begin
            name = Modality.PICTURE.name if self._drawing else Modality.TEXT.name
            written[name] = written.get(name, 0) + 1
            self._drawing = self._drawing and token != self._end
        chosen = shown(piece, self._vocabulary) if self._chosen else ()
        return Step(self._number, piece.parts, chosen, piece.finish_reason)


async def best(steps: list[Step], request: Request, server: Server, hosted: Hosted) -> list[Step]:
    """Of the candidates that were written those that were asked for, the best pictures first (`ranking`)."""
    if request.wanted.picture.best_of is None:
        return steps
    answers = [step.parts for step in steps]
    order = await server.score(lambda: ranking.best_first(hosted.engine, answers, request.words))
    return [replace(steps[n], candidate=place) for place, n in enumerate(order[: request.wanted.candidates])]


async def rendered(steps: Sequence[Step], shape: Callable[[], T]) -> T:
    """What a dialect makes of steps; of pictures in a thread, since a large one takes a second to become a file."""
    pictures = any(isinstance(part, Image) for step in steps for part in step.parts)
    return await asyncio.to_thread(shape) if pictures else shape()


def shown(piece: Piece, vocabulary: Vocabulary) -> tuple[Chosen, ...]:
    """The tokens of a piece, each with the likeliest at its place where they were asked for."""
    names = {id: name for name, id in vocabulary.controls.items()}

    def text(token: int) -> tuple[str, bytes]:
        """Of text its own, of a mark its name, of a code its number."""
        if vocabulary.is_code(token):
            return f"<|code {token - vocabulary.text_size}|>", b""
        data = vocabulary.piece_bytes[token]
        return data.decode(errors="replace") or names.get(token, f"<|{token}|>"), data

    chosen = []
    for at, (token, logprob) in enumerate(zip(piece.tokens.tolist(), piece.logprobs.tolist(), strict=True)):
        ids, scores = piece.top[at] if at < len(piece.top) else ((), ())
        best = tuple((text(int(i))[0], int(i), float(s)) for i, s in zip(ids, scores, strict=True))
        said, data = text(token)
        chosen.append(Chosen(said, token, logprob, data, best))
    return tuple(chosen)


def _joined(number: int, steps: Sequence[Step]) -> Step:
    parts: list[Part] = []
    for part in (part for step in steps for part in step.parts):
        if parts and isinstance(part, Text) and isinstance(parts[-1], Text):
            parts[-1] = Text(parts[-1].text + part.text)
        else:
            parts.append(part)
    chosen = tuple(c for step in steps for c in step.chosen)
    return Step(number, tuple(parts), chosen, steps[-1].finish if steps else None)
