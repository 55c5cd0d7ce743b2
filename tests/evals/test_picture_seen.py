"""Drawings looked at: things are counted, placed and named in their colours; what was not asked for does not count."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as pillow
from PIL import ImageDraw

from tejat.data.presenting import edits, sprites
from tejat.errors import BadInput
from tejat.evals import judging, picture_material, picture_parts, picture_seen, pictures_suite
from tejat.evals.ground import Ground
from tejat.evals.tasks import Outcome
from tejat.parts import Image, Text

SIDE = 128
BYTES = st.integers(0, 255)
COLOUR = st.tuples(BYTES, BYTES, BYTES)
WORDS = (Text("No."),)


class Draws:
    """A model whose answers are given, to be asked for once, and whose image tokenizer keeps all."""

    name = "draws"

    def __init__(self, answers):
        codec = SimpleNamespace(encode=lambda pixels: pixels, decode=lambda pixels: pixels)
        self.answers, self.bundle, self.asked = answers, SimpleNamespace(pictures=codec), 0

    def generate_batch(self, prompts, *, temperature, seeds):
        assert len(prompts) == len(self.answers) == len(seeds)
        self.asked += 1
        return [SimpleNamespace(parts=parts) for parts in self.answers]


def plain(colour, height: int = SIDE, width: int = SIDE, to=None) -> np.ndarray:
    """A ground of one colour, or one that goes into another from left to right."""
    ends = np.array([colour, colour if to is None else to], np.float64)
    along = np.linspace(0, 1, width)[None, :, None]
    return np.broadcast_to(ends[0] * (1 - along) + ends[1] * along, (height, width, 3)).round().astype(np.uint8)


def contrast(ground) -> tuple[int, int, int]:
    """A colour that is seen on a ground."""
    return (20, 20, 90) if picture_parts.oklab(np.array(ground))[0] > 0.55 else (250, 240, 200)


def shaped(pixels: np.ndarray, shapes: dict[int, str], colour, share: float) -> np.ndarray:
    """Shapes in the middle of fields, of a share of their sides."""
    canvas = pillow.fromarray(pixels.copy())
    pen = ImageDraw.Draw(canvas)
    height, width = (side / 3 for side in pixels.shape[:2])
    for at, shape in shapes.items():
        row, column = divmod(at, 3)
        top, left, reach = (row + 0.5) * height, (column + 0.5) * width, share * min(height, width) / 2
        box = (left - reach, top - reach, left + reach, top + reach)
        match shape:
            case "disc":
                pen.ellipse(box, colour)
            case "square":
                pen.rectangle(box, colour)
            case "ring":
                pen.ellipse(box, None, colour, 4)
                pen.ellipse((left - 4, top - 4, left + 4, top + 4), colour)  # in which there is something
    return np.asarray(canvas)


@settings(max_examples=30, deadline=None)
@given(
    shapes=st.dictionaries(st.integers(0, 8), st.sampled_from(["disc", "square", "ring"]), min_size=1),
    ground=COLOUR,
    share=st.floats(0.5, 0.92),
    height=st.integers(96, 160),
    width=st.integers(96, 160),
)
def test_so_many_things_are_counted_in_the_fields_where_they_lie(shapes, ground, share, height, width) -> None:
    pixels = shaped(plain(ground, height, width), shapes, contrast(ground), share)
    found = picture_parts.things(pixels, picture_parts.ground(pixels))
    assert sorted(map(picture_parts.field, found)) == sorted(shapes)
    assert not any((one & other).any() for n, one in enumerate(found) for other in found[:n])


@settings(max_examples=20, deadline=None)
@given(ground=COLOUR, to=COLOUR, grain=st.integers(0, 3), seed=st.integers(0, 99))
def test_on_an_empty_ground_there_is_nothing(ground, to, grain, seed) -> None:
    """Of any colour, or of two that run into each other; with the grain that an image tokenizer leaves, too."""
    noise = np.random.default_rng(seed).integers(-grain, grain + 1, (SIDE, SIDE, 3))
    pixels = np.clip(plain(np.clip(ground, 60, 255), to=np.clip(to, 60, 255)) + noise, 0, 255).astype(np.uint8)
    assert picture_parts.things(pixels, picture_parts.ground(pixels)) == []


def test_what_touches_the_border_does_not_become_the_ground() -> None:
    pixels = plain((255, 255, 255)).copy()
    pixels[:50, 20:110] = (200, 30, 30)
    below = picture_parts.ground(pixels)
    assert np.abs(below - 255).max() < 2
    (thing,) = picture_parts.things(pixels, below)
    assert thing[:50, 20:110].all() and thing.sum() == 50 * 90


def test_a_thing_by_itself_fills_a_square_of_its_ground() -> None:
    pixels = shaped(plain((120, 200, 140)), {0: "square", 5: "disc"}, (180, 20, 30), 0.7)
    below = picture_parts.ground(pixels)
    for thing, red in zip(picture_parts.things(pixels, below), (0.85, 0.66), strict=True):
        shown = picture_parts.alone(pixels, below, thing)
        is_red = (shown == (180, 20, 30)).all(-1)
        assert shown.shape[0] == shown.shape[1] and (is_red | (shown == (120, 200, 140)).all(-1)).all()
        assert is_red.mean() == pytest.approx(red, abs=0.06)


@pytest.mark.parametrize("n", range(len(picture_parts.COLOURS)))
def test_tinted_things_and_grounds_have_the_names_of_their_colours(n: int, ground: Ground) -> None:
    name = picture_parts.COLOURS[n]
    assert picture_parts.colour(np.array(sprites.coloured_ground(n, 4, 4)).reshape(-1, 3)) == name
    for raw in picture_material.drawable(ground)[::6]:
        drawing = edits.drawing(raw, "en", np.random.default_rng(0))
        pixels = replace(drawing, tint=n).picture().pixels
        (thing,) = picture_parts.things(pixels, picture_parts.ground(pixels))
        assert picture_parts.colour(pixels[thing]) == name
    assert picture_parts.colour(np.full((9, 3), 250, np.uint8)) == "white"
    assert picture_parts.colour(np.full((9, 3), 9, np.uint8)) == "black"
    assert picture_parts.colour(np.array(sprites.COLOURS)) == picture_parts.SEVERAL


@pytest.fixture
def judge(ground: Ground, monkeypatch) -> None:
    """In the judge's place: the thing whose drawing has the lights and darks of what is shown; colours are nothing."""
    drawable = [raw.fields["concept"] for raw in picture_material.drawable(ground)]
    real = {concept: picture_material.real(ground, concept) for concept in drawable}

    def lights(pixels: np.ndarray) -> np.ndarray:
        small = np.asarray(pillow.fromarray(pixels).convert("L").resize((24, 24)), np.float64)
        centred = small - small.mean()
        return centred.ravel() / max(np.linalg.norm(centred), 1e-9)

    names = [*real, "blob"]
    known = np.stack([lights(pixels) for pixels in (*real.values(), BLOB)])

    def named(pictures) -> list[str]:
        return [names[int((known @ lights(one)).argmax())] for one in pictures]

    monkeypatch.setattr(judging, "judge", lambda: SimpleNamespace(classes=tuple(names)))
    monkeypatch.setattr(picture_seen, "_named", named)
    picture_seen._concepts.cache_clear()


