"""What everybody fetches stays small: the weights, the sample, a checkout, and the history of the weights."""

import shutil
import subprocess
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
WEIGHTS, SAMPLE = REPOSITORY / "tejat" / "weights", REPOSITORY / "tejat" / "sample"


def size(*paths: Path) -> int:
    """Bytes of files, and of all files in folders; what Python has compiled is nobody's to fetch."""
    files = [file for path in paths for file in (path.rglob("*") if path.is_dir() else [path]) if file.is_file()]
    return sum(file.stat().st_size for file in files if "__pycache__" not in file.parts)


def git(*words: str, asked: str | None = None) -> str:
    """What git tells of this repository; where this is no checkout of it, as in an unpacked archive, nothing can be."""
    if shutil.which("git") is None or not (REPOSITORY / ".git").exists():
        pytest.skip("this is no checkout of the repository")
    # Whoever owns the folder: in a container it may be somebody else.
    command = ["git", "-c", f"safe.directory={REPOSITORY}", "-C", str(REPOSITORY), *words]
    return subprocess.run(command, input=asked, capture_output=True, text=True, check=True, timeout=60).stdout


def test_sizes_are_of_all_files_below(tmp_path: Path) -> None:
    (tmp_path / "a" / "__pycache__").mkdir(parents=True)
    for name, count in (("one", 3), ("a/two", 4), ("a/__pycache__/three", 50)):
        (tmp_path / name).write_bytes(bytes(count))
    assert size(tmp_path) == 7 and size(tmp_path / "one", tmp_path / "a") == 7


def test_the_weights_that_ship() -> None:
    assert 1e6 < size(WEIGHTS) <= 40e6


def test_the_sample() -> None:
    assert 1e5 < size(SAMPLE) <= 5e6


def test_a_checkout() -> None:
    tracked = [REPOSITORY / name for name in git("ls-files", "-z").split("\0") if name]
    assert WEIGHTS / "mini" / "model.safetensors" in tracked
    assert 1e6 < size(*(path for path in tracked if path.is_file())) <= 48e6


def test_the_history_of_the_weights() -> None:
    """Every version is in every clone."""
    objects = git("rev-list", "--objects", "HEAD", "--", "tejat/weights")
    told = git("cat-file", "--batch-check=%(objecttype) %(objectsize)", asked="\n".join(map(_id, objects.splitlines())))
    blobs = [int(line.split()[1]) for line in told.splitlines() if line.startswith("blob")]
    assert size(WEIGHTS) <= sum(blobs) <= 160e6


def test_the_wheel_carries_the_weights() -> None:
    """As its build is told to; what a built one has is looked at in test_wheel."""
    wheel = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    files = [path.relative_to(REPOSITORY).as_posix() for path in WEIGHTS.rglob("*") if path.is_file()]
    assert wheel["packages"] == ["tejat"] and len(files) > 3
    assert all(any(fnmatch(name, pattern) for pattern in wheel["artifacts"]) for name in files)


def _id(line: str) -> str:
    return line.partition(" ")[0]
