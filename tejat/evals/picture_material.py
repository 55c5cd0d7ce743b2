"""Things that models are asked to draw, and real drawings: of those things, and of others that no training sees."""

from collections.abc import Sequence
from functools import cache

import numpy as np
from jaxtyping import UInt8

from tejat.data.presenting import sprites
from tejat.data.shards import Item as Raw
from tejat.evals.ground import Ground
from tejat.evals.ways import way

SUITE = "pictures"
STYLE = "noto"  # in which models draw where none is asked for; the judge has seen none of it

Pixels = UInt8[np.ndarray, "H W 3"]


def drawable(ground: Ground) -> list[Raw]:
    """Things that training draws in the usual style."""
    return [raw for raw in ground.shards("concepts", "train") if STYLE in sprites.drawings(raw.blobs)]


def real(ground: Ground, concept: str) -> Pixels:
    """The drawing that training has of a thing."""
    return _plain(_by_concept(ground)[concept])


@cache
def heldout(ground: Ground) -> Sequence[Pixels]:
    """Drawings in the usual style of things that training has in no style."""
    raws = [raw for raw in ground.shards("concepts", "heldout") if raw.fields.get("axis") == "concept"]
    return [_plain(raw) for raw in raws if STYLE in sprites.drawings(raw.blobs)]


def asked(file: str, use: str, random: np.random.Generator, /, unseen: bool = False, **parts: str) -> str:
    """A request in English, in which each use has wordings, held-out ones too."""
    text = way(file, use, "en", random, unseen, **parts)
    assert text is not None, f"{file} has no wording of {use!r} in English"
    return text


@cache
def _by_concept(ground: Ground) -> dict[str, Raw]:
    return {raw.fields["concept"]: raw for raw in drawable(ground)}


def _plain(raw: Raw) -> Pixels:
    return sprites.picture(sprites.drawings(raw.blobs)[STYLE], None)
