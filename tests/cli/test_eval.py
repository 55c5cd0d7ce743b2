"""`tejat eval` from outside, on a model with random weights."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tejat import bundle


@pytest.fixture(scope="module")
def model(micro, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("models") / "untrained"
    bundle.save(directory, micro)
    return directory


def tejat(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tejat", "eval", *words],
        capture_output=True,
        text=True,
        timeout=300,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )


def test_json_then_table_from_what_is_on_disk(model: Path, tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").write_text('{"step": 1, "text_loss": 3.0}\n{"step": 2, "text_loss": 2.0}\n')
    words = [str(model), "--limit", "2", "--log", "log.jsonl", "--tasks", "spoken", "draw", "prose-en"]
    first = tejat(*words, "--json", cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    found = json.loads(first.stdout)
    assert found["model"] == str(model)
    tasks = {task["name"]: task for task in found["tasks"]}
    assert list(tasks) == ["spoken", "draw", "prose-en"]
    assert tasks["spoken"]["blanked"]["n"] == 2 and tasks["draw"]["blanked"] is None
    assert tasks["prose-en"]["metric"] == "bits per byte"
    # Random weights know nothing: about as many bits as equal probabilities would take, and worse than counting.
    assert tasks["prose-en"]["value"] > tasks["prose-en"]["baseline"] > 1
    for task in found["tasks"]:
        assert {"suite", "name", "metric", "value", "stderr", "n", "baseline", "low", "high"} <= task.keys()
        assert task["suite"] == "sample" and task["n"] == 2

    out = tmp_path / "runs" / "eval" / "untrained"
    assert json.loads((out / "results.json").read_text())["tasks"] == found["tasks"]
    page = (out / "report.html").read_text()
    assert page.startswith("<!doctype html>") and "data:audio/wav" in page and "text loss" in page
    assert (out / "loss.png").read_bytes().startswith(b"\x89PNG")
    assert {path.stem for path in (out / "samples").glob("*.jsonl")} == {f"sample.{name}" for name in tasks}

    second = tejat(*words, cwd=tmp_path)
    assert second.returncode == 0
    assert second.stderr == ""  # nothing was asked again, so there was no progress to tell
    lines = second.stdout.splitlines()
    assert len(lines) == len(tasks) + 2
    assert lines[-2].startswith("spoken, blanked: does not fall; minus text only +0.000, 95% interval ")
    value = tasks["prose-en"]["value"]
    assert any(line.startswith(f"prose-en: bits per byte, value {value:.3f}, 95% interval ") for line in lines)
    assert lines[-1] == f"{Path('runs', 'eval', 'untrained', 'report.html')} shows more"


def test_two_models_side_by_side_and_what_was_not_run(model: Path, tmp_path: Path) -> None:
    words = [str(model), "--against", str(model), "--suite", "all", "--tasks", "maths.sums-chosen", "closed-book"]
    done = tejat(*words, "--limit", "6", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    (row,), (difference,), (missing,) = found["tasks"], found["differences"], found["not_run"]
    assert row["n"] == 6 and row["asked"] and row["by"]["kind"] and row["contamination"].startswith("made anew")
    assert difference["difference"]["value"] == 0 and difference["better"] == "neither" and difference["p"] == 1
    assert missing["name"] == "closed-book" and missing["reason"].startswith("there is no corpus in runs/corpus; build")
    assert found["not_compared"] == [] and found["means"]["maths"]["value"] == 0
    out = tmp_path / "runs" / "eval" / "untrained"
    # The other is of the same name, and its answers lie beside the first one's, not in their place.
    assert (out / "against" / "samples" / "maths.sums-chosen.jsonl").is_file() and found["parameters"] > 1e6
    page = (out / "report.html").read_text()
    assert "Not run" in page and f"Against {model}" in page and "How it was asked" in page
    assert (out / "results.png").read_bytes().startswith(b"\x89PNG")
    # A second run asks nothing and finds the same.
    again = json.loads(tejat(*words, "--limit", "6", "--json", cwd=tmp_path).stdout)
    assert (again["tasks"], again["differences"]) == (found["tasks"], found["differences"])


@pytest.mark.slow
def test_what_the_other_could_not_be_measured_on_is_told(model: Path, micro, tmp_path: Path) -> None:
    """Else a model without ears would be compared on fewer tasks, and nobody would know."""
    deaf = dataclasses.replace(micro.config, audio=None)
    params = {name: part for name, part in micro.params.items() if name != "audio"}
    bundle.save(tmp_path / "deaf", dataclasses.replace(micro, config=deaf, params=params))
    words = [str(model), "--against", "deaf", "--tasks", "spoken", "prose-en", "--limit", "2"]
    done = tejat(*words, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert [task["name"] for task in found["tasks"]] == ["spoken", "prose-en"]
    assert [one["name"] for one in found["differences"]] == ["prose-en"]
    (missing,) = found["not_compared"]
    assert missing == {"suite": "sample", "name": "spoken", "reason": "the model 'micro' hears no sound"}
    assert "not compared" in (tmp_path / "runs" / "eval" / "untrained" / "report.html").read_text()


@pytest.mark.slow
def test_a_second_run_from_nothing_writes_the_same_to_the_bit(model: Path, tmp_path: Path) -> None:
    words = [str(model), "--suite", "all", "--limit", "6", "--tasks", "caption", "maths.sums-chosen"]
    written = []
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        done = tejat(*words, "--out", "out", cwd=tmp_path / name)
        assert done.returncode == 0, done.stderr
        files = sorted((tmp_path / name / "out" / "samples").rglob("*.*"))
        written.append({file.name: file.read_bytes() for file in files})
    assert list(written[0]) == ["maths.sums-chosen.jsonl", "sample.caption.jsonl"]
    assert written[0] == written[1]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["no-such-model"], "there is no model 'no-such-model'"),
        (["{model}", "--suite", "mmlu"], "there is no suite 'mmlu'; choose from all, quick, "),
        (["{model}", "--tasks", "caption", "sing"], "the suite 'sample' has no task 'sing'; choose from caption, "),
        (["{model}", "--limit", "0"], "--limit is 0; give at least 1"),
        (["{model}", "--route", "1"], "--route is 1; give at least 2 chains of thought"),
        (
            ["{model}", "--suite", "prose"],
            "no task of 'prose' could be measured (prose: there is no corpus",
        ),
        (["{model}", "--against", "no-such-model"], "there is no model 'no-such-model'"),
        (["{model}", "--corpus", "none"], "there is no corpus in none; build one"),
        (["{model}", "--benchmarks", "none"], "--benchmarks is none, which is no folder"),
        (["{model}", "--log", "none.jsonl", "--limit", "1"], "the training log none.jsonl cannot be read"),
    ],
)
def test_bad_input_is_one_sentence(model: Path, tmp_path: Path, words: list[str], message: str) -> None:
    done = tejat(*(word.format(model=model) for word in words), cwd=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith(f"tejat: error: {message}")
    assert done.stderr.count("\n") == 1


def test_help_has_an_example(tmp_path: Path) -> None:
    done = tejat("--help", cwd=tmp_path)
    assert done.returncode == 0 and "Example: tejat eval runs/demo/model" in done.stdout


def test_all_asks_500_items_of_a_task_or_as_many_as_are_wanted():
    from tejat.cli.eval import Eval, _tasks

    def ids(limit: int | None) -> list[str]:
        (task,) = _tasks(Eval("mini", suite="all", tasks=("maths.sums",), limit=limit))
        return [item.id for item in task.items()]

    usual, more = ids(None), ids(550)
    assert len(usual) == 500 and len(more) == 550 and {*usual} < {*more}
