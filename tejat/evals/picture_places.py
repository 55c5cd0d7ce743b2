"""Scenes drawn as they are told: is there something in just those of nine fields that were asked for?

It is seen where things lie, not what they are.
"""

from collections.abc import Callable, Mapping, Sequence
from math import comb
from typing import Any

import numpy as np

from tejat.data.presenting import scenes, sprites
from tejat.data.presenting.scenes import Scene
from tejat.evals import judging, statistics
from tejat.evals.answering import Answering
from tejat.evals.ground import Ground, rng
from tejat.evals.picture_material import SUITE, drawable
from tejat.evals.picture_shapes import BARE
from tejat.evals.statistics import Estimate
from tejat.evals.tasks import Item, Outcome
from tejat.evals.ways import way
from tejat.parts import Image, Part, Text, Turn


class Placing(Answering):
    """Right is a picture with something in just those of its nine fields that were asked for. Items come with the scene
    that training would have."""

    metric = "fields filled"

    def __init__(self, suite: str, name: str, make: Callable[[], Sequence[tuple[Item, Scene]]]):
        self.scenes: dict[str, Scene] = {}
        self._drawings = judging.Drawings()
        super().__init__(suite, name, lambda: self._kept(make()), max_tokens=None)

    def _kept(self, made: Sequence[tuple[Item, Scene]]) -> list[Item]:
        self.scenes = {item.id: scene for item, scene in made}
        return [item for item, _ in made]

    def answers(self, model: Any, items: Sequence[Item]) -> list[tuple[Part, ...]]:
        """What is judged: the model's answer to each item."""
        return self._drawings.of(model, items)

    def measure(self, model: Any, items: Sequence[Item]) -> list[Outcome]:
        outcomes = []
        for item, parts in zip(items, self.answers(model, items), strict=True):
            ceiling = self.judge((judging.kept(model, self.scenes[item.id].picture),), item)
            detail = {"filled": filled(parts, len(item.material)), "kept": ceiling}
            outcomes.append(Outcome(float(self.judge(parts, item)), parts, 1.0, detail))
        return outcomes

    def judge(self, parts: tuple[Part, ...], item: Item) -> bool:
        return filled(parts, len(item.material)) == item.material

    def chance(self, item: Item) -> float:
        return item.chance

    def baseline(self, items: Sequence[Item]) -> None:
        return None

    def remarks(self, items: Sequence[Item], outcomes: Sequence[Outcome]) -> Mapping[str, Estimate]:
        """The ceiling: scenes as training has them, through the image tokenizer and back."""
        kept = [bool((outcome.detail or {}).get("kept")) for outcome in outcomes]
        clusters = [item.cluster for item in items]
        return {"right, as the image tokenizer keeps it": statistics.proportion(kept, clusters)}


def placed(ground: Ground) -> list[tuple[Item, Scene]]:
    """Two or three things to be drawn in fields that are named."""
    raws, made = drawable(ground), []
    for n in range(min(ground.most, 128)):
        random = rng(SUITE, "placed", n)
        scene = scenes.placed(raws, int(random.integers(len(raws))), random, (sprites.SIDE, sprites.SIDE), 3)
        asked = way("scenes", "draw", scene.language, random, told=scene.told())
        if asked:
            fields = sorted(scene.fields)
            item = Item(
                *(f"{n:04d}", str(n), (Turn("user", (Text(asked),)),), (scene.told(),)),
                chance=1 / comb(9, len(fields)),
                tags={"things": str(len(fields))},
                material=fields,
            )
            made.append((item, scene))
    return made


def filled(parts: Sequence[Part], count: int) -> list[int]:
    """The `count` fields of a picture in which colours differ most from the ground around them; none without one, or
    where there is nothing on it."""
    picture = next((part.pixels for part in parts if isinstance(part, Image)), None)
    if picture is None or picture.std((0, 1)).max() < BARE:
        return []
    height, width = (side // 3 * 3 for side in picture.shape[:2])
    cells = picture[:height, :width].astype(np.float64).reshape(3, height // 3, 3, width // 3, 3)
    spread = cells.std(axis=(1, 3)).sum(-1).reshape(9)
    return sorted(int(field) for field in np.argsort(-spread)[:count])
