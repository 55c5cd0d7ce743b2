"""`tejat tokenizer` from outside: a tiny image tokenizer trained, measured and shown."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from tejat import cli, sample
from tejat.codecs import vocabulary
from tejat.codecs.vocabulary import Vocabulary
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
from tejat.train.pictures import Kind, PictureRecipe, Run
from tejat.train.scenes import Laying

def drawn(style):
    return np.stack([np.asarray(sample.picture(style, c.id)) for c in sample.concepts()[:9]])

RECIPE = PictureRecipe(
    name="tiny",
    config={CONFIG!r},
    run=Run(Schedule(steps=60, peak=1e-2, warmup=5), batch=8, grids=((4, 4),), report=20, save=20),
    kinds=lambda: [
        Kind("drawings", drawn("noto"), drawn("twemoji"), share=3),
        Kind("parts", drawn("twemoji"), drawn("noto"), laying=Laying((1.5, 2.0), mirrored=False)),
    ],
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
    assert set(told["psnr"]) == {"drawings", "parts"}
    for sides in told["psnr"].values():
        assert set(sides) == {"training", "held out"}
        for quality in sides.values():
            # The things cover a part of a picture alone.
            assert 5 < quality["inside"] != quality["whole"] < 40
    out = tmp_path / "runs" / "tiny"
    weights.read(out / "picture.safetensors", picture.params(CONFIG))
    log = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in log] == [20, 40, 50]
    assert log[-1]["loss"] < log[0]["loss"]
    with Image.open(out / "sheet.png") as sheet:
        side = 8 * int(CONFIG.budget**0.5)
        assert sheet.size == (8 * side, 8 * side)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    again = tejat("picture", "train", "tiny.py", cwd=tmp_path)
    assert again.returncode == 2 and "runs/tiny holds an earlier training" in again.stderr
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


@pytest.mark.parametrize(
    "words, told",
    [
        (("none/picture.safetensors",), "nothing beside none/picture.safetensors tells its shape"),
        (("here/picture.safetensors",), "there are no weights at here/picture.safetensors"),
        (("here/picture.safetensors", "--pictures", "0"), "--pictures 0 leaves nothing to report on"),
        (("whole", "--against", "here"), "'here' cannot be read; write it as NAME=FILE"),
        (("whole", "--against", "ours=whole"), "two tokenizers are called 'ours'"),
        (("whole",), "there is no corpus runs/pictures_corpus; build it with `tejat data build"),
    ],
)
def test_what_cannot_be_reported_on_is_told(words, told, tmp_path, monkeypatch, capsys, drawn):
    monkeypatch.chdir(tmp_path)
    for name in ("here", "whole"):
        Path(name).mkdir()
        Path(name, "run.json").write_text(json.dumps({"config": dataclasses.asdict(CONFIG)}))
    weights.write(Path("whole/picture.safetensors"), drawn(picture.params(CONFIG), seed=0), "int8")
    before = sorted(tmp_path.rglob("*"))
    assert cli.main(["tokenizer", "picture", "report", *words]) == 2
    said = capsys.readouterr()
    assert said.out == "" and told in said.err.splitlines()[-1]
    assert sorted(tmp_path.rglob("*")) == before


TEXT_RECIPE = """
from tejat import sample
from tejat.data.text_sample import Group, Passage
from tejat.train.text_tokenizer import TextRecipe

def prose(corpus, split):
    for language in ("en", "ru", "ja"):
        for line in sample.prose(language, split == "heldout").splitlines():
            yield Passage(line, Group(language, "prose"))

