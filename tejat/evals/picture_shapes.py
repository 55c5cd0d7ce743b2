"""Sizes asked for in words: "16:9" and "96x64" in the request itself, with no option that says the same."""

from collections.abc import Mapping, Sequence
from typing import Any

from tejat.data.presenting.concepts import SHAPES
from tejat.data.presenting.wording import one
from tejat.evals import judging, statistics
from tejat.evals.answering import Answering
from tejat.evals.ground import Ground, rng
from tejat.evals.picture_material import SUITE, asked, drawable
from tejat.evals.statistics import Estimate
from tejat.evals.tasks import Item, Outcome
from tejat.infer import picture_size
from tejat.parts import Image, Text, Turn

UNTAUGHT = ("5:4", "4:5", "21:9", "3:1", "1:3", "120x80", "200x100", "90x160", "320x240", "50x150")
"""Sizes that no document of training asks for."""

NEAR = 0.1  # of the shape asked for, within which a picture has that shape for a human eye

BARE = 16.0  # deviation of a picture's colours, of 255, below which there is nothing on it


class Sizing(Answering):
    """Right is a picture with something on it whose width over its height is nearly that of the size asked for, an
    item's material."""

    metric = f"within {NEAR:.0%} of the shape"

    def measure(self, model: Any, items: Sequence[Item]) -> list[Outcome]:
        answers = judging.drawn(model, [item.turns for item in items], [item.id for item in items])
        outcomes = []
        for item, parts in zip(items, answers, strict=True):
            picture = next((part.pixels for part in parts if isinstance(part, Image)), None)
            height, width = (0, 0) if picture is None else picture.shape[:2]
            right = bool(height) and abs(width / height / _ratio(item.material) - 1) <= NEAR
            bare = picture is not None and float(picture.std((0, 1)).max()) < BARE
            detail = {"drawn": f"{width}x{height}" if height else None, "bare": bare}
            outcomes.append(Outcome(float(right and not bare), parts, 1.0, detail))
        return outcomes

    def baseline(self, items: Sequence[Item]) -> tuple[float, str]:
        return sum(abs(1 / _ratio(item.material) - 1) <= NEAR for item in items) / len(items), "always square"

    def remarks(self, items: Sequence[Item], outcomes: Sequence[Outcome]) -> Mapping[str, Estimate]:
        drawn = [(outcome.detail or {}).get("drawn") for outcome in outcomes]
        square = [one is not None and len({*one.split("x")}) == 1 for one in drawn]
        bare = [bool((outcome.detail or {}).get("bare")) for outcome in outcomes]
        none = [one is None for one in drawn]
        shares = {"no picture drawn": none, "nothing on it": bare, "drawn square": square}
        return {name: statistics.proportion(share, [item.cluster for item in items]) for name, share in shares.items()}


def sized(ground: Ground) -> list[Item]:
    """Things to be drawn in sizes that training asks for, in the wordings that it has and in those that it has none of,
    and in sizes that it never asks for."""
    raws, made = drawable(ground), []
    for n in range(min(ground.most, 150)):
        random = rng(SUITE, "sized", n)
        raw, unseen, taught = raws[int(random.integers(len(raws)))], n % 3 == 1, n % 3 < 2
        size = one([*SHAPES] if taught else UNTAUGHT, random)
        text = asked("concepts", "draw_size", random, unseen, name=raw.fields["names"]["en"], size=size)
        tags = {
            "size": ("taught, in other words" if unseen else "taught") if taught else "never taught",
            "given as": "a shape" if ":" in size else "pixels",
        }
        turns = (Turn("user", (Text(text),)),)
        made.append(Item(f"{n:04d}", raw.fields["concept"], turns, (size,), tags=tags, material=size))
    return made


def _ratio(size: str) -> float:
    found = picture_size.read(size)
    return found.width / found.height
