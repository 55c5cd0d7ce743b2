"""A service: many answers at once from one model, asked for from any thread.

    service = Service(bundle, slots=8)
    ticket = service.submit(bundle.framing.prompt(turns), Options(max_tokens=100))
    for piece in ticket:
        print(piece.parts)
    service.close(drain=True)

An answer depends on its prompt and options alone, to the bit: on no other request, nor on what is cached.
"""

import math
import threading
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh

from tejat.bundle import Bundle
from tejat.codecs.framing import Encoded
from tejat.infer import parallel, soft, warming
from tejat.infer.constraints import Rule
from tejat.infer.engine import Engine, apart_on_device
from tejat.infer.grammar import Grammar
from tejat.infer.job import Job
from tejat.infer.limits import limit_of
from tejat.infer.options import Options
from tejat.infer.pieces import Piece
from tejat.infer.prefix import PrefixCache, chunks
from tejat.infer.reading import TextReader
from tejat.infer.room import bucket
from tejat.infer.rows import JaxRows
from tejat.infer.scheduler import Scheduler
from tejat.infer.soft import SoftTokens
from tejat.infer.ticket import Ticket
from tejat.infer.waiting import Waiting
from tejat.model import decoder, multimodal, narrow, quantised

if TYPE_CHECKING:
    from tejat.infer.onnx_engine import OnnxEngine
    from tejat.infer.onnx_model import OnnxModel


class Busy(Exception):
    """The request was not taken; its text says why. The same request may be taken in about so many `seconds`."""

    def __init__(self, message: str, seconds: float = 1.0):
        super().__init__(message)
        self.seconds = seconds


class Stats(NamedTuple):
    """A service at one moment, and what it did since it began."""

    waiting: int
    running: int
    slots: int
    answers: int
    prompt_tokens: int
    cached_tokens: int  # tokens of prompts that were not read again
    answer_tokens: int
    steps: int  # of decoding
    refused: int
    cached_bytes: int  # keys and values of beginnings of prompts
    compilations: int  # programs, since the service was ready