BLOB = shaped(plain((255, 255, 255)), {4: "disc"}, (200, 40, 40), 2.8)


def tasks(ground: Ground) -> dict:
    return {task.name: task for task in pictures_suite.tasks(ground)}


def verdicts(task, items, pictures) -> np.ndarray:
    """(the thing, what is asked of it, both) of each item's picture."""
    seen = picture_seen.sights([Image(np.ascontiguousarray(one)) for one in pictures])
    return np.array([task.wanted[item.id].judge(one) for item, one in zip(items, seen, strict=True)])


@pytest.mark.parametrize("name", ["coloured", "counted", "placed"])
def test_right_pictures_are_seen_to_be_right_and_are_asked_for_once(name: str, ground: Ground, judge) -> None:
    made = tasks(Ground(ground.corpus, most=12))
    asking, seeing = made[name], made[f"{name}-seen"]
    items = seeing.items()
    assert [(item.id, item.digest()) for item in items] == [(item.id, item.digest()) for item in asking.items()]
    assert all(0 < item.chance < 1 / 20 for item in items)
    model = Draws([(Text("here"), seeing.wanted[item.id].right) for item in items])
    first, outcomes = asking.measure(model, asking.items()), seeing.measure(model, items)
    assert model.asked == 1 and [o.parts for o in first] == [o.parts for o in outcomes]
    outcomes = [Outcome(o.score, o.parts, o.weight, json.loads(json.dumps(o.detail))) for o in outcomes]
    told = seeing.remarks(items, outcomes)
    assert told["both: drawn"].value == np.mean([o.score for o in outcomes]) > 0.5
    for what in ("the thing", "both", *{one.asked for one in seeing.wanted.values()}):
        same = {told[f"{what}: {how}"].value for how in ("drawn", "the right picture", "that as it is kept")}
        assert len(same) == 1 and told[f"{what}: drawn for others"].value < min(same) - 0.4
    none = seeing.measure(Draws([WORDS] * 4), items[:4])
    assert seeing.remarks(items[:4], none)["no picture drawn"].value == 1 and not any(o.score for o in none)


