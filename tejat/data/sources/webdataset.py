"""WebDataset: tar files in which the members `KEY.jpg`, `KEY.txt`, `KEY.json` are one document."""

import json
import tarfile
from collections.abc import Iterator
from typing import Any

from tejat.data.corpus.source import Dropped
from tejat.data.sources import files, interleaved
from tejat.errors import BadInput
from tejat.parts import Document

LARGEST = 1 << 30
"""Bytes of a member beyond which it is passed over."""

_KINDS = {suffix: kind for kind in ("image", "audio", "video") for suffix in
          {"image": files.IMAGES, "audio": files.SOUNDS, "video": files.CLIPS}[kind]}  # fmt: skip
_TEXTS = (".txt", ".text", ".caption", ".transcript")


def read(path: str, dropped: Dropped) -> Iterator[Document]:
    """Documents of a tar file, or of all those of a folder, packed or not.

    What a file holds up to the place where it is cut short is read. Raises BadInput for a single file that is no tar.
    """
    for name in files.walk(path, () if files.is_file(path) else (".tar", ".tgz")):
        any_member = False
        key = ""
        members: dict[str, bytes] = {}
        try:
            with files.opened(name) as stream, tarfile.open(fileobj=stream, mode="r|*") as archive:
                for member in archive:
                    any_member = True
                    if not member.isfile() or member.name.rpartition("/")[2].startswith("."):
                        continue
                    folder, slash, last = member.name.rpartition("/")
                    first, _, suffix = last.partition(".")
                    if folder + slash + first != key:
                        yield from _document(key, members, name, dropped)
                        key, members = folder + slash + first, {}
                    if member.size > LARGEST:
                        dropped.drop(f"members of more than {LARGEST:,} bytes", f"{files.name(name)}: {member.name}")
                        continue
                    members["." + suffix.lower()] = _content(archive, member)
        except (tarfile.TarError, *files.DAMAGE) as error:
            if name == path and not any_member:
                raise BadInput(f"{path} is no tar file ({error}); make or get it again") from error
            dropped.drop("files that end in damage", f"{files.name(name)}, at {key}: {error}")
            continue
        yield from _document(key, members, name, dropped)


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    stream = archive.extractfile(member)
    assert stream is not None
    found = stream.read()
    if len(found) < member.size:
        raise tarfile.ReadError("unexpected end of data")
    return found


def _document(key: str, members: dict[str, bytes], name: str, dropped: Dropped) -> Iterator[Document]:
    if not members:
        return
    try:
        yield interleaved.document(_record(members), files.folder_of(name), files.bare(name))
    except BadInput as error:
        dropped.drop("records that are no documents", f"{files.name(name)}: {key}: {error}")


def _record(members: dict[str, bytes]) -> dict[str, Any]:
    """The members as one record: media by their kinds, the text, and the keys of the JSON."""
    record: dict[str, Any] = {}
    try:
        if ".json" in members:
            told = json.loads(members[".json"])
            record |= told if isinstance(told, dict) else {}
        for suffix, data in members.items():
            last = "." + suffix.rpartition(".")[2]
            if last in _KINDS:
                record[_KINDS[last]] = data
            elif last in _TEXTS:
                record["caption" if any("." + s.rpartition(".")[2] in _KINDS for s in members) else "text"] = (
                    data.decode()
                )
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise BadInput(f"its text is not UTF-8 or its JSON is none ({error})") from error
    return record
