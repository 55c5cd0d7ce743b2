"""Packages of registries as directories: fetched by the ordinary clients, unpacked, hashed, kept in a cache.

`pinned.json` lists the packages that corpora were built from: version, content hash, size. The pinned version is taken
where the registry still has it, as those of Python and JavaScript do for ever; else the newest, and `difference`
tells what is different. Nothing is installed, and no script of a package runs.

The cache is `$XDG_CACHE_HOME/tejat/packages`, by default under `~/.cache`: `KIND/NAME/VERSION/` and, beside it,
`VERSION.json` with its hash.
"""

import functools
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path
from typing import Literal

from tejat.errors import BadInput
from tejat.parts import write_whole

Kind = Literal["pypi", "npm", "deb", "apt"]


class Absent(Exception):
    """The client of a registry is not on this machine; the message names it."""


@dataclass(frozen=True)
class Package:
    """A package by its name in a registry. Of the kind "apt": the descriptions of all Debian packages in a language."""

    kind: Kind
    name: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}"


@dataclass(frozen=True)
class Pin:
    """What a package held when it was pinned. The hash is of the names and contents of its files, not of an archive."""

    version: str
    sha256: str
    files: int
    bytes: int


@dataclass(frozen=True)
class Fetched:
    """A package in the cache."""

    package: Package
    path: Path
    pin: Pin


def fetch(kind: Kind, name: str, version: str | None = None) -> Path:
    """The directory of an unpacked package: of a wheel, the folder that holds its modules; of an npm package, the one
    that holds its package.json; of a Debian package, the root under which its `usr` is. See `get`."""
    return get(Package(kind, name), version).path


def get(package: Package, version: str | None = None) -> Fetched:
    """A package, from the cache where it is there: of the version asked for, the pinned one, or the newest.

    Raises:
      Absent: where the registry's client (pip, npm, apt-get) is not on this machine.
      BadInput: where the client cannot get the package; with its last words.
    """
    pin = pinned().get(str(package))
    wanted = version or (pin.version if pin else None)
    home = _home(package)
    if found := _cached(package, home, version) if version else _held(package, home, wanted):
        return found
    home.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".fetching-", dir=home) as scratch:
        tree = Path(scratch, "tree")
        exact = version is not None
        found_version = _CLIENTS[package.kind](package.name, wanted, exact, Path(scratch), tree)
        files, size, digest = _content(tree)
        target = home / _safe(found_version)
        if not target.exists():
            try:
                os.replace(tree, target)
            except OSError:  # another process was first
                if not target.exists():
                    raise
        got = Pin(found_version, digest, files, size)
        write_whole(home / f"{_safe(found_version)}.json", json.dumps(asdict(got)).encode())
    return Fetched(package, target, got)


def current(package: Package) -> Pin | None:
    """What `get` would take of a package from the cache; None where it would ask the registry."""
    pin = pinned().get(str(package))
    found = _held(package, _home(package), pin.version if pin else None)
    return found.pin if found else None


def cache() -> Path:
    """Where packages are kept."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "tejat" / "packages"


@functools.cache
def pinned() -> Mapping[str, Pin]:
    """The pinned packages, by "kind:name"."""
    text = resources.files("tejat.data.corpus").joinpath("pinned.json").read_text()
    return {name: Pin(**pin) for name, pin in json.loads(text).items()}


def difference(found: Fetched) -> list[str]:
    """What is not as it was pinned, a line each; empty where all is."""
    pin, got = pinned().get(str(found.package)), found.pin
    if pin is None:
        return [f"{found.package} {got.version} is not pinned"]
    if got.sha256 == pin.sha256:
        return []
    lines = [f"{found.package} {got.version}, pinned {pin.version}"]
    if got.version == pin.version:
        lines = [f"{found.package} {got.version}: the version is the pinned one, the content is not"]
    for what, then, now in (("files", pin.files, got.files), ("bytes", pin.bytes, got.bytes)):
        lines.append(f"  {what}: {now:,}, pinned {then:,} ({(now - then) / max(then, 1):+.1%})")
    return lines


def pin(found: Iterable[Mapping]) -> None:
    """Adds packages, as a ledger lists them, to `pinned.json`."""
    known = dict(pinned())
    for package in found:
        values = {key: package[key] for key in ("version", "sha256", "files", "bytes")}
        known[f"{package['kind']}:{package['name']}"] = Pin(**values)
    lines = (f"{json.dumps(name)}:{json.dumps(asdict(known[name]), separators=(',', ':'))}" for name in sorted(known))
    text = "{\n" + ",\n".join(lines) + "\n}"
    with resources.as_file(resources.files("tejat.data.corpus") / "pinned.json") as path:
        write_whole(path, (text + "\n").encode())
    pinned.cache_clear()


def _safe(version: str) -> str:
    return version.replace("/", "+").replace(":", "%3a")


def _home(package: Package) -> Path:
    return cache() / package.kind / package.name.replace("/", "+")


def _held(package: Package, home: Path, wanted: str | None) -> Fetched | None:
    """What the cache has of it: the version wanted, or the newest of Debian's, whose registry forgets old ones."""
    if wanted and (found := _cached(package, home, wanted)):
        return found
    if package.kind in ("deb", "apt"):
        for path in sorted(home.glob("*.json"), key=lambda path: path.stat().st_mtime, reverse=True):
            if found := _cached(package, home, json.loads(path.read_text())["version"]):
                return found
    return None


