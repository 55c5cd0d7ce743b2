"""Pre-training on a corpus of a few items: stages, what was seen, and runs that go on from few bytes elsewhere."""

import dataclasses
import hashlib
import io
import json
import shutil
import time
from collections import Counter
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as pillow

from tejat import sample
from tejat.codecs import vocabulary
from tejat.codecs.framing import Modality
from tejat.codecs.vocabulary import Vocabulary
from tejat.data.corpus.ledger import Index
from tejat.data.mixture import Stage
from tejat.data.packing import Room
from tejat.data.shards import Item, Writer
from tejat.errors import BadInput, Refused
from tejat.model import family
from tejat.model.decoder import DecoderConfig
from tejat.model.multimodal import ModelConfig
from tejat.model.passes import SCANNED
from tejat.model.vision import VisionConfig
from tejat.train import chain, loop, pretraining, recipe
from tejat.train.optimizer import Schedule
from tejat.train.recipe import Recipe

PIECES = 400
CONFIG = ModelConfig(
    name="small",
    text_vocabulary=PIECES,
    context=512,
    decoder=DecoderConfig(
        vocabulary=PIECES + 512, width=64, layers=2, heads=2, mlp=96, head_width=32, window=64, period=2
    ),
    vision=VisionConfig(
        width=16, layers=1, heads=2, head_width=8, mlp=24, patch=8, pool=2, table=64, budgets=(16, 36), frame_budget=4
    ),
    audio=None,
    picture=family.preset("micro").picture,
)
STAGES = (Stage("broad", 3_000, {"prose": 1, "things": 1}), Stage("turn", 1_000, {"prose": 1, "things": 3}))
STEPS = 12


def _drawing(n: int) -> bytes:
    out, side = io.BytesIO(), 32
    picture = pillow.new("RGBA", (side, side))
    picture.paste((40 * n % 256, 90, 200, 255), (2 + n % 8, 4, side - n % 6, side - 3))
    picture.save(out, "WEBP", lossless=True)
    return out.getvalue()


def _items(kind: str, heldout: str | None = None) -> list[Item]:
    if kind == "prose":
        lines = sample.prose("en").splitlines()
        texts = [" ".join(lines[n : n + 2])[:100] for n in range(0, 60, 2)]
        return [Item("text", {"text": text, "language": "en", "group": f"g{n}"}) for n, text in enumerate(texts)]
    names = ["tree", "boat", "house", "lamp", "ring", "star", "coin", "wheel"]
    return [
        Item(
            "concept",
            {"names": {"en": name, "de": f"{name}x"}, "category": {}, "tags": [], "emoji": "", "id": name},
            {"noto.webp": _drawing(n), "twemoji.webp": _drawing(n + 3)},
        )
        for n, name in enumerate(names)
    ]


def corpus(directory: Path, heldout: tuple[str, ...] = ()) -> Path:
    """Two sources as `tejat data build` leaves them; `heldout` are groups of the first that must not be trained on."""
    told = {}
    for name in ("prose", "things"):
        items = _items(name)
        with Writer(directory, name, "train") as writer:
            for item in items:
                writer.write(item)
        sizes = np.zeros((len(items), 4))
        sizes[:, 0] = 60
        Index(("en",), np.zeros(len(items), int), np.ones(len(items), int), sizes, sizes).save(
            directory / name / "train-index.npz"
        )
        held = json.dumps([*heldout] if name == "prose" else []).encode()
        (directory / name / "heldout.json").write_bytes(held)
        told[name] = {
            "splits": {"train": {"document_tokens": 60.0}},
            "heldout_sha256": hashlib.sha256(held).hexdigest(),
        }
    stages = [dataclasses.asdict(stage) for stage in STAGES]
    (directory / "corpus.json").write_text(json.dumps({"sources": told, "stages": stages}))
    return directory


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> Recipe:
    model = vocabulary.train(sample.prose("en").splitlines()[:200], PIECES)
    made = pretraining.pretraining(
        CONFIG,
        tokens=1e4,
        room=Room(rows=2, tokens=256, targets=256, patches=512, sounds=0, frames=0, codes=192),
        peak=1e-2,
    )
    return dataclasses.replace(
        made,
        tokenizer=lambda: model,
        pictures=Path(str(resources.files("tejat") / "weights" / "pictures" / "micro.safetensors")),
        corpus=corpus(tmp_path_factory.mktemp("corpus")),
        schedule=Schedule(steps=STEPS, peak=1e-2, warmup=2, muon=True),
        bfloat16=False,
        how=SCANNED,
        workers=0,
        log_every=1,
    )


