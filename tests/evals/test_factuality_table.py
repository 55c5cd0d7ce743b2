"""The recipe of the table: several seeds of a way in one column, and models that are gone told of by their answers."""

import io
import json
import runpy
import sys
from pathlib import Path

import pytest

from tejat.evals import harness, suites
from tejat.evals.factuality import policies
from tejat.evals.ground import Ground

RECIPE = Path(__file__).parents[2] / "recipes" / "factuality.py"


def _run(monkeypatch, out: Path, ground: Ground, *arguments: str) -> None:
    given = [str(RECIPE), *arguments, "--out", str(out), "--corpus", str(ground.corpus), "--limit", "6"]
    monkeypatch.setattr(sys, "argv", given)
    runpy.run_path(str(RECIPE), run_name="__main__")


@pytest.fixture(scope="module")
def answered(ground, tmp_path_factory) -> Path:
    """What four models have answered that are not there any more: two copy, two refuse."""
    out, told = tmp_path_factory.mktemp("factuality"), runpy.run_path(str(RECIPE))
    tasks = [
        task
        for task in suites.tasks("factuality", told["TASKS"], Ground(ground.corpus))
        if task.name not in told["BY_LIKELIHOOD"]
    ]
    for name, policy in (("copies", policies.Copying()), ("refuses", policies.Refusing())):
        for seed in range(2):
            harness.run(
                policy, tasks, out / f"{name}-{seed}", fingerprint=f"{name}{seed}", limit=6, stream=io.StringIO()
            )
    return out


def test_seeds_share_a_column_and_are_compared_one_by_one(answered, ground, monkeypatch, capsys):
    models = [f"gone/{name}-{seed}/model" for name in ("copies", "refuses") for seed in range(2)]
    _run(monkeypatch, answered, ground, *models)
    table = (answered / "table.md").read_text()
    assert "| | n | always unsure | unsure and guessing | the passage back | copies | refuses |" in table
    cells = next(line.split(" | ") for line in table.splitlines() if line.startswith("| hedging"))
    assert cells[1] == "6" and cells[2].startswith("1.000 (0.610") and cells[5] == "0.000 (0.000 – 0.000)"
    assert cells[6] == "1.000 (1.000 – 1.000) |"
    assert "| the surest of all questions | copies | refuses |" in table
    assert next(line for line in table.splitlines() if line.startswith("| 100% |")).endswith("| 1.00 |")
    assert "refuses minus copies" in table and table.count("| hedging | +1.000 (+1.000 – +1.000) | +1.000") == 1
    assert json.loads((answered / "table.json").read_text()).keys() >= {"copies-0", "refuses-1", "always unsure"}
    assert "copies-0: closed-book was not run: gone/copies-0/model is not there" in capsys.readouterr().err


@pytest.mark.parametrize(
    "models",
    [
        tuple(f"{way}-{n}/model" for way, seeds in (("x", 3), ("y", 2)) for n in range(seeds)),
        ("a/x/model", "b/x/model"),
    ],
)
def test_groups_that_are_none_are_told_before_anything_is_asked(models, ground, tmp_path, monkeypatch, capsys):
    with pytest.raises(SystemExit) as ended:
        _run(monkeypatch, tmp_path, ground, *models)
    assert ended.value.code == 2 and not [*tmp_path.iterdir()]
    told = "there are 3 of x, 2 of y; give as many seeds of each way, or one" if len(models) > 2 else "one name"
    assert told in capsys.readouterr().err


def test_names_with_numbers_are_seeds_where_there_are_several_and_none_is_without():
    grouped = runpy.run_path(str(RECIPE))["_grouped"]
    assert grouped(["mini", "mini-2", "grpo-0", "grpo-1", "one-4", "mini-4bit"]) == {
        **{"mini": ["mini"], "mini-2": ["mini-2"], "grpo": ["grpo-0", "grpo-1"]},
        **{"one-4": ["one-4"], "mini-4bit": ["mini-4bit"]},
    }


def test_one_model_is_compared_with_every_seed_of_another_way(answered, ground, monkeypatch):
    _run(monkeypatch, answered, ground, "gone/copies-0/model", "gone/refuses-0/model", "gone/refuses-1/model")
    table = (answered / "table.md").read_text()
    assert table.count("| hedging | +1.000 (+1.000 – +1.000) | +1.000") == 1
    assert "| | n | always unsure | unsure and guessing | the passage back | copies-0 | refuses |" in table


def test_asked_for_answers_alone_it_keeps_them_where_the_table_looks(answered, ground, monkeypatch, capsys):
    before = {*answered.iterdir()}
    (answered / "copies-1" / "asked.json").unlink(missing_ok=True)
    _run(monkeypatch, answered, ground, "gone/copies-1/model", "--ask")
    rows = {row["name"]: row["value"] for row in json.loads((answered / "copies-1" / "asked.json").read_text())}
    assert rows["hedging"] == 0 and {*answered.iterdir()} == before
    assert "| hedging" not in capsys.readouterr().out
