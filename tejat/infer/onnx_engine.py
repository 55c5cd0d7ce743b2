"""The engine on ONNX Runtime: answers, scores and vectors with the interface of `engine.Engine`.

Answers are written by the scheduler that serves, one batch at a time, so that what may follow what, how tokens are
chosen and where answers end is the same everywhere. Nothing is compiled: it is ready when the weights are read.
"""

from collections import deque
from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Float, Int

from tejat.codecs.framing import Encoded
from tejat.errors import BadInput
from tejat.infer import soft
from tejat.infer.constraints import Rule
from tejat.infer.engine import Generation, not_offered
from tejat.infer.job import Job
from tejat.infer.likelihood import Likelihood
from tejat.infer.limits import limit_of
from tejat.infer.onnx_cache import AHEAD, Cache
from tejat.infer.onnx_model import OnnxModel
from tejat.infer.onnx_rows import OnnxRows
from tejat.infer.options import Options
from tejat.infer.pieces import Piece, joined
from tejat.infer.prefix import PrefixCache, chunks
from tejat.infer.reading import TextReader
from tejat.infer.room import bucket
from tejat.infer.scheduler import Scheduler
from tejat.infer.soft import SoftTokens

PARTS = (32, 128)
"""Tokens of a prompt that are read at a time."""

SCORED = AHEAD
"""Places whose scores are made at a time."""

BEHIND = 1_024
"""Tokens in which a prompt may differ from the one before it, for what they share not to be read again."""


