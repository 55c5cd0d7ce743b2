"""Sums, units and word problems, answered with the steps on the way; no two alike.

An item of the kind "arithmetic" says "task", a place in TASKS, and "level", from 1 to 4: about how many digits.
"""

from collections.abc import Callable, Sequence
from fractions import Fraction

import numpy as np

from tejat.data.presenting.wording import asking, language, one, wordings
from tejat.data.shards import Item
from tejat.parts import Document, Text, Turn

UNITS = (
    ("km", "m", 1000),
    ("m", "cm", 100),
    ("cm", "mm", 10),
    ("kg", "g", 1000),
    ("t", "kg", 1000),
    ("l", "ml", 1000),
    ("h", "min", 60),
    ("min", "s", 60),
    ("d", "h", 24),
    ("m²", "cm²", 10_000),
    ("km²", "m²", 1_000_000),
)
"""A larger unit, a smaller one, and how many of the smaller it is."""

WORDS = wordings("arithmetic")

Problem = tuple[str, str]
"""A question, and its answer, of which the last line is the result."""


def arithmetic(items: Sequence[Item], k: int, random: np.random.Generator) -> Document:
    """One to three problems of a task."""
    fields, spoken = items[k].fields, language(random)
    turns: list[Turn] = []
    for _ in range(int(random.integers(1, 4))):
        asked, answer = [*TASKS.values()][fields["task"]](spoken, int(fields["level"]), random)
        turns += [Turn("user", (Text(asked),)), Turn("model", (Text(answer),))]
    return Document.from_turns(turns, "arithmetic")


def add(spoken: str, level: int, random: np.random.Generator) -> Problem:
    a, b = _number(level, random), _number(level, random)
    return _compute(f"{a} + {b}", spoken, random), _steps(_column(a, b), f"{a} + {b} = {a + b}")


def subtract(spoken: str, level: int, random: np.random.Generator) -> Problem:
    a, b = sorted((_number(level, random), _number(level, random)), reverse=True)
    by_parts, rest = [], a
    for part in _parts(b):
        by_parts.append(f"{rest} - {part} = {rest - part}")
        rest -= part
    return _compute(f"{a} - {b}", spoken, random), _steps(by_parts if len(by_parts) > 1 else [], f"{a} - {b} = {a - b}")


def multiply(spoken: str, level: int, random: np.random.Generator) -> Problem:
    a, b = _number(level, random), _number(max(1, level - 1), random)
    products = [part * a for part in _parts(b)]
    steps = [f"{a} × {part} = {part * a}" for part in _parts(b)] if len(products) > 1 else []
    if len(products) > 1:
        steps.append(f"{' + '.join(map(str, products))} = {a * b}")
    return _compute(f"{a} × {b}", spoken, random), _steps(steps, f"{a} × {b} = {a * b}")


def divide(spoken: str, level: int, random: np.random.Generator) -> Problem:
    b, quotient = int(random.integers(2, 10 if level < 3 else 40)), _number(level, random)
    a = b * quotient
    steps, rest = [], a
    for part in _parts(quotient):
        steps.append(f"{b} × {part} = {b * part}, {rest} - {b * part} = {rest - b * part}")
        rest -= b * part
    return _compute(f"{a} ÷ {b}", spoken, random), _steps(steps, f"{a} ÷ {b} = {quotient}")


def fraction(spoken: str, level: int, random: np.random.Generator) -> Problem:
    a, c = (int(n) for n in random.integers(1, 4 + 3 * level, 2))
    b, d = (int(n) for n in random.integers(2, 5 + 2 * level, 2))
    common = int(np.lcm(b, d))
    top = a * common // b + c * common // d
    total = Fraction(a, b) + Fraction(c, d)
    steps = [f"{a}/{b} + {c}/{d} = {a * common // b}/{common} + {c * common // d}/{common} = {top}/{common}"]
    return _compute(f"{a}/{b} + {c}/{d}", spoken, random), _steps(steps, str(total))


def precedence(spoken: str, level: int, random: np.random.Generator) -> Problem:
    a, b, c = (int(n) for n in random.integers(2, 6 + 4 * level, 3))
    if random.random() < 0.5:
        return _compute(f"{a} + {b} × {c}", spoken, random), _steps(
            [f"{b} × {c} = {b * c}"], f"{a} + {b * c} = {a + b * c}"
        )
    return _compute(f"({a} + {b}) × {c}", spoken, random), _steps(
        [f"{a} + {b} = {a + b}"], f"{a + b} × {c} = {(a + b) * c}"
    )


