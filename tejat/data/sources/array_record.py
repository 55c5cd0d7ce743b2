"""ArrayRecord shards of a built corpus, each item presented as a document."""

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from array_record.python.array_record_module import ArrayRecordReader

from tejat.data.corpus.source import Dropped
from tejat.data.presenting import present
from tejat.data.shards import Item
from tejat.data.sources import files
from tejat.errors import BadInput
from tejat.parts import Document


class _File(Sequence[Item]):
    """Items of one shard. Raises BadInput for a file that is none, and for a damaged item."""

    def __init__(self, path: str):
        self._path = path
        try:
            self._reader = ArrayRecordReader(path, "readahead_buffer_size:0")
            if not self._reader.ok():
                self._reader.read([0])  # which says why: a file cut short opens as if it held nothing
        except Exception as error:  # the reader raises several kinds for a damaged file
            why = " ".join(str(error).split())[:160]
            raise BadInput(f"{path} is no whole ArrayRecord file ({why}); build it again") from error

    def __len__(self) -> int:
        return self._reader.num_records()

    def __getitem__(self, index):
        try:
            return Item.from_bytes(self._reader.read([index])[0])
        except Exception as error:  # as above
            raise BadInput(f"item {index} of {self._path} is damaged") from error


def read(path: str, dropped: Dropped) -> Iterator[Document]:
    """Documents of a shard, or of all training shards below a folder: what is held out is read by its own name alone.

    Raises BadInput for a URL, and for a single file that is no shard.
    """
    if files.is_url(path):
        raise BadInput(f"{path} is a URL, and ArrayRecord files are read from disk alone; copy it here")
    for name in files.walk(path, (".array_record",)):
        if name != path and not files.bare(name).startswith("train-"):
            continue
        try:
            items = _File(name)
        except BadInput as error:
            if name == path:
                raise
            dropped.drop("files that are damaged", error)
            continue
        source = files.name(files.folder_of(name))
        for k in range(len(items)):
            try:
                # Wording and sizes that are drawn at random are drawn by the item's number.
                document = present(items, k, np.random.default_rng([zlib.crc32(files.bare(name).encode()), k]))
            except BadInput as error:
                dropped.drop("items that are damaged", error)
            else:
                yield document if document.source else replace(document, source=source)
