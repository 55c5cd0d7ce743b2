"""Mathematics and science: sums and word problems, units, school physics in words and on a written page, what things of
science are called, the next step of a proof.

Problems are made from seeds of their own. Wrong choices are what slips lead to: a digit off, another place, the
operands turned about.
"""

import re
from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import partial
from typing import Any

import numpy as np

from tejat.data.presenting import arithmetic, handwriting, physics
from tejat.evals import measures, proofs, science
from tejat.evals.answering import Choosing
from tejat.evals.grading import Grading
from tejat.evals.ground import HELD_OUT, MADE, Ground, mixed, rng
from tejat.evals.report import Section
from tejat.evals.tasks import Item, Task
from tejat.parts import Image, Text, Turn

SUITE = "maths"
SUMS = ("add", "subtract", "multiply", "divide", "fraction", "precedence")
PROBLEMS = ("percent", "mean", "following", "shopping", "left", "speed")
UNITS = ("convert",)


def tasks(ground: Ground) -> list[Task]:
    """Written with the steps on the way, and chosen by likelihood."""
    made: list[Task] = []
    for name, kinds in (("sums", SUMS), ("word-problems", PROBLEMS), ("units", UNITS)):
        make = partial(problems, ground, name, kinds)
        written = Grading(SUITE, name, make, _result, "right result", kind="proportion", max_tokens=96)
        made.append(written.with_(origin=MADE, quick=name != "units", in_steps=True))
        made.append(Worked(SUITE, f"{name}-chosen", make).with_(origin=MADE))
    made.append(Choosing(SUITE, "check-solution", partial(checks, ground), by_length=True).with_(origin=MADE))
    physical, called = partial(science.problems, ground), partial(science.words, ground)
    made.append(Choosing(SUITE, "physics-chosen", physical, by_length=True).with_(origin=MADE))
    written = Grading(SUITE, "physics", physical, science.near, "within 1%", kind="proportion", max_tokens=96)
    made.append(written.with_(origin=MADE))
    made.append(Choosing(SUITE, "science-words", called, by_length=True).with_(origin=HELD_OUT, quick=True))
    steps = partial(proofs.items, ground)
    made.append(Choosing(SUITE, "proof-step", steps, by_length=True).with_(origin=HELD_OUT, quick=True))
    follows = partial(proofs.follows, ground)
    written = Grading(SUITE, "proof-step-written", steps, follows, "step that follows", kind="proportion")
    made.append(written.with_(origin=HELD_OUT))
    return made


def sections(model: Any) -> list[Section]:
    return []


class Worked(Choosing):
    """Of the results to choose from, the one whose solution, steps and all, is likeliest. A model that was taught to
    write the steps first finds no result likely before them."""

    def __init__(self, suite: str, name: str, make: Callable[[], Sequence[Item]]):
        super().__init__(suite, name, make, told=worked)

    @property
    def asked(self) -> str:
        return "the turns alone, no examples; the likeliest of four solutions, which differ in the result"


def worked(item: Item, result: str) -> str:
    """The solution of a problem with another result wherever its own is written."""
    due, _, _ = item.answers[0].partition(" ")
    other, _, _ = result.partition(" ")
    return re.sub(rf"(?<![\d./]){re.escape(due)}(?![\d./])", other, item.material)


def problems(ground: Ground, name: str, kinds: tuple[str, ...]) -> list[Item]:
    """Problems of some kinds, one level after the other; the answer is the last number of the solution."""
    made = []
    for number in range(min(ground.most, 600)):
        kind, level = kinds[number % len(kinds)], 1 + number // len(kinds) % 3
        random = rng("evaluation", SUITE, kind, number)
        asked, solution = arithmetic.TASKS[kind]("en", level, random)
        result = solution.splitlines()[-1].rpartition("= ")[2]
        wrong = _slips(result, random)
        made.append(
            Item(
                *(f"{kind}-{number:04d}", f"{number}", (Turn("user", (Text(asked),)),), (result,)),
                choices=mixed(result, wrong, random),
                chance=1 / (1 + len(wrong)),
                tags={"kind": kind, "level": str(level)},
                material=solution,
            )
        )
    return made


def _slips(result: str, random: np.random.Generator) -> list[str]:
    """Three results that are wrong by a little; the unit stays."""
    number, _, unit = result.partition(" ")
    value = Fraction(number.replace(",", ""))
    near = [value + 1, value - 1, value * 10, value + 10, value - 10, value * 2, value + 2, value / 10, value / 2]
    texts = [_written(other, number) for other in near if other > 0 and other != value]
    chosen = [texts[int(n)] for n in random.permutation(len(texts)) if texts[int(n)] and texts[int(n)] != number]
    return [f"{text} {unit}".strip() for text in list(dict.fromkeys(chosen))[:3]]


def _written(value: Fraction, like: str) -> str:
    """A number written as another is: a fraction, or whole; nothing where that cannot be."""
    if "/" in like:
        return str(value) if value.denominator > 1 else ""
    return str(value) if value.denominator == 1 else ""


def _result(said: str, item: Item) -> bool:
    """Is the last number the result's?"""
    due, got = measures.numbers(item.answers[0]), measures.numbers(said)
    return bool(got) and got[-1] == due[-1]


def checks(ground: Ground) -> list[Item]:
    """A pupil's solution on paper: which step is wrong, or none?"""
    made = []
    for number in range(min(ground.most, 300)):
        name = list(physics.PROBLEMS)[number % len(physics.PROBLEMS)]
        problem, random = physics.PROBLEMS[name], rng("evaluation", SUITE, "physics", number)
        values = {n: float(int(random.integers(low, high + 1))) for n, _, low, high in problem.given}
        steps = len(problem.steps)
        wrong = int(random.integers(steps + 1))
        shown = physics._solved(problem, values, None if wrong == steps else wrong, random)
        given = ", ".join(f"{n} = {physics._number(values[n])} {unit}" for n, unit, _, _ in problem.given)
        page = Image(handwriting.page([given, *(f"{n}. {line}" for n, line in enumerate(shown, 1))], random))
        answers = [*(f"Step {n} is wrong." for n in range(1, steps + 1)), "The solution is right."]
        asked = f"{physics.WORDS['check']['en'][0]}"
        made.append(
            Item(
                *(f"{name}-{number:04d}", name, (Turn("user", (page, Text(asked))),), (answers[wrong],)),
                choices=tuple(answers),
                chance=1 / len(answers),
                tags={"wrong": "none" if wrong == steps else f"step {wrong + 1}"},
            )
        )
    return made
