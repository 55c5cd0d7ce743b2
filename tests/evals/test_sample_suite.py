"""The sample's tasks: what they ask is held out, every item is whole, and a perfect answer to each is right."""

from types import SimpleNamespace

import pytest

from tejat import sample
from tejat.data import tour
from tejat.errors import BadInput
from tejat.evals import suites
from tejat.parts import Audio, Image, Video

TASKS = {task.name: task for task in suites.tasks("sample")}
ASKED = ("caption", "spoken", "motion", "draw", "whether", "fact")


def test_names() -> None:
    assert list(TASKS) == [*ASKED, *(f"prose-{language}" for language in sample.languages())]
    with pytest.raises(BadInput, match="choose from all, quick, "):
        suites.tasks("mmlu")


@pytest.mark.parametrize("name", ASKED)
def test_items_are_the_same_every_time_and_their_own(name: str) -> None:
    items = TASKS[name].items()
    again = {task.name: task for task in suites.tasks("sample")}[name].items()
    assert [(i.id, i.cluster, i.digest()) for i in items] == [(i.id, i.cluster, i.digest()) for i in again]
    assert len({item.id for item in items}) == len(items) >= 100
    assert all(0 < item.chance <= 0.5 for item in items)


@pytest.mark.parametrize(("name", "kind"), [("caption", Image), ("spoken", Audio), ("motion", Video)])
def test_the_senses_have_a_control(name: str, kind: type) -> None:
    items = TASKS[name].items()[:3]
    control = TASKS[name].controls(items)["blanked"]
    assert all(isinstance(item.turns[0].parts[0], kind) for item in (*items, *control))
    assert len({item.turns[0].parts[0] for item in items}) == 3
    assert all(
        i.digest() != c.digest() and i.turns[0].parts[1] == c.turns[0].parts[1]
        for i, c in zip(items, control, strict=True)
    )


@pytest.mark.parametrize("name", ["draw", "whether", "fact", "prose-en"])
def test_words_have_none(name: str) -> None:
    assert TASKS[name].controls(TASKS[name].items()) == {}


@pytest.mark.parametrize("name", ["caption", "spoken", "motion", "draw", "fact"])
def test_what_training_would_teach_is_right_and_another_answer_is_wrong(name: str) -> None:
    answers = [example.answer for example in tour.heldout(name)]

    class Given:
        def __init__(self, shift: int):
            self.shift = shift

        def generate_batch(self, prompts, **options):
            shifted = answers[self.shift :] + answers[: self.shift]
            return [SimpleNamespace(parts=parts) for parts in shifted[: len(prompts)]]

    task = TASKS[name]
    items = task.items()
    assert all(outcome.score for outcome in task.measure(Given(0), items))
    assert sum(outcome.score for outcome in task.measure(Given(1), items)) < 0.75 * len(items)


def test_whether_takes_turns() -> None:
    items = TASKS["whether"].items()
    assert [bool(item.answers) for item in items] == [False, True] * (len(items) // 2)
    assert TASKS["whether"].baseline(items)[0] == 0.5


def test_clusters_are_things() -> None:
    spoken, motion = TASKS["spoken"].items(), TASKS["motion"].items()
    assert len({item.cluster for item in spoken}) == len(sample.spoken()) == len(spoken) / 2
    assert {item.cluster for item in motion} <= {f"The {concept.names['en']} " for concept in sample.concepts()}


def test_prose_is_whole() -> None:
    for language in sample.languages():
        items = TASKS[f"prose-{language}"].items()
        assert "".join(f"{item.answers[0]}\n" for item in items) == sample.prose(language, heldout=True)
        assert all(isinstance(text, str) and text for item in items for text in item.answers)
