"""`tejat tune` from outside, on a model of its own directory and a few lines of the user's."""

import json
import subprocess
import sys

import pytest

from tejat import bundle, cli

RECIPE = """
from pathlib import Path
from tejat.posttrain.recipe import {kind}
from tejat.train.optimizer import Schedule
RECIPE = {kind}(name="mine", model=Path("model"), {data} schedule=Schedule(steps=4, peak=1e-3), rows=1, tokens=64)
"""


@pytest.fixture(scope="module")
def place(tiny, tmp_path_factory):
    """A folder with a model, a recipe and data."""
    folder = tmp_path_factory.mktemp("tune")
    bundle.save(folder / "model", tiny)
    said = [{"role": "user", "content": "2 + 2 = ?"}, {"role": "assistant", "content": "4"}]
    (folder / "mine.jsonl").write_text(json.dumps({"messages": said}) + "\n")
    mute = [{"messages": said[:1]}, {"parts": ["2 + 2 = 4"], "loss": False}]
    (folder / "mute.jsonl").write_text("".join(json.dumps(each) + "\n" for each in ({"messages": said}, *mute)))
    data = 'data=Path("mine.jsonl"),'
    (folder / "recipe.py").write_text(RECIPE.format(kind="Supervised", data=data))
    (folder / "reward.py").write_text(RECIPE.format(kind="Reward", data=f'{data} heldout=Path("mine.jsonl"),'))
    data += ' teacher=Path("model"),'
    (folder / "distil.py").write_text(RECIPE.format(kind="Distil", data=data))
    return folder


def tune(place, *words):
    command = [sys.executable, "-m", "tejat", "tune", *words]
    return subprocess.run(command, capture_output=True, text=True, cwd=place, timeout=300)


@pytest.mark.slow
def test_supervised_from_a_file_of_ones_own(place):
    done = tune(place, "supervised", "recipe.py", "--out", "run", "--set", "heldout=mine.jsonl", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["step"] == 4 and told["heldout_loss"] < told["heldout_loss_before"]
    assert "tuning: 4/4" in done.stderr
    asked = [
        sys.executable,
        "-m",
        "tejat",
        "generate",
        "2 + 2 = ?",
        "--model",
        "run/model",
        "--max-tokens",
        "3",
        "--json",
    ]
    answer = subprocess.run(asked, capture_output=True, text=True, cwd=place, timeout=300)
    assert answer.returncode == 0 and json.loads(answer.stdout)["parts"]
    again = tune(place, "supervised", "recipe.py", "--out", "run")
    assert (again.returncode, again.stdout) == (2, "") and "holds a run" in again.stderr


@pytest.mark.slow
def test_distilled_from_what_the_teacher_writes(place):
    # Of a model that was never trained few answers end, and by chance alone: it is asked often.
    asked = [
        [{"role": "user", "content": f"{n} + 2 = ?"}, {"role": "assistant", "content": f"{n + 2}"}] for n in range(100)
    ]
    (place / "many.jsonl").write_text("".join(json.dumps({"messages": messages}) + "\n" for messages in asked))
    words = ("level=sequence", "answers=run-d/answers.jsonl", "temperature=1", "max_tokens=40", "kept=drawn")
    words = (*words, "data=many.jsonl")
    done = tune(place, "distill", "distil.py", "--out", "run-d", *(f"--set={word}" for word in words), "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["step"] == 4 and "the teacher has answered 100 of 100 dialogues" in done.stderr
    assert (place / "run-d" / "answers.jsonl").is_file() and (place / "run-d" / "model" / "config.json").is_file()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("supervised", "none.py"), "there is no recipe none.py"),
        (("rlhf", "recipe.py"), "is for `tejat tune supervised`; `tejat tune rlhf` needs another"),
        (("distill", "recipe.py"), "is for `tejat tune supervised`; `tejat tune distill` needs another"),
        (("distill", "distil.py", "--set", "share=2"), "share is 2.0; give a number from 0"),
        (("supervised", "recipe.py", "--set", "rows=0"), "rows is 0; give a whole number from 1 on"),
        (("supervised", "recipe.py", "--set", "model=nowhere"), "there is no model 'nowhere'; give one of "),
        (("supervised", "recipe.py", "--minutes", "nan"), "--minutes is how long to tune"),
        (
            ("supervised", "recipe.py", "--set", "data=mute.jsonl"),
            "lines that are no dialogues to learn from (that cannot be used: 2), the first of them line 2: "
            "nothing in it is to be learnt; end it with a turn of the model",
        ),
        (
            ("reward", "reward.py"),
            "mine.jsonl has no record; the first line that cannot be used: line 1: it has an unknown",
        ),
        (("supervised", "recipe.py", "--set", "data=none.jsonl"), "none.jsonl cannot be read"),
        (("supervised", "recipe.py", "--resume"), "holds no run to resume"),
    ],
)
def test_what_cannot_be_is_told_in_a_sentence(place, words, told, monkeypatch, capsys):
    monkeypatch.chdir(place)
    assert cli.main(["tune", *words]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("tejat: error: ") and told in err and err.count("\n") == 1
    assert not (place / "runs").exists()
