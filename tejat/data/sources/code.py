"""A tree of source code: a document a file."""

import re
from collections.abc import Iterator

from tejat.data.corpus.source import Dropped
from tejat.data.sources import files
from tejat.errors import BadInput
from tejat.parts import Document, Text

LARGEST = 1 << 20
"""Bytes of a file; what people write is smaller."""

LONGEST_LINE, LONG_LINES = 10_000, 200
"""Characters of a line, and of the mean line, beyond which a file is packed or made by a program."""

CODE = re.compile(
    r"\.(py|pyi|ipynb|c|h|cc|cpp|hpp|cxx|cu|rs|go|java|kt|scala|swift|js|jsx|mjs|ts|tsx|vue|rb|php|pl|pm|lua|sh|bash|zsh"
    r"|fish|ps1|sql|r|jl|m|hs|ml|mli|ex|exs|erl|clj|lisp|el|scm|cs|fs|vb|dart|zig|nim|d|f|f90|asm|s|v|sv|vhd|tex|bib|md"
    r"|rst|txt|toml|yaml|yml|json|ini|cfg|cmake|mk|gradle|html|css|scss|xml|proto|thrift|graphql|dockerfile)$"
    r"|^(makefile|dockerfile|readme|license)$"
)


def read(path: str, dropped: Dropped) -> Iterator[Document]:
    """A document for each file that people wrote."""
    for name in files.walk(path):
        if not CODE.search(files.bare(name)):
            dropped.drop("files that are no code", name)
            continue
        try:
            text = files.content(name, LARGEST).decode()
        except UnicodeDecodeError as error:
            dropped.drop("files that are not UTF-8", f"{name}: {error.reason} at byte {error.start}")
            continue
        except BadInput as error:
            dropped.drop("files that are too large or cannot be read", error)
            continue
        lines = text.splitlines()
        if not text.strip():
            dropped.drop("files without text", name)
        elif max(map(len, lines)) > LONGEST_LINE or len(text) > LONG_LINES * len(lines):
            dropped.drop("files made by a program, by their long lines", name)
        else:
            yield Document.of([Text(text)], source=name)
