"""Splits: the lists say what they say, a changed one is noticed, and nothing that is held out is trained on."""

import json
import pickle

import numpy as np
import pytest

from tejat.data import splits
from tejat.data.shards import Item, Shards, Writer
from tejat.data.splits import HeldOut, Training, refuse_heldout
from tejat.errors import BadInput, Refused
from tejat.parts import Document, Text


def text(content: str, **fields) -> Item:
    return Item("text", {"text": content} | fields)


def test_the_lists_that_ship_hold_out_whole_families_and_a_tenth_of_the_concepts():
    axis, _, concepts = splits.listed(splits.FOLDER / "concept.json")
    assert axis == "concept" and 150 < len(concepts) < 250
    families = json.loads((splits.FOLDER / "style.json").read_text())["families"]
    for family in set(families.values()):
        assert len({splits.is_heldout("style", style) for style in families if families[style] == family}) == 1
    assert splits.is_heldout("style", "openmoji") and splits.is_heldout("style", "emojione-v1")
    assert not splits.is_heldout("style", "noto")


def test_concepts_that_differ_in_gender_alone_are_on_one_side():
    for one, other in (("1F469-200D-1F33E", "1F468-200D-1F33E"), ("1F64B-200D-2640", "1F64B-200D-2642")):
        assert splits.is_heldout("concept", one) == splits.is_heldout("concept", other)


@pytest.mark.parametrize("axis", ["concept", "style", "speaker", "dataset"])
def test_a_changed_list_is_noticed(axis, tmp_path):
    value = json.loads((splits.FOLDER / f"{axis}.json").read_text())
    value["heldout"] = value["heldout"][1:]
    (tmp_path / "list.json").write_text(json.dumps(value))
    with pytest.raises(BadInput, match="was changed by hand"):
        splits.listed(tmp_path / "list.json")


def test_by_checksum_holds_out_the_share_and_the_same_ones():
    ids = [f"id {k}" for k in range(20_000)]
    held = [id for id in ids if splits.by_checksum("axis", id, 0.05)]
    assert 0.04 < len(held) / len(ids) < 0.06
    assert held == [id for id in ids if splits.by_checksum("axis", id, 0.05)]
    assert set(held) <= {id for id in ids if splits.by_checksum("axis", id, 0.1)}
    assert held != [id for id in ids if splits.by_checksum("other", id, 0.05)]


@pytest.mark.parametrize(
    "record",
    [
        Item("concept", {"concept": "1F170", "names": {}}),
        Item("concept", {"styles": ["noto", "openmoji"]}),
        Item("speech", {"speaker": "flite-slt"}),
        Item("chart", {"group": "vega/movies"}),
        text("Kept for  EVALUATION.", language="en"),
        Document.of([Text("kept for evaluation.")]),
        Item("level", {"level": "grail"}),
    ],
)
def test_what_is_held_out_is_refused_by_any_axis_or_by_itself(record):
    heldout = HeldOut.of([text("Kept for evaluation.")], {"level": ["grail"]})
    fine = [text("Not kept."), Item("concept", {"concept": "1F600", "styles": ["noto"]}), Item("chart", {"group": "x"})]
    assert list(refuse_heldout(fine, heldout)) == fine
    with pytest.raises(Refused, match="record 3 of here is not to be trained on: it"):
        list(refuse_heldout([*fine, record], heldout, "here"))


@pytest.fixture
def corpus(tmp_path):
    """A corpus of one source as a build leaves it: two items for training, two held out."""
    import hashlib

    for split, contents in (("train", ["a b", "c d"]), ("heldout", ["e f", "g h"])):
        with Writer(tmp_path, "books", split) as writer:
            for content in contents:
                writer.write(text(content, group=content[0]))
    listed = json.dumps(["e", "g"]).encode()
    (tmp_path / "books" / "heldout.json").write_bytes(listed)
    told = {"sources": {"books": {"heldout_sha256": hashlib.sha256(listed).hexdigest()}}}
    (tmp_path / "corpus.json").write_text(json.dumps(told))
    return tmp_path


def test_a_corpus_is_trained_on_but_not_what_it_holds_out(corpus):
    heldout = HeldOut.of_corpus(corpus)
    items = Training(Shards(corpus, "books", "train"), heldout, "books")
    assert [item.fields["text"] for item in items] == ["a b", "c d"] and items[-1] == items[1:][0]
    assert list(pickle.loads(pickle.dumps(items))) == list(items)
    with pytest.raises(Refused, match="record 1 of books is not to be trained on: its group 'g'"):
        Training(Shards(corpus, "books", "heldout"), heldout, "books")[1]
    with pytest.raises(BadInput, match="it is a held-out record"):
        list(refuse_heldout([text("E  F")], heldout))


def test_a_held_out_list_that_was_changed_or_lost_is_noticed(corpus):
    path = corpus / "books" / "heldout.json"
    path.write_text('["e"]')
    with pytest.raises(BadInput, match="was changed since the build"):
        HeldOut.of_corpus(corpus)
    path.unlink()
    with pytest.raises(BadInput, match="cannot be read"):
        HeldOut.of_corpus(corpus)
    (corpus / "corpus.json").write_text("[]")
    with pytest.raises(BadInput, match="build the corpus"):
        HeldOut.of_corpus(corpus)


def test_a_run_ends_at_a_held_out_document_and_passes_over_damaged_ones(corpus):
    """The loader counts what is damaged and goes on; what is held out must not be counted away."""
    from tejat.codecs.framing import Encoded
    from tejat.data.filling import Place, Stream
    from tejat.data.packing import Room

    items = Training(
        [*Shards(corpus, "books", "train"), *Shards(corpus, "books", "heldout")], HeldOut.of_corpus(corpus)
    )

    def encoded(index: int) -> Encoded:
        if index % 2:
            raise BadInput("damaged")
        item = items[0 if index < 40 else 2]
        column = np.zeros(len(item.fields["text"]), np.int32)
        return Encoded(column, column > 0, column, column, column - 1, column, ())

    stream = Stream(encoded, Room(rows=1, tokens=24, targets=24, patches=0, sounds=0, frames=0), 0, Place())
    with pytest.raises(Refused, match="it is a held-out record"):
        for step in range(40):
            stream.fill(step)
    assert stream.place.damaged >= 20
