"""Files that callers upload, in a directory that any number of replicas share.

    ROOT/files/OWNER/ID.json        what is told of a file; once it is there, the file is whole
    ROOT/files/OWNER/ID.data        its bytes
    ROOT/uploads/ID/upload.json     an upload that is under way
    ROOT/uploads/ID/at-OFFSET       one chunk of it, whole
    ROOT/uploads/ID/done            it is finished

Nothing is ever changed in place: everything is written under a temporary name and renamed, so a reader on another
replica sees all of it or nothing. No replica remembers anything: how much of an upload has come follows from the names
and lengths of its chunks, so any replica may take any chunk, and one sent again is the same chunk. OWNER is a hash of
the caller's name. The id of an upload holds 192 random bits, and whoever knows it may go on with the upload.
"""

import hashlib
import json
import os
import re
import secrets
import shutil
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from tejat.parts import write_whole
from tejat.serve.limits import Busy, Limits
from tejat.serve.problems import Problem

_FILE_ID = re.compile(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?")
_UPLOAD_ID = re.compile(r"[0-9a-f]{16}-[A-Za-z0-9_-]{32}")
_MIME = re.compile(r"[A-Za-z0-9!#$&^_.+-]{1,64}/[A-Za-z0-9!#$&^_.+-]{1,64}")
_COPY = 1 << 20


@dataclass(frozen=True)
class File:
    """A file as its owner sees it. Times are seconds since 1970."""

    id: str
    mime: str
    size: int
    sha256: str  # in base64 of the hexadecimal digest, as the Gemini interface has it
    created: float
    expires: float
    display_name: str = ""

    @property
    def name(self) -> str:
        return f"files/{self.id}"


@dataclass(frozen=True)
class Upload:
    """An upload under way, and the file that it becomes."""

    id: str
    owner: str
    file: str
    mime: str
    size: int | None  # as announced
    display_name: str
    created: float


class Store:
    """The files below one directory. Every method blocks, and is safe from any thread, process and replica."""

    def __init__(self, root: Path, limits: Limits, clock: Callable[[], float] = time.time):
        self.root, self.limits, self.clock = root, limits, clock
        for directory in (root / "files", root / "uploads"):
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)

    # Files

    def get(self, owner: str, name: str) -> File:
        """Raises Problem NOT_FOUND for a name that is none, another's, or expired: the three look alike."""
        file = self._read(self._described(owner, name))
        if file is None or file.expires <= self.clock():
            raise _not_found(name)
        return file

    def path(self, owner: str, file: File) -> Path:
        """Where the bytes are."""
        return self._directory(owner) / f"{file.id}.data"

    def listed(self, owner: str, size: int, after: str | None) -> tuple[list[File], str | None]:
        """Up to `size` files, newest first, and what to give as `after` for the next ones."""
        now = self.clock()
        files = [file for file in self._all(owner) if file.expires > now]
        files.sort(key=lambda file: (-file.created, file.id))
        if after is not None:
            begins = next((n for n, file in enumerate(files) if file.id == after), None)
            if begins is None:
                raise Problem("INVALID_ARGUMENT", "pageToken is none that was given here; list from the start")
            files = files[begins + 1 :]
        return files[:size], files[size - 1].id if len(files) > size else None

    def delete(self, owner: str, name: str) -> None:
        """Raises Problem NOT_FOUND as `get` does."""
        file = self.get(owner, name)
        self._described(owner, name).unlink(missing_ok=True)
        self.path(owner, file).unlink(missing_ok=True)

    # Uploads

    def begin(self, owner: str, *, mime: str, size: int | None, name: str | None, display_name: str) -> Upload:
        """Raises Problem for what is too large, beyond the quota, or named as no file may be or as one there is."""
        limits = self.limits
        if not _MIME.fullmatch(mime):
            raise Problem("INVALID_ARGUMENT", f"the MIME type {mime[:60]!r} is none; give one such as image/png")
        if size is not None and not 0 < size <= limits.file:
            raise Problem("INVALID_ARGUMENT", f"a file may have 1 to {limits.file:,} bytes, not {size:,}")
        if len(display_name) > 512:
            raise Problem("INVALID_ARGUMENT", "displayName is longer than 512 characters; shorten it")
        if name is not None and self._read(self._described(owner, name)) is not None:
            raise Problem("ALREADY_EXISTS", f"there is a file {name!r} already; delete it or choose another name")
        id = name.removeprefix("files/") if name else secrets.token_hex(10)
        held = [*self._all(owner)]
        if len(held) + self._unfinished(owner) >= limits.files:
            raise Busy(f"you hold {limits.files:,} files, which is the limit; delete some", 60)
        self._check_quota(owner, size or 0, sum(file.size for file in held))
        upload_id = f"{_hash(owner)[:16]}-{secrets.token_urlsafe(24)}"
        upload = Upload(upload_id, owner, id, mime, size, display_name, self.clock())
        directory = self.root / "uploads" / upload.id
        directory.mkdir(mode=0o700)
        write_whole(directory / "upload.json", json.dumps(asdict(upload)).encode())
        return upload

    def upload(self, id: str) -> Upload:
        """Raises Problem NOT_FOUND for an id that is none, or expired."""
        found = _load(Upload, self._directory_of(id) / "upload.json")
        if found is None or found.created + self.limits.upload_seconds <= self.clock():
            raise Problem("NOT_FOUND", "there is no such upload, or it has expired; start it again")
        return found

    def received(self, upload: Upload) -> int:
        """Bytes that have come from the start without a gap."""
        at = 0
        for offset, length in self._chunks(upload):
            if offset > at:
                break
            at = max(at, offset + length)
        return at

    def chunk(self, upload: Upload, offset: int) -> "Chunk":
        """A place for the chunk that begins at `offset`. Raises Problem where bytes before it are missing."""
        if self.finished(upload) is None and not 0 <= offset <= (received := self.received(upload)):
            raise Problem("INVALID_ARGUMENT", f"the chunk begins at {offset:,} and {received:,} bytes have come")
        return Chunk(self, upload, offset)

    def finished(self, upload: Upload) -> File | None:
        """The file that the upload became, once it is finished."""
        return self._read(self._described(upload.owner, upload.file))

    def finish(self, upload: Upload) -> File:
        """Makes the file; done twice, or on two replicas at once, it is the same file.

        Raises Problem where bytes are missing or the quota is full.
        """
        if (done := self.finished(upload)) is not None:
            return done
        if (self.root / "uploads" / upload.id / "done").exists():
            raise _not_found(f"files/{upload.file}")  # deleted since
        size = self.received(upload)
        if size == 0 or (upload.size is not None and size != upload.size):
            due = "at least 1" if upload.size is None else f"{upload.size:,}"
            raise Problem("INVALID_ARGUMENT", f"{size:,} bytes have come of a file of {due}; send the rest first")
        self._check_quota(upload.owner, size, sum(file.size for file in self._all(upload.owner)))
        directory = self._directory(upload.owner)
        directory.mkdir(exist_ok=True, mode=0o700)
        part = directory / f".{secrets.token_hex(8)}"
        try:
            digest = self._join(upload, size, part)
            os.replace(part, directory / f"{upload.file}.data")
        except FileNotFoundError as error:
            # Another replica finished it meanwhile and took the chunks away.
            if (done := self.finished(upload)) is not None:
                return done
            raise _cancelled() from error
        finally:
            part.unlink(missing_ok=True)
        now = self.clock()
        file = File(upload.file, upload.mime, size, digest, now, now + self.limits.file_seconds, upload.display_name)
        write_whole(self._described(upload.owner, file.name), json.dumps(asdict(file)).encode())
        # The upload stays without its chunks, so that a client that asks again is answered.
        write_whole(self.root / "uploads" / upload.id / "done", b"")
        for offset, _ in self._chunks(upload):
            (self.root / "uploads" / upload.id / f"at-{offset}").unlink(missing_ok=True)
        return file

    def cancel(self, upload: Upload) -> None:
        shutil.rmtree(self.root / "uploads" / upload.id, ignore_errors=True)

    def sweep(self) -> None:
        """Removes what has expired, and what a killed replica left half-written an hour ago or more."""
        now = self.clock()
        for directory in (self.root / "files").iterdir():
            for path in directory.iterdir():
                file = _load(File, path) if path.suffix == ".json" else None
                if file is not None and file.expires <= now:
                    path.unlink(missing_ok=True)
                    (directory / f"{file.id}.data").unlink(missing_ok=True)
                elif file is None and not path.with_suffix(".json").exists() and _age(path, now) > 3600:
                    path.unlink(missing_ok=True)
        for directory in (self.root / "uploads").iterdir():
            if _age(directory, now) > 3600:
                upload = _load(Upload, directory / "upload.json")
                over = upload is None or upload.created + self.limits.upload_seconds <= now
                if over or (directory / "done").exists():  # no client asks again after an hour
                    shutil.rmtree(directory, ignore_errors=True)

    # Within

    def _join(self, upload: Upload, size: int, target: Path) -> str:
        """Writes the chunks one after another; the hash of the whole."""
        digest, at = hashlib.sha256(), 0
        with target.open("wb") as out:
            for offset, length in self._chunks(upload):
                if offset + length <= at:
                    continue
                with (self.root / "uploads" / upload.id / f"at-{offset}").open("rb") as chunk:
                    chunk.seek(at - offset)
                    while data := chunk.read(_COPY):
                        digest.update(data)
                        out.write(data)
                at = offset + length
            if out.tell() != size:
                raise FileNotFoundError
            out.flush()
            os.fsync(out.fileno())
        return b64encode(digest.hexdigest().encode()).decode()

    def _chunks(self, upload: Upload) -> Iterator[tuple[int, int]]:
        """(offset, length) in order."""
        found = []
        try:
            with os.scandir(self.root / "uploads" / upload.id) as entries:
                for entry in entries:
                    if entry.name.startswith("at-"):
                        found.append((int(entry.name[3:]), entry.stat().st_size))
        except FileNotFoundError:
            return
        yield from sorted(found)

    def _check_quota(self, owner: str, more: int, held: int) -> None:
        if held + more > self.limits.quota:
            most = self.limits.quota
            raise Busy(f"your files would take {held + more:,} bytes, and {most:,} is the limit; delete some", 60)

    def _all(self, owner: str) -> Iterator[File]:
        directory = self._directory(owner)
        for path in directory.glob("*.json") if directory.is_dir() else ():
            if (file := self._read(path)) is not None:
                yield file

    def _unfinished(self, owner: str) -> int:
        """Uploads under way, by their names alone: reading them all would take long where there are many."""
        mine = (self.root / "uploads").glob(f"{_hash(owner)[:16]}-*")
        return sum(not (directory / "done").exists() for directory in mine)

    def _directory(self, owner: str) -> Path:
        return self.root / "files" / _hash(owner)[:32]

    def _described(self, owner: str, name: str) -> Path:
        """Where a file is described. The name is checked letter by letter: no path can be made of it."""
        id = name.removeprefix("files/")
        if not _FILE_ID.fullmatch(id):
            raise Problem(
                "INVALID_ARGUMENT",
                f"{name[:60]!r} names no file; use files/ and up to 40 small letters, digits and dashes",
            )
        return self._directory(owner) / f"{id}.json"

    def _directory_of(self, upload: str) -> Path:
        if not _UPLOAD_ID.fullmatch(upload):
            raise Problem("NOT_FOUND", "there is no such upload, or it has expired; start it again")
        return self.root / "uploads" / upload

    @staticmethod
    def _read(path: Path) -> File | None:
        return _load(File, path)


