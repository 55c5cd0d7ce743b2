"""Continuous batching: answers take a row of one batch, are written side by side, and leave it as they end.

`tick` is one turn of the loop. The device scores the next tokens while the host looks at those chosen before; then the
next ones are chosen, and a part of a waiting prompt is read. So a long prompt holds the others up by no more than a
part at a time, and what the host does (text, stop strings, grammars' masks) costs no time of the device.

For one thread: `service.Service` has it, and the queue before it.
"""

import heapq
import itertools
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tejat.codecs.framing import Encoded
from tejat.codecs.vocabulary import EOS, Vocabulary
from tejat.infer import grammar, sampling, steps
from tejat.infer.constraints import Rule
from tejat.infer.job import Job
from tejat.infer.pieces import FinishReason, Piece
from tejat.infer.prefix import PrefixCache
from tejat.infer.rows import Rows
from tejat.model.multimodal import ModelConfig

FLUSH, EACH = 0.01, 0.0002
"""Seconds that tokens may wait to be given with the next ones, and as many more for each answer being written: to wake
a reader costs more than to write a token."""

CHANGES = 16
"""Rows that are placed at once."""


@dataclass
class Counts:
    """What happened since the start."""

    prompt_tokens: int = 0
    cached_tokens: int = 0  # of these, found in the prefix cache
    answer_tokens: int = 0
    answers: int = 0
    steps: int = 0