def _cached(package: Package, home: Path, version: str) -> Fetched | None:
    note, path = home / f"{_safe(version)}.json", home / _safe(version)
    if not (note.exists() and path.is_dir()):
        return None
    return Fetched(package, path, Pin(**json.loads(note.read_text())))


def _content(root: Path) -> tuple[int, int, str]:
    """(files, bytes, SHA-256) of a tree: of the sorted names of its files, each with the hash of its content."""
    whole, files, size = hashlib.sha256(), 0, 0
    for path in sorted(root.rglob("*"), key=lambda path: path.relative_to(root).as_posix()):
        if path.is_file() and not path.is_symlink():
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            whole.update(f"{path.relative_to(root).as_posix()}\0{digest}\n".encode("utf-8", "surrogateescape"))
            files, size = files + 1, size + path.stat().st_size
    return files, size, whole.hexdigest()


def _run(command: list[str], package: str, folder: Path) -> subprocess.CompletedProcess:
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace")
    except FileNotFoundError as error:
        raise Absent(command[0]) from error
    if done.returncode:
        last = " ".join((done.stderr or done.stdout).split())[-300:]
        raise BadInput(f"{command[0]} cannot get {package} ({last}); look at the name and the network")
    return done


def _either(wanted: str | None, exact: bool, attempt):
    """`attempt(version)` of the version wanted; of the newest where that one is gone and need not be it."""
    if wanted is not None:
        try:
            return attempt(wanted)
        except BadInput:
            if exact:
                raise
    return attempt(None)


def _pypi(name: str, wanted: str | None, exact: bool, scratch: Path, tree: Path) -> str:
    if subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True).returncode:
        raise Absent("pip")

    def attempt(version: str | None) -> None:
        what = f"{name}=={version}" if version else name
        options = ["--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary", ":all:"]
        _run([sys.executable, "-m", "pip", "download", *options, "--dest", "wheel", what], what, scratch)

    _either(wanted, exact, attempt)
    wheel = next(scratch.glob("wheel/*.whl"))
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tree)
    return wheel.name.split("-")[1]


def _npm(name: str, wanted: str | None, exact: bool, scratch: Path, tree: Path) -> str:
    def attempt(version: str | None) -> None:
        what = f"{name}@{version}" if version else name
        _run(["npm", "pack", "--ignore-scripts", "--silent", what], what, scratch)

    _either(wanted, exact, attempt)
    with tarfile.open(next(scratch.glob("*.tgz"))) as archive:
        archive.extractall(scratch / "unpacked", filter="data")
    # One folder, which is mostly but not always called "package".
    os.replace(next(path for path in (scratch / "unpacked").iterdir() if path.is_dir()), tree)
    return json.loads((tree / "package.json").read_text())["version"]


def _deb(name: str, wanted: str | None, exact: bool, scratch: Path, tree: Path) -> str:
    if not shutil.which("dpkg-deb"):
        raise Absent("dpkg-deb")

    def download(version: str | None, *options: str) -> None:
        what = f"{name}={version}" if version else name
        _run(["apt-get", *options, "--quiet", "download", what], what, scratch)

    def attempt(version: str | None) -> None:
        try:
            download(version)
        except BadInput:
            # The machine's list of packages may be old or empty. A list of our own needs no rights.
            lists = cache() / "apt"
            for part in ("lists/partial", "archives/partial"):
                (lists / part).mkdir(parents=True, exist_ok=True)
            options = ["-o", f"Dir::State::Lists={lists}/lists", "-o", f"Dir::Cache={lists}"]
            _renewed(tuple(options))
            download(version, *options)

    _either(wanted, exact, attempt)
    deb = next(scratch.glob("*.deb"))
    _run(["dpkg-deb", "-x", str(deb), str(tree)], name, scratch)
    return _run(["dpkg-deb", "-f", str(deb), "Version"], name, scratch).stdout.strip()


@functools.cache
def _renewed(options: tuple[str, ...]) -> None:
    _run(["apt-get", *options, "--quiet", "update"], "the list of packages", Path.cwd())


def _apt(language: str, wanted: str | None, exact: bool, scratch: Path, tree: Path) -> str:
    """Of the archive's lists, only the descriptions, into lists of our own, which needs no rights."""
    for part in ("lists/partial", "cache/archives/partial"):
        (scratch / part).mkdir(parents=True)
    (scratch / "apt.conf").write_text(
        f"""#clear Acquire::Languages;
Acquire::Languages {{ "{language}"; }};
Acquire::GzipIndexes "false";
Acquire::IndexTargets::deb::Packages::DefaultEnabled "false";
"""
    )
    folders = ["-o", f"Dir::State::Lists={scratch / 'lists'}", "-o", f"Dir::Cache={scratch / 'cache'}"]
    _run(
        ["apt-get", "-c", str(scratch / "apt.conf"), *folders, "--quiet", "update"],
        f"descriptions in {language}",
        scratch,
    )
    # Of several suites the longest is the distribution itself; the others hold what was mended since.
    coded = language.replace("_", "%5f")  # as apt-get names its files
    found = sorted(scratch.glob(f"lists/*_Translation-{coded}"), key=lambda path: path.stat().st_size)
    if not found:
        raise BadInput(f"apt-get knows no descriptions in {language}; it may be that its archive has none")
    tree.mkdir()
    os.replace(found[-1], tree / f"Translation-{language}")
    return _content(tree)[2][:12]


_CLIENTS = {"pypi": _pypi, "npm": _npm, "deb": _deb, "apt": _apt}
