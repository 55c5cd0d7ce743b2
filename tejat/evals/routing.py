"""Uncertainty-routed chain of thought, after the paper's appendix: think aloud several times, trust a majority only.

A model answers greedily (of choices it takes the likeliest), and k times with a chain of thought, sampled. Where enough
of the k agree, their answer is taken, else the greedy one. How many are enough is tuned on half of the items, the
validation; the three ways (greedy, majority of k, routed) are compared on the other half, item by item, and the curve
over all thresholds is kept.
"""

import re
import zlib
from collections import Counter
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

from tejat.errors import BadInput
from tejat.evals import measures, statistics
from tejat.evals.answering import Answering, Choosing, written
from tejat.evals.harness import Result
from tejat.evals.matching import ends, matches, normalise
from tejat.evals.plots import Curve
from tejat.evals.report import Section
from tejat.evals.statistics import Estimate
from tejat.evals.tasks import Item, Outcome, Task
from tejat.parts import Part, Text, Turn

THINK = "Think step by step. Write the answer alone on the last line."
TEMPERATURE = 0.7
TOKENS = 160  # of a chain of thought

Way = Literal["greedy", "majority", "routed"]


class Thought(NamedTuple):
    """What came of one item.

    Attributes:
      consensus: the share of the k chains that end in the commonest answer.
      greedy, majority: is that answer right?
      votes: the answers, commonest first, and how many chains end in each.
    """

    consensus: float
    greedy: bool
    majority: bool
    said: str
    votes: dict[str, int]

    def right(self, threshold: float) -> bool:
        """Is the routed answer right? The majority's from the threshold on."""
        return self.majority if self.consensus >= threshold else self.greedy


def sweeps(tasks: Sequence[Task], k: int, most: int | None = None) -> list[Task]:
    """For every task whose answers are right or wrong, the three ways, with `most` items on either side.

    Raises BadInput where there is no such task.
    """
    made: list[Task] = []
    for task in tasks:
        if isinstance(task, Answering | Choosing) and task.kind == "proportion":
            thoughts = Thoughts(task, k, most)
            made += [Sweep(thoughts, way) for way in ("greedy", "majority", "routed")]
    if not made:
        raise BadInput("no task here has answers that are right or wrong; --route needs one that has")
    return made


class Thoughts:
    """The thoughts on the items of a task, made once for each item and shared by the three ways."""

    def __init__(self, task: Answering | Choosing, k: int, most: int | None = None):
        self.task, self.k = task, k
        self._found: dict[str, Thought] = {}
        self.most = most

    def items(self, validation: bool) -> list[Item]:
        """The half of the items to tune on, or the other one, by a checksum of what they share."""
        chosen = [item for item in self.task.items() if (zlib.crc32(item.cluster.encode()) % 2 == 0) == validation]
        chosen = chosen[: self.most]
        if not chosen:
            raise BadInput(f"the task {self.task.name!r} has too few items to hold some out for validation; give more")
        return chosen

    def of(self, model: Any, items: Sequence[Item]) -> list[Thought]:
        """Asks for those that are not known yet."""
        due = [item for item in items if item.id not in self._found]
        for begin in range(0, len(due), self.task.batch):
            batch = due[begin : begin + self.task.batch]
            greedy = self.task.measure(model, batch)
            batch = [self.task.ready(model, item) for item in batch]
            prompts = [self._asked(item) for item in batch for _ in range(self.k)]
            seeds = [seed for item in batch for seed in range(self.k)]
            chains = self.task.sampled(model, prompts, seeds, TEMPERATURE, TOKENS)
            for at, (item, outcome) in enumerate(zip(batch, greedy, strict=True)):
                mine = chains[at * self.k : (at + 1) * self.k]
                self._found[item.id] = self._thought(item, outcome, [final(written(parts)) for parts in mine])
        return [self._found[item.id] for item in items]

    def tune(self, model: Any, validation: Sequence[Item]) -> float:
        """The threshold that is right most often on the validation; of equal ones the most careful."""
        return best_threshold(self.of(model, validation))

    def _asked(self, item: Item) -> tuple[Turn, ...]:
        in_steps = isinstance(self.task, Answering) and self.task.in_steps
        return tuple(item.turns) if in_steps else thinking(item.turns, self.task.offered(item))

    def _thought(self, item: Item, greedy: Outcome, answers: Sequence[str]) -> Thought:
        offered = self.task.offered(item)
        if offered:  # what ends in none of them is an answer too, and wrong
            answers = [ends(answer, offered) or answer for answer in answers]
        counted = normalise if offered else key  # 7:30 and 8:30 are two choices
        votes = Counter(map(counted, answers))
        # Of equally common answers the one that came first.
        commonest, count = max(votes.items(), key=lambda pair: (pair[1], -list(votes).index(pair[0])))
        said = next(answer for answer in answers if counted(answer) == commonest)
        right = matches(said, item.answers) if offered else self.task.judge((Text(said),), item)
        return Thought(count / self.k, bool(greedy.score), right, said, dict(votes.most_common()))


