"""Packages, by a real pip from a folder of wheels: cached, hashed, and what is newer is told."""

import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from tejat.data.corpus import packages
from tejat.data.corpus.packages import Absent, Package, difference, fetch, get
from tejat.errors import BadInput

WORDS = Package("pypi", "tejat-test-words")


def wheel(folder: Path, version: str, words: str) -> None:
    name, info = f"tejat_test_words-{version}", f"tejat_test_words-{version}.dist-info"
    with zipfile.ZipFile(folder / f"{name}-py3-none-any.whl", "w") as archive:
        archive.writestr("words/words.txt", words)
        archive.writestr("words/__init__.py", "raise SystemExit('nothing of a package is run')")
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: tejat-test-words\nVersion: {version}\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")


@pytest.fixture
def registry(tmp_path, monkeypatch) -> Path:
    folder = tmp_path / "registry"
    folder.mkdir()
    for name, value in {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(folder), "XDG_CACHE_HOME": str(tmp_path)}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(packages, "pinned", dict)
    return folder


def test_a_package_is_fetched_once_and_its_hash_is_of_its_content(registry, tmp_path):
    wheel(registry, "1.0", "one two")
    first = get(WORDS)
    assert first.pin.version == "1.0" and first.pin.files == 5
    assert (first.path / "words/words.txt").read_text() == "one two"
    pinned = {str(WORDS): first.pin}
    packages.pinned = lambda: pinned  # of the fixture's, which goes with it
    assert difference(first) == []
    shutil.rmtree(registry)  # from the cache now
    assert fetch("pypi", "tejat-test-words") == first.path
    registry.mkdir()
    wheel(registry, "1.0", "one two")
    shutil.rmtree(tmp_path / "tejat")
    assert get(WORDS).pin == first.pin


def test_what_is_newer_is_taken_and_told(registry, monkeypatch):
    wheel(registry, "1.0", "one two")
    old = get(WORDS)
    monkeypatch.setattr(packages, "pinned", lambda: {str(WORDS): old.pin})
    shutil.rmtree(old.path.parent)
    # The pinned version, while it is there.
    wheel(registry, "2.0", "one two three")
    assert get(WORDS).pin == old.pin
    assert get(WORDS, "2.0").pin.version == "2.0"
    (registry / "tejat_test_words-1.0-py3-none-any.whl").unlink()
    shutil.rmtree(old.path.parent)
    new = get(WORDS)
    told = "\n".join(difference(new))
    assert "pypi:tejat-test-words 2.0, pinned 1.0" in told and "bytes: " in told
    with pytest.raises(BadInput, match="tejat-test-words==1.0"):
        get(WORDS, "1.0")
    changed = replace(new, pin=replace(new.pin, version="1.0"))
    assert "the version is the pinned one, the content is not" in difference(changed)[0]
    monkeypatch.setattr(packages, "pinned", dict)
    assert difference(new) == ["pypi:tejat-test-words 2.0 is not pinned"]


def test_what_cannot_be_had_is_said(registry, monkeypatch):
    with pytest.raises(BadInput, match="pip cannot get tejat-test-words|cannot get tejat-test-words"):
        get(WORDS)
    monkeypatch.setenv("PATH", str(registry))
    with pytest.raises(Absent, match="npm"):
        get(Package("npm", "words"))
    with pytest.raises(Absent, match="dpkg-deb"):
        get(Package("deb", "words"))
    with pytest.raises(Absent, match="apt-get"):
        get(Package("apt", "en"))
