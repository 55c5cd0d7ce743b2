"""Sizes asked for in words, and sheets of what was drawn."""

from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image as pillow

from tejat.data.presenting.concepts import SHAPES
from tejat.evals import picture_shapes, picture_sheets, pictures_suite
from tejat.evals.ground import Ground
from tejat.evals.picture_sheets import Cell
from tejat.infer import picture_size
from tejat.model import family
from tejat.parts import Image

MINI = family.preset("mini").picture


class Draws:
    """A model that draws pictures of given heights and widths."""

    name = "draws"

    def __init__(self, sizes, something=True):
        self.something = something
        self.bundle, self.sizes = SimpleNamespace(pictures=object()), sizes

    def generate_batch(self, prompts, *, temperature, seeds):
        return [SimpleNamespace(parts=(self._drawn(*size),) if size else ()) for size in self.sizes]

    def _drawn(self, height, width) -> Image:
        pixels = np.zeros((height, width, 3), np.uint8)
        pixels[:20] = 255 * self.something
        return Image(pixels)


def test_a_picture_has_the_shape_that_was_asked_for(ground: Ground) -> None:
    task = next(t for t in pictures_suite.tasks(Ground(ground.corpus, most=30)) if t.name == "sized")
    items = task.items()
    assert {item.tags["size"] for item in items} == {"taught", "taught, in other words", "never taught"}
    assert all(item.material in item.turns[0].parts[0].text for item in items)
    right = [tuple(8 * side for side in picture_size.read(item.material).grid(MINI)) for item in items]
    outcomes = task.measure(Draws(right), items)
    assert {o.score for o in outcomes} == {1.0} and outcomes[0].detail["drawn"] == f"{right[0][1]}x{right[0][0]}"
    bare = task.measure(Draws(right, something=False), items)
    assert not any(o.score for o in bare) and task.remarks(items, bare)["nothing on it"].value == 1
    assert not any(o.score for o in task.measure(Draws([(h, 2 * w) for h, w in right]), items))
    square = task.measure(Draws([(128, 128)] * len(items)), items)
    assert sum(o.score for o in square) / len(items) == task.baseline(items)[0] < 0.5
    assert task.remarks(items, square)["drawn square"].value == 1
    assert task.remarks(items, task.measure(Draws([None] * len(items)), items))["no picture drawn"].value == 1
    assert not {*picture_shapes.UNTAUGHT} & {*SHAPES}


@pytest.mark.parametrize("most", [3_000, 12_000])
def test_a_sheet_shows_all_and_keeps_to_its_bytes(most: int, tmp_path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (40, 80, 3), np.uint8)
    rows = [("noise", [Cell([noise, noise], "a long line of words" * 9, True)] * 3), ("none", [Cell([], "猫", False)])]
    canvas = picture_sheets.sheet(rows, side=40)
    line = picture_sheets.LETTERS + picture_sheets.GAP
    assert canvas.size == (4 + 3 * (2 * 41 + 4), 6 * line + 2 * (40 + 4))  # titles, and two lines each
    pixels = np.asarray(canvas)
    assert (pixels[line : line + 20, 4:44].std() > 30) and (pixels[:line] < 128).any()
    picture_sheets.write(canvas, tmp_path / "sheet.webp", most)
    assert 1_000 < (tmp_path / "sheet.webp").stat().st_size <= most
    with pillow.open(tmp_path / "sheet.webp") as shown:
        assert shown.size == canvas.size
