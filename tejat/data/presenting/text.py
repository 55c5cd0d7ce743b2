"""Items that are documents already: running text, and stored documents of any parts."""

import base64
import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from tejat.data.shards import Item
from tejat.parts import Document, Text, from_json, to_json


def text(items: Sequence[Item], k: int, random: np.random.Generator) -> Document:
    """Running text. Fields: "text", and "language" (BCP 47), which the mixture reads."""
    fields = items[k].fields
    return Document.of([Text(fields["text"])], source=fields.get("source", ""))


def document(items: Sequence[Item], k: int, random: np.random.Generator) -> Document:
    """What `stored` was given."""
    item = items[k]
    found = from_json(_inlined(item.fields["document"], item.blobs))
    assert isinstance(found, Document)
    return found


def stored(document: Document, **fields: Any) -> Item:
    """An item that keeps a document as it is; `fields` go beside it."""
    blobs: dict[str, bytes] = {}
    return Item("document", fields | {"document": _lifted(to_json(document), blobs)}, blobs)


def _lifted(value: Any, blobs: dict[str, bytes]) -> Any:
    """The JSON with each medium's bytes moved to the blobs."""
    match value:
        case {"data": str(data), **rest}:
            blob = base64.b64decode(data)
            name = hashlib.sha256(blob).hexdigest()[:16]
            blobs[name] = blob
            return {"blob": name} | _lifted(rest, blobs)
        case dict():
            return {key: _lifted(inner, blobs) for key, inner in value.items()}
        case list():
            return [_lifted(inner, blobs) for inner in value]
    return value


def _inlined(value: Any, blobs: dict[str, bytes]) -> Any:
    match value:
        case {"blob": str(name), **rest}:
            return {"data": base64.b64encode(blobs[name]).decode("ascii")} | _inlined(rest, blobs)
        case dict():
            return {key: _inlined(inner, blobs) for key, inner in value.items()}
        case list():
            return [_inlined(inner, blobs) for inner in value]
    return value
