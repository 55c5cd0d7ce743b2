"""Long context: a value found by its key among thousands, by depth; bits per byte of long documents, by position and
by how much of them stands before.

After the paper's section on context: key-value pairs first, then the question. Lists of one length share their pairs,
and the questions of a list are a cluster: each list is read once.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

from tejat.data.presenting.pages import joined
from tejat.data.presenting.retrieval import pairs
from tejat.errors import BadInput
from tejat.evals import statistics
from tejat.evals.answering import Choosing, Listed
from tejat.evals.ground import HELD_OUT, MADE, Ground, mixed, rng
from tejat.evals.report import Section
from tejat.evals.statistics import Estimate
from tejat.evals.tasks import Item, Outcome, Task
from tejat.parts import Document, Text, Turn

SUITE = "long-context"
LENGTHS = {"1k": 1_024, "2k": 2_048, "4k": 4_096, "8k": 8_192, "16k": 16_384, "32k": 32_768}
QUESTIONS = 16  # of each list
DEPTHS = ("0 – 20%", "20 – 40%", "40 – 60%", "60 – 80%", "80 – 100%")
POSITIONS = (128, 256, 512, 1_024, 2_048, 4_096, 8_192, 16_384, 32_768)
BEFORE, LAST = (256, 1_024, 4_096, 15_360, 31_000), 1_024
SOURCES = ("linux-docs", "debian-handbook", "python-docs", "postgresql-docs", "debian-reference")


def tasks(ground: Ground) -> list[Task]:
    """A task for each length, and two of long documents."""
    found: list[Task] = [Retrieving(length, ground).with_(origin=MADE) for length in LENGTHS]
    by_position = ByPosition(SUITE, "documents", partial(documents, ground)).with_(origin=HELD_OUT, promised=True)
    return [*found, by_position, Preceded(SUITE, "preceded", partial(works, ground)).with_(origin=HELD_OUT)]


def sections(model: Any) -> list[Section]:
    return []


class Retrieving(Choosing):
    """The value of a key, chosen from four that are in the list. Lists fill a context of about so many tokens."""

    def __init__(self, length: str, ground: Ground):
        super().__init__(SUITE, f"retrieval-{length}", partial(self._lists, length, ground.most))
        self.length = LENGTHS[length]
        self._pairs: int | None = None

    def measure(self, model: Any, items: Sequence[Item]) -> list[Outcome]:
        if self.length > model.bundle.config.context:
            raise BadInput(
                f"lists of {self.length:,} tokens are asked of {model.name!r}, whose context holds "
                f"{model.bundle.config.context:,}; ask a model with a longer one"
            )
        return super().measure(model, [self.ready(model, item) for item in items])

    def ready(self, model: Any, item: Item) -> Item:
        return fitted(item, model, self.length)

    @property
    def asked(self) -> str:
        return f"{super().asked}; lists are cut to {self.length:,} tokens of the model, the key's pair among them"

    @staticmethod
    def _lists(length: str, most: int) -> list[Item]:
        """Lists of more pairs than any tokenizer gets into the length; `fitted` cuts them."""
        made = []
        for number in range(max(1, min(most, 8 * QUESTIONS) // QUESTIONS)):
            random = rng(SUITE, length, number)
            keys, values = pairs(LENGTHS[length] // 6, random)
            for question in range(QUESTIONS):
                depth = (question + random.random()) / QUESTIONS
                made.append(_question(f"{length}-{number:02d}-{question:02d}", number, keys, values, depth, random))
        return made


def _question(
    id: str, number: int, keys: Sequence[str], values: Sequence[str], depth: float, random: np.random.Generator
) -> Item:
    """An item whose list is still whole; its material says where in it the key is to lie, as a share."""
    others = [values[int(n)] for n in random.permutation(len(values) // 2)[:4]]
    listed = "\n".join(f"{key}: {value}" for key, value in zip(keys, values, strict=True))
    return Item(
        id,
        f"list {number}",
        (Turn("user", (Text(listed),)),),
        (),
        shown=(Text(f"A list of keys and values, and the key {depth:.0%} down it."),),
        choices=tuple(others),
        chance=0.25,
        tags={"depth": DEPTHS[min(4, int(5 * depth))]},
        material=depth,
    )


def fitted(item: Item, model: Any, length: int) -> Item:
    """The item with as many lines of its list as fit the length, and its question, whose key lies at the depth."""
    lines = item.turns[0].parts[0].text.split("\n")
    count = _fitting(tuple(lines[:400]), model, length)
    lines = lines[: min(count, len(lines))]
    key, _, value = lines[min(int(item.material * len(lines)), len(lines) - 1)].partition(": ")
    inside = [line.partition(": ")[2] for line in lines]
    wrong = [choice for choice in item.choices if choice != value and choice in inside][:3]
    wrong += [v for v in inside[:: max(1, len(inside) // 7)] if v != value and v not in wrong][: 3 - len(wrong)]
    asked = "\n".join([*lines, "", f"What is the value of {key}?"])
    choices = mixed(value, wrong, rng(item.id))
    return replace(item, turns=(Turn("user", (Text(asked),)),), answers=(value,), choices=choices)


def _fitting(lines: Sequence[str], model: Any, length: int) -> int:
    """How many such lines fill the length, with room for a question and its answer."""
    each = len(model.bundle.vocabulary.encode("\n".join(lines))) / len(lines)
    return max(8, int((length - 64) / each / 1.02))


class ByPosition(Listed):
    """Long documents; the bits of each stretch of positions beside those of the whole."""

    metric, kind, better = "bits per byte", "ratio", "lower"
    asked = "plain documents, cut to the model's context"
    batch = 2

    def measure(self, model: Any, items: Sequence[Item]) -> list[Outcome]:
        outcomes = []
        vocabulary, context = model.bundle.vocabulary, model.bundle.config.context
        for item in items:
            ids = vocabulary.encode(item.answers[0])[: context - 2]
            text = vocabulary.decode(ids)
            score = model.score(Document.of((Text(text),)))
            sizes = np.array([len(vocabulary.piece_bytes[token]) for token in score.tokens])
            bits = -score.logprobs / math.log(2)
            stretches, begin = {}, 0
            for end in POSITIONS:
                if 2 * len(bits) >= begin + end:  # at least half of it is there
                    stretches[str(end)] = [float(bits[begin:end].sum()), int(sizes[begin:end].sum())]
                begin = end
            outcomes.append(Outcome(float(bits.sum()), (), float(sizes.sum()), stretches))
        return outcomes

    def remarks(self, items: Sequence[Item], outcomes: Sequence[Outcome]) -> Mapping[str, Estimate]:
        """Bits per byte by position; a model that uses its context goes down."""
        found = {}
        for begin, end in zip((0, *POSITIONS), POSITIONS, strict=False):
            pairs = zip(items, outcomes, strict=True)
            both = [(*o.detail[str(end)], i.cluster) for i, o in pairs if o.detail and str(end) in o.detail]
            if both and any(size for _, size, _ in both):
                found[f"tokens {begin:,} – {end:,}"] = statistics.ratio(*zip(*both, strict=True))
        return found


class Preceded(Listed):
    """The same tokens of a long document with less and with more of it before them. Positions of a document differ in
    what stands there; this is what a context is worth."""

    metric, kind, better = "bits per byte", "ratio", "lower"
    asked = f"plain documents: {LAST:,} tokens, behind as many of those before them as there are and fit"
    batch = 1

    def measure(self, model: Any, items: Sequence[Item]) -> list[Outcome]:
        outcomes = []
        vocabulary, context = model.bundle.vocabulary, model.bundle.config.context
        for item in items:
            ids = vocabulary.encode(item.answers[0])[: context - 2]
            found = {}
            fitting = [before for before in BEFORE if before + LAST <= len(ids)] or [max(0, len(ids) - LAST)]
            end = fitting[-1] + LAST
            for before in fitting:
                score = model.score(Document.of((Text(vocabulary.decode(ids[max(0, end - LAST - before) : end])),)))
                sizes = [len(vocabulary.piece_bytes[token]) for token in score.tokens[-LAST:]]
                found[str(before)] = [float(-score.logprobs[-LAST:].sum() / math.log(2)), sum(sizes)]
            outcomes.append(Outcome(found[str(fitting[-1])][0], (), float(found[str(fitting[-1])][1]), found))
        return outcomes

    def remarks(self, items: Sequence[Item], outcomes: Sequence[Outcome]) -> Mapping[str, Estimate]:
        """What each step to a longer context changes, of the documents that have both; below nought it helps."""
        found = {}
        for less, more in pairwise(map(str, BEFORE)):
            details = [(outcome.detail, item.cluster) for item, outcome in zip(items, outcomes, strict=True)]
            both = [(d[more][0] / d[more][1], d[less][0] / d[less][1], cluster) for d, cluster in details if more in d]
            if both:
                name = f"{int(more):,} tokens before, less the same with {int(less):,}"
                found[name] = statistics.paired_difference(*zip(*both, strict=True))
        return found


def works(ground: Ground) -> list[Item]:
    """The longest documents, one of each work: not the same in ten languages."""
    first = {item.cluster: item for item in reversed(documents(ground))}
    return sorted(first.values(), key=lambda item: -len(item.answers[0]))[:12]


def documents(ground: Ground) -> list[Item]:
    """Pages of handbooks with the pieces that follow them, longest first."""
    made = []
    shards = ground.heldout(*SOURCES)
    for k, raw in enumerate(shards):
        if raw.fields.get("piece", (0, 0))[0] == 0:
            text = joined(shards, k, 200_000).fields["text"] if "piece" in raw.fields else raw.fields["text"]
            made.append(Item(f"{k:05d}", raw.fields["group"], (), (text,)))
    made.sort(key=lambda item: -len(item.answers[0]))
    return made[: min(ground.most, 64)]
