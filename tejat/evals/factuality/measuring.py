"""The tasks: different numbers of one set of answers, which a model gives once."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from tejat.evals import statistics
from tejat.evals.answering import Listed, written
from tejat.evals.factuality import judging, risk
from tejat.evals.factuality.policies import UNSURE
from tejat.evals.factuality.risk import Answered
from tejat.evals.statistics import Estimate
from tejat.evals.tasks import Item, Outcome
from tejat.parts import Part, Text

TOKENS = 64  # of an answer


class Answers:
    """What a model said to items, each asked once whatever number of tasks look at it; of the last model alone."""

    def __init__(self) -> None:
        self._model: Any = None
        self._found: dict[str, tuple[tuple[Part, ...], float]] = {}

    def of(self, model: Any, items: Sequence[Item]) -> list[tuple[tuple[Part, ...], float]]:
        """The parts of each answer, written greedily, and the mean log-probability of its tokens."""
        if model is not self._model:
            self._model, self._found = model, {}
        asked = [item.digest() for item in items]  # a control has its item's id, and shows something else
        due = {digest: item for digest, item in zip(asked, items, strict=True) if digest not in self._found}
        if due:
            said = model.generate_batch([item.turns for item in due.values()], max_tokens=TOKENS, temperature=0.0)
            for digest, answer in zip(due, said, strict=True):
                sure = float(answer.logprobs.mean()) if len(answer.logprobs) else 0.0
                self._found[digest] = tuple(answer.parts), sure
        return [self._found[digest] for digest in asked]


Graded = Callable[[str, Item], bool]


class Judging(Listed):
    """A share of the items whose answers are so and so.

    Args:
      grade: of (the answer's words, its item).
      unsure: what the number is of a policy that never answers: the baseline.
    """

    kind = "proportion"
    ways = ()
    batch = 128  # the engine sorts them by length

    def __init__(
        self,
        suite: str,
        name: str,
        make: Callable[[], Sequence[Item]],
        answers: Answers,
        grade: Graded,
        metric: str,
        better: Literal["higher", "lower"] = "higher",
        remarks: Mapping[str, Graded] | None = None,
    ):
        super().__init__(suite, name, make, TOKENS)
        self.metric, self.better, self._answers, self._grade = metric, better, answers, grade
        self._remarks = remarks or {}

    @property
    def asked(self) -> str:
        return f"the turns alone, no examples; greedy, up to {TOKENS} tokens"

    def measure(self, model: Any, items: Sequence[Item]) -> list[Outcome]:
        return [self.judged(item, *said) for item, said in zip(items, self._answers.of(model, items), strict=True)]

    def judged(self, item: Item, parts: tuple[Part, ...], confidence: float) -> Outcome:
        """The outcome of an answer. A drawn picture says nothing: it answers wrongly."""
        said = written(parts) if all(isinstance(part, Text) for part in parts) else ""
        detail = {"confidence": confidence, "verdict": judging.verdict(said, item)}
        return Outcome(float(self._grade(said, item)), parts, 1.0, detail)

    def baseline(self, items: Sequence[Item]) -> tuple[float, str] | None:
        scores = [self._grade(UNSURE, item) for item in items]
        return sum(scores) / len(scores), "always unsure"

    def remarks(self, items: Sequence[Item], outcomes: Sequence[Outcome]) -> Mapping[str, Estimate]:
        told = {}
        for name, grade in self._remarks.items():
            marks = [bool(grade(written(o.parts), item)) for item, o in zip(items, outcomes, strict=True)]
            told[name] = statistics.proportion(marks, [item.cluster for item in items])
        return told


class Risking(Judging):
    """The area under the curve of risk over coverage; of two models, the difference of areas."""

    kind = "mean"

    def estimate(self, outcomes: Sequence[Outcome], clusters: Sequence[str]) -> Estimate:
        return statistics.bootstrap(list(map(answered, outcomes)), risk.area, clusters, resamples=500)

    def difference(self, first: Sequence[Outcome], second: Sequence[Outcome], clusters: Sequence[str]) -> Estimate:
        pairs = list(zip(map(answered, first), map(answered, second), strict=True))

        def of(some: Sequence[tuple[Answered, Answered]]) -> float:
            return risk.area([one for one, _ in some]) - risk.area([other for _, other in some])

        return statistics.bootstrap(pairs, of, clusters, resamples=500)

    def baseline(self, items: Sequence[Item]) -> tuple[float, str] | None:
        return 1.0, "always unsure"


class Covering(Risking):
    """Wrong answers as a share of all questions; of two models, at the smaller of their coverages."""

    def estimate(self, outcomes: Sequence[Outcome], clusters: Sequence[str]) -> Estimate:
        return statistics.bootstrap(list(map(answered, outcomes)), risk.inaccurate, clusters, resamples=500)

    def difference(self, first: Sequence[Outcome], second: Sequence[Outcome], clusters: Sequence[str]) -> Estimate:
        pairs = list(zip(map(answered, first), map(answered, second), strict=True))

        def of(some: Sequence[tuple[Answered, Answered]]) -> float:
            one, other = at_equal_coverage(*zip(*some, strict=True))
            return one - other

        return statistics.bootstrap(pairs, of, clusters, resamples=500)

    def baseline(self, items: Sequence[Item]) -> tuple[float, str] | None:
        return 0.0, "always unsure"


def at_equal_coverage(first: Sequence[Answered], second: Sequence[Answered]) -> tuple[float, float]:
    """Wrong answers of each, as a share of all questions, where both answer as many as the one that answers fewer."""
    at = min(risk.coverage(first), risk.coverage(second))
    return risk.inaccurate(first, at), risk.inaccurate(second, at)


def answered(outcome: Outcome) -> Answered:
    """An outcome as a point of the curve."""
    found = outcome.detail["verdict"]
    return Answered(outcome.detail["confidence"], found == "wrong", found == "hedged")


def attributed(said: str, item: Item) -> bool:
    """Is the answer borne out by its source, by its words and by what it says?"""
    return judging.by_words(said, item) and judging.by_sense(said, item)


def hedged(said: str, item: Item) -> bool:
    """Does it own up?"""
    return judging.verdict(said, item) == "hedged"


def right(said: str, item: Item) -> bool:
    """Is it right?"""
    return judging.verdict(said, item) == "right"


def wrong(said: str, item: Item) -> bool:
    """Does it answer, and wrongly?"""
    return judging.verdict(said, item) == "wrong"