def percent(spoken: str, level: int, random: np.random.Generator) -> Problem:
    a = one((5, 10, 20, 25, 30, 40, 50, 60, 75, 80), random)
    b = 20 * int(random.integers(1, 10**level // 2 + 3))
    asked = asking(WORDS["percent"], spoken, random, a=str(a), b=str(b))
    return asked, _steps([f"{b} × {a} = {a * b}"], f"{a * b} ÷ 100 = {Fraction(a * b, 100)}")


def mean(spoken: str, level: int, random: np.random.Generator) -> Problem:
    count = int(random.integers(3, 6))
    row = [int(n) for n in random.integers(1, 10**level + 5, count)]
    row[-1] += -sum(row) % count  # so that the mean is whole
    total = sum(row)
    asked = asking(WORDS["mean"], spoken, random, row=", ".join(map(str, row)))
    return asked, _steps([f"{' + '.join(map(str, row))} = {total}"], f"{total} ÷ {count} = {total // count}")


def following(spoken: str, level: int, random: np.random.Generator) -> Problem:
    start, step = int(random.integers(1, 10**level)), int(random.integers(2, 4 + 5 * level))
    if random.random() < 0.25:
        row, told = [start % 9 + 1], f"× {1 + step % 3 + 1}"
        for _ in range(4):
            row.append(row[-1] * (1 + step % 3 + 1))
        after = row[-1] * (1 + step % 3 + 1)
    else:
        step = -step if random.random() < 0.3 else step
        row, told = [start + 5 * abs(step) + n * step for n in range(5)], f"{'+' if step > 0 else '-'} {abs(step)}"
        after = row[-1] + step
    asked = asking(WORDS["next"], spoken, random, row=", ".join(map(str, row)))
    return asked, _steps([told], f"{row[-1]} {told} = {after}")


def convert(spoken: str, level: int, random: np.random.Generator) -> Problem:
    large, small, factor = one(UNITS, random)
    value = _number(min(level, 3), random)
    if random.random() < 0.5:
        asked = asking(WORDS["convert"], spoken, random, a=f"{value} {large}", unit=small)
        return asked, _steps([f"1 {large} = {factor} {small}"], f"{value} × {factor} = {value * factor} {small}")
    asked = asking(WORDS["convert"], spoken, random, a=f"{value * factor} {small}", unit=large)
    return asked, _steps([f"1 {large} = {factor} {small}"], f"{value * factor} ÷ {factor} = {value} {large}")


def shopping(spoken: str, level: int, random: np.random.Generator) -> Problem:
    a, b, c = int(random.integers(5, 10 + 5 * level)), _number(min(level, 2), random) + 10, int(random.integers(5, 50))
    asked = asking(WORDS["shopping"], spoken, random, a=str(a), b=str(b), c=str(c))
    return asked, _steps([f"{a} × {b} = {a * b}"], f"{a * b} + {c} = {a * b + c}")


def share(spoken: str, level: int, random: np.random.Generator) -> Problem:
    a, b = _number(level, random) + 12, int(random.integers(3, 12))
    each, rest = divmod(a, b)
    asked = asking(WORDS["share"], spoken, random, a=str(a), b=str(b))
    return asked, _steps([f"{b} × {each} = {b * each}", f"{a} - {b * each} = {rest}"], f"{each}, {rest}")


def left(spoken: str, level: int, random: np.random.Generator) -> Problem:
    if random.random() < 0.4:
        a, b = _number(min(level, 3), random), _number(min(level, 3), random)
        return asking(WORDS["have"], spoken, random, a=str(a), b=str(b)), f"{a} + {b} = {a + b}"
    a = _number(level, random) + 10
    b, c = int(random.integers(5, max(6, a))), int(random.integers(5, 30))
    asked = asking(WORDS["left"], spoken, random, a=str(a), b=str(b), c=str(c))
    return asked, _steps([f"{a} - {b} = {a - b}"], f"{a - b} + {c} = {a - b + c}")


def speed(spoken: str, level: int, random: np.random.Generator) -> Problem:
    a, b = int(random.integers(5, 12 + level)), 10 * int(random.integers(3, 25))
    asked = asking(WORDS["speed"], spoken, random, a=str(a), b=str(b))
    return asked, f"{a} × {b} = {a * b} km"


def area(spoken: str, level: int, random: np.random.Generator) -> Problem:
    a, b = (int(n) for n in random.integers(2, 10 + 12 * level, 2))
    asked = asking(WORDS["area"], spoken, random, a=str(a), b=str(b))
    return asked, _steps([f"{a} × {b} = {a * b}", f"2 × ({a} + {b}) = {2 * (a + b)}"], f"{a * b} m², {2 * (a + b)} m")


TASKS: dict[str, Callable[[str, int, np.random.Generator], Problem]] = {
    "add": add,
    "subtract": subtract,
    "multiply": multiply,
    "divide": divide,
    "fraction": fraction,
    "precedence": precedence,
    "percent": percent,
    "mean": mean,
    "following": following,
    "convert": convert,
    "shopping": shopping,
    "share": share,
    "left": left,
    "speed": speed,
    "area": area,
}


def _number(level: int, random: np.random.Generator) -> int:
    """Of up to `level` digits, mostly of that many."""
    return int(random.integers(2 if level == 1 else 10 ** (level - 1) // 2, 10**level))


def _compute(sum: str, spoken: str, random: np.random.Generator) -> str:
    drawn = random.random()
    if drawn < 0.1:
        sum = sum.replace(" ", "")
    elif drawn < 0.2:
        sum = sum.replace("×", "*").replace("÷", "/")
    elif drawn < 0.25:
        sum = sum.replace("×", "x")
    return asking(WORDS["compute"], spoken, random, sum=sum)


def _steps(steps: Sequence[str], result: str) -> str:
    return "\n".join([*steps, result])


def _parts(number: int) -> list[int]:
    """347: 300, 40, 7."""
    digits = str(number)
    return [int(d) * 10 ** (len(digits) - n - 1) for n, d in enumerate(digits) if d != "0"]


def _column(a: int, b: int) -> list[str]:
    """Digits added from the right, with what is carried; nothing for sums of single digits."""
    if max(a, b) < 10:
        return []
    steps, carried = [], 0
    for place in range(len(str(max(a, b)))):
        x, y = a // 10**place % 10, b // 10**place % 10
        steps.append(f"{x} + {y}{f' + {carried}' if carried else ''} = {x + y + carried}")
        carried = (x + y + carried) // 10
    return steps
