"""Two answers side by side, one of them better: by mouse and by keyboard, into a file that training reads."""

import json

import pytest

from tejat.parts import Image, Text
from tejat.posttrain import preferences

pytestmark = pytest.mark.slow

ASKED = "Which answer is better?"


@pytest.fixture
def compared(visit, files):
    """Two models have answered a prompt with a picture in it, and then a second one."""
    here = visit().loaded()
    here.settings(Longest_answer="40", System_instruction="Be brief.")
    here.button("Compare two answers").click()
    here.attach(files["dusk.png"])
    here.send("What is this?")
    return here


def saved(here, path):
    """The lines that "Save preferences" gives."""
    with here.page.expect_download() as download:
        here.button("Save preferences").click()
    download.value.save_as(path)
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_what_is_chosen_is_read_by_training(compared, tmp_path) -> None:
    here, path = compared, tmp_path / "pairs.jsonl"
    bar = here.page.get_by_role("group", name=ASKED)
    bar.get_by_label("What the comparison is about").select_option("hedging")
    bar.get_by_role("button", name="B by far", exact=True).click()
    here.until("document.querySelector('.preference [aria-pressed=true]')?.textContent === 'B by far'")
    here.shot("preference")
    here.send("And now?")
    here.prompt.press("Alt+2")
    here.until("document.querySelectorAll('.preference [aria-pressed=true]').length === 2")
    assert len(saved(here, path)) == 2

    found = preferences.needed(path)
    by_far, left = found[0], found[1]
    assert (by_far.margin, by_far.behaviour, by_far.source) == (1.0, "hedging", "playground")
    assert (left.margin, left.behaviour) == (0.5, "hedging")
    assert [turn.role for turn in left.prompt] == ["system", "user", "model", "user"]
    assert isinstance(by_far.prompt[-1].parts[0], Image) and by_far.prompt[-1].parts[1] == Text("What is this?")
    # The talk goes on from the better answer: it is the second prompt's.
    assert left.prompt[2].parts == by_far.chosen


def test_a_mark_may_be_changed_and_none_is_a_pair_of_its_own(compared, tmp_path) -> None:
    here = compared
    here.prompt.press("Alt+3")
    here.until("document.querySelector('.preference [aria-pressed=true]')?.textContent === 'As good'")
    here.button("Save preferences").click()
    here.page.get_by_text("No answer was said to be better yet").wait_for()
    here.prompt.blur()
    here.page.keyboard.press("Alt+1")
    here.until("document.querySelector('.preference [aria-pressed=true]')?.textContent === 'A by far'")
    first = saved(here, tmp_path / "first.jsonl")
    here.page.keyboard.press("Alt+5")
    here.until("document.querySelector('.preference [aria-pressed=true]')?.textContent === 'B by far'")
    second = saved(here, tmp_path / "second.jsonl")
    assert len(first) == len(second) == 1
    assert (first[0]["chosen"], first[0]["rejected"]) == (second[0]["rejected"], second[0]["chosen"])

    here.page.reload()
    here.loaded()
    here.until("document.querySelector('.preference [aria-pressed=true]')?.textContent === 'B by far'")


def test_one_answer_alone_is_not_compared(visit) -> None:
    here = visit().loaded()
    here.settings(Longest_answer="10")
    here.send("Hello")
    assert not here.page.get_by_role("group", name=ASKED).count()
    here.prompt.press("Alt+1")
    here.page.get_by_text("can be compared").wait_for()
