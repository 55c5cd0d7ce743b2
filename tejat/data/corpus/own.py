"""Sources of one's own files: what `tejat.data.sources` reads (JSON lines, Parquet, WebDataset, folders …), as items.

    RECIPE = Corpus("mine", [own("album", "data/album.jsonl", "CC-BY-4.0")], stages=[Stage("all", 1e7, {"album": 1})])

is a recipe for `tejat data build`; its corpus is trained on as any other.
"""

import os
from collections.abc import Iterator
from functools import partial

from tejat.data import sources
from tejat.data.cleaning.duplicates import digest
from tejat.data.corpus.source import Dropped, Paths, Source, by_group
from tejat.data.presenting.text import stored
from tejat.data.shards import Item
from tejat.data.sources import files
from tejat.errors import BadInput
from tejat.parts import Document, Text


def own(
    name: str,
    path: str | os.PathLike[str],
    licence: str,
    *,
    copyleft: bool = False,
    language: str = "",
    format: str | None = None,
    held: float = 0.01,
    cap: int | None = None,
    small: int = 1_000_000,
) -> Source:
    """A source of the documents of a path or a URL.

    Args:
      language: of them all (BCP 47), where they have one; rules of good prose go by it.
      format: one of `sources.FORMATS`, where the name does not tell it.
      held: the share that is kept from training, by what a document says.
      cap, small: bytes of items at most, of the whole corpus and of `--size small`.

    Raises BadInput for a path that is not there, and for a share that is none.
    """
    if not 0 <= held < 1:
        raise BadInput(f"{name!r} is to keep a share of {held:g} from training; give 0 or more, and less than 1")
    path = os.fspath(path)
    content = _content(path)
    return Source(
        name=name,
        items=partial(_items, path=path, format=format, language=language, content=content),
        packages=(),
        licence=licence,
        copyleft=copyleft,
        about=f"The documents of {os.path.basename(path.rstrip('/')) or path}",
        megabytes=content[1] / 1e6,
        cap=cap,
        small=small,
        heldout=partial(by_group, share=held),
    )


def _content(path: str) -> tuple[int, int, int]:
    """Files, bytes, and when the newest was written: where they are others, the source is built again."""
    if path.startswith("hf:") or files.is_url(path):
        return 0, 0, 0
    found = [os.stat(file) for file in files.walk(path)]
    return len(found), sum(one.st_size for one in found), max(one.st_mtime_ns for one in found)


def _items(
    paths: Paths, dropped: Dropped, path: str, format: str | None, language: str, content: tuple[int, int, int]
) -> Iterator[Item]:
    reading = sources.read(path, format)
    for document in reading:
        yield _item(document, language)
    for reason, count in reading.dropped.counts.items():
        dropped.drop(reason, count=count)
        dropped.examples[reason] += reading.dropped.examples[reason]


def _item(document: Document, language: str) -> Item:
    """Running text as such, which the rules of prose look at; anything else as it stands."""
    fields = {"language": language} if language else {}
    parts = document.parts
    if len(parts) == 1 and isinstance(parts[0], Text) and not any(document.roles) and all(document.loss):
        item = Item("text", fields | {"text": parts[0].text, "source": document.source})
    else:
        item = stored(document, **fields)
    return Item(item.kind, item.fields | {"group": f"{digest(item):016x}"}, item.blobs)