class Service:
    """One model, one batch of `slots` answers, and a queue of at most `queue` before it."""

    def __init__(
        self,
        bundle: Bundle,
        *,
        slots: int = 8,
        context: int | None = None,
        queue: int = 64,
        wait: float = math.inf,
        dtype: str | None = None,
        prefix_bytes: int = 512 << 20,
        soft_bytes: int = 64 << 20,
        fast: bool = False,
        warm: bool = True,
        mesh: Mesh | None = None,
        onnx: "OnnxModel | None" = None,
    ):
        """`bundle`: on one device its weights may be `Quantised`, and stay in their bits there.

        `context`: most tokens of a prompt and its answer, by default the model's. `dtype`: of weights and cache.
        `wait`: seconds that a request may be expected to wait for a row; one that would wait longer is not taken.

        `prefix_bytes` bound the keys and values kept of prompts read before, `soft_bytes` the soft tokens of their
        media. `fast`: steps compute no more rows than the answers being written need, which is quicker where they are
        few; the last bits of an answer then depend on how many they are. `warm`: compile now what text needs.
        `mesh`: the devices over which the model is cut (`parallel.mesh_of`); None: it is whole on one.
        `onnx`: ONNX Runtime computes this export, whose bundle is given; `dtype`, `fast` and `mesh` then say nothing,
        and where memory is short of `slots` whole contexts there are fewer (`stats` tells).
        """
        self.bundle, self.config = bundle, bundle.config
        self.context = min(context or bundle.config.context, bundle.config.context)
        self.queue, self.wait, self._rule = queue, wait, Rule.of(bundle.vocabulary, bundle.config.picture)
        self._onnx = onnx
        if onnx is not None:
            together = self._on_onnx(onnx, slots, soft_bytes)
        else:
            together = self._on_jax(slots, soft_bytes, dtype, fast, mesh)
        self._scheduler = Scheduler(
            self._rows, bundle.config, bundle.vocabulary, together=together, prefixes=PrefixCache(prefix_bytes)
        )
        if warm:
            if isinstance(self._rows, JaxRows):
                warming.warm(self._scheduler, self._rows, self._sizes)
            if bundle.pictures is not None:
                bundle.pictures.decode(np.zeros((1, 1), np.int32))
        self._compiled = warming.programs()
        self._waiting: deque[Job] = deque()
        self._preparing = self._refused = 0
        self._waits = Waiting(self._rows.slots)
        self._tickets: dict[Job, Ticket] = {}
        self._closing = self._stopping = False
        self._wake = threading.Condition()
        self._preparer = ThreadPoolExecutor(1, "tejat-media")
        self._thread = threading.Thread(target=self._run, name="tejat-engine", daemon=True)
        self._thread.start()

    def _on_onnx(self, onnx: "OnnxModel", slots: int, soft_bytes: int) -> int:
        """How many prompts are read at a time."""
        from tejat.infer.onnx_cache import at_once
        from tejat.infer.onnx_engine import PARTS
        from tejat.infer.onnx_rows import OnnxRows

        slots = at_once(onnx, slots, self.context)
        self._rows: JaxRows | OnnxRows = OnnxRows(onnx, self._rule, slots=slots, context=self.context)
        self._sizes: tuple[int, ...] = PARTS
        self._soft = SoftTokens(onnx.soft, self.config, soft_bytes)
        return 1

    def _on_jax(self, slots: int, soft_bytes: int, dtype: str | None, fast: bool, mesh: Mesh | None) -> int:
        """The same on JAX's devices."""
        bundle = self.bundle
        on_cpu = jax.default_backend() == "cpu"
        dtype = dtype or ("float32" if on_cpu else "bfloat16")
        if mesh is not None or (on_cpu and not quantised.inside(bundle.params)):
            params = multimodal.cast({**bundle.params, "decoder": decoder.apart(bundle.params["decoder"])}, dtype)
            self.params = jax.device_put(params, None if mesh is None else parallel.parameters(mesh, bundle.config))
        else:
            self.params = apart_on_device(narrow.kept(bundle.params, dtype))
        self._sizes = (32, 128) if on_cpu else (64, 256)
        if bundle.config.decoder.bidirectional_images and bundle.config.vision:
            self._sizes = (*self._sizes[:-1], bucket(max(*bundle.config.vision.budgets, self._sizes[-1])))
        self._rows = JaxRows(
            self.params, bundle.config, self._rule, slots=slots, context=self.context, fast=fast, mesh=mesh
        )
        self._soft = SoftTokens(soft.by_jax(self.params, bundle.config), bundle.config, soft_bytes)
        return 1 if on_cpu else 8

    def engine(self) -> "Engine | OnnxEngine":
        """One that scores and embeds with the same weights."""
        if self._onnx is not None:
            from tejat.infer.onnx_engine import OnnxEngine

            return OnnxEngine(self._onnx)
        return Engine(self.bundle, rows=16, tokens=16_384, params=self.params)

    def __enter__(self) -> "Service":
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self.close(drain=kind is None)

    def check(self, prompt: Encoded, options: Options) -> int:
        """The tokens that the answer may take. Raises BadInput where they do not fit, or the picture asked for not."""
        return limit_of(prompt, options, self.config, self._rule, self.context)

    def submit(self, prompt: Encoded, options: Options, *, deadline: float | None = None) -> Ticket:
        """Takes a request. `deadline`, by time.monotonic(), ends the answer where it is then.

        Raises Busy where the queue is full or the service closes; BadInput as `check` does, and for a grammar that
        cannot be followed. Hashes the prompt's media and builds its grammar, which can take milliseconds: in a server,
        call it beside the loop.
        """
        limit = self.check(prompt, options)
        with self._wake:
            self._admits()
            self._preparing += 1
        try:
            job, ticket, digests = self._job(prompt, options, limit, deadline)
        except BaseException:
            with self._wake:
                self._preparing -= 1
                self._wake.notify_all()
            raise
        with self._wake:
            self._tickets[job] = ticket
            job.stop_now = self._stopping
        if digests and not self._soft.known(digests):
            self._preparer.submit(self._prepare, job, digests)
        else:
            self._prepare(job, digests)
        return ticket

    def admits(self) -> None:
        """Raises Busy where `submit` would now: before a request is looked at closely."""
        with self._wake:
            self._admits()

    def _admits(self) -> None:
        # Of those that wait, some have a row as soon as the engine looks.
        behind = max(0, len(self._waiting) + self._preparing + 1 - self._scheduler.free)
        now = self._scheduler.turns
        expected = self._waits.expected(behind, [now - job.begun for job in self._tickets if job.row >= 0])
        if self._closing:
            told, expected = "the service is closing; ask another", 1.0
        elif behind > self.queue:
            told = f"{self.queue:,} requests are waiting, as many as may; try again later"
        elif expected > self.wait:
            told = f"an answer would begin in about {expected:.1f} s, and {self.wait:g} s are the most; try again later"
        else:
            return
        self._refused += 1
        raise Busy(told, expected)

    def close(self, drain: bool) -> None:
        """Takes no more requests, and returns when those taken are answered (`drain`) or cancelled."""
        with self._wake:
            self._closing, self._stopping = True, not drain
            if self._stopping:
                for job in self._tickets:
                    job.stop_now = True
            self._wake.notify_all()
        self._thread.join()
        self._preparer.shutdown()

    def stats(self) -> Stats:
        counts = self._scheduler.counts
        with self._wake:
            waiting = len(self._waiting) + self._preparing
            return Stats(
                waiting=waiting,
                running=max(0, len(self._tickets) - waiting),
                slots=self._scheduler.slots,
                answers=counts.answers,
                prompt_tokens=counts.prompt_tokens,
                cached_tokens=counts.cached_tokens,
                answer_tokens=counts.answer_tokens,
                steps=counts.steps,
                refused=self._refused,
                cached_bytes=self._scheduler.prefixes.bytes,
                compilations=warming.programs() - self._compiled,
            )

    def _job(
        self, prompt: Encoded, options: Options, limit: int, deadline: float | None
    ) -> tuple[Job, Ticket, list[bytes]]:
        bound = options.json_schema is not None or options.regex is not None
        digests = soft.digests(prompt)

        def cancel() -> None:
            job.stop_now = True
            with self._wake:
                self._wake.notify_all()

        def give(piece: Piece) -> None:
            ticket.cached_tokens = job.cached
            if piece.finish_reason is not None:
                with self._wake:
                    self._tickets.pop(job, None)
                    if job.row >= 0:
                        self._waits.ended(self._scheduler.turns - job.begun)
                    self._wake.notify_all()
            ticket.give(piece)

        ticket = Ticket(self.bundle.framing, options, prompt, cancel)
        job = Job(
            prompt,
            options,
            limit,
            give,
            parts=chunks(prompt, digests, self._sizes, self.config.decoder.bidirectional_images),
            draws=options.pictures and self.bundle.pictures is not None and not bound,
            reader=TextReader(self.bundle.vocabulary, options.stop) if options.stop else None,
            grammar=Grammar(self.bundle.vocabulary, options) if bound else None,
            deadline=deadline,
        )
        return job, ticket, digests

    def _prepare(self, job: Job, digests: list[bytes]) -> None:
        """Makes the soft tokens of a job's media, and puts it in the queue."""
        try:
            job.soft = self._soft.of(job.prompt, digests)
        except Exception as error:
            self._fail([job], error)
            with self._wake:
                self._preparing -= 1
                self._wake.notify_all()
            return
        with self._wake:
            self._preparing -= 1
            self._waiting.append(job)
            self._wake.notify_all()

    def _run(self) -> None:
        scheduler, turned = self._scheduler, math.inf
        while True:
            with self._wake:
                if not scheduler.busy:
                    turned = math.inf  # what passes until somebody asks is no turn
                self._wake.wait_for(lambda: scheduler.busy or self._waiting or self._over())
                if self._over():
                    return
            try:
                self._admit()
                scheduler.tick()
                now = time.monotonic()
                if now > turned:
                    self._waits.turned(now - turned)
                turned = now
            except Exception as error:
                # One request cannot be told to be the cause; all that have a row fail, and the batch begins anew.
                with self._wake:
                    running = [job for job in self._tickets if job.row >= 0]
                self._fail(running, error)
                scheduler.reset()

    def _over(self) -> bool:
        return self._closing and not self._tickets and not self._preparing

    def _admit(self) -> None:
        """Gives free rows to those that wait, in order; those that are not wanted any more leave."""
        with self._wake:
            gone = [job for job in self._waiting if job.over]
            for job in gone:
                self._waiting.remove(job)
        for job in gone:
            job.finish()
        while self._scheduler.free and self._waiting:  # only this thread takes from it
            self._scheduler.add(self._waiting.popleft())

    def _fail(self, jobs: list[Job], error: Exception) -> None:
        for job in jobs:
            with self._wake:
                ticket = self._tickets.pop(job, None)
                self._wake.notify_all()
            if ticket is not None:
                ticket.fail(error)
