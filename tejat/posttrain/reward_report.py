"""How good a reward model is on pairs that it has not seen, by behaviour; and what it likes that it should not.

Accuracy is the share of pairs whose chosen answer scores higher, by the head that learns from such pairs, and by all
heads together: by these a policy is rewarded, whatever it is asked. Calibration: of pairs on which the model is sure to
some degree, is it right as often as it says? Biases: is a longer answer or one with marks of formatting liked better
where nothing else differs?
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from scipy import stats

from tejat.evals import statistics
from tejat.parts import Part, Text
from tejat.posttrain.preferences import Pair

BINS = 10

PADDING = "\n\nI hope that this answers your question. Please let me know if there is anything else."
"""Says nothing about any question."""


def _list(text: str) -> str:
    return "\n".join(f"- {line}" for line in text.splitlines() if line.strip())


DRESSES: dict[str, Callable[[str], str]] = {
    "longer": lambda text: text + PADDING,
    "twice": lambda text: f"{text}\n\n{text}",
    "bold": lambda text: f"**{text.strip()}**",
    "list": _list,
    "heading": lambda text: f"# Answer\n\n{text}",
}
"""The same answer in other dress: the first two longer, the others formatted."""


@dataclass(frozen=True)
class Scored:
    """A pair with its own head's scores, the tokens of its answers, and the difference of their scores by all heads."""

    behaviour: str
    head: str
    chosen: float
    rejected: float
    chosen_length: int
    rejected_length: int
    together: float


def calibration_error(confidence: Float[np.ndarray, " n"], right: Bool[np.ndarray, " n"], bins: int = BINS) -> float:
    """Expected calibration error (Naeini et al. 2015) of choices between two: bins of equal width from 0.5 to 1."""
    place = np.clip(((confidence - 0.5) * 2 * bins).astype(int), 0, bins - 1)
    gaps = [
        (place == each).mean() * abs(confidence[place == each].mean() - right[place == each].mean())
        for each in np.unique(place)
    ]
    return float(sum(gaps))


def table(pairs: Sequence[Scored]) -> list[dict[str, Any]]:
    """A line for all pairs, for each head, for each behaviour: accuracy with its interval, and by all heads together;
    calibration; mean gap."""
    groups: dict[str, list[Scored]] = {"all": list(pairs)}
    for pair in pairs:
        groups.setdefault(f"head {pair.head}", []).append(pair)
    for behaviour in sorted({pair.behaviour for pair in pairs}):
        groups[behaviour] = [pair for pair in pairs if pair.behaviour == behaviour]
    found = []
    for name, mine in groups.items():
        gap = np.asarray([pair.chosen - pair.rejected for pair in mine])
        sure = 1 / (1 + np.exp(-np.abs(gap)))
        share = statistics.proportion([bool(each > 0) for each in gap])
        found.append(
            {
                "name": name,
                "pairs": len(mine),
                "accuracy": share.value,
                "low": share.low,
                "high": share.high,
                "together": float(np.mean([pair.together > 0 for pair in mine])),
                "calibration_error": calibration_error(sure, gap > 0),
                "gap": float(gap.mean()),
            }
        )
    return found


def by_length(pairs: Sequence[Scored]) -> dict[str, Any]:
    """Accuracy where the chosen answer is the longer one, the shorter, or as long; and how scores follow length.

    `longer_preferred` is how often the longer answer scores higher; where chosen answers are longer in half of the
    pairs, a model without a bias comes to a half.
    """
    gap = np.asarray([pair.chosen - pair.rejected for pair in pairs])
    more = np.asarray([pair.chosen_length - pair.rejected_length for pair in pairs])

    def accuracy(where: Bool[np.ndarray, " n"]) -> float | None:
        return float((gap[where] > 0).mean()) if where.any() else None

    differ = more != 0
    scores = [score for pair in pairs for score in (pair.chosen, pair.rejected)]
    lengths = [length for pair in pairs for length in (pair.chosen_length, pair.rejected_length)]
    follows = len(set(scores)) > 1 and len(set(lengths)) > 1
    return {
        "accuracy_chosen_longer": accuracy(more > 0),
        "accuracy_chosen_shorter": accuracy(more < 0),
        "accuracy_as_long": accuracy(~differ),
        "chosen_longer": float((more[differ] > 0).mean()) if differ.any() else None,
        "longer_preferred": float(((gap > 0) == (more > 0))[differ].mean()) if differ.any() else None,
        "rank_correlation": float(stats.spearmanr(scores, lengths).statistic) if follows else None,
    }


def dressed(pair: Pair, dress: str) -> Pair:
    """The pair with its chosen answer in other dress as `chosen`, and as it was as `rejected`."""
    return replace(pair, chosen=_dressed(pair.chosen, DRESSES[dress]), rejected=pair.chosen)


def by_dress(plain: Float[np.ndarray, " n"], other: Float[np.ndarray, " n"], deviation: float) -> dict[str, float]:
    """How often the other dress scores higher, and by how much on the mean, in deviations of the scores of answers."""
    return {
        "preferred": float((other > plain).mean()),
        "shift": float((other - plain).mean() / max(deviation, 1e-9)),
    }


def _dressed(answer: tuple[Part, ...], dress: Callable[[str], str]) -> tuple[Part, ...]:
    return tuple(Text(dress(part.text)) if isinstance(part, Text) else part for part in answer)
