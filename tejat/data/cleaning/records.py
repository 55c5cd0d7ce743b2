"""What cleaning looks at in a record, be it an Item on its way into a corpus or a Document of any source."""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

from tejat.data.cleaning.report import Group
from tejat.data.shards import Item
from tejat.media import IS_PICTURE
from tejat.parts import Audio, Document, Image, Text

Record = Item | Document

_ABOUT = "id key group source language languages licence license style speaker voice url role roles kind"
UNREAD = frozenset(_ABOUT.split())
"""Fields of an Item that tell of it and are never learned as text."""

PLAIN = frozenset({"text", "page", "package", "code"})
"""Kinds of items that are running text, in fields["text"]."""

_SOUND = re.compile(rb"(?s)OggS|fLaC|RIFF....WAVE|FORM....AIF|ID3|\xff[\xe2-\xfb]")


def texts(record: Record) -> list[str]:
    """Every text in the record: the Text parts of a document, or the strings in the fields of an item, in order. Of an
    item of running text that is fields["text"]: its title and summary are no part of it."""
    if isinstance(record, Document):
        return [part.text for part in record.parts if isinstance(part, Text)]
    if record.kind in PLAIN:
        return [record.fields["text"]]
    return [text for name, value in record.fields.items() for text, _ in _strings(value, name)]


def text(record: Record) -> str:
    """All text of the record, a blank line between two."""
    found = texts(record)
    return found[0] if len(found) == 1 else "\n\n".join(found)


def is_plain(record: Record) -> bool:
    """Is it running text and nothing else: prose, code, tables …?"""
    if isinstance(record, Document):
        return all(isinstance(part, Text) for part in record.parts) and not any(record.roles)
    return record.kind in PLAIN


def is_prose(record: Record) -> bool:
    """Is it running text in a human language? What rules of good prose are for.

    Code and formulas declare the language "zxx" (BCP 47: no linguistic content), or one that is no code of a language.
    """
    named = language(record)
    return is_plain(record) and named != "zxx" and len(named) in (0, 2, 3)


def language(record: Record) -> str:
    """The primary language of an item as declared ("pt" of "pt-BR"), "" where none is."""
    declared = record.fields.get("language") if isinstance(record, Item) else None
    return declared.replace("_", "-").split("-")[0].lower() if isinstance(declared, str) else ""


def group(record: Record, source: str = "") -> Group:
    """The group that a report counts it in."""
    if not source:
        source = record.source if isinstance(record, Document) else str(record.fields.get("source", ""))
    return source, language(record)


def rewritten(record: Record, change: Callable[[str], str]) -> Record:
    """The record with every text changed; the same object where nothing did."""
    if isinstance(record, Document):
        parts = tuple(Text(change(part.text)) if isinstance(part, Text) else part for part in record.parts)
        same = all(a is b or a == b for a, b in zip(parts, record.parts, strict=True))
        return record if same else replace(record, parts=parts)
    if record.kind in PLAIN:
        fields = record.fields | {"text": change(record.fields["text"])}
    else:
        fields = {name: _mapped(value, name, change) for name, value in record.fields.items()}
    return record if fields == record.fields else replace(record, fields=fields)


def pictures(record: Record) -> dict[str, bytes | Image]:
    """The pictures of a record by name: Image parts by number, or the blobs of an item that hold one (a clip too)."""
    if isinstance(record, Document):
        return {str(k): part for k, part in enumerate(record.parts) if isinstance(part, Image)}
    return {name: blob for name, blob in record.blobs.items() if is_svg(blob) or IS_PICTURE.match(blob)}


def sounds(record: Record) -> dict[str, bytes | Audio]:
    """The sounds of a record by name, as `pictures` has pictures."""
    if isinstance(record, Document):
        return {str(k): part for k, part in enumerate(record.parts) if isinstance(part, Audio)}
    return {name: blob for name, blob in record.blobs.items() if _SOUND.match(blob)}


def without(record: Record, names: Iterable[str]) -> Record | None:
    """The item without some of its blobs, or None where no blob is left or a document would lose a part."""
    gone = set(names)
    if not gone:
        return record
    if isinstance(record, Document) or gone >= record.blobs.keys() or "document" in record.fields:
        return None
    return replace(record, blobs={name: blob for name, blob in record.blobs.items() if name not in gone})


def is_svg(blob: bytes) -> bool:
    """Is it a vector drawing?"""
    head = blob[:400].lstrip(b"\xef\xbb\xbf \t\r\n")
    return head.startswith((b"<svg", b"<?xml", b"<!DOCTYPE svg", b"<!--")) and b"<svg" in blob[:4000]


def _strings(value: Any, key: str) -> Iterator[tuple[str, str]]:
    """(text, key) of the strings in JSON, those told by UNREAD and the names of media left out."""
    match value:
        case str() if key not in UNREAD:
            yield value, key
        case dict() if not _is_medium(value):
            for name, inner in value.items():
                yield from _strings(inner, name)
        case list():
            for inner in value:
                yield from _strings(inner, key)


def _mapped(value: Any, key: str, change: Callable[[str], str]) -> Any:
    match value:
        case str() if key not in UNREAD:
            return change(value)
        case dict() if not _is_medium(value):
            return {name: _mapped(inner, name, change) for name, inner in value.items()}
        case list():
            return [_mapped(inner, key, change) for inner in value]
    return value


def _is_medium(value: dict) -> bool:
    """A medium in the JSON of a document, whose strings are names of blobs and files, or base64."""
    return any(isinstance(value.get(key), str) for key in ("blob", "data", "file"))
