"""Files and folders on this machine or wherever fsspec reaches, opened for reading as a stream."""

import bz2
import gzip
import lzma
import os
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from tejat.errors import BadInput

IMAGES = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif", ".ppm")
SOUNDS = (".wav", ".flac", ".mp3", ".ogg", ".opus", ".oga", ".m4a", ".aac", ".aiff")
CLIPS = (".mp4", ".webm", ".mkv", ".mov", ".avi", ".m4v", ".mpg")
PACKED: dict[str, Callable[..., Any]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
DAMAGE = (OSError, EOFError, lzma.LZMAError, zlib.error)
"""What reading a damaged or vanished file raises."""

_IGNORED = {"node_modules", "__pycache__"}


def is_url(path: str) -> bool:
    return "://" in path


def is_file(path: str) -> bool:
    return _system(path)[0].isfile(_system(path)[1]) if is_url(path) else os.path.isfile(path)


def is_folder(path: str) -> bool:
    return _system(path)[0].isdir(_system(path)[1]) if is_url(path) else os.path.isdir(path)


def join(folder: str, name: str) -> str:
    """A file of a folder. `name` has no way out of it: raises BadInput for one that is absolute or goes up."""
    parts = name.replace("\\", "/").split("/")
    if name.startswith(("/", "\\")) or ".." in parts or ":" in parts[0]:
        raise BadInput(f"the file {name!r} is not below its folder; name it from there")
    path, rest = _parted(folder)
    return path.rstrip("/") + "/" + name + rest


def folder_of(path: str) -> str:
    path, rest = _parted(path)
    return (path.rpartition("/")[0] or ("/" if path.startswith("/") else ".")) + rest


def bare(path: str) -> str:
    """The name in lower case, without what tells that it is packed."""
    found = name(path).lower()
    for suffix in (*PACKED, ".zst"):
        found = found.removesuffix(suffix)
    return found


def name(path: str) -> str:
    """What stands after the last slash."""
    return _parted(path)[0].rpartition("/")[2]


def stem(path: str) -> str:
    """The path without the suffix of its name."""
    path, rest = _parted(path)
    folder, slash, last = path.rpartition("/")
    return folder + slash + (last.rpartition(".")[0] or last) + rest


def walk(path: str, suffixes: tuple[str, ...] = (), most: int | None = None) -> Iterator[str]:
    """Files of a folder and those below it, in order; hidden ones and installed packages are passed over.

    A path that is a file gives itself. Raises BadInput where there is nothing.
    """
    if is_file(path):
        yield path
        return
    if not is_folder(path):
        raise BadInput(f"there is nothing at {path}; give a file, a folder or a URL that can be read")
    count = 0
    for found in _remote(path) if is_url(path) else _local(path):
        if not suffixes or bare(found).endswith(suffixes):
            yield found
            count += 1
            if count == most:
                return


def entries(folder: str) -> list[str]:
    """Files of a folder itself, in order."""
    if is_url(folder):
        return [found for found in _remote(folder) if folder_of(found) == folder.rstrip("/")]
    return sorted(entry.path for entry in os.scandir(folder) if entry.is_file())


@contextmanager
def opened(path: str) -> Iterator[BinaryIO]:
    """The file as a stream of bytes, unpacked if its name says that it is packed. Raises one of DAMAGE."""
    if path.lower().endswith(".zst"):
        raise BadInput(f"{path} is packed by Zstandard, which is not read; unpack it by `zstd -d`")
    way = next((way for suffix, way in PACKED.items() if path.lower().endswith(suffix)), None)
    system, there = _system(path) if is_url(path) else (None, path)  # a file in an archive lives as long as its system
    with system.open(there, "rb") if system else Path(there).open("rb") as raw:
        if way is None:
            yield raw
        else:
            with way(raw) as stream:
                yield stream


def content(path: str, limit: int) -> bytes:
    """All of a file. Raises BadInput where it cannot be read or holds more than `limit` bytes."""
    try:
        with opened(path) as stream:
            found = stream.read(limit + 1)
    except DAMAGE as error:
        raise BadInput(f"{path} cannot be read ({error}); mend that or leave it out") from error
    if len(found) > limit:
        raise BadInput(f"{path} holds more than {limit:,} bytes; cut it")
    return found


def medium(path: str) -> bytes | Path:
    """What `tejat.media` reads: a local file by its path, so that a long clip is never whole in memory."""
    return content(path, 2_000_000_000) if is_url(path) else Path(path)


def _local(path: str) -> Iterator[str]:
    for folder, folders, names in os.walk(path):
        folders[:] = sorted(each for each in folders if not each.startswith(".") and each not in _IGNORED)
        for each in sorted(names):
            if not each.startswith("."):
                yield os.path.join(folder, each)


def _remote(path: str) -> Iterator[str]:
    (system, root), (head, rest) = _system(path), _parted(path)
    for found in sorted(system.find(root)):
        below = found.removeprefix(root).lstrip("/")
        if not any(each.startswith(".") or each in _IGNORED for each in below.split("/")):
            yield f"{head.rstrip('/')}/{below}{rest}"


def _parted(path: str) -> tuple[str, str]:
    """A URL of a file in an archive, "zip://file::where/the/archive/is", as (what is in it, "::" and where it is)."""
    head, colons, rest = path.partition("::") if is_url(path) else (path, "", "")
    return head, colons + rest


def _system(path: str) -> tuple[Any, str]:
    """(file system, path there)."""
    try:
        return _fsspec(path).core.url_to_fs(path)
    except BadInput:
        raise
    except Exception as error:  # every file system behind fsspec has errors of its own
        raise BadInput(f"{path} cannot be reached ({type(error).__name__}: {error}); mend the address") from error


def _fsspec(path: str) -> Any:
    try:
        import fsspec
    except ImportError as error:
        raise BadInput(f"{path} is a URL, which wants fsspec; install it by `pip install fsspec`") from error
    return fsspec
