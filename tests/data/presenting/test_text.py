"""Stored documents come back as they were; text is text."""

import numpy as np
import pytest

from tejat.data.presenting import present
from tejat.data.presenting.text import stored
from tejat.data.shards import Item
from tejat.errors import BadInput
from tejat.parts import Audio, Document, Image, Text, Turn, Video

random = np.random.default_rng(0)
image = Image(random.integers(0, 256, (5, 7, 3), np.uint8))
audio = Audio(random.uniform(-1, 1, 100).astype(np.float32))
video = Video(random.integers(0, 256, (2, 6, 8, 3), np.uint8), (0.0, 0.25), audio)


@pytest.mark.parametrize(
    "document",
    [
        Document.of([Text("one"), image, audio, video, image], source="a"),
        Document.from_turns([Turn("user", (Text("What?"), audio)), Turn("model", (image,))]),
        Document.of([]),
    ],
)
def test_a_stored_document_comes_back(document):
    item = Item.from_bytes(stored(document, language="en").to_bytes())
    assert present([item], 0, random) == document
    assert item.fields["language"] == "en"


def test_text_is_one_part():
    item = Item("text", {"text": "Guten Tag", "language": "de"})
    assert present([item], 0, random) == Document.of([Text("Guten Tag")])


def test_an_unknown_kind_is_refused():
    with pytest.raises(BadInput, match="'dance'"):
        present([Item("dance")], 0, random)
