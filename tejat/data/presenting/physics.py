"""Problems of school physics solved on a written page, one step of it often wrong: which is it, and what is right?

An item of the kind "physics" says "problem", a place in PROBLEMS. A problem is a chain: what is given, and steps of
which each is a formula with its numbers put in. A wrong step is one that people do make: a square or a half
forgotten, a product taken for a quotient, a slip in computing; the steps after it go on from the wrong value.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from tejat.data.presenting import handwriting
from tejat.data.presenting.wording import asking, language, one, worded, wordings
from tejat.data.shards import Item
from tejat.parts import Document, Image, Text, Turn

RIGHT = 0.25  # the share of solutions without a mistake

WORDS = wordings("physics")

Values = dict[str, float]


@dataclass(frozen=True)
class Step:
    """One line: a quantity, its formula as written, its numbers as written, its unit, and how it is computed."""

    name: str
    formula: str
    numbers: str  # with {places} for quantities that are known
    unit: str
    right: Callable[[Values], float]
    wrong: tuple[tuple[str, str, Callable[[Values], float]], ...]  # (formula, numbers, computed) as people err


@dataclass(frozen=True)
class Problem:
    """What is given (name, unit, smallest, largest), and the steps to what is asked for."""

    given: tuple[tuple[str, str, int, int], ...]
    steps: tuple[Step, ...]


def _step(name: str, formula: str, numbers: str, unit: str, right, *wrong) -> Step:
    return Step(name, formula, numbers, unit, right, wrong)


PROBLEMS = {
    "incline": Problem(
        (("m", "kg", 2, 90), ("h", "m", 5, 60)),
        (
            _step(
                "E", "m·g·h", "{m}·10·{h}", "J", lambda v: v["m"] * 10 * v["h"],
                ("m·h", "{m}·{h}", lambda v: v["m"] * v["h"]),
            ),
            _step(
                "v²", "2·E/m", "2·{E}/{m}", "m²/s²", lambda v: 2 * v["E"] / v["m"],
                ("E/m", "{E}/{m}", lambda v: v["E"] / v["m"]),
                ("2·E·m", "2·{E}·{m}", lambda v: 2 * v["E"] * v["m"]),
            ),
            _step(
                "v", "√v²", "√{v²}", "m/s", lambda v: v["v²"] ** 0.5,
                ("v²/2", "{v²}/2", lambda v: v["v²"] / 2),
            ),
        ),
    ),
    "fall": Problem(
        (("t", "s", 1, 9), ("m", "kg", 1, 20)),
        (
            _step(
                "v", "g·t", "10·{t}", "m/s", lambda v: 10 * v["t"],
                ("g/t", "10/{t}", lambda v: 10 / v["t"]),
            ),
            _step(
                "s", "g·t²/2", "10·{t}²/2", "m", lambda v: 5 * v["t"] ** 2,
                ("g·t²", "10·{t}²", lambda v: 10 * v["t"] ** 2),
                ("g·t/2", "10·{t}/2", lambda v: 5 * v["t"]),
            ),
            _step(
                "E", "m·v²/2", "{m}·{v}²/2", "J", lambda v: v["m"] * v["v"] ** 2 / 2,
                ("m·v/2", "{m}·{v}/2", lambda v: v["m"] * v["v"] / 2),
                ("m·v²", "{m}·{v}²", lambda v: v["m"] * v["v"] ** 2),
            ),
        ),
    ),
    "circuit": Problem(
        (("R1", "Ω", 2, 40), ("R2", "Ω", 2, 40), ("U", "V", 6, 240)),
        (
            _step(
                "R", "R1 + R2", "{R1} + {R2}", "Ω", lambda v: v["R1"] + v["R2"],
                ("R1·R2", "{R1}·{R2}", lambda v: v["R1"] * v["R2"]),
            ),
            _step(
                "I", "U/R", "{U}/{R}", "A", lambda v: v["U"] / v["R"],
                ("U·R", "{U}·{R}", lambda v: v["U"] * v["R"]),
                ("R/U", "{R}/{U}", lambda v: v["R"] / v["U"]),
            ),
            _step(
                "P", "U·I", "{U}·{I}", "W", lambda v: v["U"] * v["I"],
                ("U/I", "{U}/{I}", lambda v: v["U"] / v["I"]),
            ),
        ),
    ),
    "force": Problem(
        (("m", "kg", 2, 50), ("v", "m/s", 4, 40), ("t", "s", 2, 12)),
        (
            _step(
                "a", "v/t", "{v}/{t}", "m/s²", lambda v: v["v"] / v["t"],
                ("v·t", "{v}·{t}", lambda v: v["v"] * v["t"]),
            ),
            _step(
                "F", "m·a", "{m}·{a}", "N", lambda v: v["m"] * v["a"],
                ("m/a", "{m}/{a}", lambda v: v["m"] / v["a"]),
            ),
            _step(
                "s", "a·t²/2", "{a}·{t}²/2", "m", lambda v: v["a"] * v["t"] ** 2 / 2,
                ("a·t²", "{a}·{t}²", lambda v: v["a"] * v["t"] ** 2),
            ),
            _step(
                "W", "F·s", "{F}·{s}", "J", lambda v: v["F"] * v["s"],
                ("F/s", "{F}/{s}", lambda v: v["F"] / v["s"]),
            ),
        ),
    ),
    "heat": Problem(
        (("m", "kg", 1, 30), ("T1", "°C", 5, 30), ("T2", "°C", 40, 95), ("P", "W", 500, 3000)),
        (
            _step(
                "ΔT", "T2 - T1", "{T2} - {T1}", "K", lambda v: v["T2"] - v["T1"],
                ("T2 + T1", "{T2} + {T1}", lambda v: v["T2"] + v["T1"]),
            ),
            _step(
                "Q", "c·m·ΔT", "4200·{m}·{ΔT}", "J", lambda v: 4200 * v["m"] * v["ΔT"],
                ("m·ΔT", "{m}·{ΔT}", lambda v: v["m"] * v["ΔT"]),
            ),
            _step(
                "t", "Q/P", "{Q}/{P}", "s", lambda v: v["Q"] / v["P"],
                ("Q·P", "{Q}·{P}", lambda v: v["Q"] * v["P"]),
            ),
        ),
    ),
    "pressure": Problem(
        (("m", "kg", 20, 120), ("a", "m", 1, 6), ("b", "m", 1, 6)),
        (
            _step("F", "m·g", "{m}·10", "N", lambda v: v["m"] * 10, ("m/g", "{m}/10", lambda v: v["m"] / 10)),
            _step(
                "A", "a·b", "{a}·{b}", "m²", lambda v: v["a"] * v["b"],
                ("a + b", "{a} + {b}", lambda v: v["a"] + v["b"]),
            ),
            _step(
                "p", "F/A", "{F}/{A}", "Pa", lambda v: v["F"] / v["A"],
                ("F·A", "{F}·{A}", lambda v: v["F"] * v["A"]),
            ),
        ),
    ),
}  # fmt: skip
"""School problems; g is 10 m/s², as it is where one computes by hand."""


def physics(items: Sequence[Item], k: int, random: np.random.Generator) -> Document:
    """A written solution and what is wrong with it; now and then only to be read."""
    problem, spoken = [*PROBLEMS.values()][items[k].fields["problem"]], language(random)
    values = {name: float(int(random.integers(low, high + 1))) for name, _, low, high in problem.given}
    wrong = None if random.random() < RIGHT else int(random.integers(len(problem.steps)))
    given = ", ".join(f"{name} = {_number(values[name])} {unit}" for name, unit, _, _ in problem.given)
    right = _solved(problem, values, None, random)
    shown = right if wrong is None else _solved(problem, values, wrong, random)
    page = [given, *(f"{n}. {line}" for n, line in enumerate(shown, 1))]
    picture = Image(handwriting.page(page, random))
    if random.random() < 0.12:
        asked, answer = asking(WORDS["read"], spoken, random), "\n".join(page)
    elif wrong is None:
        asked, answer = asking(WORDS["check"], spoken, random), worded(WORDS["right"], spoken, random, result=right[-1])
    else:
        asked = asking(WORDS["check"], spoken, random)
        rest = "\n".join(right[wrong + 1 :])
        # What follows from the last step is nothing.
        told = WORDS["wrong"] if rest else WORDS["wrong_last"]
        answer = worded(told, spoken, random, step=str(wrong + 1), line=right[wrong], rest=rest)
    return Document.from_turns((Turn("user", (picture, Text(asked))), Turn("model", (Text(answer),))), "physics")


def _solved(problem: Problem, given: Values, wrong: int | None, random: np.random.Generator) -> list[str]:
    """The lines of a solution; the step numbered `wrong` is, and those after it follow from it."""
    values, lines = dict(given), []
    for n, step in enumerate(problem.steps):
        formula, numbers, computed = step.formula, step.numbers, step.right
        value = computed(values)
        if n == wrong:
            slip = random.random() < 0.3 and value >= 10
            if slip:  # right in letters and wrong in numbers
                value = value * one((0.1, 10), random)
            else:
                formula, numbers, computed = one(step.wrong, random)
                value = computed(values)
            if _number(value) == _number(step.right(values)):  # 2 + 2 is 2 · 2: a slip shows
                value *= 10
        put = numbers.format_map({name: _number(known) for name, known in values.items()})
        lines.append(f"{step.name} = {formula} = {put} = {_number(value)} {step.unit}")
        values[step.name] = float(_number(value))
    return lines


def _number(value: float) -> str:
    """Four significant digits, without an exponent."""
    text = f"{float(f'{value:.4g}'):.6f}".rstrip("0").rstrip(".")
    return text or "0"
