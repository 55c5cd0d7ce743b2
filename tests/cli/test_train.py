"""`tejat train` from outside: the smallest recipe trained, and every way to give it what it cannot use."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tejat.cli import main, train, training_bar
from tejat.train import recipe

RECIPE = str(Path(__file__).parents[1] / "train" / "smallest.py")


def tejat(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "tejat", *words], capture_output=True, text=True, timeout=200, cwd=cwd)


def test_a_recipe_is_trained_with_settings_and_told_as_json(tmp_path):
    words = ("train", RECIPE, "--set", "schedule.steps=6", "--set", "schedule.peak=0.02", "--json")
    done = tejat(*words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["name"] == "smallest" and told["steps"] == 6 and told["tokens"] > 0 and told["text_loss"] > 0
    assert (tmp_path / told["directory"] / "model" / "config.json").is_file()
    again = tejat(*words, cwd=tmp_path)
    assert again.returncode == 2 and again.stdout == ""
    assert again.stderr.endswith("go on with --resume, or choose another directory with --out\n")
    other = tejat("train", RECIPE, "--set", "schedule.steps=9", "--resume", cwd=tmp_path)
    assert other.returncode == 2 and "schedule.steps = 6" in other.stderr


def test_workers_that_no_row_is_left_for_are_told(capsys):
    chosen = recipe.changed(recipe.read(Path(RECIPE)), ["room.rows=4", "workers=3"])
    training_bar.tell_idle(chosen, 1)
    assert capsys.readouterr().err == ""
    training_bar.tell_idle(chosen, 2)
    assert "3 workers fill 2 rows of a batch, one each: 1 of them is left out" in capsys.readouterr().err


@pytest.mark.slow
def test_a_loss_that_is_no_number_stops_the_run_and_the_last_good_checkpoint_stays(tmp_path):
    words = ("--set", "schedule.peak=1e38", "--set", "save_every=1")
    done = tejat("train", RECIPE, *words, "--out", "run", cwd=tmp_path)
    assert done.returncode == 1 and done.stdout == ""
    (step,) = re.findall(r"^tejat: error: the .* of step (\d+) is (?:nan|inf)", done.stderr, re.MULTILINE)
    kept = [int(path.name) for path in (tmp_path / "run" / "checkpoints").iterdir()]
    assert kept and max(kept) == int(step) - 1
    assert not (tmp_path / "run" / "model").exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["nowhere.py"], "there is no recipe nowhere.py"),
        ([RECIPE, "--set", "schedule.pace=1"], "names 'pace', which is no field here"),
        ([RECIPE, "--set", "schedule.steps"], "has no value"),
        ([RECIPE, "--set", "schedule.steps=many"], "gives 'many' where a whole number belongs"),
        ([RECIPE, "--set", "config.vision.budgets=4"], "only the recipe's file can set"),
        ([RECIPE, "--resume"], "holds no run to resume"),
        ([RECIPE, "--mesh", "fsdp=8"], "the mesh fsdp=8 is of 8 devices and there are 1; try fsdp=1"),
        ([RECIPE, "--supervise", "0"], "--supervise is the number of processes"),
        ([RECIPE, "--supervise", "2", "--process", "1"], "says itself which processes there are"),
        ([RECIPE, "--supervise", "2", "--resume"], "holds no run to resume"),
        ([RECIPE, "--supervise", "2", "--export-chain", "x"], "a chain is of one process"),
        ([RECIPE, "--supervise", "2", "--mesh", "turbo=2"], "names the axis"),
        ([RECIPE, "--minutes", "0"], "--minutes is how long to train"),
        ([RECIPE, "--minutes", "nan"], "--minutes is how long to train"),
        ([RECIPE, "--supervise", "2", "--silence", "nan"], "--silence is more than 0 seconds"),
        ([RECIPE, "--resume", "--from-chain", "x"], "give one of them"),
        ([RECIPE, "--from-chain", "x"], "the piece x/piece-000 of a chain cannot be read"),
    ],
)
def test_what_cannot_be_used_is_told_in_a_sentence(words, told, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["train", *words]) == 2
    out, errors = capsys.readouterr()
    assert out == "" and told in errors.splitlines()[-1]
    assert not list(tmp_path.rglob("*.safetensors"))


def test_a_recipe_that_fails_is_named(tmp_path):
    (tmp_path / "broken.py").write_text("1 / 0\n")
    (tmp_path / "empty.py").write_text("x = 1\n")
    for name, told in (("broken.py", "ZeroDivisionError"), ("empty.py", "defines no RECIPE")):
        done = tejat("train", name, cwd=tmp_path)
        assert done.returncode == 2 and name in done.stderr and told in done.stderr


def test_the_command_that_goes_on_begins_from_no_chain():
    words = ["r.py", "--from-chain", "a", "--resume", "--set", "seed=1", "--from-chain=b", "--out", "c d"]
    assert train._again(words) == "tejat train r.py --set seed=1 --out 'c d' --resume"


@pytest.mark.slow
def test_a_run_whose_time_is_over_goes_on_elsewhere_from_its_chain(tmp_path):
    done = tejat("train", RECIPE, "--minutes", "0.001", "--export-chain", "chain", "--out", "here", cwd=tmp_path)
    assert done.returncode == 0 and done.stdout == ""
    assert "stopped at step 1; the model so far is here/model; go on with: tejat train" in done.stderr
    (losses,) = re.findall(
        r"1 pieces of a chain in chain; text loss of the first step after it (.*?) → (.*?);", done.stderr
    )
    assert 0 < abs(float(losses[0]) - float(losses[1])) < 0.01
    words = ("train", RECIPE, "--from-chain", "chain", "--out", "there", "--json")
    done = tejat(*words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["steps"] == 30