@pytest.fixture(scope="module")
def whole(small, tmp_path_factory) -> Path:
    directory = tmp_path_factory.mktemp("whole") / "run"
    loop.train(small, directory)
    return directory


@pytest.fixture(scope="module")
def stopped(small, tmp_path_factory) -> tuple[Path, Path]:
    """A run whose time was over at step 7, and its chain."""
    directory = tmp_path_factory.mktemp("stopped")

    def told(line):
        if line["step"] == 6:
            patch.setattr(time, "monotonic", lambda: 2e9)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(loop.Stopped, match="step 7") as caught:
        loop.train(small, directory / "run", until=1e9, to_chain=directory / "chain", told=told)
    assert caught.value.due
    return directory / "run", directory / "chain"


def lines(directory: Path) -> list[dict]:
    return [json.loads(line) for line in (directory / "log.jsonl").read_text().splitlines()]


def told(line: dict) -> tuple:
    return tuple(line[name] for name in ("step", "tokens", "documents", "text_loss", "picture_loss", "gradient_norm"))


def test_it_learns_words_and_pictures(whole):
    found = lines(whole)
    assert [line["step"] for line in found] == [*range(1, STEPS + 1)]
    assert found[-1]["text_loss"] < found[0]["text_loss"]
    assert sum(line["picture_count"] for line in found) > 0


def test_what_was_seen_is_told_by_source(small, whole, stopped):
    standing = chain.read(stopped[1])[1]["standing"]
    rows = standing["position"]["rows"]
    assert all(row["stage"] == 0 for row in rows.values())
    source = pretraining.documents(
        loop._framing(small, Vocabulary(small.tokenizer(), 512), None), small, ("broad", "turn")
    )
    numbers = [int(row) + n * len(rows) for row, place in rows.items() for n in range(place["drawn"])]
    drawn = Counter(source.mixture.where(number).source for number in numbers)
    seen = json.loads((stopped[0] / "seen.json").read_text())
    assert {name: told["documents"] for name, told in seen.items()} == dict(drawn)
    assert seen["things"]["epochs"] == drawn["things"] / 8 > 1
    # The corpus says that each has 60 tokens of text; the run says what its own have, by its own tokenizer.
    text = sum(int((source(number).modality == Modality.TEXT).sum()) for number in numbers)
    assert sum(told["tokens"]["text"] for told in seen.values()) == pytest.approx(text, rel=0.03)
    assert text != pytest.approx(60 * len(numbers), rel=0.06)
    later = json.loads((whole / "seen.json").read_text())
    assert all(later[name]["documents"] > seen[name]["documents"] for name in drawn)


def test_stages_fill_the_steps_in_their_proportions(small):
    framing = loop._framing(small, Vocabulary(small.tokenizer(), 512), None)
    assert pretraining.documents(framing, small, pretraining.SHORT).begins == (0, 9)
    longer = dataclasses.replace(small, schedule=dataclasses.replace(small.schedule, steps=400))
    assert pretraining.documents(framing, longer, pretraining.SHORT).begins == (0, 300)
    assert pretraining.documents(framing, small, ("turn",)).begins == (0,)


def test_it_goes_on_here_to_the_same_to_the_bit(small, whole, stopped, tmp_path):
    directory = shutil.copytree(stopped[0], tmp_path / "run")
    loop.train(small, directory, resume=True)
    assert [told(line) for line in lines(directory)] == [told(line) for line in lines(whole)]
    name = Path("model", "model.safetensors")
    assert (directory / name).read_bytes() == (whole / name).read_bytes()


def test_it_goes_on_elsewhere_from_few_bytes_to_nearly_the_same(small, whole, stopped, tmp_path):
    _, facts = chain.read(stopped[1])
    joint = facts["joint"]
    for when in ("first", "last"):
        assert joint[f"text_{when}_exact"] == pytest.approx(lines(whole)[7 if when == "first" else 10]["text_loss"])
        assert 0 < abs(joint[f"text_{when}_coded"] - joint[f"text_{when}_exact"]) < 0.01
    loop.train(small, tmp_path / "run", from_chain=stopped[1])
    found, expected = lines(tmp_path / "run"), lines(whole)
    assert [told(line)[:3] for line in found] == [told(line)[:3] for line in expected]  # the same documents
    assert [told(line) for line in found[:7]] == [told(line) for line in expected[:7]]
    assert found[-1]["text_loss"] == pytest.approx(expected[-1]["text_loss"], abs=0.02)
    assert found[-1]["text_loss"] != expected[-1]["text_loss"]


