"""Media that nothing is said of."""

from collections.abc import Iterable, Iterator

from tejat.data.cleaning.records import Record, group, texts
from tejat.data.cleaning.report import Report
from tejat.data.shards import Item
from tejat.parts import Text


class Captions:
    """Drops records that have pictures, sounds or clips and no word, or a blank one. Nothing grows."""

    def __init__(self) -> None:
        self.report = Report("captions")

    def __call__(self, records: Iterable[Record], source: str = "") -> Iterator[Record]:
        for record in records:
            if not _has_media(record):
                self.report.notes["without media, passed"] += 1
                yield record
                continue
            told = group(record, source)
            self.report.see(told)
            if not any(content.strip() for content in texts(record)):
                shown = ", ".join(record.blobs) if isinstance(record, Item) else f"{len(record.parts)} parts"
                self.report.drop("no caption", told, shown)
            else:
                yield record


def _has_media(record: Record) -> bool:
    if isinstance(record, Item):
        return bool(record.blobs)
    return any(not isinstance(part, Text) for part in record.parts)
