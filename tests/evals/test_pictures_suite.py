"""Drawings asked for and judged: by a judge, by what would have been right, by where things lie, by whether."""

from types import SimpleNamespace

import numpy as np
import pytest

from tejat.data.presenting import edits, scenes, sprites
from tejat.errors import BadInput
from tejat.evals import judging, picture_changes, picture_material, pictures_suite
from tejat.evals.ground import Ground, rng
from tejat.evals.picture_classifier import Classifier, ClassifierConfig, params
from tejat.evals.tasks import Item, Outcome
from tejat.model.params import initialise
from tejat.parts import Image, Text, Turn

WORDS = (Text("No."),)


class Draws:
    """A model whose answers are given, and whose image tokenizer keeps all."""

    name = "draws"

    def __init__(self, *answers):
        codec = SimpleNamespace(encode=lambda pixels: pixels, decode=lambda pixels: pixels)
        self.answers, self.bundle = answers, SimpleNamespace(pictures=codec)

    def generate_batch(self, prompts, *, temperature, seeds):
        assert len(prompts) == len(self.answers) == len(seeds) and temperature == 0.0
        return [SimpleNamespace(parts=parts) for parts in self.answers]


@pytest.fixture
def judge(ground: Ground, monkeypatch) -> Classifier:
    """Not trained: it takes everything for something, and always for the same."""
    names = sorted({raw.fields["concept"] for raw in ground.shards("concepts", "train")})
    config = ClassifierConfig((8, 16), 1)
    found = Classifier(initialise(params(config, len(names)), 0), config, tuple(names))
    monkeypatch.setattr(judging, "judge", lambda: found)
    return found


def tasks(ground: Ground) -> dict:
    return {task.name: task for task in pictures_suite.tasks(ground)}


def test_a_drawing_counts_where_it_is_taken_for_what_was_asked_for(ground: Ground, judge) -> None:
    task = tasks(ground)["drawn"]
    items = task.items()
    assert len(items) == 12 and all(item.answers[0] in judge.classes for item in items)
    real = [Image(task._real(item)) for item in items]
    outcomes = task.measure(Draws(*[(Text("here"), picture) for picture in real[:-1]], WORDS), items)
    # What is drawn is the real drawing: both are taken for the same thing, right or wrong.
    assert [o.score for o in outcomes[:-1]] == [float(o.detail["real"]) for o in outcomes[:-1]]
    assert outcomes[-1].score == 0 and outcomes[-1].detail["features"][0] is None
    seen = [Outcome(1.0, (), 1.0, o.detail | {"real": True}) for o in outcomes]
    assert judging.of_real(seen, [item.cluster for item in items]).value == 1
    none = [Outcome(0.0, (), 1.0, o.detail | {"real": False}) for o in outcomes]
    assert judging.of_real(none, [item.cluster for item in items]).n == 0  # and nothing is promised of it
    told = task.remarks(items, seen)
    assert told["no picture drawn"].value == 1 / 12 and told["real drawings recognised"].value == 1
    with pytest.raises(BadInput, match="draws nothing"):
        task.measure(SimpleNamespace(name="blind", bundle=SimpleNamespace(pictures=None)), items)


