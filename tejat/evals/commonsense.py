"""What goes with what a picture shows, in twelve languages: commonsense that no picture holds by itself.

Pairs of things that belong together (`commonsense.json`, by hand): a dog and a bone, a pilot and an airplane. The
picture shows the first, in a style that training never saw; to choose from are the names of the second and of what goes
with things of other themes, in the language of the question.
"""

import functools
import json
from importlib import resources
from typing import Any

from tejat.data.presenting import sprites
from tejat.evals.ground import Ground, mixed, rng
from tejat.evals.tasks import Item
from tejat.parts import Image, Text, Turn

CHOICES = 4
SIDE = 128


def items(ground: Ground) -> list[Item]:
    """Every pair whose things the corpus has, in every language in which both have a name."""
    told = table()
    raws = {raw.fields["names"]["en"]: raw for raw in ground.heldout("concepts") if "en" in raw.fields["names"]}
    pairs = [(theme, *pair) for theme, pairs in told["pairs"].items() for pair in pairs if {*pair} <= {*raws}]
    made = []
    for language, asked in told["asked"].items():
        names = {english: raw.fields["names"].get(language) for english, raw in raws.items()}
        for theme, shown, right in pairs:
            random, answer = rng("commonsense", language, shown), names[right]
            others = {names[other]: None for away, _, other in pairs if away != theme and names[other] != answer}
            wrong = [name for name in others if name]
            wrong = [wrong[int(n)] for n in random.permutation(len(wrong))[: CHOICES - 1]]
            if not answer or len(wrong) < CHOICES - 1:
                continue
            blobs = list(raws[shown].blobs.values())
            picture = Image(sprites.picture(blobs[int(random.integers(len(blobs)))], None, SIDE))
            choices, tags = mixed(answer, wrong, random), {"language": language, "theme": theme}
            turns = (Turn("user", (picture, Text(f"{asked}\n{', '.join(choices)}"))),)
            id = f"{shown}-{language}".replace(" ", "-")
            made.append(Item(id, shown, turns, (answer,), choices=choices, chance=1 / CHOICES, tags=tags))
    return ground.some(made, "commonsense")


@functools.cache
def table() -> dict[str, Any]:
    """`commonsense.json`."""
    return json.loads(resources.files("tejat.evals").joinpath("commonsense.json").read_text(encoding="utf-8"))
