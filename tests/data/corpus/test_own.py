"""One's own files, from what others keep to batches: JSON lines and a folder of pictures, built and packed."""

import base64
import io
import json

import numpy as np
import pytest
from PIL import Image as pillow

from tejat import sample
from tejat.codecs.framing import Framing
from tejat.data.corpus import build, ledger
from tejat.data.loading import Loader
from tejat.data.mixture import Documents, Mixture, Stage
from tejat.data.packing import Room
from tejat.data.shards import Shards
from tejat.errors import BadInput
from tejat.model import family
from tejat.parts import Image

RECIPE = """
from tejat.data.cleaning import duplicates, pictures
from tejat.data.corpus.own import own
from tejat.data.corpus.recipe import Corpus
from tejat.data.mixture import Stage

RECIPE = Corpus(
    "mine",
    [own("notes", "notes.jsonl", "CC0-1.0", language="en", held=0.1), own("album", "album", "CC-BY-4.0")],
    clean=(pictures.Pictures(),),
    across=(duplicates.Exact(),),
    stages=[Stage("all", 1e5, {"notes": 1, "album": 1})],
)
"""


def picture(seed: int) -> bytes:
    file, random = io.BytesIO(), np.random.default_rng(seed)
    pillow.fromarray(random.integers(0, 256, (32, 40, 3), dtype=np.uint8)).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Running text, a dialogue with a picture, a double, a line that is no document; six pictures with words beside."""
    monkeypatch.chdir(tmp_path)
    lines = [json.dumps({"text": line}) for line in sample.prose("en").splitlines()[:80]]
    shown = {"image": {"data": base64.b64encode(picture(9)).decode()}}
    lines.append(json.dumps({"parts": [shown, "What is it?", "noise"], "roles": ["user", "user", "model"]}))
    (tmp_path / "notes.jsonl").write_text("\n".join([*lines, lines[3], "{no document"]))
    (tmp_path / "album").mkdir()
    for number in range(6):
        (tmp_path / "album" / f"{number}.png").write_bytes(picture(number))
        (tmp_path / "album" / f"{number}.txt").write_text(f"Noise, number {number}.")
    (tmp_path / "recipe.py").write_text(RECIPE)
    return tmp_path


def test_own_files_are_built_into_a_corpus_and_packed(files, micro_vocabulary):
    outcome = build.build(files / "recipe.py", files / "corpus", workers=1)
    assert outcome.built == ["notes", "album"] and not outcome.failed and list(ledger.faults(files / "corpus")) == []
    told = outcome.ledger["sources"]["notes"]
    assert told["read"] == 82 and sum(reason["count"] for reason in told["parser"].values()) == 1
    assert {step["step"]: step["dropped"] for step in told["steps"]}["exact duplicates"] == 1
    notes = [item for split in ("train", "heldout") for item in Shards(files / "corpus", "notes", split)]
    assert len(notes) == 81 and {item.kind for item in notes} == {"text", "document"}
    assert 0 < told["splits"]["heldout"]["items"] < 20 and len(Shards(files / "corpus", "album", "train")) == 6

    mixture = Mixture(files / "corpus", [Stage("all", 1e5, {"notes": 1, "album": 1})], 2 * 256, 0)
    config = family.preset("micro")
    documents = Documents(mixture, Framing(config, micro_vocabulary, None))
    loader = Loader(documents, config, Room(rows=2, tokens=256, targets=256, patches=512, sounds=0, frames=0))
    batch, _ = next(loader)
    loader.close()
    assert (batch.inputs.segments > 0).mean() > 0.9
    drawn = [mixture.document(index) for index in range(40)]
    assert {document.source for document in drawn} == {"notes", "album"}
    assert any(isinstance(part, Image) for document in drawn for part in document.parts)


def test_what_is_built_is_kept_until_the_files_are_others(files):
    build.build(files / "recipe.py", files / "corpus", workers=1)
    assert build.build(files / "recipe.py", files / "corpus", workers=1).kept == ["notes", "album"]
    with (files / "notes.jsonl").open("a") as notes:
        notes.write('\n{"text": "One more."}\n')
    again = build.build(files / "recipe.py", files / "corpus", workers=1)
    assert again.kept == ["album"] and again.ledger["sources"]["notes"]["read"] == 83


def test_a_path_that_is_not_there_is_refused_before_anything_is_built(files):
    (files / "notes.jsonl").unlink()
    with pytest.raises(BadInput, match="there is nothing at notes.jsonl"):
        build.build(files / "recipe.py", files / "corpus", workers=1)
    assert not (files / "corpus").exists()
