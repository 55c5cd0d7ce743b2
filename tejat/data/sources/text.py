"""Plain text: a document a file; a long file is several."""

import codecs
from collections.abc import Iterator

from tejat.data.corpus.source import Dropped
from tejat.data.sources import files
from tejat.errors import BadInput
from tejat.parts import Document, Text

LONGEST = 4 << 20
"""Bytes of a document; what is longer is cut at the end of a line."""


def read(path: str, dropped: Dropped) -> Iterator[Document]:
    """Documents of a file, or of a folder's files. Raises BadInput for a single file that is not UTF-8."""
    for name in files.walk(path, () if files.is_file(path) else (".txt", ".md", ".rst")):
        decoder = codecs.getincrementaldecoder("utf-8-sig")()
        rest, some = "", False
        try:
            with files.opened(name) as stream:
                while block := stream.read(LONGEST):
                    rest += decoder.decode(block)
                    if len(block) == LONGEST and (cut := rest.rfind("\n") + 1):
                        yield Document.of([Text(rest[:cut])], source=name)
                        rest, some = rest[cut:], True
                    elif len(rest) >= 4 * LONGEST:  # no line ends
                        yield Document.of([Text(rest)], source=name)
                        rest, some = "", True
                rest += decoder.decode(b"", final=True)
        except UnicodeDecodeError as error:
            if name == path and not some:
                raise BadInput(f"{path} is not UTF-8 at byte {error.start}; convert it") from error
            dropped.drop("files that are not UTF-8", f"{name}: {error.reason} at byte {error.start}")
            continue
        except files.DAMAGE as error:
            if name == path and not some:
                raise BadInput(f"{path} cannot be read ({error}); mend that or leave it out") from error
            dropped.drop("files that cannot be read", f"{name}: {error}")
            continue
        if rest.strip():
            yield Document.of([Text(rest)], source=name)
        elif not some:
            dropped.drop("files without text", name)
