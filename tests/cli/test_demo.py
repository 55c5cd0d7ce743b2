"""`tejat demo` from outside: two steps of training and two questions a task, by the code that a user runs."""

import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from tejat import media
from tejat.cli import demo, exhibit, main, mini_tour
from tejat.evals import harness, suites
from tejat.evals.harness import Row
from tejat.parts import Audio, Image, Text, Video
from tejat.train import loop

REPOSITORY = Path(__file__).parents[2]
SHORT = f"import sys; sys.argv[0] = '{Path(sys.executable).with_name('tejat')}'; from tejat.cli import demo, main; "
SHORT += "import functools; demo.main = functools.partial(demo.main, limit=2); sys.exit(main(sys.argv[1:]))"

# What Python runs before all else, in each process of a demo: none of them reaches a network, this machine's included.
NO_NETWORK = """
import socket, sys
def hook(event, args):
    local = event == "socket.connect" and args[0].family == socket.AF_UNIX
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname") and not local:
        raise OSError("there is no network")
sys.addaudithook(hook)
"""

KINDS = [
    *("itself", "a sum and its steps", "a capital", "a currency", "a text translated", "a text summed up"),
    *("a value by its key in a long list", "a drawing named in ten languages", "another line style: outlines alone"),
    *("a thing that it never saw, by category", "all that a picture shows", "how many there are"),
    *("handwriting", "a chart's value", "sub-plots to matplotlib code"),
    *("the wrong step of a page of physics", "a spoken word", "a spoken sentence", "speech translated"),
    *("speech and a picture", "a thing that moves", "advice on a thrown ball", "a drawing"),
    "a drawing asked for in German",
]
"""What the issue that mini was made by asks it to show, in the order of the tour."""