class Scheduler:
    """Gives the rows of a batch to jobs, and their tokens to who asked for them."""

    def __init__(
        self, rows: Rows, config: ModelConfig, vocabulary: Vocabulary, *, together: int, prefixes: PrefixCache
    ):
        """`together` prompts are read at a time."""
        self.rows, self.config, self.rule = rows, config, Rule.of(vocabulary, config.picture)
        self.slots, self.together, self.prefixes = rows.slots, together, prefixes
        self._ahead = rows.ahead
        self.counts = Counts()
        self.turns = 0  # of the loop, since the start
        self.unbound = rows.on_device(grammar.unbound(vocabulary, self.slots))
        self._no_soft: dict[int, Any] = {}
        self._begin_anew()

    def reset(self) -> None:
        """Forgets every job, and all that the device holds of them."""
        self.rows.reset()
        self._begin_anew()

    def _begin_anew(self) -> None:
        self.prefixes.clear()
        self._free = list(range(self.slots))  # a heap
        self._reading: deque[Job] = deque()
        self._writing: dict[int, Job] = {}
        self._since = np.zeros(self.slots, np.int64)  # a number that changes with the job of a row; 0: none writes
        self._written, self._limit = np.zeros((2, self.slots), np.int64)
        self._watched = np.zeros(self.slots, bool)
        self._begun = itertools.count(1)
        self._flight: tuple[np.ndarray, steps.Written] | None = None  # chosen, and not looked at yet
        self._steps: list[tuple[np.ndarray, ...]] = []  # looked at, and not given to all yet
        self._sent = time.monotonic()
        self._reads: deque[Any] = deque()  # of parts of prompts that the device may still be reading
        self._wanted = steps.Wishes.of(self.slots)
        self._wishes: steps.Wishes | None = None  # the same on the device; None: they have changed
        self._changes: dict[int, tuple[int, int, int]] = {}  # rows to be placed: token, position, left

    @property
    def busy(self) -> bool:
        return bool(self._reading or self._writing)

    @property
    def free(self) -> int:
        """Rows that nobody has."""
        return len(self._free)

    @property
    def jobs(self) -> list[Job]:
        return [*self._reading, *self._writing.values()]

    def add(self, job: Job) -> None:
        """Gives a job a row, which must be free. What is known of the beginning of its prompt is not read again."""
        job.row, job.begun = heapq.heappop(self._free), self.turns
        self.counts.prompt_tokens += len(job.prompt)
        for part, block in zip(job.parts, self.prefixes.find(job.parts), strict=False):
            self.rows.put(job.row, part.start, part.count, block)
            self.counts.cached_tokens += part.count
            job.cached += part.count
            job.read += 1
        self._reading.append(job)
        if job.read == len(job.parts):
            self._begin(job)

    def tick(self) -> None:
        """One turn: a token for every row that writes, a part of a prompt for some that do not yet."""
        self.turns += 1
        self._drop()
        self.settle()
        if self._writing:
            scores = self.rows.forward(self._width(), self._guided())
            before, self._flight = self._flight, None
            if self._ahead and all(job.grammar is None for job in self._writing.values()):
                self._choose(scores)  # the device goes on, whatever the host is looking at
                self._collect(before)
            else:
                self._collect(before)  # what a grammar admits next depends on what came
                self._choose(scores)
            self.settle()
        else:
            self._flight = None
        if self._reading:
            self._read()

    def _width(self) -> int:
        return next(width for width in self.rows.widths if width > max(self._writing))

    def _guided(self) -> list[int]:
        """Rows inside a picture that is guided. What was chosen last was not looked at yet, so the first token of a
        picture is missed; its unasked row begins with the second."""
        return [row for row, job in self._writing.items() if job.drawn and job.guided]

    def _drop(self) -> None:
        for job in self.jobs:
            if job.over:
                self._end(job)

    def _collect(self, flight: tuple[np.ndarray, steps.Written] | None) -> None:
        """Looks at the tokens of the step before. Few rows need more than a comparison of arrays."""
        if flight is None:
            return
        since, written = flight
        tokens, logprobs = self._all(written.token), self._all(written.logprob)
        wanted = any(job.options.top_logprobs for job in self._writing.values())
        top = (self._all(written.top), self._all(written.top_logprobs)) if wanted else ()
        live = (since > 0) & (since == self._since)
        self._steps.append((tokens, logprobs, *top))
        self._written += live
        self.counts.answer_tokens += int(live.sum())
        by_itself = (tokens == self.rule.turn_end) | (tokens == EOS)
        full, first = self._written == self._limit, self._written == 1
        for row in np.flatnonzero(live & (by_itself | full | first | self._watched)).tolist():
            job = self._writing[row]
            if first[row]:
                job.unsent = len(self._steps) - 1
            reason = "stop" if by_itself[row] else self._watch(job, int(tokens[row]))
            if reason or full[row]:
                self._end(job, reason or "length")
            elif first[row]:
                self._give(job)
        if time.monotonic() - self._sent >= FLUSH + EACH * len(self._writing):
            both = np.stack([step[0] for step in self._steps]), np.stack([step[1] for step in self._steps])
            for job in self._writing.values():
                self._give(job, both)
                job.unsent = 0
            self._steps.clear()
            self._sent = time.monotonic()

    def _all(self, column: Any) -> np.ndarray:
        """A column of a step on the host, with zeros for the rows that it did not compute."""
        found = np.asarray(column)
        short = self.slots - len(found)
        return np.concatenate([found, np.zeros((short, *found.shape[1:]), found.dtype)]) if short else found

    def _watch(self, job: Job, token: int) -> FinishReason | None:
        """Why an answer ends at a token in its midst, if it does."""
        if job.guided:
            inside = token != self.rule.picture_end and (job.drawn > 0 or token == self.rule.picture_begin)
            job.drawn = job.drawn + 1 if inside else 0
        if job.grammar is not None and not job.grammar.push(token):
            return "grammar"
        if job.options.ends_with_picture and token == self.rule.picture_end:
            return "stop"
        if job.reader is not None:
            job.reader.push(token)
            return "stop" if job.reader.hit is not None else None
        return None

    def _give(self, job: Job, both: tuple[np.ndarray, np.ndarray] | None = None) -> None:
        """Gives the tokens that a job has not been given."""
        piece = self._unsent(job, None, both)
        if len(piece.tokens):
            job.give(piece)

    def _unsent(
        self, job: Job, reason: FinishReason | None, both: tuple[np.ndarray, np.ndarray] | None = None
    ) -> Piece:
        """`both`: tokens and log-probabilities of all steps, where somebody has put them together."""
        mine = self._steps[job.unsent :] if self._written[job.row] else []
        since, job.unsent = job.unsent, len(self._steps)
        if both is not None and mine:
            tokens, logprobs = (column[since:, job.row].copy() for column in both)
        else:
            tokens = np.asarray([step[0][job.row] for step in mine], np.int32)
            logprobs = np.asarray([step[1][job.row] for step in mine], np.float32)
        top: tuple[tuple[np.ndarray, np.ndarray], ...] = ()
        if job.options.top_logprobs:
            top = tuple(_finite(step[2][job.row], step[3][job.row], job.options.top_logprobs) for step in mine)
        return Piece(tokens, logprobs, reason, top)

    def _end(self, job: Job, reason: FinishReason | None = None) -> None:
        """Frees the job's row and gives its last piece."""
        self.counts.answers += 1
        heapq.heappush(self._free, job.row)
        if self._writing.pop(job.row, None) is None:
            self._reading.remove(job)
            job.finish()
            return
        self._since[job.row] = 0
        # The device may not know that it is over, and its next scores are on their way: the row writes no more.
        if reason != "length":
            self._changes[job.row] = 0, 0, 0
        job.finish(self._unsent(job, reason or job.why))

    def _choose(self, scores: Any) -> None:
        words = self._words()
        self.settle()
        if not self._writing:
            return
        if self._wishes is None:
            # Copies: the device may still read these when rows change.
            self._wishes, self._needs = self.rows.on_device(self._wanted), self._needed()
        self._flight = self._since.copy(), self.rows.choose(self._needs, scores, self._wishes, words)
        self.counts.steps += 1

    def _words(self) -> Any:
        """Masks of the rows' grammars. An answer whose grammar cannot be followed any further ends."""
        bound = [(job, job.grammar) for job in self._writing.values() if job.grammar is not None]
        if not bound:
            return self.unbound
        masks = np.full(self.unbound.shape, 0xFFFFFFFF, np.uint32)  # a new one: the device may still read the last
        follows = grammar.fill(masks, [(job.row, rule) for job, rule in bound])
        for (job, _), goes_on in zip(bound, follows, strict=True):
            if not goes_on:
                self._end(job, "grammar")
        return masks

    def _needed(self) -> sampling.Needs:
        """What there is to do for the rows that write."""
        if len(self.rows.every_need) == 1:
            return self.rows.every_need[0]
        rows = [*self._writing]
        wanted = steps.Wishes(self._wanted.whole[rows], self._wanted.real[rows])
        asked, codes = wanted.settings, wanted.asked.draws & (wanted.settings.picture_temperature > 0)
        warm = asked.temperature > 0
        return sampling.Needs(
            chance=bool((warm | codes).any()),
            bounds=bool((warm & ((asked.top_k > 0) | (asked.top_p < 1)) | codes & (asked.picture_top_k > 0)).any()),
            top=bool(wanted.top.any()),
            penalties=True,  # a subtraction
        )

    def _read(self) -> None:
        """Reads the next part of the first prompt in turn, with others whose next part takes the same program."""
        if len(self._reads) > 1:  # no further ahead: a prompt that is not wanted any more should cost little
            self._reads.popleft().block_until_ready()
        size = self._reading[0].parts[self._reading[0].read].size
        jobs = [job for job in self._reading if job.parts[job.read].size == size][: self.together]
        self._reads.append(self.rows.read(self.part(jobs, size)))
        for job in jobs:
            part = job.parts[job.read]
            if part.key is not None and part.key not in self.prefixes:
                self.prefixes.add(part.key, self.rows.cut(job.row, part.start, size))
            job.read += 1
            self._reading.remove(job)
            self._reading.append(job)  # its turn comes again after the others'
            if job.read == len(job.parts):
                self._begin(job)

    def part(self, jobs: Sequence[Job], size: int) -> steps.Part:
        """The next part of each job's prompt, for the program that reads `size` tokens."""
        rows = np.full(self.together, self.slots, np.int32)
        start = np.zeros(self.together, np.int32)
        tokens, ends = np.zeros((2, self.together, size), np.int32)
        is_soft, soft = np.zeros((self.together, size), bool), None
        for r, job in enumerate(jobs):
            part = job.parts[job.read]
            span = slice(part.start, part.start + part.count)
            rows[r], start[r], tokens[r, : part.count] = job.row, part.start, job.prompt.tokens[span]
            ends[r, : part.count] = self._ends(job.prompt, span)
            items, at = job.prompt.item[span], job.prompt.soft[span]
            for place in np.flatnonzero(items >= 0).tolist():
                if soft is None:
                    soft = np.zeros((self.together, size, self.config.decoder.width), self.rows.dtype)
                is_soft[r, place], soft[r, place] = True, job.soft[items[place]][at[place]]
        if soft is None:
            if size not in self._no_soft:
                self._no_soft[size] = self.rows.nothing_soft((self.together, size, self.config.decoder.width))
            soft = self._no_soft[size]
        return steps.Part(rows, start, tokens, ends, is_soft, soft)

    def _ends(self, prompt: Encoded, span: slice) -> np.ndarray:
        """One past the last place that each token sees on sliding layers: itself, or the end of its image."""
        ends = np.arange(span.start, span.stop) + 1
        if self.config.decoder.bidirectional_images:
            blocks = prompt.blocks[span]
            for number in np.unique(blocks[blocks > 0]):
                mine = np.flatnonzero(blocks == number)
                ends[mine] = span.start + mine[-1] + 1
        return ends

    def _begin(self, job: Job) -> None:
        """The prompt is read but for its last token, after which the answer begins."""
        self._reading.remove(job)
        self._writing[job.row] = job
        self._since[job.row], self._written[job.row] = next(self._begun), 0
        self._limit[job.row], self._watched[job.row] = job.limit, job.watched
        job.drawn = int(job.prompt.tokens[-1] == self.rule.picture_begin)
        self.prefixes.touch(job.parts)
        self._changes[job.row] = int(job.prompt.tokens[-1]), len(job.prompt) - 1, job.limit
        self._wanted.put(job.row, job.options, job.draws)
        self._wishes = None

    def settle(self) -> None:
        """Tells the device of the rows that have begun to write or stopped since it was told last.

        After `<|picture>` a picture must follow.
        """
        while self._changes:
            changes = np.full((CHANGES, 5), self.slots, np.int32)
            for n in range(min(CHANGES, len(self._changes))):
                row, (token, position, left) = self._changes.popitem()
                changes[n] = row, token, position, left, token == self.rule.picture_begin
            self.rows.place(changes)


def _finite(ids: np.ndarray, logprobs: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The first `count`, or fewer where fewer are allowed."""
    count = min(count, int(np.isfinite(logprobs).sum()))
    return ids[:count], logprobs[:count]
