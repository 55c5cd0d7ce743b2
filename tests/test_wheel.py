"""The wheel, built and unpacked outside the clone, is all that a user needs."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tejat import sample

REPOSITORY = Path(__file__).parents[1]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    words = ["wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(REPOSITORY)]
    subprocess.run([sys.executable, "-m", "pip", *words], check=True, timeout=300)
    (built,) = folder.glob("tejat-*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path) -> Path:
    """A folder with the package and nothing else; its dependencies are those of the environment of the tests."""
    folder = wheel.parent / "installed"
    words = ["install", "--quiet", "--no-deps", "--no-index", "--target", str(folder), str(wheel)]
    subprocess.run([sys.executable, "-m", "pip", *words], check=True, timeout=300)
    return folder


def python(installed: Path, *words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Python in a folder outside the clone, where `tejat` is the installed one."""
    return subprocess.run(
        [sys.executable, *words],
        capture_output=True,
        text=True,
        timeout=400,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(installed)},
    )


def test_it_carries_the_sample_the_weights_and_the_licences(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    package = REPOSITORY / "tejat"
    files = {path.relative_to(REPOSITORY).as_posix() for path in package.rglob("*") if path.is_file()}
    assert {name for name in files if "__pycache__" not in name} <= names
    assert {
        "tejat/weights/mini/model.safetensors",
        "tejat/weights/pictures/micro.safetensors",
        "tejat/sample/LICENSES.md",
        "tejat/evals/report.css",
    } <= names
    assert sum(name.startswith("tejat/sample/pictures/") for name in names) == 3 * len(sample.concepts())
    assert {Path(name).name for name in names if "/licenses/" in name} == {"LICENSE", "NOTICE"}
    assert wheel.stat().st_size < 48e6


def test_the_verbs_work_outside_the_clone(installed: Path, tmp_path: Path) -> None:
    told = python(installed, "-c", "import tejat; print(tejat.__file__)", cwd=tmp_path)
    assert Path(told.stdout.strip()) == installed / "tejat" / "__init__.py"
    listed = python(installed, "-m", "tejat", "--help", cwd=tmp_path)
    assert listed.returncode == 0 and "  demo " in listed.stdout
    doctor = json.loads(python(installed, "-m", "tejat", "doctor", "--json", cwd=tmp_path).stdout)
    assert doctor["ok"] and doctor["sample"]["present"] and doctor["weights"]["present"]
    family = json.loads(python(installed, "-m", "tejat", "family", "--json", cwd=tmp_path).stdout)
    assert [member["name"] for member in family][-1] == "micro"


def test_the_demo_trains_a_model_that_answers_outside_the_clone(installed: Path, tmp_path: Path) -> None:
    short = "import sys; from tejat.cli import demo; sys.exit(demo.main(['--steps', '2'], limit=2))"
    done = python(installed, "-c", short, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "runs" / "demo" / "report.html").is_file()
    words = ("-m", "tejat", "generate", "Hello", "--json", "--max-tokens", "3")  # mini is the default
    answer = python(installed, *words, cwd=tmp_path)
    assert answer.returncode == 0, answer.stderr
    assert json.loads(answer.stdout)["usage"]["answer"]["total"] <= 3
