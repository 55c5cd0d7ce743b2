"""Do two models read documents alike? A student and its teacher must, and a policy and what judges its answers."""

import numpy as np

from tejat.bundle import Bundle
from tejat.errors import BadInput
from tejat.model.params import Tree, walk

SAME = {
    "vision": ("front_end", "patch", "pool", "budgets", "frame_budget", "latents"),
    "audio": ("front_end", "mels", "samples", "frames"),
    "picture": ("levels", "patch", "table", "budget"),
}
"""What of a model decides which soft tokens and codes a document becomes."""


def check(first: Bundle, second: Bundle, one: str, other: str) -> None:
    """Raises BadInput where the first does not read what the second reads; they are called `one` and `other`."""
    theirs, ours = first.config, second.config
    one, other = f"the {one} {theirs.name!r}", f"the {other} {ours.name!r}"
    if first.vocabulary.model != second.vocabulary.model or theirs.decoder.vocabulary != ours.decoder.vocabulary:
        raise BadInput(f"{one} and {other} have different tokenizers; take two with one tokenizer")
    for part, names in SAME.items():
        here, there = getattr(ours, part), getattr(theirs, part)
        if here is None:
            continue
        if there is None:
            raise BadInput(f"{other} has {part} and {one} none; take two that have it, or a model without it")
        for name in names:
            if getattr(here, name) != getattr(there, name):
                told = f"{part}.{name} is {getattr(here, name)} and that of {one} {getattr(there, name)}"
                raise BadInput(f"{other} does not read documents as {one} does: {told}; take two that are alike in it")
    if second.pictures is not None and not _equal(
        second.pictures.params, first.pictures.params if first.pictures else {}
    ):
        raise BadInput(f"{other} draws with another image tokenizer than {one}; give both one picture.safetensors")


def _equal(ours: Tree, theirs: Tree) -> bool:
    mine, other = dict(walk(ours)), dict(walk(theirs))
    return mine.keys() == other.keys() and all(np.array_equal(mine[name], other[name]) for name in mine)