class OnnxEngine:
    """Answers, scores and vectors from one export. `rows` answers are written at the same time, at most."""

    def __init__(self, model: OnnxModel, *, rows: int = 8):
        self.model, self.bundle, self.config = model, model.bundle, model.config
        self.rule, self.rows = Rule.of(model.bundle.vocabulary, model.config.picture), rows
        self._soft = SoftTokens(model.soft, model.config, 64 << 20)

    def generate(self, prompts: Sequence[Encoded], options: Options | Sequence[Options]) -> list[Generation]:
        """An answer for each prompt; options are one for all or one for each. Raises BadInput as `check` does."""
        chosen = [options] * len(prompts) if isinstance(options, Options) else list(options)
        limits = [self.check(prompt, wish) for prompt, wish in zip(prompts, chosen, strict=True)]
        pieces: list[list[Piece]] = [[] for _ in prompts]
        for at, piece in self._write(list(zip(prompts, chosen, limits, strict=True))):
            pieces[at].append(piece)
        wholes = [joined(mine) for mine in pieces]
        return [Generation(whole.tokens, whole.logprobs, whole.finish_reason or "length") for whole in wholes]

    def stream(self, prompt: Encoded, options: Options) -> Iterator[Piece]:
        """The answer of `generate`, a few tokens at a time. Raises BadInput as `check` does, before anything runs."""
        limit = self.check(prompt, options)
        return (piece for _, piece in self._write([(prompt, options, limit)]))

    def check(self, prompt: Encoded, options: Options) -> int:
        """The tokens that the answer may take. Raises BadInput where they do not fit, or the picture asked for not."""
        not_offered(options)
        return limit_of(prompt, options, self.config, self.rule, self.config.context)

    def score(self, documents: Sequence[Encoded]) -> list[Float[np.ndarray, " n"]]:
        """For each document, the log-probability of every token after the first whose `loss` is true, in order."""
        return [one.logprobs for one in self.likelihoods(documents)]

    def likelihoods(self, documents: Sequence[Encoded]) -> list[Likelihood]:
        """`likelihood.likelihoods`. Raises BadInput for a document longer than the context."""
        found = []
        for document in documents:
            due = np.flatnonzero(document.loss[1:])
            parts = [_likelihood(np.zeros((0, 1), np.float32), np.zeros(0, int), np.zeros(0, int))]
            for places, scores, _ in self._run(self._cache(len(document)), document):
                mine = due[(due >= places.start) & (due < places.stop)]
                parts.append(_likelihood(scores, mine - places.start, document.tokens[mine + 1]))
            found.append(Likelihood(*(np.concatenate(column) for column in zip(*parts, strict=True))))
        return found

    def embed(self, documents: Sequence[Encoded]) -> Float[np.ndarray, "n D"]:
        """A vector of length 1 for each document: the mean of its final hidden states."""
        vectors = np.zeros((len(documents), self.config.decoder.width), np.float32)
        for vector, document in zip(vectors, documents, strict=True):
            for _, _, hidden in self._run(self._cache(len(document)), document):
                vector += hidden.sum(axis=0)
            vector /= max(float(np.linalg.norm(vector)), 1e-30)
        return vectors

    def continuations(
        self, prompts: Sequence[Encoded], wanted: Sequence[Sequence[Sequence[int]]]
    ) -> list[list[Likelihood]]:
        """What `continuations.continuations` gives: a prompt is read once, and each of its answers after it.

        A prompt of text that begins as the one before it is read from where they part.
        """
        longest = (len(prompt) + max(map(len, mine), default=0) for prompt, mine in zip(prompts, wanted, strict=True))
        ahead = max((len(answer) for mine in wanted for answer in mine), default=1)
        cache = self._cache(max(longest, default=1), ahead=max(ahead, AHEAD), behind=BEHIND)
        held = np.zeros(0, np.int32)
        found = []
        for prompt, mine in zip(prompts, wanted, strict=True):
            head = len(prompt) - 1
            ids = prompt.tokens[: 0 if prompt.media else head]
            for _ in self._run(cache, prompt, head, scored=False, start=cache.reach(0, _alike(held, ids))):
                pass
            found.append([self._continued(cache, prompt, head, answer) for answer in mine])
            held = ids
        return found

    def _continued(self, cache: Cache, prompt: Encoded, head: int, ids: Sequence[int]) -> Likelihood:
        tokens = np.asarray([[prompt.tokens[-1], *ids[:-1]]])
        scores, _ = cache.run(slice(0, 1), tokens, np.asarray([head]), range(len(ids)))
        return _likelihood(scores[0], np.arange(len(ids)), np.asarray(ids))

    def _cache(self, length: int, **room: int) -> Cache:
        if length > self.config.context:
            raise BadInput(
                f"the document has {length:,} tokens, and the context holds {self.config.context:,}; shorten it"
            )
        return Cache(self.model, 1, max(1, length), **room)

    def _run(
        self, cache: Cache, document: Encoded, stop: int | None = None, scored: bool = True, start: int = 0
    ) -> Iterator[tuple[slice, Float[np.ndarray, "t V"], Float[np.ndarray, "t D"]]]:
        """Reads a document from `start`, before which it is in the cache, to `stop`; (places, scores, states), some at
        a time."""
        given = self._soft.of(document, soft.digests(document))
        stop = len(document) if stop is None else stop
        for begin in range(start, stop, SCORED):
            end = min(begin + SCORED, stop)
            items, places = document.item[begin:end], document.soft[begin:end]
            is_soft = (items >= 0)[None]
            rows = np.zeros((1, end - begin, self.config.decoder.width), np.float32)
            for place in np.flatnonzero(is_soft[0]).tolist():
                rows[0, place] = given[items[place]][places[place]]
            at = range(end - begin) if scored else []
            tokens = document.tokens[None, begin:end]
            scores, hidden = cache.run(slice(0, 1), tokens, np.asarray([begin]), at, (is_soft, rows))
            yield slice(begin, end), scores[0], hidden[0]

    def _write(self, pick: Sequence[tuple[Encoded, Options, int]]) -> Iterator[tuple[int, Piece]]:
        """(which, Piece) as answers come, those of each in order."""
        room = min(bucket(max((len(prompt) + limit for prompt, _, limit in pick), default=1), 256), self.config.context)
        rows = OnnxRows(self.model, self.rule, slots=min(self.rows, max(1, len(pick))), context=room)
        kept = PrefixCache(64 << 20 if len(pick) > 1 else 0)
        scheduler = Scheduler(rows, self.config, self.bundle.vocabulary, together=1, prefixes=kept)
        given: deque[tuple[int, Piece]] = deque()
        waiting = deque(enumerate(pick))
        while waiting or scheduler.busy:
            while waiting and scheduler.free:
                at, one = waiting.popleft()
                scheduler.add(self._job(at, given, *one))
            scheduler.tick()
            while given:
                yield given.popleft()

    def _job(self, at: int, given: deque, prompt: Encoded, options: Options, limit: int) -> Job:
        digests = soft.digests(prompt)
        job = Job(
            prompt,
            options,
            limit,
            lambda piece: given.append((at, piece)),
            parts=chunks(prompt, digests, PARTS, False),
            draws=options.pictures and self.bundle.pictures is not None,
            reader=TextReader(self.bundle.vocabulary, options.stop) if options.stop else None,
        )
        job.soft = self._soft.of(prompt, digests)
        return job


def _alike(before: Int[np.ndarray, " m"], ids: Int[np.ndarray, " n"]) -> int:
    """How many ids both begin with."""
    differs = np.flatnonzero(before[: len(ids)] != ids[: len(before)])
    return int(differs[0]) if len(differs) else min(len(before), len(ids))


def _likelihood(scores: Float[np.ndarray, "t V"], at: Int[np.ndarray, " n"], ids: Int[np.ndarray, " n"]) -> Likelihood:
    """Of ids at some of the places that were scored."""
    if not len(ids):
        return Likelihood(np.zeros(0, np.float32), np.zeros(0, np.int32), np.zeros(0, np.float32))
    mine = scores[at]
    best, every = mine.argmax(-1), np.arange(len(ids))
    highest = mine[every, best]
    total = highest + np.log(np.exp(mine - highest[:, None]).sum(-1))
    return Likelihood(mine[every, ids] - total, best.astype(np.int32), highest - total)
