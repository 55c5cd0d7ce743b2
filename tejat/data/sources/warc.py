"""Archives of web crawls (WARC): the main text of each page that was answered with HTML."""

from collections.abc import Iterator
from typing import BinaryIO

from tejat.data.corpus.source import Dropped
from tejat.data.sources import files, html
from tejat.errors import BadInput
from tejat.parts import Document


def read(path: str, dropped: Dropped) -> Iterator[Document]:
    """A document for each page. An archive is read up to where it is damaged; one that is none raises BadInput."""
    try:
        from warcio.archiveiterator import ArchiveIterator
        from warcio.exceptions import ArchiveLoadFailed
    except ImportError as error:
        raise BadInput(f"{path} wants warcio to be read; install it by `pip install warcio`") from error
    trafilatura = html.library(path)
    for name in files.walk(path, () if files.is_file(path) else (".warc",)):
        records = 0
        try:
            with files.opened(name) as stream:
                for record in ArchiveIterator(_Stream(stream)):
                    records += 1
                    if record.rec_type != "response" or not _is_html(record):
                        continue
                    address = record.rec_headers.get_header("WARC-Target-URI") or name
                    page = record.content_stream().read(html.LARGEST + 1)
                    if len(page) > html.LARGEST:
                        dropped.drop(f"pages of more than {html.LARGEST:,} bytes", address)
                        continue
                    yield from html.main_text(trafilatura, page, address, dropped)
        except (ArchiveLoadFailed, *files.DAMAGE) as error:
            if name == path and not records:
                raise BadInput(f"{path} is no WARC archive ({error}); make or get it again") from error
            dropped.drop("files that end in damage", f"{files.name(name)}, after record {records}: {error}")


class _Stream:
    """warcio takes EOFError for the end of the archive; gzip raises it for a file that is cut short."""

    def __init__(self, stream: BinaryIO):
        self._read = getattr(stream, "read1", stream.read)  # what is there before the cut, if it can be had apart

    def read(self, size: int = -1) -> bytes:
        try:
            return self._read(size)
        except EOFError as error:
            raise OSError(str(error)) from error


def _is_html(record) -> bool:
    kind = (record.http_headers and record.http_headers.get_header("Content-Type")) or ""
    return "html" in kind.lower()
