"""Reasoning in a few sentences: following a state, putting in order, finding the way.

Made, in English, with names and things that are drawn anew for every item: what is measured is the inference alone.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from tejat.evals.answering import Choosing, Ending
from tejat.evals.ground import MADE, Ground, mixed, rng
from tejat.evals.report import Section
from tejat.evals.tasks import Item, Task
from tejat.parts import Text, Turn

SUITE = "reasoning"
NAMES = ("Ana", "Ben", "Carla", "David", "Emma", "Felix", "Greta", "Hugo", "Ida", "Jonas", "Klara", "Leo")
THINGS = ("ball", "book", "key", "cup", "coin", "hat", "lamp", "apple")
PLACES = ("kitchen", "garden", "cellar", "attic", "garage", "hall")
WAYS = {"north": (0, 1), "south": (0, -1), "east": (1, 0), "west": (-1, 0)}

Problem = tuple[str, str, list[str]]
"""A question, its answer, and wrong answers."""


def tasks(ground: Ground) -> list[Task]:
    """Each chosen by likelihood; and written."""
    made: list[Task] = []
    for name, make in (("state", state), ("order", order), ("way", way)):
        listed = partial(items, ground, name, make)
        made.append(Choosing(SUITE, f"{name}-chosen", listed).with_(origin=MADE, quick=True))
        made.append(Ending(SUITE, name, listed, max_tokens=32).with_(origin=MADE))
    return made


def sections(model: Any) -> list[Section]:
    return []


def items(ground: Ground, name: str, make: Callable[[int, np.random.Generator], Problem]) -> list[Item]:
    """Items of rising difficulty: `steps` sentences to be followed."""
    found = []
    for number in range(min(ground.most, 300)):
        random, steps = rng(SUITE, name, number), 2 + number % 4
        asked, answer, wrong = make(steps, random)
        turns = (Turn("user", (Text(asked),)),)
        choices = mixed(answer, wrong, random)
        found.append(
            Item(
                *(f"{name}-{number:04d}", str(number), turns, (answer,)),
                choices=choices,
                chance=1 / len(choices),
                tags={"steps": str(steps)},
            )
        )
    return found


def state(steps: int, random: np.random.Generator) -> Problem:
    """Things are carried from room to room: where is one of them at the end?"""
    places = _some(PLACES, 4, random)
    things = _some(THINGS, 2, random)
    names = _some(NAMES, 2, random)
    where = {thing: places[int(random.integers(4))] for thing in things}
    told = [f"The {thing} is in the {place}." for thing, place in where.items()]
    for _ in range(steps):
        thing = things[int(random.integers(2))]
        others = [place for place in places if place != where[thing]]
        where[thing] = others[int(random.integers(3))]
        told.append(f"{names[int(random.integers(2))]} carries the {thing} to the {where[thing]}.")
    thing = things[int(random.integers(2))]
    return f"{' '.join(told)} Where is the {thing}?", where[thing], [p for p in places if p != where[thing]]


def order(steps: int, random: np.random.Generator) -> Problem:
    """Comparisons of neighbours, in any order: who is the tallest, who the shortest?"""
    names = _some(NAMES, max(3, steps + 1), random)
    pairs = [
        f"{a} is taller than {b}." if random.random() < 0.5 else f"{b} is shorter than {a}."
        for a, b in zip(names, names[1:], strict=False)
    ]
    told = " ".join(pairs[int(n)] for n in random.permutation(len(pairs)))
    which = int(random.integers(2))
    answer = names[-which]
    return f"{told} Who is the {('tallest', 'shortest')[which]}?", answer, [n for n in names if n != answer][:3]


def way(steps: int, random: np.random.Generator) -> Problem:
    """A walk on a grid: which way back to where it began?"""
    ways = list(WAYS)
    while True:
        walked = [ways[int(n)] for n in random.integers(4, size=steps)]
        lengths = [int(n) for n in random.integers(1, 5, steps)]
        x = sum(WAYS[w][0] * n for w, n in zip(walked, lengths, strict=True))
        y = sum(WAYS[w][1] * n for w, n in zip(walked, lengths, strict=True))
        if (x == 0) != (y == 0):  # one direction alone is the answer
            break
    answer = ("west" if x > 0 else "east") if x else ("south" if y > 0 else "north")
    name = NAMES[int(random.integers(len(NAMES)))]
    told = ", then ".join(f"{n} steps {w}" for w, n in zip(walked, lengths, strict=True))
    return f"{name} walks {told}. In which direction is the way back?", answer, [w for w in ways if w != answer]


def _some(things: tuple[str, ...], count: int, random: np.random.Generator) -> list[str]:
    return [things[int(n)] for n in random.permutation(len(things))[:count]]
