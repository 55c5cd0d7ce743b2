"""Programs that draw: those that training would teach are right in full, others fail as they should. In the sandbox."""

import pytest

from tejat.evals import plots_suite, sandbox, suites
from tejat.evals.ground import Ground
from tejat.parts import Text

try:
    sandbox.check()
except sandbox.Unavailable as missing:
    pytest.skip(str(missing), allow_module_level=True)


def test_the_programs_of_training_draw_what_is_due(ground: Ground) -> None:
    (task,) = suites.tasks("plots", ground=Ground(ground.corpus, most=2))
    items = task.items()
    outcomes = [task.graded((Text(item.answers[0]),), item) for item in items]
    assert [outcome.score for outcome in outcomes] == [1.0] * len(items), outcomes
    assert task.graded((Text(items[1].answers[0]),), items[0]).score < 0.5
    assert task.remarks(items, outcomes)["programs that run"].value == 1


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("", "there is no program"),
        ("I cannot.", "SyntaxError: invalid syntax"),
        ("```python\nimport os\nos._exit(0)\n```", "itself"),
    ],
)
def test_what_is_no_program_scores_nothing_and_says_why(said: str, told: str) -> None:
    shown, detail = plots_suite.run(said)
    assert (shown, detail["ran"], detail["told"]) == ([], False, told)