def test_without_a_judge_it_is_said_how_to_get_one(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(judging, "JUDGES", (tmp_path / "none",))
    judging.judge.cache_clear()
    with pytest.raises(BadInput, match=r"train one with `python recipes/judge.py"):
        judging.judge()


def test_sets_are_compared_with_drawings_of_things_held_out(ground: Ground, judge) -> None:
    """Drawings of things held out are nearer to these than the drawing of one thing is, again and again."""
    others = picture_material.heldout(ground)
    assert len(others) > 20 and all(picture.shape == (128, 128, 3) for picture in others)
    task = judging.Recognised("pictures", "drawn", list, lambda item: others[0], lambda: [*others, *others][:40])
    items = [Item(str(n), str(n), (Turn("user", (Text("?"),)),), ("a",)) for n in range(40)]
    found = judging._look([others[0], *others])[0]
    one, *many = ([float(value) for value in features] for features in found)
    outcomes = [
        Outcome(0.0, (), 1.0, {"real": True, "kept": True, "features": [(many + many)[n], one, one]}) for n in range(40)
    ]
    told = task.remarks(items, outcomes)
    drawn, real = (float(told[f"Fréchet distance to 40 held-out drawings: {side}"]) for side in ("drawn", "real ones"))
    assert drawn < 1e-3 < real and float(told["Fréchet distance to real drawings"].split()[0]) == pytest.approx(real)


@pytest.mark.parametrize("name", ["edited", "coloured", "counted"])
def test_what_was_asked_for_is_right_and_what_there_was_is_not(name: str, ground: Ground, monkeypatch) -> None:
    task = tasks(Ground(ground.corpus, most=30))[name]
    items = task.items()
    assert len(items) >= 20 and all(0 < item.chance <= 1 / 2 for item in items)
    marks: dict[str, np.ndarray] = {}  # pictures that stand for what they are like
    real = picture_changes.thumbnail

    def thumbnail(picture: Image) -> np.ndarray:
        known = marks.get(picture.pixels.tobytes().hex())
        return real(picture) if known is None else known

    monkeypatch.setattr(picture_changes, "thumbnail", thumbnail)
    for right, score in (("first", 1.0), ("as it was", 0.0)):
        answers = []
        for n, item in enumerate(items):
            known = task.cases[item.id].outcomes
            mark = Image(np.full((1, 1, 3), n, np.uint8))
            marks[mark.pixels.tobytes().hex()] = known[item.answers[0] if right == "first" else right]
            answers.append((mark,))
        outcomes = task.measure(Draws(*answers), items)
        assert [o.score for o in outcomes] == [score] * len(items)
        told = task.remarks(items, outcomes)
        assert told["right, as the image tokenizer keeps it"].value == 1 and told["left as it was"].value == 1 - score
    assert {o.score for o in task.measure(Draws(*[WORDS] * len(items)), items)} == {0.0}


def test_a_picture_that_the_tokenizer_spoils_is_below_the_ceiling(ground: Ground) -> None:
    task = tasks(ground)["counted"]
    items = task.items()
    model = Draws(*[(task.cases[item.id].right,) for item in items])
    model.bundle.pictures.decode = lambda pixels: np.full_like(pixels, 255)
    outcomes = task.measure(model, items)
    assert {o.score for o in outcomes} == {1.0}
    assert (
        task.remarks(items, outcomes)["right, as the image tokenizer keeps it"].value < 0.4
    )  # white is like one thing


def test_a_ground_with_nothing_on_it_is_not_what_was_asked_for(ground: Ground) -> None:
    task = tasks(ground)["coloured"]
    items = [item for item in task.items() if item.tags["colour of"] == "its ground"]
    corner = [task.cases[item.id].right.pixels[0, 0] for item in items]
    grounds = [(Image(np.broadcast_to(colour, (128, 128, 3)).copy()),) for colour in corner]
    outcomes = task.measure(Draws(*grounds), items)
    assert items and {o.score for o in outcomes} == {0.0}
    assert task.remarks(items, outcomes)["nothing but a ground drawn"].value == 1


def test_something_is_added_that_could_have_been_something_else(ground: Ground) -> None:
    task = tasks(Ground(ground.corpus, most=21))["edited"]
    added = [item for item in task.items() if item.tags["change"] == "add"]
    assert len(added) > 1 and {item.tags["change"] for item in task.items()} == {*edits.CHANGES}
    for item in added:
        known = [*task.cases[item.id].outcomes]
        assert known[:2] == [item.answers[0], "as it was"] and item.answers[0].startswith("with ")
        assert sum(name.startswith("with ") for name in known) > 3


def test_numbers_are_asked_for_as_a_list_and_in_words(ground: Ground) -> None:
    items = tasks(Ground(ground.corpus, most=32))["counted"].items()
    said = {item.tags["asked"]: item.turns[0].parts[0].text for item in items}
    assert " × " in said["as a list"] and any(f" {word} " in said["in words"] for word in edits.WORDS["numbers"]["en"])
    assert said["in other words"].startswith("Show me ")
    assert {item.tags["how many"] for item in items} == {str(n) for n in range(2, 10)}


def test_things_are_seen_where_they_lie(ground: Ground) -> None:
    task = tasks(ground)["placed"]
    items, raws = task.items(), picture_material.drawable(ground)
    for item in items:
        random = rng("pictures", "placed", int(item.id))
        scene = scenes.placed(raws, int(random.integers(len(raws))), random, (sprites.SIDE, sprites.SIDE), 3)
        assert task.judge((scene.picture,), item)
        assert not task.judge((Image(scene.picture.pixels[::-1, ::-1].copy()),), item) or _turns_into_itself(item)
        assert not task.judge(WORDS, item)
    outcomes = task.measure(Draws(*[WORDS] * len(items)), items)
    assert task.remarks(items, outcomes)["right, as the image tokenizer keeps it"].value == 1
    assert {o.score for o in outcomes} == {0.0}


def _turns_into_itself(item: Item) -> bool:
    return sorted(8 - field for field in item.material) == item.material


def test_drawing_where_words_are_wanted_costs_precision_and_the_other_way_round_recall() -> None:
    asks = (Turn("user", (Text("?"),)),)
    items = [Item(str(n), str(n), asks, () if n < 4 else ("word",)) for n in range(8)]
    picture = (Image(np.zeros((2, 2, 3), np.uint8)),)
    drew = [picture, picture, picture, WORDS, picture, WORDS, WORDS, WORDS]
    task = pictures_suite.Deciding("pictures", "whether", lambda: items, max_tokens=None)
    outcomes = task.measure(Draws(*drew), items)
    assert [o.score for o in outcomes] == [1, 1, 1, 0, 0, 1, 1, 1]
    told = task.remarks(items, outcomes)
    assert {name: one.value for name, one in told.items()} == {"precision": 0.75, "recall": 0.75, "F1": 0.75}
    assert told["F1"].value == pictures_suite.f1(items, outcomes)


def test_half_of_what_is_asked_is_for_words(ground: Ground) -> None:
    items = pictures_suite.whether(Ground(ground.corpus, most=80))
    wanted = [item for item in items if not item.answers]
    assert 0.4 < len(wanted) / len(items) < 0.6
    assert {item.tags["wording"] for item in wanted} == {"held out", "as taught"}
    assert len({item.tags["language"] for item in items}) == 10
    assert {item.tags["asks"] for item in wanted} == {"for a picture", "for a picture to a story"}
    stories = [item for item in items if item.tags["asks"] == "for words, after a story"]
    assert stories and all(item.answers and len(item.turns[0].parts) > 1 for item in stories)