class Sweep(Task):
    """One of the three ways, on the half of a task's items that nothing was tuned on."""

    def __init__(self, thoughts: Thoughts, way: Way):
        task = thoughts.task
        self.thoughts, self.way = thoughts, way
        self.suite, self.name = (
            task.suite,
            f"{task.name}-{way}-{thoughts.k}" if way != "greedy" else f"{task.name}-greedy",
        )
        self.metric, self.kind, self.better, self.batch = task.metric, task.kind, task.better, task.batch
        self.origin, self.ways = task.origin, ()

    @property
    def asked(self) -> str:
        way = "answers in steps" if getattr(self.thoughts.task, "in_steps", False) else "chains of thought"
        chains = f"{self.thoughts.k} {way} at temperature {TEMPERATURE}, up to {TOKENS} tokens"
        return {
            "greedy": self.thoughts.task.asked,
            "majority": f"the majority of {chains}",
            "routed": f"the majority of {chains} where enough agree, tuned on the other half of the items; else greedy",
        }[self.way]

    def items(self) -> Sequence[Item]:
        return self.thoughts.items(validation=False)

    def chance(self, item: Item) -> float:
        return self.thoughts.task.chance(item)

    def baseline(self, items: Sequence[Item]) -> tuple[float, str] | None:
        return self.thoughts.task.baseline(items)

    def measure(self, model: Any, items: Sequence[Item]) -> list[Outcome]:
        if self.way == "greedy":
            return self.thoughts.task.measure(model, items)
        threshold = 0.0 if self.way == "majority" else self.thoughts.tune(model, self.thoughts.items(validation=True))
        outcomes = []
        for thought in self.thoughts.of(model, items):
            detail = thought._asdict() | {"threshold": threshold}
            outcomes.append(Outcome(float(thought.right(threshold)), (Text(thought.said),), 1.0, detail))
        return outcomes

    def remarks(self, items: Sequence[Item], outcomes: Sequence[Outcome]) -> dict[str, Estimate | str]:
        """The curve over all thresholds, on these items; and the threshold that validation chose."""
        if self.way != "routed":
            return {}
        thoughts, clusters = _thoughts(outcomes), [item.cluster for item in items]
        told: dict[str, Estimate | str] = {"threshold tuned on validation": f"{outcomes[0].detail['threshold']:.2f}"}
        for t, _ in curve(thoughts):
            told[f"threshold {t:.2f}"] = statistics.proportion([thought.right(t) for thought in thoughts], clusters)
        return told


def sections(results: Sequence[Result]) -> list[Section]:
    """A curve for each task that was routed: right answers by threshold, in hundredths."""
    found = []
    for result in results:
        if isinstance(result.task, Sweep) and result.task.way == "routed":
            points = curve(_thoughts(list(result.outcomes.values())))
            drawn = Curve("right_answers", [100 * t for t, _ in points], [value for _, value in points])
            told = (
                "The share of right answers by the threshold, in hundredths of the chains that must agree. "
                "At 0 the majority is always trusted, past 100 never."
            )
            found.append(Section(f"Routed: {result.row.name}", [told, drawn]))
    return found


def curve(thoughts: Sequence[Thought]) -> list[tuple[float, float]]:
    """(threshold, share of right answers) for every threshold that makes a difference: 0 is majority, past 1 greedy."""
    thresholds = [0.0, *sorted({thought.consensus for thought in thoughts}), 1.01]
    return [(t, sum(thought.right(t) for thought in thoughts) / len(thoughts)) for t in thresholds]


def best_threshold(thoughts: Sequence[Thought]) -> float:
    """The threshold with most right answers; of equal ones the highest, which trusts the majority least."""
    return max(curve(thoughts), key=lambda point: (point[1], point[0]))[0]


def thinking(turns: Sequence[Turn], offered: Sequence[str] = ()) -> tuple[Turn, ...]:
    """The turns, with the wish for a chain of thought at the end of the last, and before it the choices, if they do not
    stand there already."""
    *before, last = turns
    parts: list[Part] = list(last.parts)
    told = "".join(part.text for part in parts if isinstance(part, Text))
    listed = [] if all(choice in told for choice in offered) else [", ".join(offered)]
    if parts and isinstance(parts[-1], Text):
        parts[-1] = Text("\n".join([parts[-1].text, *listed, THINK]))
    else:
        parts.append(Text("\n".join([*listed, THINK])))
    return (*before, Turn(last.role, tuple(parts)))


def final(said: str) -> str:
    """The answer that a chain of thought ends in: its last line, from what announces an answer on."""
    lines = [line for line in said.splitlines() if line.strip()]
    if not lines:
        return ""
    announced = re.split(r"(?i)\b(?:the answer is|answer:)\s*|=\s*(?=[^=]*$)", lines[-1])
    return announced[-1].strip() or lines[-1].strip()


def key(answer: str) -> str:
    """What answers are counted by: a number as its value, words without case and articles."""
    found = measures.numbers(answer)
    return f"{found[-1]:g}" if found else normalise(answer)


def _thoughts(outcomes: Sequence[Outcome]) -> list[Thought]:
    return [Thought(**{name: outcome.detail[name] for name in Thought._fields}) for outcome in outcomes]
