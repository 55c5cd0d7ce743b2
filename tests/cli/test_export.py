"""`tejat export` and `tejat import` from outside."""

import dataclasses
import json
import re
import shutil
import signal
import subprocess
import sys
from functools import partial
from urllib.request import urlopen

import pytest

from tejat import bundle, cli
from tejat.cli.export import Progress
from tejat.export import app
from tejat.model import multimodal


def tejat(*words) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tejat", *map(str, words)], capture_output=True, text=True, timeout=120
    )


@pytest.fixture(scope="module")
def model(micro, drawn, tmp_path_factory):
    """A model that a Gemma 4 checkpoint can hold: `micro` without its ear."""
    config = dataclasses.replace(micro.config, audio=None)
    folder = tmp_path_factory.mktemp("models") / "model"
    bundle.save(
        folder, dataclasses.replace(micro, config=config, params=drawn(multimodal.params(config), 0)), "bfloat16"
    )
    return folder


@pytest.fixture(scope="module")
def exported(model):
    folder = model.parent / "exported"
    done = tejat("export", "huggingface", model, folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"{folder} holds ") and done.stdout.endswith(" bytes of weights\n")
    return folder


def test_there_and_back(model, exported, tmp_path):
    done = tejat("import", "huggingface", exported, tmp_path / "back", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    told = json.loads(done.stdout)
    assert told["directory"] == str(tmp_path / "back") and told["unread"] == [] and told["tensors"] > 50
    again = tejat("export", "huggingface", tmp_path / "back", tmp_path / "again", "--json")
    assert json.loads(again.stdout) == {**told, "directory": str(tmp_path / "again"), "unread": []}
    for path in exported.iterdir():
        assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes(), path.name
    assert bundle.load(tmp_path / "back").vocabulary.model == bundle.load(model).vocabulary.model


def refused(done, *words):
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith("tejat: error: ") and done.stderr.count("\n") == 1
    for word in words:
        assert word in done.stderr


def test_onnx_is_a_directory_with_a_manifest(model, tmp_path):
    pytest.importorskip("onnx")
    told = json.loads(tejat("export", "onnx", model, tmp_path / "out", "--json").stdout)
    there = {path.name: path.stat().st_size for path in (tmp_path / "out").iterdir()}
    assert told == {"directory": str(tmp_path / "out"), "bytes": sum(there.values()), "files": there}
    assert {"decoder.onnx", "vision.onnx", "picture_decoder.onnx", "manifest.json"} < {*there}
    refused(tejat("export", "onnx", model, tmp_path / "out"), f"{tmp_path / 'out'} is there already")
    refused(tejat("export", "onnx", model, tmp_path / "no", "--type", "F16"), "--type is of `tejat export gguf` alone")


def test_gguf_is_a_file(model, tmp_path):
    pytest.importorskip("gguf")
    done = tejat("export", "gguf", model, tmp_path / "out.gguf", "--type", "Q8_0", "--json")
    told = json.loads(done.stdout)
    assert told["type"] == "Q8_0" and told["bytes"] == (tmp_path / "out.gguf").stat().st_size
    assert done.stderr.splitlines() == [f"tejat: {line}" for line in told["left_out"]] and told["left_out"]
    refused(tejat("export", "gguf", model, tmp_path / "out.gguf"), "out.gguf is there already")


def test_an_app_needs_its_runtime_and_its_flags_are_its_own(model, tmp_path, monkeypatch, capsys):
    pytest.importorskip("onnx")
    monkeypatch.chdir(tmp_path)
    for words, told in (
        (
            ("app", str(model), "out"),
            "there is no npm package onnxruntime-web in node_modules/onnxruntime-web; run `npm",
        ),
        (
            ("app", str(model), "out", "--serve", "--runtime", "no"),
            "there is no npm package onnxruntime-web in no; run",
        ),
        (
            ("onnx", str(model), "out", "--serve"),
            "--serve is of `tejat export app` alone; leave it out",
        ),
        (("gguf", str(model), "out", "--cache", "8"), "--cache is of `tejat export onnx` alone"),
        (("gguf", str(model), "out", "--runtime", "no"), "--runtime is of `tejat export app` alone"),
    ):
        assert cli.main(["export", *words]) == 2
        out, err = capsys.readouterr()
        assert out == "" and err.startswith("tejat: error: ") and told in err and err.count("\n") == 1
    assert not any(tmp_path.iterdir())


@pytest.mark.slow
def test_an_app_is_served_until_ctrl_c(model, tmp_path):
    pytest.importorskip("onnx")
    package = tmp_path / "package"
    (package / "dist").mkdir(parents=True)
    (package / "package.json").write_text(json.dumps({"name": app.PACKAGE, "version": "1.30.0"}))
    for name in app.FILES:
        (package / "dist" / name).write_text(name)
    words = ["export", "app", model, tmp_path / "out", "--runtime", package, "--serve", "--port", "0"]
    for _ in range(2):  # written, and there already
        with subprocess.Popen(
            [sys.executable, "-m", "tejat", *map(str, words)],
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),  # tests in the background ignore it
        ) as process:
            try:
                assert process.stderr is not None
                url = next(found[1] for line in process.stderr if (found := re.search(r"at (http://\S+/);", line)))
                with urlopen(url) as answer:
                    assert "<title>Tejat on this device</title>" in answer.read().decode()
                process.send_signal(signal.SIGINT)
                assert process.wait(20) == 0 and process.stderr.read() == "ended\n"
            finally:
                process.kill()


def test_what_cannot_be_used_is_told_in_one_line(micro, model, exported, tmp_path):
    refused(tejat("export", "huggingface", "nothing", tmp_path / "out"), "there is no model 'nothing'")
    refused(tejat("export", "huggingface", model, exported), f"{exported} is there already")
    refused(tejat("import", "huggingface", tmp_path, tmp_path / "out"), f"{tmp_path / 'config.json'}")
    bundle.save(tmp_path / "micro", micro)
    refused(tejat("export", "huggingface", tmp_path / "micro", tmp_path / "out"), "no place for audio.mels")
    damaged = shutil.copytree(exported, tmp_path / "damaged")
    with (damaged / "model.safetensors").open("r+b") as file:
        file.truncate(100_000)
    refused(tejat("import", "huggingface", damaged, tmp_path / "out"), "model.safetensors is not a whole")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["damaged", "micro"]


@pytest.mark.parametrize("verb", ["export", "import"])
def test_help_has_an_example(verb):
    done = tejat(verb, "--help")
    assert done.returncode == 0 and f"tejat {verb} huggingface " in done.stdout


def test_long_work_tells_how_far_it_is(monkeypatch, capsys):
    now = iter([9.0, 10.0, 11.5, 12.0, 14.0])  # of which the first nine went by before there was anything to tell
    monkeypatch.setattr("time.monotonic", lambda: next(now))
    progress = Progress("exporting")
    for done in (0, 100, 250, 300, 500):
        progress(done * 10**6, 500 * 10**6)
    first, last = capsys.readouterr().err.splitlines()  # nothing after one second, nor half a second after a line
    assert first == "exporting: 250 of 500 MB, 100 MB/s, 2 s left"
    assert last == "exporting: 500 of 500 MB, 100 MB/s, 0 s left"


def test_short_work_is_silent(monkeypatch, capsys):
    now = iter([9.0, 10.9])
    monkeypatch.setattr("time.monotonic", lambda: next(now))
    progress = Progress("exporting")
    progress(1, 2)
    progress(2, 2)
    assert capsys.readouterr().err == ""
