"""How well a model predicts running text: bits per byte of held-out paragraphs, and how it goes on from a beginning.

Bits per byte compares models whatever their vocabulary, and reading it needs no choice of a prompt.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

from tejat.evals.answering import Listed
from tejat.evals.tasks import Item, Outcome
from tejat.infer.options import Options
from tejat.parts import Document, Part, Text


class Continuing(Listed):
    """Paragraphs, each a plain document of its own: the bits of its tokens, its end among them, over its bytes.

    An item's first answer is its text.

    `training` is the text that the baseline learns from.
    """

    metric, kind, better = "bits per byte", "ratio", "lower"
    asked = "plain documents, scored from their beginning to their end"

    def __init__(self, suite: str, name: str, make: Callable[[], Sequence[Item]], training: Callable[[], str]):
        super().__init__(suite, name, make)
        self._training = training

    def measure(self, model: Any, items: Sequence[Item]) -> list[Outcome]:
        scores = model.score_batch([Document.of((Text(item.answers[0]),)) for item in items])
        return [
            Outcome(-score.total / math.log(2), (), len(item.answers[0].encode()))
            for score, item in zip(scores, items, strict=True)
        ]

    def baseline(self, items: Sequence[Item]) -> tuple[float, str] | None:
        texts = [item.answers[0].encode() for item in items]
        bits = sum(map(self._grams.bits, texts))
        return bits / sum(map(len, texts)), f"bytes by the {ByteGrams.ORDER - 1} before them, counted in training"

    @cached_property
    def _grams(self) -> "ByteGrams":
        return ByteGrams(self._training().encode())


def paragraphs(name: str, texts: Callable[[], Sequence[str]]) -> list[Item]:
    """Each text as an item that shares nothing with the others."""
    return [Item(f"{name}-{n:03d}", f"{n}", (), (text,)) for n, text in enumerate(texts())]


class ByteGrams:
    """An interpolated n-gram of bytes: what a model must beat to have learnt more than spelling.

    Smoothed by method C of Witten & Bell 1991: a context is trusted as far as it has more bytes than kinds of bytes.
    """

    ORDER = 4

    def __init__(self, training: bytes):
        self.counts: dict[bytes, Counter[int]] = defaultdict(Counter)
        for at, byte in enumerate(training):
            for length in range(min(at, self.ORDER - 1) + 1):
                self.counts[training[at - length : at]][byte] += 1

    def bits(self, text: bytes) -> float:
        """The bits of a text under the model."""
        return -sum(math.log2(self._probability(text, at)) for at in range(len(text)))

    def _probability(self, text: bytes, at: int) -> float:
        probability = 1 / 256
        for length in range(min(at, self.ORDER - 1) + 1):
            seen = self.counts.get(text[at - length : at])
            if seen is None:
                break
            kinds, total = len(seen), seen.total()
            probability = (seen[text[at]] + kinds * probability) / (total + kinds)
        return probability


def continuations(model: Any, beginnings: Sequence[str], max_tokens: int = 48) -> list[tuple[Part, ...]]:
    """What the model writes after each beginning of a plain document, always the likeliest token."""
    framing = model.bundle.framing
    prompts = [framing.beginning((Text(text),)) for text in beginnings]
    written = model.engine.generate(prompts, [Options(max_tokens=max_tokens, pictures=False)] * len(prompts))
    return [framing.decode(tokens) for tokens, *_ in written]