class Chunk:
    """A chunk that is coming in: written beside its place, and put there when it is whole."""

    def __init__(self, store: Store, upload: Upload, offset: int):
        self._store, self._upload, self._offset, self._size = store, upload, offset, 0
        self._part = store.root / "uploads" / upload.id / f".{secrets.token_hex(8)}"
        try:
            self._out: BinaryIO = self._part.open("wb")
        except FileNotFoundError as error:
            raise _cancelled() from error

    def write(self, data: bytes) -> None:
        """Raises Problem where the file grows beyond what was announced or is allowed."""
        self._size += len(data)
        most = self._store.limits.file if self._upload.size is None else self._upload.size
        if self._offset + self._size > most:
            raise Problem("INVALID_ARGUMENT", f"more bytes come than the {most:,} that the file may have")
        self._out.write(data)

    def commit(self) -> None:
        """The chunk has come whole. One that came before with the same offset stays, unless this one goes further."""
        self._out.close()
        place = self._part.with_name(f"at-{self._offset}")
        try:
            if self._size and (not place.exists() or place.stat().st_size < self._size):
                os.replace(self._part, place)
        except FileNotFoundError as error:
            raise _cancelled() from error

    def close(self) -> None:
        """What was not committed is gone."""
        self._out.close()
        self._part.unlink(missing_ok=True)


def timestamp(seconds: float) -> str:
    """RFC 3339, in UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _cancelled() -> Problem:
    return Problem("NOT_FOUND", "there is no such upload, or it was cancelled; start it again")


def _not_found(name: str) -> Problem:
    return Problem("NOT_FOUND", f"there is no file {name[:60]!r}, or it has expired; upload it again")


def _load(kind: Any, path: Path) -> Any:
    """A File or Upload as it was written; None where there is none."""
    try:
        return kind(**json.loads(path.read_bytes()))
    except (OSError, ValueError, TypeError):
        return None


def _hash(owner: str) -> str:
    return hashlib.sha256(owner.encode()).hexdigest()


def _age(path: Path, now: float) -> float:
    try:
        return now - path.stat().st_mtime
    except OSError:
        return 0.0
