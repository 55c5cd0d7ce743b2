"""Answers written freely and graded by a measure: by how much they are right, or how many errors they have."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np

from tejat.evals import measures, statistics
from tejat.evals.answering import Answering, written
from tejat.evals.statistics import Estimate
from tejat.evals.tasks import Item, Outcome
from tejat.parts import Text

Remarks = Mapping[str, Estimate | str]

Grade = float | bool | tuple[float, float]
"""How right an answer is; or (errors, of how many)."""


class Grading(Answering):
    """The answer, written greedily, is graded.

    Args:
      grade: of an answer and its item.
      metric: what the grade is called.
      kind: "proportion" of grades that are true or false; "mean"; "ratio" of errors and lengths.
      lazy: what one would answer who does not try (a text from the item), and what that is: graded, it is the baseline.
      remarks: numbers of all answers together, of (items, answers).
    """

    def __init__(
        self,
        suite: str,
        name: str,
        make: Callable[[], Sequence[Item]],
        grade: Callable[[str, Item], Grade],
        metric: str,
        *,
        kind: Literal["proportion", "mean", "ratio"] = "mean",
        better: Literal["higher", "lower"] = "higher",
        max_tokens: int = 48,
        lazy: tuple[Callable[[Item], str], str] | None = None,
        remarks: Callable[[Sequence[Item], Sequence[str]], Remarks] | None = None,
    ):
        super().__init__(suite, name, make, max_tokens)
        self.metric, self.kind, self.better = metric, kind, better
        self._grade, self._lazy, self._remarks = grade, lazy, remarks

    def measure(self, model: Any, items: Sequence[Item]) -> list[Outcome]:
        answers = model.generate_batch([item.turns for item in items], max_tokens=self.max_tokens, temperature=0.0)
        return [self.graded(tuple(answer.parts), item) for answer, item in zip(answers, items, strict=True)]

    def graded(self, parts: tuple, item: Item) -> Outcome:
        """An answer's outcome. A drawn picture is never the answer to a question of words."""
        drew = any(not isinstance(part, Text) for part in parts)
        grade = self._grade("" if drew else written(parts), item)
        score, weight = grade if isinstance(grade, tuple) else (float(grade), 1.0)
        return Outcome(float(score), parts, float(weight))

    def judge(self, parts: tuple, item: Item) -> bool:
        return self.graded(parts, item).score == 1.0

    def baseline(self, items: Sequence[Item]) -> tuple[float, str] | None:
        if self._lazy is None:
            return None
        answer, what = self._lazy
        outcomes = [self.graded((Text(answer(item)),), item) for item in items]
        return self.estimate(outcomes, [item.cluster for item in items]).value, what

    def remarks(self, items: Sequence[Item], outcomes: Sequence[Outcome]) -> Remarks:
        return self._remarks(items, [written(outcome.parts) for outcome in outcomes]) if self._remarks else {}


def bleu(items: Sequence[Item], answers: Sequence[str], language: str) -> Estimate:
    """BLEU of all answers together, 0 to 100; its error by drawing sentences again, clusters as a whole."""
    counts = [measures.bleu_counts(said, item.answers[0], language) for item, said in zip(items, answers, strict=True)]

    def of(some: Sequence[np.ndarray]) -> float:
        return measures.bleu_of(np.sum(some, axis=0))

    return statistics.bootstrap(counts, of, [item.cluster for item in items], resamples=500)