def start(*words: str, cwd: Path, program: str = SHORT) -> subprocess.Popen[str]:
    """`tejat demo` with two items for each task, without a network."""
    site = cwd / "site"
    site.mkdir(exist_ok=True)
    (site / "sitecustomize.py").write_text(NO_NETWORK)
    return subprocess.Popen(
        [sys.executable, "-c", program, "demo", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": f"{site}{os.pathsep}{REPOSITORY}"},
    )


def tejat(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    running = start(*words, cwd=cwd)
    out, err = running.communicate(timeout=600)
    return subprocess.CompletedProcess(words, running.returncode, out, err)


@pytest.fixture(scope="module")
def toured(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """Where a demo ran, and what it said."""
    folder = tmp_path_factory.mktemp("tour")
    return folder, tejat("--steps", "2", cwd=folder)


def test_plain_lines_tell_what_will_happen_happens_and_what_to_do_next(toured) -> None:
    folder, done = toured
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line[:3] for line in lines[:3]] == ["1. ", "2. ", "3. "]
    assert "\x1b" not in done.stdout + done.stderr and "\r" not in done.stderr
    assert re.search(r"^training: 2/2, text loss \d\.\d\d", done.stderr, re.MULTILINE)
    micro, mini = done.stdout.split(mini_tour.HEADING)
    # A program that mini wrote has no mark where there is no sandbox to run it in.
    for told, asked, marked in ((micro, 5, (5,)), (mini, 33, (27, 28))):
        assert len(re.findall(r"^  asked     ", told, re.MULTILINE)) == asked
        assert len(re.findall(r"^  answered  .*  [✓✗] (right|wrong)$", told, re.MULTILINE)) in marked
    assert re.findall(r"^  task      (.*?)(?:, [0-9,]+ tokens)?$", mini, re.MULTILINE) == KINDS
    assert len(re.findall("✓ right", mini)) >= 10
    assert len(re.findall(r"^  answered  .* and a picture\n", mini, re.MULTILINE)) == 2
    assert re.search(r"^  read      \w+.*\n  wrote     ", done.stdout, re.MULTILINE)
    for task in ("caption", "spoken", "motion"):
        told = rf"^{task}: right \d\.\d+, interval .*, n 2, .*≥ 3 × chance (yes|no), ≥ 2 × blanked (yes|no)$"
        assert re.search(told, done.stdout, re.MULTILINE)
    assert any(line.split("  ")[1].endswith(" chat --model runs/demo/model") for line in lines if line[:2] == "  ")


def test_what_it_writes(toured) -> None:
    demo_at = toured[0] / "runs" / "demo"
    page = (demo_at / "report.html").read_text()
    assert "text loss" in page and "data:audio/wav" in page and "micro, 2 steps" in page and "Going on" in page
    found = json.loads((demo_at / "results.json").read_text())
    assert [task["name"] for task in found["tasks"]] == ["caption", "spoken", "motion", "fact", "draw", "whether"]
    assert found["peak_memory_bytes"] < 4 * 2**30 and found["seconds"]["training"] > 1
    tasks = [re.sub(", [0-9,]+ tokens$", "", told["task"]) for told in found["mini"]]
    assert list(dict.fromkeys(tasks)) == KINDS and tasks.count("a drawing named in ten languages") == 10
    assert all(told["asked"] and told["answered"] for told in found["mini"])
    _, _, shown = page.partition(f"<h2>{mini_tour.HEADING}</h2>")
    seen = [shown.count(part) for part in ('class="note"', "data:audio/wav", 'class="strip"', "<small>drawn")]
    assert seen == [len(tasks), 4, 2, 2]
    steps = [json.loads(line)["step"] for line in (demo_at / "log.jsonl").read_text().splitlines()]
    assert steps[-1] == 2


def test_a_demo_that_reached_for_a_network_would_fail(tmp_path: Path) -> None:
    running = start(cwd=tmp_path, program="import socket; socket.create_connection(('localhost', 80))")
    assert "OSError: there is no network" in running.communicate(timeout=60)[1]


@pytest.mark.slow
def test_the_same_model_again_gives_the_same_answers_without_training(toured) -> None:
    folder, done = toured
    weights = folder / "runs" / "demo" / "model" / "model.safetensors"
    before = weights.stat().st_mtime_ns
    again = tejat("--no-train", cwd=folder)
    assert again.returncode == 0, again.stderr
    assert "training" not in again.stderr and weights.stat().st_mtime_ns == before
    answers = re.findall(r"^  answered .*$", done.stdout, re.MULTILINE)
    assert re.findall(r"^  answered .*$", again.stdout, re.MULTILINE) == answers
    assert "(training" in again.stdout  # what it took when it ran


@pytest.mark.slow
def test_ctrl_c_is_130_and_one_line(toured, tmp_path: Path) -> None:
    running = start("--steps", "5000", "--out", "here", cwd=tmp_path)
    while running.stderr.readline() != "training: compiling\n":
        assert running.poll() is None
    time.sleep(3)
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=120)
    assert running.returncode == 130
    assert err.splitlines()[-1] == "tejat: stopped"
    assert "Traceback" not in err
    assert not (tmp_path / "here" / "report.html").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--steps", "0"], "--steps is 0; give at least 1"),
        (["--seed", "-1"], "--seed is -1; give a whole number from 0 to 2,147,483,647"),
        (["--no-train"], "no demo has trained a model in runs/demo; run `tejat demo` without --no-train first"),
        (["--out", "mine"], "mine holds files that no demo wrote; give another directory with --out"),
        (["--out", "mine/thesis.txt"], "mine/thesis.txt is a file; give a directory with --out"),
    ],
)
def test_bad_input_is_one_sentence_and_touches_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    monkeypatch.chdir(tmp_path)
    assert main(["demo", *words]) == 2
    assert capsys.readouterr() == ("", f"tejat: error: {message}\n")
    assert [path.name for path in tmp_path.rglob("*")] == ["mine", "thesis.txt"]


def test_help_has_an_example(tmp_path: Path) -> None:
    done = tejat("--help", cwd=tmp_path)
    assert done.returncode == 0 and "Example: tejat demo --steps 200" in done.stdout


def test_an_earlier_demo_is_removed_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "demo"
    (out / "model").mkdir(parents=True)
    for name in ("demo.json", "report.html", "model/config.json", "notes.txt"):
        (out / name).write_text("{}")

    def train(recipe, directory: Path, told) -> None:
        assert {path.name for path in directory.iterdir()} == {"demo.json", "notes.txt"}
        assert (recipe.schedule.steps, recipe.seed) == (7, 3)
        raise KeyboardInterrupt

    monkeypatch.setattr("tejat.train.loop.train", train)
    with pytest.raises(KeyboardInterrupt):
        demo.main(["--out", str(out), "--steps", "7", "--seed", "3"])
    assert json.loads((out / "demo.json").read_text()) == {"steps": 7, "seed": 3}


