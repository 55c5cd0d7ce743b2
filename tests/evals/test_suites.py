"""Every suite's items: the same in every run, with a right answer among the choices; what cannot be made is said."""

from pathlib import Path

import pytest

from tejat.errors import BadInput
from tejat.evals import judging, suites
from tejat.evals.answering import Choosing
from tejat.evals.ground import Ground
from tejat.evals.tasks import Task

MADE = {  # what the small corpus of conftest.py has material for, or needs none
    "factuality": 12,
    "long-context": 7,
    "summaries": 4,
    "maths": 9,
    "reasoning": 6,
    "instructions": 1,
    "languages": 6,
    "images": 9,
    "video": 4,
    "plots": 1,
    "prose": 3,
    "pictures": 4,
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
    assert len({task.suite for task in quick}) >= 7
    assert all(task.quick for task in quick) and all(len(task.ways) <= 1 for task in quick)
    # Steps are written before a result is: nothing that needs them is asked by the likelihood of the result alone.
    assert not [task.name for task in quick if task.suite == "maths" and task.name.endswith("-chosen")]
    every = suites.tasks("all")
    order = [(not task.promised, not task.quick) for task in every]
    assert order == sorted(order) and sum(task.promised for task in every) >= 13


def test_tasks_by_name_and_by_suite_and_name() -> None:
    assert [task.name for task in suites.tasks("all", ["caption", "maths.sums"])] == ["caption", "sums"]
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
