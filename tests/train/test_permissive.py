"""The arm that is trained on a corpus without copyleft, and the one beside it."""

import dataclasses
import hashlib
import json
import runpy
from pathlib import Path

import numpy as np
import pytest

from tejat.data.corpus import media_sources
from tejat.data.corpus.ledger import Index
from tejat.data.mixture import Stage
from tejat.data.shards import Item, Writer
from tejat.errors import BadInput
from tejat.train import arms, ladder

RECIPE = Path(__file__).parents[2] / "recipes" / "permissive.py"
COPYLEFT = {"wordnet": False, "manuals": True, "clips": False, "charts": True}
"""Sources of text and of what is seen, with and without it."""


def _corpus(directory: Path, sources: list[str]) -> Path:
    """Sources as `tejat data build` leaves them, items of both splits in each."""
    told = {}
    for name in sources:
        for split in ("train", "heldout"):
            with Writer(directory, name, split) as writer:
                for n in range(9):
                    writer.write(Item("text", {"text": f"{name} {split} {n}", "language": "en"}))
            sizes = np.full((9, 4), 60.0)
            index = Index(("en",), np.zeros(9, int), np.ones(9, int), sizes, sizes)
            index.save(directory / name / f"{split}-index.npz")
        (directory / name / "heldout.json").write_text("[]")
        told[name] = {
            "copyleft": COPYLEFT[name],
            "splits": {split: {"document_tokens": 60.0} for split in ("train", "heldout")},
            "heldout_sha256": hashlib.sha256(b"[]").hexdigest(),
        }
    stages = [dataclasses.asdict(Stage(name, 1_000, dict.fromkeys(sources, 1))) for name in ("broad", "turn")]
    (directory / "corpus.json").write_text(json.dumps({"sources": told, "stages": stages}))
    return directory


@pytest.fixture(scope="module")
def made() -> dict:
    return runpy.run_path(str(RECIPE))


@pytest.fixture(scope="module")
def corpora(tmp_path_factory) -> dict[str, Path]:
    free = [name for name, copyleft in COPYLEFT.items() if not copyleft]
    return {
        "corpus": _corpus(tmp_path_factory.mktemp("whole"), [*COPYLEFT]),
        "permissive": _corpus(tmp_path_factory.mktemp("permissive"), free),
    }


def _drawn(documents) -> list[tuple]:
    return [documents.mixture.where(n)[:4] for n in range(400)]


def test_the_permissive_arm_reads_nothing_copyleft_and_both_are_measured_alike(made, corpora, monkeypatch):
    climbed = {}

    def climb(base, rungs, place, heldout, batches):
        climbed[place.name] = base, rungs, heldout

    monkeypatch.setattr(ladder, "climb", climb)
    for arm in ("whole", "permissive"):
        assert made["main"](made["Options"](arm, **corpora, rows=2, tokens=1e5)) == 0
    read, unseen = {}, {}
    for arm, (base, _, heldout) in climbed.items():
        read[arm] = _drawn(base.documents(None, base))
        measured = heldout(None, base)
        assert {documents.mixture.split for documents in measured.values()} == {"heldout"}
        unseen[arm] = {kind: _drawn(documents) for kind, documents in measured.items()}
    assert {name for _, name, *_ in read["whole"]} == {*COPYLEFT}
    told = json.loads((corpora["permissive"] / "corpus.json").read_text())["sources"]
    assert {told[name]["copyleft"] for _, name, *_ in read["permissive"]} == {False}
    # The rest is equal: models, lengths, seeds, the order of a source's items, and what is held out.
    (one, rungs, _), (other, others, _) = climbed["whole"], climbed["permissive"]
    assert (one.room, one.schedule, one.seed) == (other.room, other.schedule, other.seed)
    assert [(r.config, r.schedule, r.seed) for r in rungs] == [(r.config, r.schedule, r.seed) for r in others]
    for name in ("wordnet", "clips"):
        first, second = ([each for each in read[arm] if each[1] == name] for arm in ("whole", "permissive"))
        assert first == second[: len(first)]
    assert unseen["whole"] == unseen["permissive"]
    assert {kind: {name for _, name, *_ in some} for kind, some in unseen["whole"].items()} == {
        "whole: text": {"wordnet", "manuals"},
        "whole: media": {"clips", "charts"},
        "permissive: text": {"wordnet"},
        "permissive: media": {"clips"},
    }


def test_corpora_that_cannot_be_compared(made, corpora, tmp_path):
    for changed, told in (
        ({"permissive": corpora["corpus"]}, "has copyleft, charts, manuals; build one"),
        ({"corpus": tmp_path}, f"no corpus in {tmp_path}; name the whole one by --corpus"),
        ({"permissive": tmp_path}, "name the permissive one by --permissive"),
        ({"tokens": 10}, "give more than one"),
        ({"held": 0}, "--held"),
    ):
        with pytest.raises(BadInput, match=told):
            made["main"](made["Options"]("permissive", **corpora | changed))


def test_every_source_of_the_corpus_that_shows_or_plays_something_is_known():
    made_of_text = {"instructions", "arithmetic", "retrieval", "retrieval-long"}
    assert {*arms.SEEN} == {source.name for source in media_sources.ALL} - made_of_text