def test_a_chain_is_small_and_in_pieces(small, stopped, tmp_path, monkeypatch):
    packed, facts = chain.read(stopped[1])
    numbers = sum(int(np.prod(array["shape"])) for array in packed[0] if array["as"] != "exact")
    exact = sum(array["bytes"] for array in packed[0] if array["as"] == "exact")
    weights = sum(array["bytes"] for array in packed[0] if array["as"] == "bfloat16")
    # Two bytes a weight, and one and a little for each moment.
    assert len(packed[1]) - exact < weights + 1.05 * (numbers - weights / 2)
    monkeypatch.setattr(chain, "PIECE", 100_000)
    assert chain.write(tmp_path / "chain", packed, facts) > 2
    sizes = [path.stat().st_size for path in (tmp_path / "chain").iterdir()]
    assert max(sizes) <= 100_000
    assert chain.read(tmp_path / "chain") == (packed, facts)
    with pytest.raises(BadInput, match="holds pieces of a chain"):
        chain.write(tmp_path / "chain", packed, facts)
    piece = tmp_path / "chain" / "piece-001"
    kept = piece.read_bytes()
    piece.write_bytes(kept[:-1] + bytes([kept[-1] ^ 1]))
    with pytest.raises(BadInput, match="piece-001 of a chain is damaged"):
        chain.read(tmp_path / "chain")
    piece.unlink()
    with pytest.raises(BadInput, match="piece-001 of a chain cannot be read"):
        chain.read(tmp_path / "chain")


def test_a_chain_is_of_its_recipe(small, stopped, tmp_path):
    with pytest.raises(BadInput, match="begun with schedule.peak = 0.01"):
        other = dataclasses.replace(small.schedule, peak=0.5)
        loop.train(dataclasses.replace(small, schedule=other), tmp_path / "run", from_chain=stopped[1])
    with pytest.raises(BadInput, match="piece-000 of a chain cannot be read"):
        loop.train(small, tmp_path / "other", from_chain=tmp_path)
    assert not (tmp_path / "other").exists()


def test_a_corpus_that_is_not_there_is_told(small, tmp_path):
    with pytest.raises(BadInput, match=r"there is no corpus in .*none; build one with .* --set corpus=DIRECTORY"):
        loop.train(dataclasses.replace(small, corpus=tmp_path / "none"), tmp_path / "run")
    with pytest.raises(BadInput, match="has no stage 'long'"):
        framing = loop._framing(small, Vocabulary(small.tokenizer(), 512), None)
        pretraining.documents(framing, small, pretraining.LONG)


def test_what_is_held_out_is_not_trained_on(small, tmp_path):
    made = corpus(tmp_path / "corpus", heldout=tuple(f"g{n}" for n in range(30)))
    with pytest.raises(Refused, match="group 'g"):
        loop.train(dataclasses.replace(small, corpus=made), tmp_path / "run")


def test_weights_that_are_not_there_are_told(small, tmp_path):
    with pytest.raises(BadInput, match="there are no weights .*nowhere.*--set weights=DIRECTORY"):
        loop.train(dataclasses.replace(small, weights=tmp_path / "nowhere"), tmp_path / "run")


@pytest.mark.slow
def test_a_run_may_begin_with_the_weights_of_another(small, whole, tmp_path):
    begun = dataclasses.replace(
        small, weights=whole / "model", schedule=dataclasses.replace(small.schedule, steps=1, peak=1e-9)
    )
    loop.train(begun, tmp_path / "run")
    assert lines(tmp_path / "run")[0]["text_loss"] < lines(whole)[0]["text_loss"] - 0.5


@pytest.mark.parametrize(
    "name",
    [
        "mini",
        "mini_instruct",
        "mini_behaviours",
        "mini_again",
        "mini_long",
        "mini_senses",
        "mini_galleries",
        "mini_15m",
        "mini_4m",
    ],
)
def test_recipes_are_of_the_shipped_tokenizer(name):
    found = recipe.read(Path(__file__).parents[2] / "recipes" / f"{name}.py")
    pieces = Vocabulary(found.tokenizer(), found.config.picture.codes)
    assert (pieces.text_size, pieces.size) == (found.config.text_vocabulary, found.config.decoder.vocabulary)
