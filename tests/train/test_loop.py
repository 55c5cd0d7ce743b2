"""A run that is killed anywhere goes on, in another process, to the same losses and weights, to the bit."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tejat import bundle
from tejat.errors import BadInput
from tejat.train import loop, recipe

HERE = Path(__file__).parent
RECIPE = recipe.read(HERE / "smallest.py")
PROGRAM = """
import sys
from dataclasses import replace
from pathlib import Path
from tejat.train import loop, recipe
directory, how, workers = sys.argv[1:]
loop.train(replace(recipe.read(Path("smallest.py")), workers=int(workers)), Path(directory), resume=how == "resume")
"""


def start(directory: Path, how: str, workers: int = 0) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, "-c", PROGRAM, str(directory), how, str(workers)], cwd=HERE)


def losses(directory: Path) -> list[tuple]:
    lines = [json.loads(line) for line in (directory / "log.jsonl").read_text().splitlines()]
    told = ("step", "tokens", "text_loss", "picture_loss", "gradient_norm", "documents")
    return [tuple(line[name] for name in told) for line in lines]


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    directory = tmp_path_factory.mktemp("whole")
    assert start(directory, "begin").wait() == 0
    return directory


def test_a_run_leaves_what_it_should(whole):
    kept = losses(whole)
    assert [line[0] for line in kept] == [4, 8, 12, 16, 20, 24, 28, 30]
    assert kept[-1][2] < kept[0][2]
    assert (whole / "loss.png").read_bytes()[:4] == b"\x89PNG"
    assert {path.name for path in (whole / "model").iterdir()} == {
        "config.json",
        "tokenizer.model",
        "model.safetensors",
        "picture.safetensors",
    }


def killed(directory: Path, how: str, lines: int, workers: int = 0) -> None:
    """Runs until the log has so many lines, then kills."""
    process = start(directory, how, workers)
    log, deadline = directory / "log.jsonl", time.monotonic() + 120
    while not (log.is_file() and log.read_text().count("\n") >= lines) and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL


def test_killed_twice_and_resumed_it_is_the_same_to_the_bit(whole, tmp_path):
    directory = tmp_path / "run"
    killed(directory, "begin", lines=1)  # about where the first checkpoint is being written
    killed(directory, "resume", lines=4, workers=1)  # what makes the batches makes no difference
    assert start(directory, "resume").wait() == 0
    assert losses(directory) == losses(whole)
    for name in ("model.safetensors", "tokenizer.model", "config.json"):
        assert (directory / "model" / name).read_bytes() == (whole / "model" / name).read_bytes()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_finishes_the_step_and_saves_and_the_run_goes_on_to_the_same(whole, tmp_path, number):
    def told(line):
        if line["step"] == 8:
            signal.raise_signal(number)

    before = signal.getsignal(number)
    with pytest.raises(loop.Stopped, match="stopped at step 9"):
        loop.train(RECIPE, tmp_path, told=told)
    assert signal.getsignal(number) is before
    assert "9" in {path.name for path in (tmp_path / "checkpoints").iterdir()}
    so_far = bundle.load(tmp_path / "model").params["decoder"]["final_norm"]
    assert not np.array_equal(so_far, bundle.load(whole / "model").params["decoder"]["final_norm"])
    loop.train(RECIPE, tmp_path, resume=True)
    assert losses(tmp_path) == losses(whole)
    assert (tmp_path / "model" / "model.safetensors").read_bytes() == (
        whole / "model" / "model.safetensors"
    ).read_bytes()


def test_a_run_is_not_begun_over_another(whole):
    with pytest.raises(BadInput, match="reached step 30; go on with --resume"):
        loop.train(RECIPE, whole)


def test_nothing_to_resume_is_told(tmp_path):
    with pytest.raises(BadInput, match="holds no run to resume"):
        loop.train(RECIPE, tmp_path, resume=True)


def test_a_loss_that_is_no_number_is_told_with_its_step():
    good = {"text_loss": np.float32(1), "gradient_norm": np.float32(2)}
    with pytest.raises(loop.Diverged, match="the gradient norm of step 9 is nan"):
        loop.numbers([good, good | {"gradient_norm": np.float32(np.nan)}, good], last=10)