def test_training_that_fails_is_told_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def train(recipe, directory: Path, told) -> None:
        raise loop.Diverged("text loss is nan at step 3: lower schedule.peak, or look at the data there")

    monkeypatch.setattr(loop, "train", train)
    assert demo.main(["--out", str(tmp_path / "demo")]) == 1
    assert capsys.readouterr().err.splitlines()[-1].startswith("tejat: error: text loss is nan at step 3")
    assert not (tmp_path / "demo" / "report.html").exists()


@pytest.mark.parametrize(
    ("low", "factor", "level", "told"),
    [
        (0.31, 3, 0.1, "yes"),
        (0.29, 3, 0.1, "no"),
        (0.0, 2, 0.0, "no"),  # nothing right is twice nothing, and no success
        (0.1, 2, 0.0, "yes"),
        (0.9, 3, 0.5, "–"),
        (0.9, 2, None, "–"),
    ],
)
def test_when_an_interval_is_clear_of_a_level(low: float, factor: float, level: float | None, told: str) -> None:
    row = Row("tour", "caption", "", "higher", "proportion", 0.5, 0.1, low, 1.0, n=9, clusters=9)
    assert demo._clears(row, factor, level) == told


def test_an_exhibit_marks_what_is_wrong_and_says_what_was_expected(capsys: pytest.CaptureFixture[str]) -> None:
    picture = Image(np.zeros((8, 6, 3), np.uint8))
    exhibit.show((picture, Text("What?")), (Text("a\x1b[2J\ncat"),), "dog", False)
    assert capsys.readouterr().out.splitlines() == [
        "  a picture of 6 x 8 pixels",
        "  asked     What?",
        "  answered  a\ufffd[2J cat  ✗ wrong",
        "  expected  dog",
    ]
    clip, sound = Video(np.zeros((2, 4, 4, 3), np.uint8), (0.0, 0.5)), Audio(np.zeros(8_000, np.float32))
    exhibit.show((clip, sound, Text("What?")), (Text("dog"), picture), "dog", True)
    assert capsys.readouterr().out.splitlines() == [
        "  a clip of 2 frames",
        "  a sound 0.5 s",
        "  asked     What?",
        "  answered  dog and a picture  ✓ right",
    ]


def test_what_it_draws_is_saved(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    drawn = Image(np.full((64, 64, 3), (255, 0, 0), np.uint8))

    class Draws:
        def generate_batch(self, prompts, **options):
            return [SimpleNamespace(parts=(Text("cat"), drawn)) for _ in prompts]

    (task,) = (task for task in suites.tasks("tour") if task.name == "draw")
    (result,) = harness.run(Draws(), [task], tmp_path, fingerprint="f", limit=3, stream=io.StringIO())
    demo._exhibit(result, demo.Demo(out=tmp_path))
    assert np.array_equal(media.read_image(tmp_path / "drawn.png").pixels, drawn.pixels)
    assert f"saved     {tmp_path / 'drawn.png'}" in capsys.readouterr().out


def test_in_a_terminal_the_drawing_stands_beside_its_nearest(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tejat.cli.picture_in_terminal.shown", lambda: True)
    drawn = Image(np.full((64, 64, 3), (255, 0, 0), np.uint8))
    nearest = Image(np.full((96, 96, 3), (0, 0, 255), np.uint8))
    exhibit.show((Text("Draw!"),), (drawn,), "cat", True, nearest)
    _, said, head, *rows = capsys.readouterr().out.splitlines()
    assert said == "  answered  (nothing) and a picture  ✓ right"
    assert head.index("nearest") - head.index("drawn") == 33
    assert len(rows) == 16
    for row in rows:
        cells = re.findall(r"38;2;(\d+);(\d+);(\d+)", row)
        assert cells[0] == ("255", "0", "0") and cells[-1] == ("0", "0", "255") and len(cells) == 65


def test_a_waveform_is_loud_where_the_sound_is() -> None:
    ramp = Audio(np.linspace(0, 0.5, 1_600, dtype=np.float32))
    assert exhibit.waveform(ramp, 8) == "▁▂▃▄▅▆▇█"
    assert exhibit.waveform(Audio(np.zeros(1_600, np.float32)), 4) == "    "
    assert exhibit.waveform(Audio(np.full(2, 0.5, np.float32)), 4) == "██  "