@pytest.mark.parametrize("name", ["coloured", "counted", "placed"])
def test_a_ground_alone_is_never_right(name: str, ground: Ground, judge) -> None:
    task = tasks(Ground(ground.corpus, most=12))[f"{name}-seen"]
    items = task.items()
    right = [task.wanted[item.id].right.pixels for item in items]
    assert not verdicts(task, items, [plain(pixels[0, 0]) for pixels in right]).any()


def test_another_colour_another_thing_and_a_blob_are_not_what_was_asked_for(ground: Ground, judge) -> None:
    task = tasks(Ground(ground.corpus, most=12))["coloured-seen"]
    items = [item for item in task.items() if item.tags["colour of"] == "the thing"]
    right = [task.wanted[item.id].right.pixels for item in items]
    thing, asked, both = verdicts(task, items, right).T
    assert asked.all() and (thing == both).all() and thing.mean() > 0.7
    # Red and blue change places, as in another colour: green and grey alone stay what they are.
    swapped = verdicts(task, items, [pixels[..., ::-1] for pixels in right])
    stays = np.array([item.answers[0] in ("green", "grey", "purple") for item in items])
    assert not swapped[~stays][:, 1:].any() and swapped[:, 0].mean() > 0.6
    colours = [sprites.COLOURS[picture_parts.COLOURS.index(item.answers[0])] for item in items]
    blobs = verdicts(task, items, [shaped(plain((255, 255, 255)), {4: "disc"}, one, 2.8) for one in colours])
    assert blobs[:, 1].all() and not blobs[:, 0].any() and not blobs[:, 2].any()


@pytest.mark.parametrize("off", [-1, 1])
def test_one_thing_too_few_or_too_many_is_another_number(off: int, ground: Ground, judge) -> None:
    made = tasks(Ground(ground.corpus, most=24))
    task, raws = made["counted-seen"], {r.fields["concept"]: r for r in picture_material.drawable(ground)}
    items = [item for item in task.items() if 2 < int(item.tags["how many"]) < 9]
    pictures = []
    for item in items:
        drawing = edits.drawing(raws[item.cluster], "en", np.random.default_rng(0))
        pictures.append(replace(drawing, count=int(item.tags["how many"]) + off).picture().pixels)
    thing, asked, both = verdicts(task, items, pictures).T
    assert thing.mean() > 0.7 and not asked.any() and not both.any()


def test_things_in_each_others_places_fill_the_fields_and_are_wrong(ground: Ground, judge) -> None:
    task = tasks(Ground(ground.corpus, most=12))["placed-seen"]
    items = task.items()
    turned = verdicts(task, items, [task.wanted[item.id].right.pixels[::-1, ::-1] for item in items])
    there = np.array([sorted(8 - at for at in item.material) == item.material for item in items])
    assert (turned[:, 1] == there).all() and not turned[:, 2].any()


def test_without_a_judge_nothing_is_said(ground: Ground, monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(judging, "JUDGES", (tmp_path / "none",))
    judging.judge.cache_clear()
    for name in ("coloured-seen", "counted-seen", "placed-seen"):
        with pytest.raises(BadInput, match=r"there is no judge of drawings"):
            tasks(ground)[name].items()
