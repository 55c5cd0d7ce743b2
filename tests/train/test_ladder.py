"""Models side by side on the same batches; and the arms that they are compared with."""

import dataclasses
import importlib.util
import json
from pathlib import Path

import jax
import numpy as np
import pytest

from tejat.codecs.framing import Framing, Modality
from tejat.codecs.vocabulary import Vocabulary
from tejat.data.loading import Loader
from tejat.errors import BadInput
from tejat.model.passes import SCANNED
from tejat.parts import Document, Image, Text
from tejat.train import arms, ladder, step
from tejat.train.optimizer import Schedule
from tejat.train.recipe import Recipe

_where = Path(__file__).parent / "test_pretraining.py"
_spec = importlib.util.spec_from_file_location("pretraining_tests", _where)
theirs = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(theirs)
small = theirs.small

STEPS = 4


@pytest.fixture(scope="module")
def climbed(small, tmp_path_factory) -> tuple[Recipe, Path, list]:
    recipe = dataclasses.replace(small, schedule=dataclasses.replace(small.schedule, steps=STEPS))
    longer = Schedule(steps=STEPS, peak=1e-2, warmup=2, muon=True)
    rungs = [
        ladder.Rung("long", small.config, longer, how=SCANNED, keep=True),
        ladder.Rung("short", small.config, dataclasses.replace(longer, steps=2, peak=2e-2), seed=1, how=SCANNED),
    ]
    directory = tmp_path_factory.mktemp("ladder")
    everything = arms.only("all", tuple(stage.name for stage in theirs.STAGES))
    found = ladder.climb(
        recipe,
        rungs,
        directory,
        heldout=lambda framing, recipe: {"all": everything(framing, recipe)},
        batches=1,
        told=lambda line: None,
    )
    return recipe, directory, found


@pytest.mark.slow
def test_a_rung_is_the_run_that_a_step_with_its_schedule_makes(climbed):
    recipe, directory, found = climbed
    vocabulary = Vocabulary(recipe.tokenizer(), recipe.config.picture.codes)
    from tejat.codecs.picture import PictureCodec
    from tejat.model import picture, weights

    codec = PictureCodec(weights.read(recipe.pictures, picture.params(recipe.config.picture)), recipe.config.picture)
    source = recipe.documents(Framing(recipe.config, vocabulary, None, later=True), recipe)
    advance = step.build(recipe.config, recipe.schedule, how=SCANNED, picture_weight=recipe.picture_weight)
    state = step.initial_state(recipe.config, recipe.schedule, 0)
    loader, wanted = Loader(source, recipe.config, recipe.room), []
    for _ in range(STEPS):
        state, sums = advance(state, ladder._ready(next(loader)[0], recipe, codec))
        wanted.append(float(sums["text_loss"] / sums["text_count"]))
    loader.close()
    lines = [json.loads(line) for line in (directory / "long" / "log.jsonl").read_text().splitlines()]
    assert [line["text_loss"] for line in lines] == pytest.approx(wanted, rel=1e-4)
    assert wanted[-1] < wanted[0] - 0.1


@pytest.mark.slow
def test_what_is_said_of_rungs(climbed):
    recipe, directory, found = climbed
    short, long = found
    assert (
        [each["name"] for each in found]
        == ["short", "long"]
        == [each["name"] for each in json.loads((directory / "ladder.json").read_text())]
    )
    assert long["tokens"] > short["tokens"] > 0 and long["parameters"] == short["parameters"]
    assert long["heldout"]["all: text"] > 0 and long["heldout"] != short["heldout"]
    assert (directory / "long" / "model" / "config.json").is_file() and not (directory / "short" / "model").exists()


def test_rungs_that_cannot_share_batches(small, tmp_path):
    other = dataclasses.replace(small.config, vision=dataclasses.replace(small.config.vision, budgets=(4, 9)))
    rung = ladder.Rung("other", other, small.schedule)
    for rungs, told in (([rung], "takes other batches"), ([rung, rung], "one name")):
        with pytest.raises(BadInput, match=told):
            ladder.climb(small, rungs, tmp_path, heldout=lambda *_: {})


def test_text_alone_and_what_shows_something(small, monkeypatch):
    vocabulary = Vocabulary(small.tokenizer(), small.config.picture.codes)
    framing = Framing(small.config, vocabulary, None, later=True)
    stages = tuple(stage.name for stage in theirs.STAGES)
    monkeypatch.setattr(arms, "SEEN", ("things",))
    text, shown = (arms.only(kinds, stages)(framing, small) for kinds in ("text", "media"))
    assert all(not text(n).media for n in range(20)) and any(shown(n).media for n in range(20))
    with pytest.raises(BadInput, match="no corpus"):
        arms.only("text")(framing, dataclasses.replace(small, corpus=Path("nowhere")))


def test_images_read_as_codes(small):
    vocabulary = Vocabulary(small.tokenizer(), small.config.picture.codes)
    framing = arms.ReadAsCodes.of(Framing(dataclasses.replace(small.config, vision=None), vocabulary, None, later=True))
    pixels = np.asarray(np.random.default_rng(0).integers(0, 256, (40, 60, 3)), np.uint8)
    seen = framing.encode(Document((Image(pixels), Text("a boat")), (False, True), (None, None)))
    codes = seen.item >= 0
    assert codes.sum() > 8 and not seen.loss[codes].any() and (seen.modality[codes] == Modality.PICTURE).all()
    assert (seen.modality == Modality.IMAGE).sum() == 2  # its marks: the text is about an image
    drawn = framing.encode(Document((Text("a boat"), Image(pixels)), (False, True), (None, None)))
    assert drawn.loss[drawn.item >= 0].all() and (drawn.item >= 0).sum() == codes.sum()
    assert jax.tree.leaves(seen.media)


def test_models_for_the_suites_are_seeds_of_the_small_sizes_on_the_same_batches(tmp_path: Path) -> None:
    spec = importlib.util.spec_from_file_location("ladder_recipe", Path(__file__).parents[2] / "recipes" / "ladder.py")
    told = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(told)
    options = told.Options("kept", out=tmp_path, steps=48)
    rungs = told.kept(options)
    small = [f"{size}-48-{seed}" for size in ("4m", "15m") for seed in range(3)]
    assert [rung.name for rung in rungs] == [*small, "mini-48-0"]
    assert [rung.seed for rung in rungs] == [0, 1, 2, 0, 1, 2, 0]
    assert all(rung.keep and rung.schedule.steps == 48 for rung in rungs)
    asked = ladder._of_a_batch(told._recipe("mini_15m", options).config)
    assert all(ladder._of_a_batch(rung.config) == asked for rung in rungs)
    some = told.kept(dataclasses.replace(options, only=("mini-48-0", "4m-48-2")))
    assert [rung.name for rung in some] == ["4m-48-2", "mini-48-0"]
    with pytest.raises(BadInput, match="--only mini-48-1: there are 4m-48-0, "):
        told.kept(dataclasses.replace(options, only=("mini-48-1",)))
