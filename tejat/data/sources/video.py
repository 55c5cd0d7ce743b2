"""Folders of clips with captions beside them."""

from collections.abc import Iterator

from tejat import media
from tejat.data.corpus.source import Dropped
from tejat.data.sources import captions, files
from tejat.parts import Document


def read(path: str, dropped: Dropped) -> Iterator[Document]:
    """A document for each clip that has words."""
    yield from captions.captioned(path, files.CLIPS, media.read_video, dropped)
