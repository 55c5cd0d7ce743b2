"""A mixture of dialogues: one after the other, of whatever sources, the same for the same number."""

import hashlib
import io
import json
import pickle
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image as pillow

from tejat.data.conversations import TURNS, Conversations
from tejat.data.corpus.ledger import Index
from tejat.data.mixture import STAGE, Stage
from tejat.data.shards import Item, Writer
from tejat.parts import Image

COUNT = 40
FACT = {"relation": "capital", "subject": {"en": "France"}, "answer": "Paris", "language": "en"}
ITEMS = {
    "facts": [Item("fact", FACT | {"asked": n % 2 == 1}) for n in range(COUNT)],  # half of them are stated
    "sums": [Item("arithmetic", {"task": n % 4, "level": 1}) for n in range(COUNT)],
    "prose": [Item("text", {"text": f"text {n}", "language": "en"}) for n in range(COUNT)],
}
STAGES = Stage("a", 1e4, {"prose": 1}), Stage("b", 1e4, {"sums": 1, "facts": 1})


def write(directory, name: str, items: list[Item]) -> dict:
    """A source as `tejat data build` leaves it, and what the ledger says of it."""
    with Writer(directory, name, "train") as writer:
        for item in items:
            writer.write(item)
    sizes = np.full((COUNT, 4), 30.0)
    Index(("en",), np.zeros(COUNT, int), np.ones(COUNT, int), sizes, sizes).save(directory / name / "train-index.npz")
    (directory / name / "heldout.json").write_bytes(b"[]")
    return {
        "splits": {"train": {"document_tokens": 30.0}},
        "heldout_sha256": hashlib.sha256(b"[]").hexdigest(),
    }


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    directory = tmp_path_factory.mktemp("corpus")
    told = {name: write(directory, name, items) for name, items in ITEMS.items()}
    (directory / "corpus.json").write_text(json.dumps({"sources": told}))
    return directory


@pytest.fixture(scope="module")
def mixture(corpus) -> Conversations:
    return Conversations(corpus, STAGES, 1e3, seed=3)


def test_all_are_dialogues_some_of_several_sources(mixture):
    documents = [mixture.document(STAGE + n) for n in range(120)]
    assert all(set(document.roles) == {"user", "model"} for document in documents)
    assert all(document.loss == tuple(role == "model" for role in document.roles) for document in documents)
    assert {document.source for document in documents} == {"sums", "facts"}
    answers = [{turn.parts[0].text for turn in document.turns() if turn.role == "model"} for document in documents]
    both = [said for said in answers if "Paris" in said and any(" = " in text for text in said)]
    assert len(both) > 5
    assert any(len(document.turns()) > 6 for document in documents)
    assert all(len(document.turns()) <= TURNS + 12 for document in documents)


def test_a_document_is_a_function_of_its_number(mixture):
    twin = pickle.loads(pickle.dumps(mixture))
    for n in (7, 3, 90, 7):
        assert twin.document(STAGE + n) == mixture.document(STAGE + n)


def test_where_there_is_no_dialogue_documents_are_as_they_are(mixture):
    assert mixture.document(5).roles == (None,)


def test_plain_stages_have_all_documents(corpus):
    some = Conversations(corpus, [replace(stage, plain=True) for stage in STAGES], 1e3, seed=3)
    assert {some.document(STAGE + n).roles for n in range(60)} > {(None,)}  # facts that are stated


def test_pictures_that_nobody_asks_for_stay_among_dialogues(tmp_path):
    """The unconditional row of guidance: as many of the drawings as where documents are as they are."""
    blob = io.BytesIO()
    pillow.fromarray(np.full((16, 16, 4), 200, np.uint8)).save(blob, "WEBP", lossless=True)
    fields = {"names": {"en": "tree"}, "category": {}, "tags": [], "emoji": "", "id": "tree"}
    told = write(tmp_path, "things", [Item("concept", fields, {"noto.webp": blob.getvalue()})] * COUNT)
    (tmp_path / "corpus.json").write_text(json.dumps({"sources": {"things": told}}))
    unasked = {}
    for plain in (True, False):
        mixture = Conversations(tmp_path, [Stage("a", 1e4, {"things": 1}, plain=plain)], 1e3, seed=1)
        documents = [mixture.document(n) for n in range(600)]
        unasked[plain] = sum(len(d.parts) == 1 and isinstance(d.parts[0], Image) for d in documents)
        assert plain or all(None not in d.roles or len(d.parts) == 1 for d in documents)
    assert min(unasked.values()) > 12
