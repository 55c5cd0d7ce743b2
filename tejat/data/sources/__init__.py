"""Documents from files as others keep them: JSON lines, Parquet, tar, web pages, folders of pictures …

    for document in (reading := read("speech/")):
        …
    print(reading.dropped.counts)

Everything streams, so that a source may be larger than memory. A record that is damaged, or lacks its caption, is
passed over, counted and listed; only a path of which nothing can be used raises. Libraries that a format wants are
imported when it is asked for.
"""

from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

from tejat.data.corpus.source import Dropped
from tejat.data.sources import files
from tejat.errors import BadInput
from tejat.parts import Document

Reader = Callable[[str, Dropped], Iterator[Document]]
"""Yields the documents of a path, and tells what it leaves out."""


class Format(NamedTuple):
    """A way to keep documents.

    Attributes:
      module: of this package, where its `read` lives.
      suffixes: of the names of its files.
    """

    module: str
    suffixes: tuple[str, ...] = ()


FORMATS = {
    "jsonl": Format("json_lines", (".jsonl", ".ndjson")),  # a document a line: text, messages, or interleaved parts
    "parquet": Format("parquet", (".parquet",)),  # a document a row; columns as the keys of jsonl
    "webdataset": Format("webdataset", (".tar", ".tgz")),  # members of one name are one document
    "arrayrecord": Format("array_record", (".array_record",)),  # sources of a corpus
    "html": Format("html", (".html", ".htm", ".xhtml")),  # the main text of web pages
    "warc": Format("warc", (".warc",)),  # the same of archives of crawls
    "images": Format("images", files.IMAGES),  # with captions beside them, as sounds and clips
    "audio": Format("audio", files.SOUNDS),
    "video": Format("video", files.CLIPS),
    "text": Format("text", (".txt", ".md", ".rst")),  # a document a file
    "code": Format("code"),  # a tree, a document a file
    "huggingface": Format("huggingface"),  # hf:NAME, hf:NAME@SPLIT, or a folder that `datasets` saved
}
"""Every format by its name; of several that a folder may be, the first."""

_LOOKED_AT = 500  # files of a folder that decide what it holds
_LEAST = {"arrayrecord": 0.01, "html": 0.2, "text": 0.67}  # the share of them that makes a format: pages have pictures
_OTHER = 0.33


class Reading(Iterator[Document]):
    """Documents of a path, one after the other.

    Attributes:
      format: its name.
      dropped: what was passed over so far, by reason, with examples.
      documents: how many were read so far.
    """

    def __init__(self, path: str, format: str):
        self.path, self.format, self.documents, self.dropped = path, format, 0, Dropped()
        reader: Reader = import_module(f"tejat.data.sources.{FORMATS[format].module}").read
        self._found = reader(path, self.dropped)

    def __next__(self) -> Document:
        document = next(self._found)
        self.documents += 1
        return document


def read(path: str, format: str | None = None) -> Reading:
    """The documents of a local path or a URL that fsspec knows (s3://, gs://, https://, zip://…::…).

    Without a format, the name tells it, or for a folder the names of most of its files. Raises BadInput for a path
    that is not there or cannot be used, for an unknown format, and for one whose library is not installed; some of
    these with the first document.
    """
    if format is not None and format not in FORMATS:
        raise BadInput(f"there is no format {format!r}; choose one of {', '.join(FORMATS)}")
    if format not in (None, "huggingface") and "://" not in path and not Path(path).exists():
        raise BadInput(f"there is nothing at {path}; give a file, a folder or a URL that can be read")
    return Reading(path, format or detect(path))


def detect(path: str) -> str:
    """The format of a path by the names of its files. Raises BadInput where they do not tell."""
    if path.startswith("hf:"):
        return "huggingface"
    if files.is_file(path):
        name = files.bare(path)
        found = [format for format, known in FORMATS.items() if name.endswith(known.suffixes or "\0")]
        if not found:
            raise BadInput(f"the name of {path} does not tell its format; give one of {', '.join(FORMATS)}")
        return found[0]
    if not files.is_folder(path):
        raise BadInput(f"there is nothing at {path}; give a file, a folder or a URL that can be read")
    if files.is_file(files.join(path, "dataset_info.json")) or files.is_file(files.join(path, "dataset_dict.json")):
        return "huggingface"
    names = [files.bare(name) for name in files.walk(path, most=_LOOKED_AT)]
    if not names:
        raise BadInput(f"the folder {path} is empty; give one that holds documents")
    for format, known in FORMATS.items():
        count = sum(name.endswith(known.suffixes) for name in names) if known.suffixes else 0
        if count >= _LEAST.get(format, _OTHER) * len(names):
            return format
    return "code"
