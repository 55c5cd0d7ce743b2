"""Risk and coverage: of the questions that a model is sure enough to answer, how many does it answer wrongly?

A model answers its questions in the order of its confidence; those that it hedges on come last, however sure it is of
hedging, and count as errors if it is made to answer them: an answer that is not given is not one that is right.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Answered(NamedTuple):
    """One answer: how sure the model is of it, whether it is wrong, and whether it is none."""

    confidence: float
    wrong: bool
    hedged: bool


def curve(answers: Sequence[Answered]) -> list[tuple[float, float]]:
    """(coverage, risk) after each answer: the share of wrong ones among the surest 1, 2, … of all."""
    wrong = _errors(answers)
    counts = np.arange(1, len(wrong) + 1)
    return list(zip((counts / len(wrong)).tolist(), (np.cumsum(wrong) / counts).tolist(), strict=True))


def area(answers: Sequence[Answered]) -> float:
    """The mean risk over all coverages: 0 where every answer is right, 1 where none is."""
    wrong = _errors(answers)
    return float((np.cumsum(wrong) / np.arange(1, len(wrong) + 1)).mean())


def coverage(answers: Sequence[Answered]) -> float:
    """The share that is answered at all."""
    return float(np.mean([not each.hedged for each in answers]))


def inaccurate(answers: Sequence[Answered], at: float | None = None) -> float:
    """Wrong answers, as a share of all questions, when the surest `at` of them are answered; all that the model answers
    where None."""
    share = coverage(answers) if at is None else at
    return float(_errors(answers)[: round(share * len(answers))].sum() / len(answers))


def _errors(answers: Sequence[Answered]) -> np.ndarray:
    """1 for each that is wrong or none, the surest first."""
    ordered = sorted(answers, key=lambda each: (each.hedged, -each.confidence))
    return np.array([each.wrong or each.hedged for each in ordered], float)