RECIPE = TextRecipe("words", read=prose, pieces=1_200, bytes=90_000, coverage=0.98)
"""


@pytest.fixture(scope="module")
def text(tmp_path_factory) -> tuple[Path, dict]:
    """A folder with a recipe and the tokenizer that it made, and what was told of it."""
    folder = tmp_path_factory.mktemp("text")
    (folder / "words.py").write_text(TEXT_RECIPE)
    done = tejat("text", "train", "words.py", "--set", "temperature=2", "--json", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder, json.loads(done.stdout)


def test_a_text_tokenizer_is_trained_and_its_sample_told(text):
    folder, told = text
    assert told["directory"] == "runs/words" and told["pieces"] == 1_200 and told["temperature"] == 2
    assert {group["language"] for group in told["groups"]} == {"en", "ru", "ja"}
    assert Vocabulary.load(folder / "runs/words/tokenizer.model", 0).size == 1_200


def test_text_tokenizers_are_compared(text):
    folder, _ = text
    (folder / "english.model").write_bytes(vocabulary.train(sample.prose("en").splitlines(), 1_200))
    done = tejat("text", "report", "words.py", "--against", "english=english.model", "--json", cwd=folder)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["tokenizers"] == {"ours": {"pieces": 1_200}, "english": {"pieces": 1_200}}
    rows = {row["name"]: row["bytes_per_token"] for row in told["languages"]}
    assert rows["en"]["english"] > rows["en"]["ours"] > 1.5
    assert rows["ru"]["ours"] > 2 * rows["ru"]["english"] > 1
    written = json.loads((folder / "runs/words/report.json").read_text())
    assert written == {key: value for key, value in told.items() if key != "directory"}
    with Image.open(folder / "runs/words/report.png") as image:
        assert image.width > 900


@pytest.mark.parametrize(
    "words, told",
    [
        (("report", "words.py", "--out", "none"), "there is no none/tokenizer.model to report on; train it first"),
        (("report", "words.py", "--against", "english"), "'english' cannot be read; write it as NAME=FILE"),
        (("report", "words.py", "--against", "a=none.model"), "there is no tokenizer none.model"),
        (("report", "words.py", "--against", "a=words.py"), "is not a SentencePiece model"),
        (("train", "words.py", "--steps", "3", "--out", "new"), "--steps is of `tejat tokenizer text report` alone"),
        (("train", "words.py"), "runs/words holds an earlier tokenizer"),
        (("train", "words.py", "--set", "pieces=20000", "--out", "new"), "the text has only"),
    ],
)
def test_what_cannot_be_trained_or_compared_is_told(text, words, told, capsys, monkeypatch):
    folder, _ = text
    monkeypatch.chdir(folder)
    before = sorted(folder.rglob("*"))
    assert cli.main(["tokenizer", "text", *words]) == 2
    said = capsys.readouterr()
    assert said.out == "" and told in said.err.splitlines()[-1]
    assert sorted(folder.rglob("*")) == before


def test_a_recipe_of_another_kind_is_told(tmp_path):
    (tmp_path / "other.py").write_text("RECIPE = 1\n")
    done = tejat("picture", "train", "other.py", cwd=tmp_path)
    assert done.returncode == 2 and "defines no RECIPE of type PictureRecipe" in done.stderr
    assert not (tmp_path / "runs").exists()


def test_a_picture_tokenizer_goes_on_only_with_its_own_run(tmp_path, monkeypatch, capsys):
    (tmp_path / "tiny.py").write_text(RECIPE)
    monkeypatch.chdir(tmp_path)
    steps = ("--set", "run.schedule.steps=20")
    assert cli.main(["tokenizer", "picture", "train", "tiny.py", *steps, "--seconds", "0.001", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["step"], told["steps"]) == (0, 20)
    for words, said in (
        (("tiny.py", *steps), "go on with it with --resume"),
        (("tiny.py", "--resume"), "was begun with run.schedule.steps = 20"),
        (("tiny.py", "--seconds", "0"), "--seconds 0 leaves no time"),
        (("tiny.py", "--out", "judged", "--set", "run.perceptual=0.5"), "name its directory with --judge"),
        (("tiny.py", "--out", "judged", "--judge", "runs/judge"), "--judge is for run.perceptual"),
    ):
        assert cli.main(["tokenizer", "picture", "train", *words]) == 2
        assert said in capsys.readouterr().err.splitlines()[-1]
    # That a run which goes on comes to the same weights is tested in tests/train/test_pictures.py.
    again = ("--resume", "--seconds", "0.001", "--json")
    assert cli.main(["tokenizer", "picture", "train", "tiny.py", *steps, *again]) == 0
    assert json.loads(capsys.readouterr().out)["step"] == 0
    # Another run begins with these weights: where there is no time to train, they are what it ends with.
    words = ("tiny.py", "--begin", "runs/tiny/picture.safetensors", "--out", "more", "--seconds", "0.001", "--json")
    assert cli.main(["tokenizer", "picture", "train", *words]) == 0
    assert Path("more/picture.safetensors").read_bytes() == Path("runs/tiny/picture.safetensors").read_bytes()
    words = ("tiny.py", "--begin", "none.safetensors", "--out", "new")
    capsys.readouterr()
    assert cli.main(["tokenizer", "picture", "train", *words]) == 2
    assert "there are no weights at none.safetensors" in capsys.readouterr().err
    assert not Path("new").exists()
