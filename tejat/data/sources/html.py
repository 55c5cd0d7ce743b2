"""Web pages: their main text by trafilatura, without menus, advertisements and footers."""

from collections.abc import Iterator
from types import ModuleType

from tejat.data.corpus.source import Dropped
from tejat.data.sources import files
from tejat.errors import BadInput
from tejat.parts import Document, Text

LARGEST = 20 << 20  # bytes of a page


def read(path: str, dropped: Dropped) -> Iterator[Document]:
    """A document for each page of a folder, or for one page."""
    trafilatura = library(path)
    for name in files.walk(path, () if files.is_file(path) else (".html", ".htm", ".xhtml")):
        try:
            page = files.content(name, LARGEST)
        except BadInput as error:
            if name == path:
                raise
            dropped.drop("pages that cannot be read", error)
            continue
        yield from main_text(trafilatura, page, name, dropped)


def main_text(trafilatura: ModuleType, page: bytes, address: str, dropped: Dropped) -> Iterator[Document]:
    """The page as a document, if it has a main text."""
    try:
        text = trafilatura.extract(page, include_comments=False)
    except Exception as error:  # a parser of whatever the web holds
        dropped.drop("pages that cannot be parsed", f"{address}: {type(error).__name__}: {error}")
        return
    if not text or not text.strip():
        dropped.drop("pages without a main text", address)
        return
    yield Document.of([Text(text.encode(errors="replace").decode())], source=address)


def library(path: str) -> ModuleType:
    """trafilatura. Raises BadInput where it is not installed."""
    try:
        import trafilatura
    except ImportError as error:
        told = f"{path} wants trafilatura, which takes the text out of web pages"
        raise BadInput(f"{told}; install it by `pip install 'tejat[data]'`") from error
    return trafilatura
