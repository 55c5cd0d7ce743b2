"""What the tour asks `mini`, and how an answer is judged; that all of it is asked is for `test_demo.py`."""

from pathlib import Path

import pytest

from tejat import sample
from tejat.cli import demo, mini_questions, mini_tour
from tejat.data import splits
from tejat.evals import sandbox
from tejat.evals.answering import written


def test_absent_weights_are_told_in_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(mini_tour, "directory", lambda: None)
    section = demo._mini(demo.Demo(out=tmp_path))
    assert capsys.readouterr().out == f"\n{mini_tour.HEADING}\n{mini_tour.ABSENT}\n"
    assert (section.title, section.blocks) == (mini_tour.HEADING, [mini_tour.ABSENT])


@pytest.mark.parametrize(
    ("kind", "wrong"),
    [
        ("a sum and its steps", "about a hundred"),
        ("a currency", "Latin"),
        ("a value by its key in a long list", "12"),
        ("all that a picture shows", "red apple"),
        ("how many there are", "12"),
        ("a chart's value", "1000"),
        ("the wrong step of a page of physics", "Step 9 is wrong."),
        ("a spoken sentence", "All human beings."),
        ("speech and a picture", "perhaps"),
        ("advice on a thrown ball", "It hits the moon."),
    ],
)
def test_what_is_expected_is_right_and_something_else_is_not(kind: str, wrong: str) -> None:
    (question,) = mini_questions.questions(kind, 3)
    assert question.judged(question.expected) is True and question.judged(wrong) is False
    (again,) = mini_questions.questions(kind, 3)
    assert (again.expected, written(again.prompt)) == (question.expected, written(question.prompt))


def test_a_translation_is_for_the_eye() -> None:
    (question,) = mini_questions.questions("a text translated", 0)
    assert question.judged(question.expected) is None


def test_one_drawing_is_named_in_ten_languages() -> None:
    asked = mini_questions.questions("a drawing named in ten languages", 0)
    assert len({written(question.prompt) for question in asked}) == len(sample.languages()) == 10
    assert all(question.prompt[0] is asked[0].prompt[0] for question in asked)


def test_a_program_that_draws_the_same_is_right(monkeypatch: pytest.MonkeyPatch) -> None:
    (question,) = mini_questions.questions("sub-plots to matplotlib code", 0)
    plots = [plot.split(" ", 1) for plot in question.expected.split("; ")]
    due = [{"kind": kind, "values": [float(value) for value in values.split(", ")]} for kind, values in plots]
    monkeypatch.setattr("tejat.evals.plots_suite.run", lambda said: (due if said == "it" else [], {}))
    assert question.judged("it") is True and question.judged("other") is False

    def unavailable(said: str) -> None:
        raise sandbox.Unavailable("no namespaces")

    monkeypatch.setattr("tejat.evals.plots_suite.run", unavailable)
    assert question.judged("it") is None


def test_what_it_never_saw_is_held_out_of_training() -> None:
    held = {thing.names["en"] for thing in sample.concepts() if splits.is_heldout("concept", thing.id.upper())}
    assert held == set(mini_questions.UNSEEN)
