"""Science: school physics told in words, and what living things, substances and phenomena are called.

Physics is asked for one quantity of a chain of formulas. Wrong results are those that mistakes lead to which people do
make: a square or a half forgotten, a product for a quotient. Words are those of WordNet that natural science has for
its things, held out by their meaning.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from tejat.data.presenting import physics
from tejat.data.presenting.physics import PROBLEMS, Problem, Step, Values
from tejat.evals import measures
from tejat.evals.ground import Ground, mixed, rng
from tejat.evals.tasks import Item
from tejat.parts import Text, Turn

CHOICES = 4

TOLD = {
    "incline": "A body of {m} slides down from a height of {h} without friction (g = 10 m/s²).",
    "fall": "A stone of {m} falls freely for {t} (g = 10 m/s²).",
    "circuit": "Two resistors of {R1} and {R2} are connected in series to {U}.",
    "force": "A cart of {m} reaches {v} from rest in {t}, with constant acceleration.",
    "heat": "{m} of water (4200 J/(kg·K)) are heated from {T1} to {T2} with a power of {P}.",
    "pressure": "A box of {m} stands on a face of {a} by {b} (g = 10 m/s²).",
}
ASKED = {
    "incline": {"E": "How much energy does it lose in height?", "v": "How fast is it at the bottom?"},
    "fall": {"v": "How fast is it then?", "s": "How far has it fallen?", "E": "What is its kinetic energy then?"},
    "circuit": {"R": "What is their resistance together?", "I": "What current flows?", "P": "What is the power?"},
    "force": {
        "a": "What is the acceleration?",
        "F": "What force does that take?",
        "s": "How far does it come in this time?",
        "W": "How much work is done?",
    },
    "heat": {"Q": "How much heat does that take?", "t": "How long does it take?"},
    "pressure": {"F": "With what force does it press on the floor?", "p": "What is the pressure on the floor?"},
}
"""What is asked for, by quantity."""

CLASSES = (
    "genus family order bird fish tree plant herb shrub mammal rodent lizard snake insect beetle fern fungus agaric "
    "bolete cell tissue organ gland bone muscle nerve artery vein duct inflammation disease disorder drug medicine "
    "antibiotic enzyme hormone protein vitamin toxin acid salt oxide compound element metal alloy gas mineral rock "
    "crystal polymer pigment isotope particle wave energy radiation star planet satellite galaxy constellation "
    "phenomenon process reaction force unit number function curve polygon theorem"
)
"""Last words of the classes that science's words belong to."""


def problems(ground: Ground) -> list[Item]:
    """One quantity of each kind of problem after the other, with numbers of its own."""
    quantities = [(name, quantity) for name, asked in ASKED.items() for quantity in asked]
    made = []
    for n in range(min(ground.most, 400)):
        name, quantity = quantities[n % len(quantities)]
        problem, random = PROBLEMS[name], rng("evaluation", "science", name, quantity, n)
        given = {key: float(int(random.integers(low, high + 1))) for key, _, low, high in problem.given}
        unit = next(step.unit for step in problem.steps if step.name == quantity)
        right, *wrong = _results(problem, given, quantity)
        answer, *others = (f"{physics._number(value)} {unit}" for value in (right, *_around(right, wrong, random)))
        told = {key: f"{physics._number(given[key])} {unit}" for key, unit, _, _ in problem.given}
        turns = (Turn("user", (Text(f"{TOLD[name].format_map(told)} {ASKED[name][quantity]}"),)),)
        choices, tags = mixed(answer, others, random), {"problem": name, "quantity": quantity}
        made.append(Item(f"{n:04d}", str(n), turns, (answer,), choices=choices, chance=1 / len(choices), tags=tags))
    return made


def _around(right: float, wrong: Sequence[float], random: np.random.Generator) -> list[float]:
    """Three of the wrong results, so that the right one is as often the smallest as the second, the third, the last."""
    known = {physics._number(right)}
    sides: dict[bool, list[float]] = {False: [], True: []}
    for value in wrong:
        if physics._number(value) not in known:
            known.add(physics._number(value))
            sides[value > right].append(value)
    less = int(random.integers(CHOICES))
    return [*sides[False][:less], *sides[True][: CHOICES - 1 - less]]


def _results(problem: Problem, given: Values, quantity: str) -> Iterator[float]:
    """The right value of a quantity, and those that follow from each mistake on the way, or from another factor."""
    places = [step.name for step in problem.steps]
    steps = problem.steps[: places.index(quantity) + 1]
    right = _value(steps, given, None)
    yield right
    for at, step in enumerate(steps):
        for _, _, computed in step.wrong:
            yield _value(steps, given, (at, computed))
    for factor in (2, 10, 4):
        yield right * factor
        yield right / factor


def _value(steps: Sequence[Step], given: Values, mistake: tuple[int, Callable[[Values], float]] | None) -> float:
    """The last step's value; one step may be computed by mistake."""
    values, value = dict(given), 0.0
    for at, step in enumerate(steps):
        value = mistake[1](values) if mistake is not None and mistake[0] == at else step.right(values)
        values[step.name] = value
    return value


def near(said: str, item: Item) -> bool:
    """Is the last number of an answer within 1% of the result?"""
    return measures.relaxed(_last(said), _last(item.answers[0]), 0.01)


def _last(text: str) -> str:
    found = measures.numbers(text)
    return f"{found[-1]:f}" if found else ""


def words(ground: Ground) -> list[Item]:
    """Which word has this meaning? Of four that science has for its things, each of another class."""
    known = {*CLASSES.split()}
    raws = [raw.fields for raw in ground.heldout("wordnet") if raw.kind == "meaning" and raw.fields["part"] == "noun"]
    raws = [fields for fields in raws if any(above.split()[-1] in known for above in fields["above"])]
    made = []
    for fields in ground.some(raws, "science/words"):
        random, answer = rng("science", fields["group"]), fields["words"][0]
        others = [raws[int(n)] for n in random.permutation(len(raws))]
        wrong = [other["words"][0] for other in others if not {*other["above"]} & {*fields["above"]}]
        wrong = [word for word in dict.fromkeys(wrong) if word != answer][: CHOICES - 1]
        if len(wrong) < CHOICES - 1 or answer.casefold() in fields["meaning"].casefold():
            continue
        turns = (Turn("user", (Text(f"Which noun means “{fields['meaning']}”?"),)),)
        made.append(
            Item(
                *(fields["group"], fields["group"], turns, tuple(fields["words"])),
                choices=mixed(answer, wrong, random),
                chance=1 / CHOICES,
            )
        )
    return made
