"""Parquet: a document a row, as `interleaved` maps its columns."""

from collections.abc import Iterator

from tejat.data.corpus.source import Dropped
from tejat.data.sources import files, interleaved
from tejat.errors import BadInput
from tejat.parts import Document

ROWS = 64  # read at once


def read(path: str, dropped: Dropped) -> Iterator[Document]:
    """Documents of a file, or of all such files of a folder. Raises BadInput for a single file that is no Parquet."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise BadInput(f"{path} wants pyarrow to be read; install it by `pip install pyarrow`") from error

    for name in files.walk(path, () if files.is_file(path) else (".parquet",)):
        number = 0
        try:
            with files.opened(name) as stream:
                for batch in parquet.ParquetFile(stream).iter_batches(ROWS):
                    for record in batch.to_pylist():
                        number += 1
                        try:
                            found = interleaved.document(record, files.folder_of(name), files.bare(name))
                        except BadInput as error:
                            dropped.drop("records that are no documents", f"{files.name(name)}, row {number}: {error}")
                        else:
                            yield found
        except (pyarrow.ArrowException, *files.DAMAGE) as error:
            why = " ".join(str(error).split())[:200]
            if name == path and not number:
                raise BadInput(f"{path} is no whole Parquet file ({why}); make or get it again") from error
            dropped.drop("files that end in damage", f"{files.name(name)}, after row {number}: {why}")
