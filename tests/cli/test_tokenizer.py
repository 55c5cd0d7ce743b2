"""`tejat tokenizer` from outside: a tiny image tokenizer trained, measured and shown."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from tejat.model import picture, weights
from tejat.model.picture import PictureConfig

CONFIG = PictureConfig(
    width=16, encoder_layers=1, decoder_layers=1, heads=1, head_width=16, mlp=16, patch=8, levels=(8, 8, 8), table=8
)
RECIPE = f"""
import numpy as np
from tejat import sample
from tejat.model.picture import PictureConfig
from tejat.train.optimizer import Schedule
from tejat.train.pictures import PictureRecipe, Run

def drawn(style):
    return np.stack([np.asarray(sample.picture(style, c.id)) for c in sample.concepts()[:9]])

RECIPE = PictureRecipe(
    name="tiny",
    config={CONFIG!r},
    run=Run(Schedule(steps=60, peak=1e-2, warmup=5), batch=8, grids=((4, 4),), report=20),
    drawings=lambda: drawn("noto"),
    heldout=lambda: drawn("twemoji"),
)
"""


def tejat(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    words = (sys.executable, "-m", "tejat", "tokenizer", *words)
    return subprocess.run(words, capture_output=True, text=True, timeout=200, cwd=cwd)


def test_it_is_trained_measured_and_shown(tmp_path):
    (tmp_path / "tiny.py").write_text(RECIPE)
    done = tejat("picture", "train", "tiny.py", "--set", "run.schedule.steps=50", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["name"] == "tiny" and told["directory"] == "runs/tiny"
    assert set(told["psnr"]) == {"training", "held out"}
    assert all(5 < value < 40 for value in told["psnr"].values())
    out = tmp_path / "runs" / "tiny"
    weights.read(out / "picture.safetensors", picture.params(CONFIG))
    log = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in log] == [20, 40, 50]
    assert log[-1]["loss"] < log[0]["loss"]
    with Image.open(out / "sheet.png") as sheet:
        side = 8 * int(CONFIG.budget**0.5)
        assert sheet.size == (8 * side, 4 * side)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    again = tejat("picture", "train", "tiny.py", cwd=tmp_path)
    assert again.returncode == 2 and "runs/tiny holds an earlier training" in again.stderr
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


@pytest.mark.parametrize("words", [("text", "train"), ("text", "report"), ("picture", "report")])
def test_what_comes_later_says_so(words, tmp_path):
    done = tejat(*words, "any.py", cwd=tmp_path)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith(f"tejat: error: `tejat tokenizer {' '.join(words)}` arrives with ")


def test_a_recipe_of_another_kind_is_told(tmp_path):
    (tmp_path / "other.py").write_text("RECIPE = 1\n")
    done = tejat("picture", "train", "other.py", cwd=tmp_path)
    assert done.returncode == 2 and "defines no RECIPE of type PictureRecipe" in done.stderr
    assert not (tmp_path / "runs").exists()
