"""Pictures that a model drew itself, changed and asked about; an example of two pictures, followed."""

from types import SimpleNamespace

import numpy as np
import pytest

from tejat.evals import pictures_suite
from tejat.evals.ground import Ground
from tejat.parts import Image, Text

WORDS = (Text("No."),)


class Draws:
    """A model that answers by a function of the dialogue, and whose image tokenizer keeps all."""

    name = "draws"

    def __init__(self, answer):
        codec = SimpleNamespace(encode=lambda pixels: pixels, decode=lambda pixels: pixels)
        self.answer, self.bundle, self.asked = answer, SimpleNamespace(pictures=codec), []

    def generate_batch(self, prompts, *, temperature, seeds):
        assert len(prompts) == len(seeds) and all(turns[-1].role == "user" for turns in prompts)
        self.asked += prompts
        return [SimpleNamespace(parts=self.answer(turns)) for turns in prompts]


@pytest.fixture(scope="module")
def tasks(ground: Ground) -> dict:
    return {task.name: task for task in pictures_suite.tasks(Ground(ground.corpus, most=21))}


def test_what_the_model_drew_itself_is_changed(tasks) -> None:
    task = tasks["edited-own"]
    items = task.items()
    right = {item.turns: task.cases[item.id].right for item in items}
    first = Image(np.full((128, 128, 3), 200, np.uint8))
    model = Draws(lambda turns: (right[turns[::2]],) if len(turns) > 1 else (Text("here"), first))
    outcomes = task.measure(model, items)
    assert len(items) > 12 and {o.score for o in outcomes} == {1.0} and len(model.asked) == 2 * len(items)
    second = model.asked[-1]
    assert [turn.role for turn in second] == ["user", "model", "user"] and second[1].parts[1] is first
    undrawn = Draws(lambda turns: WORDS)  # no picture to change: it is not asked for the second
    assert {o.score for o in task.measure(undrawn, items)} == {0.0} and len(undrawn.asked) == len(items)


def test_a_picture_of_its_own_is_asked_about_with_and_without_it(tasks) -> None:
    task = tasks["asked-of-own"]
    items = task.items()
    answers = {item.turns: item.answers[0] for item in items}
    white = Image(np.full((128, 128, 3), 255, np.uint8))

    def answer(turns, looks):
        if turns[::2] not in answers:
            return (white,)
        seen = all((turn.parts[0].pixels == 255).all() for turn in turns if turn.role == "model")
        return (Text(answers[turns[::2]] if seen or not looks else "nothing"),)

    for looks in (True, False):
        outcomes = task.measure(Draws(lambda turns, looks=looks: answer(turns, looks)), items)
        assert {o.score for o in outcomes} == {1.0}
        assert task.remarks(items, outcomes)["right with its pictures grey"].value == 1 - looks
    assert {item.tags["asked"]: len(item.turns) for item in items} == {
        "what it is": 2,
        "the colour of its ground": 2,
        "how many": 3,
    }
    nothing = task.measure(Draws(lambda turns: WORDS), items)
    assert {o.score for o in nothing} == {0.0} and task.remarks(items, nothing)["no picture drawn"].value == 1


def test_an_example_is_followed_with_words_and_two_pictures(tasks) -> None:
    task = tasks["pattern"]
    items = task.items()
    pairs = {item.turns: task.cases[item.id].right for item in items}

    def told(turns, change):
        first, second = pairs[turns]
        return change([Text("one"), first, Text("two"), second])

    cases = {
        "both": (lambda parts: parts, 1.0, (1, 1)),
        "no words": (lambda parts: parts[1::2], 0.0, (1, 1)),
        "one of them": (lambda parts: parts[:2], 0.0, (1, 0)),
        "one of them twice": (lambda parts: [parts[0], parts[3], parts[2], parts[3]], 0.0, (0, 1)),
    }
    for change, score, right in cases.values():
        outcomes = task.measure(Draws(lambda turns, change=change: tuple(told(turns, change))), items)
        found = task.remarks(items, outcomes)
        assert {o.score for o in outcomes} == {score}
        assert tuple(round(found[f"the {which} picture right"].value) for which in ("first", "second")) == right
        assert found["both right, as the image tokenizer keeps them"].value == 1
    assert {item.tags["for"] for item in items} == {"another colour", "two other things"}
    assert {item.tags["wording"] for item in items} == {"as taught", "held out"}
    assert all(0 < item.chance < 0.1 for item in items)
