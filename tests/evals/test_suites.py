"""Every suite's items: the same in every run, with a right answer among the choices; what cannot be made is said."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from tejat.errors import BadInput
from tejat.evals import commonsense, judging, science, suites
from tejat.evals.answering import Choosing
from tejat.evals.ground import Ground
from tejat.evals.tasks import Task

MADE = {  # what the small corpus of conftest.py has material for, or needs none
    "factuality": 12,
    "long-context": 8,
    "summaries": 4,
    "maths": 12,
    "reasoning": 6,
    "instructions": 1,
    "languages": 6,
    "images": 12,
    "video": 7,
    "sound": 2,
    "plots": 1,
    "prose": 4,
    "pictures": 9,
    "promised": 13,
}


def made(suite: str, ground: Ground) -> list[Task]:
    """Tasks of a suite that the small corpus suffices for."""
    found = []
    for task in suites.tasks(suite, ground=ground):
        try:
            if task.items():
                found.append(task)
        except BadInput:
            continue
    return found


@pytest.fixture(autouse=True)
def no_judge(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a fresh machine."""
    monkeypatch.setattr(judging, "JUDGES", (Path("none"),))
    judging.judge.cache_clear()


@pytest.mark.parametrize("suite", list(MADE))
def test_items_are_whole_and_the_same_every_time(suite: str, ground: Ground) -> None:
    tasks = made(suite, ground)
    assert len(tasks) == MADE[suite], [task.name for task in tasks]
    again = {task.name: task for task in suites.tasks(suite, ground=ground)}
    for task in tasks:
        items = task.items()
        assert task.asked and task.origin != "not checked"
        assert [(i.id, i.digest()) for i in items] == [(i.id, i.digest()) for i in again[task.name].items()]
        assert len({item.id for item in items}) == len(items)
        assert " " not in task.name and "," not in task.name
        for item in items:
            assert item.turns or task.metric == "bits per byte"
            if isinstance(task, Choosing) and suite != "long-context":
                assert item.answers[0] in item.choices and len({*item.choices}) == len(item.choices) > 1
                assert item.chance == pytest.approx(1 / len(item.choices))


@pytest.mark.parametrize("suite", ["factuality", "maths", "reasoning", "images", "languages", "summaries"])
def test_the_place_of_the_right_choice_tells_nothing(suite: str, ground: Ground) -> None:
    """First, last, shortest or longest: no rule that looks at choices alone is right much more often than chance."""
    larger = Ground(ground.corpus, most=120)
    for task in made(suite, larger):
        if (
            not isinstance(task, Choosing)
            or len(task.items()) < 60
            or task.name in ("count", "where", "check-solution")
        ):
            continue
        items = task.items()
        chance = sum(item.chance for item in items) / len(items)
        for place in (0, -1):
            right = sum(item.choices[place] in item.answers for item in items) / len(items)
            assert right < chance + 0.2, (task.name, place, right)


def test_quick_is_of_many_suites_and_what_is_promised_comes_first() -> None:
    quick = suites.tasks("quick")
    elsewhere = {"images", "video", "sound", "long-context"}  # of which "promised" has a task
    slow = {"pictures", "plots", "safety"}  # what is drawn or written at length
    assert {task.suite for task in quick} == {*suites.ALL} - elsewhere - slow - {"sample"}
    assert all(task.quick for task in quick) and all(len(task.ways) <= 1 for task in quick)
    # Steps are written before a result is: nothing that needs them is asked by the likelihood of the result alone.
    assert not [task.name for task in quick if task.suite == "maths" and task.name.endswith("-chosen")]
    every = suites.tasks("all")
    order = [(not task.promised, not task.quick) for task in every]
    assert order == sorted(order) and sum(task.promised for task in every) >= 13


def test_tasks_by_name_and_by_suite_and_name() -> None:
    assert [task.name for task in suites.tasks("all", ["caption", "maths.sums"])] == ["caption", "sums"]
    assert len(suites.tasks("maths", ["sums", "maths.sums", "sums"])) == 1  # each is asked once
    with pytest.raises(BadInput, match="has no task 'sing'; choose from caption"):
        suites.tasks("sample", ["sing"])
    with pytest.raises(BadInput, match="choose from all, quick, factuality"):
        suites.tasks("mmlu")


def test_without_a_corpus_tasks_that_need_one_say_so(tmp_path) -> None:
    nothing = Ground(tmp_path)
    for task in suites.tasks("factuality", ground=nothing):
        if task.name.startswith("prompts"):  # written by hand
            continue
        with pytest.raises(BadInput, match="there is no corpus in .*; build one with `tejat data build`"):
            task.items()
    assert len(suites.tasks("reasoning", ground=nothing)[0].items()) == 300


def test_beeps_are_as_many_as_their_answers_say() -> None:
    for item in suites.tasks("sound", ["beeps"])[0].items()[:10]:
        loud = np.convolve(np.abs(item.turns[0].parts[0].samples), np.ones(400) / 400, "same") > 0.05
        assert int((np.diff(loud.astype(int)) == 1).sum()) == int(item.answers[0])


def test_clips_are_what_their_answers_say(ground: Ground) -> None:
    order, times = suites.tasks("video", ["which-first", "times"], ground)
    for item in times.items():
        frames = item.turns[0].parts[0].frames.reshape(16, -1)
        there = (frames != frames[0]).any(1)  # in the first nothing is
        assert int((np.diff(there.astype(int)) == 1).sum()) == int(item.answers[0])
    for item in order.items():
        frames = item.turns[0].parts[0].frames
        assert len(frames) == 16 and item.tags["asked"] in item.turns[0].parts[1].text


def test_physics_is_right_and_its_right_result_is_no_more_often_in_the_middle() -> None:
    items = science.problems(Ground())
    fall = next(item for item in items if item.tags == {"problem": "fall", "quantity": "s"})
    seconds = float(fall.turns[0].parts[0].text.split("falls freely for ")[1].split()[0])
    assert fall.answers[0] == f"{5 * seconds**2:g} m"
    assert science.near(f"so it is {5.01 * seconds**2:.3f} m", fall) and not science.near("", fall)
    assert not science.near(f"{4.9 * seconds**2:g} m", fall)
    places = Counter(sorted(item.choices, key=_value).index(item.answers[0]) for item in items)
    assert min(places.values()) > 0.2 * len(items)


def _value(choice: str) -> float:
    return float(choice.split()[0])


def test_what_goes_with_a_picture_is_asked_in_every_language_that_names_it(ground: Ground) -> None:
    items = commonsense.items(Ground(ground.corpus))
    assert {item.tags["language"] for item in items} == {"en", "de", "fr", "es", "it", "pt", "ru", "ja", "zh", "ko"}
    (egg,) = (item for item in items if item.id == "chicken-de")
    assert egg.answers[0] in egg.turns[0].parts[1].text and len(egg.choices) == 4
    told = commonsense.table()
    assert len(told["asked"]) == 12
    second = [right for pairs in told["pairs"].values() for _, right in pairs]
    assert len({*second}) >= len(second) - 1  # a whale and a surfer share the wave
