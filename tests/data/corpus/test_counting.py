"""Estimates of tokens: those of a corpus that is built agree with what Framing makes of its documents."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tejat.codecs.framing import Modality
from tejat.data.corpus import counting, ledger, writing
from tejat.data.corpus.build import build
from tejat.data.corpus.ledger import MODALITIES, Index
from tejat.data.presenting import present
from tejat.data.shards import Shards
from tejat.parts import Audio, Document, Image, Text, Turn, Video

RECIPE = """
import io
from dataclasses import replace
from functools import partial

from tejat import sample
from tejat.data.corpus import media_sources
from tejat.data.corpus.recipe import Corpus
from tejat.data.corpus.source import Source
from tejat.data.shards import Item


def drawings(paths, dropped):
    styles = sample.styles()[:2]
    for n, concept in enumerate(sample.concepts()[:24]):
        blobs = {}
        for style in styles:
            out = io.BytesIO()
            sample.picture(style, concept.id).save(out, "WEBP", lossless=True)
            blobs[f"{style}.webp"] = out.getvalue()
        fields = {"names": dict(concept.names), "category": {}, "tags": [], "emoji": "", "id": concept.id}
        yield Item("concept", fields | {"group": f"g{n}"}, blobs)


def prose(paths, dropped):
    for language in ("en", "ja"):
        for n, line in enumerate(sample.prose(language).splitlines()[:60]):
            yield Item("text", {"text": line, "language": language, "group": f"{language}{n}"})


def made(source):
    return replace(source, heldout=lambda item: False)


MADE = [made(s) for s in (media_sources.ARITHMETIC, media_sources.PHYSICS, media_sources.RETRIEVAL)]
DRAWN = Source("drawn", drawings, (), "CC0-1.0", False, "drawn", 1, measure=media_sources.CONCEPTS.measure)
PROSE = Source("prose", prose, (), "CC0-1.0", False, "prose", 1, heldout=lambda item: False)
RECIPE = Corpus("counted", [*MADE, DRAWN, PROSE])
"""


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    work = tmp_path_factory.mktemp("counted")
    (work / "recipe.py").write_text(RECIPE)
    outcome = build(work / "recipe.py", work / "corpus", workers=1, limit=120)
    assert not outcome.failed
    return work / "corpus"


def made(corpus: Path, name: str, seed: int) -> np.ndarray:
    """Tokens by modality of a document of every item, worded otherwise than when it was counted."""
    items, found = Shards(corpus, name, "train"), []
    for k in range(len(items)):
        random = np.random.default_rng([seed, k])
        found.append(counting.tokens(present(items, k, random), random))
    return np.array(found)


@pytest.mark.parametrize(
    ("name", "within"), [("arithmetic", 0.15), ("physics", 0.1), ("retrieval", 0.15), ("drawn", 0.3), ("prose", 0.02)]
)
def test_the_ledger_expects_what_framing_makes(corpus, name, within):
    index = Index.load(corpus, name, "train")
    found = np.mean([made(corpus, name, seed).mean(0) for seed in range(2)], axis=0)
    expected = (index.tokens / index.documents[:, None]).mean(0)
    assert expected.sum() == pytest.approx(found.sum(), rel=within)
    assert (expected > 0).tolist() == (found > 0).tolist() or name == "drawn"
    told = ledger.read(corpus)["sources"][name]["splits"]["train"]
    assert told["document_tokens"] == pytest.approx(expected.sum(), rel=0.02)
    assert told["tokens"] == {m: pytest.approx(n, abs=1) for m, n in zip(MODALITIES, index.tokens.sum(0), strict=True)}
    if name == "prose":  # a longer line has more
        assert np.corrcoef(index.tokens[:, 0], index.bytes[:, 0])[0, 1] > 0.99


def test_all_that_is_framed_is_counted_once():
    picture = Image(np.zeros((64, 64, 3), np.uint8))
    clip = Video(np.zeros((3, 64, 64, 3), np.uint8), (0.0, 0.4, 0.8), Audio(np.zeros(16_000, np.float32)))
    asked = (picture, clip, Audio(np.zeros(8_000, np.float32)), Text("Draw it."))
    document = Document.from_turns([Turn("user", asked), Turn("model", (Text("Here."), picture))])
    encoded, found = counting.framing().encode(document), counting.tokens(document)
    assert found.sum() == len(encoded)
    drawn = int((encoded.modality == Modality.PICTURE).sum())
    assert drawn > 256 and found[MODALITIES.index("image")] == drawn + (encoded.modality == Modality.IMAGE).sum()
    assert found[MODALITIES.index("audio")] > 12 and found[MODALITIES.index("video")] > 3


counts = st.lists(st.lists(st.integers(0, 500), min_size=4, max_size=4), min_size=1, max_size=12)


@given(counts, st.data())
def test_stretched_estimates_have_the_mean_that_was_counted(guesses, data):
    n = len(guesses)
    documents = np.array(data.draw(st.lists(st.integers(1, 9), min_size=n, max_size=n)))
    guessed = np.array(guesses, float) * documents[:, None]
    index = Index(("en",), np.zeros(n, int), documents, guessed, np.ones((n, 4)))
    places = np.array(sorted(data.draw(st.sets(st.integers(0, n - 1), min_size=1))))
    counted = np.array([data.draw(st.lists(st.integers(0, 300), min_size=4, max_size=4)) for _ in places], float)
    found = counting.stretched(index, places, counted)
    each = found.tokens / documents[:, None]
    np.testing.assert_allclose(each[places].mean(0), counted.mean(0), atol=1e-9)
    assert (found.bytes == index.bytes).all() and (each >= 0).all()
    again = counting.stretched(found, places, counted)  # once they agree they stay
    np.testing.assert_allclose(again.tokens, found.tokens, rtol=1e-9, atol=1e-9)


def test_counted_anew_it_still_adds_up_and_nothing_else_changes(corpus, monkeypatch):
    """As where another tokenizer counts: an index is changed, and its ledger with it."""
    before = {path: path.read_bytes() for path in sorted(corpus.rglob("*")) if path.is_file()}
    told = ledger.read(corpus)["sources"]["prose"]
    monkeypatch.setattr(writing, "presenting", lambda: "otherwise")
    monkeypatch.setattr(counting, "tokens", lambda document, random: np.array([7.0, 0, 0, 2.0]))
    build(corpus.parent / "recipe.py", corpus, only=["prose"], workers=1, limit=120)
    now = ledger.read(corpus)["sources"]["prose"]
    split = now["splits"]["train"]
    assert split["tokens"] == {"text": 7 * split["items"], "image": 0, "audio": 0, "video": 2 * split["items"]}
    assert (
        split["document_tokens"] == 9.0 and {**now["splits"]["train"], **told["splits"]["train"]}.keys() == split.keys()
    )
    assert list(ledger.faults(corpus)) == []
    changed = {path.name for path, data in before.items() if path.read_bytes() != data}
    assert changed <= {"corpus.json", "ledger.json", "train-index.npz"}
