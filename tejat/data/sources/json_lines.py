"""JSON lines: a document a line, as `interleaved` maps it."""

import json
from collections.abc import Iterator
from typing import BinaryIO

from tejat.data.corpus.source import Dropped
from tejat.data.sources import files, interleaved
from tejat.errors import BadInput
from tejat.parts import Document

LONGEST = 256 << 20
"""Bytes of a line beyond which it is passed over: no document, but a file of another kind."""


def read(path: str, dropped: Dropped) -> Iterator[Document]:
    """Documents of a file, or of all such files of a folder. Raises BadInput for a single file that cannot be read."""
    for name in files.walk(path, () if files.is_file(path) else (".jsonl", ".ndjson")):
        number = 0
        try:
            with files.opened(name) as stream:
                for line in _lines(stream):
                    number += 1
                    if len(line) == LONGEST:
                        dropped.drop(f"lines of more than {LONGEST:,} bytes", f"{files.name(name)}:{number}")
                    elif line.strip():
                        yield from _document(line, name, number, dropped)
        except files.DAMAGE as error:
            if name == path and not number:
                raise BadInput(f"{path} cannot be read ({error}); mend that or leave it out") from error
            dropped.drop("files that end in damage", f"{files.name(name)}, after line {number}: {error}")


def _lines(stream: BinaryIO) -> Iterator[bytes]:
    """Lines, of which none is longer than LONGEST: of a longer one comes its beginning."""
    while line := stream.readline(LONGEST):
        yield line
        while len(line) == LONGEST and not line.endswith(b"\n"):
            line = stream.readline(LONGEST)


def _document(line: bytes, name: str, number: int, dropped: Dropped) -> Iterator[Document]:
    where = f"{files.name(name)}:{number}"
    try:
        yield interleaved.document(json.loads(line.decode("utf-8-sig")), files.folder_of(name), files.bare(name))
    except UnicodeDecodeError:
        dropped.drop("lines that are not UTF-8", where)
    except (json.JSONDecodeError, RecursionError) as error:
        dropped.drop("lines that are not JSON", f"{where}: {error}")
    except BadInput as error:
        dropped.drop("records that are no documents", f"{where}: {error}")
