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
MOST = 480


def items(ground: Ground) -> list[Item]:
    """Pairs whose things the corpus has, in languages in which both have a name."""
    told = table()
    raws = {raw.fields["names"]["en"]: raw for raw in ground.heldout("concepts") if "en" in raw.fields["names"]}
    pairs = [(theme, *pair) for theme, pairs in told["pairs"].items() for pair in pairs if {*pair} <= {*raws}]
    every = [(language, *pair) for language in told["asked"] for pair in pairs]
    few = Ground(most=min(ground.most, MOST))
    made = []
    for language, theme, shown, right in few.some(every, "commonsense"):
        random, answer = rng("commonsense", language, shown), raws[right].fields["names"].get(language)
        others = [raws[other].fields["names"].get(language) for away, _, other in pairs if away != theme]
        wrong = [name for name in dict.fromkeys(others) if name and name != answer]
        wrong = [wrong[int(n)] for n in random.permutation(len(wrong))[: CHOICES - 1]]
        if not answer or len(wrong) < CHOICES - 1:
            continue
        blobs = list(raws[shown].blobs.values())
        picture = Image(sprites.picture(blobs[int(random.integers(len(blobs)))], None, SIDE))
        choices, tags = mixed(answer, wrong, random), {"language": language, "theme": theme}
        turns = (Turn("user", (picture, Text(f"{told['asked'][language]}\n{', '.join(choices)}"))),)
        id = f"{shown}-{language}".replace(" ", "-")
        made.append(Item(id, shown, turns, (answer,), choices=choices, chance=1 / CHOICES, tags=tags))
    return made


@functools.cache
def table() -> dict[str, Any]:
    """`commonsense.json`."""
    return json.loads(resources.files("tejat.evals").joinpath("commonsense.json").read_text(encoding="utf-8"))
