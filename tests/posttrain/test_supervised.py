"""Supervised tuning goes on to the same weights, learns what the flags say, and takes pictures both ways."""

import json
import signal
from dataclasses import replace

import numpy as np
import pytest

from tejat import bundle
from tejat.codecs.image import Patches
from tejat.codecs.picture import Drawn
from tejat.errors import BadInput
from tejat.model import multimodal, quantised
from tejat.model.params import walk
from tejat.model.quantised import Grid
from tejat.parts import Document, Image, Text, Turn, to_json
from tejat.posttrain import loop
from tejat.posttrain.lora import Lora
from tejat.posttrain.recipe import Supervised
from tejat.posttrain.supervised import SupervisedWork
from tejat.train.optimizer import Schedule


@pytest.fixture(scope="module")
def compiled():
    """Updates by their recipes: to compile one takes longer than all its steps."""
    return {}


@pytest.fixture(scope="module")
def plain(talker_at, dialogues):
    return Supervised(
        name="plain",
        model=talker_at,
        data=dialogues,
        heldout=dialogues,
        schedule=Schedule(steps=12, peak=2e-2, warmup=2),
        rows=2,
        tokens=96,
        log_every=4,
        save_every=5,
        lora=Lora(rank=4, parts=("decoder",)),
    )


def lines(directory):
    """The log, without how long it took."""
    found = [json.loads(line) for line in (directory / "log.jsonl").read_text().splitlines()]
    return [{name: value for name, value in line.items() if name != "seconds"} for line in found]


def run(compiled, recipe, directory, stop_at=None, **options):
    """A run that Ctrl-C stops after a line of the log."""
    work = SupervisedWork(recipe)
    work._update = compiled.setdefault(recipe.name, work._update)

    def told(line):
        if line["step"] == stop_at:
            signal.raise_signal(signal.SIGINT)

    return loop.run(work, directory, told=told, **options)


@pytest.fixture(scope="module")
def whole(compiled, plain, tmp_path_factory):
    directory = tmp_path_factory.mktemp("whole")
    return directory, run(compiled, plain, directory)


def test_it_learns_and_leaves_what_it_should(whole, plain, talker):
    directory, told = whole
    assert told["heldout_loss"] < told["heldout_loss_before"] - 0.2
    assert (directory / "curves.png").read_bytes()[:4] == b"\x89PNG"
    assert {path.name for path in (directory / "model").iterdir()} == {
        "config.json",
        "tokenizer.model",
        "model.safetensors",
        "chat_template.jinja",
    }
    assert json.loads((directory / "adapter.json").read_text())["lora"]["rank"] == 4
    made = bundle.load(directory / "model").params["decoder"]
    assert not np.array_equal(made["blocks"]["full"]["q"], talker.params["decoder"]["blocks"]["full"]["q"])
    assert np.array_equal(made["embedding"], talker.params["decoder"]["embedding"])  # adapters have none


def test_stopped_and_resumed_it_is_the_same_to_the_bit(compiled, whole, plain, tmp_path):
    with pytest.raises(loop.Stopped, match="stopped at step 8"):
        run(compiled, plain, tmp_path, stop_at=8)
    run(compiled, plain, tmp_path, resume=True)
    assert lines(tmp_path) == lines(whole[0])
    for name in ("model/model.safetensors", "adapter.safetensors"):
        assert (tmp_path / name).read_bytes() == (whole[0] / name).read_bytes()


def test_a_chain_goes_on_nearly_so(compiled, whole, plain, tmp_path):
    with pytest.raises(loop.Stopped):
        run(compiled, plain, tmp_path / "a", stop_at=8, to_chain=tmp_path / "chain")
    run(compiled, plain, tmp_path / "b", from_chain=tmp_path / "chain")
    for mine, wanted in zip(lines(tmp_path / "b"), lines(whole[0]), strict=True):
        assert mine["step"] == wanted["step"]
        np.testing.assert_allclose(mine["text_loss"], wanted["text_loss"], rtol=0.02)


def test_another_recipe_does_not_go_on(compiled, whole, plain):
    with pytest.raises(BadInput, match="begun with lora.rank = 4 and the recipe has 8"):
        run(compiled, replace(plain, lora=Lora(rank=8, parts=("decoder",))), whole[0], resume=True)
    with pytest.raises(BadInput, match="holds a run; go on with --resume"):
        run(compiled, plain, whole[0])


def test_what_is_trained_on_a_grid_is_left_on_it(compiled, plain, tmp_path):
    tuned = {}
    for name, grid in (("on", Grid(bits=4, embedding=8)), ("off", None)):
        recipe = replace(plain, name=f"grid-{name}", lora=None, grid=grid)
        tuned[name] = run(compiled, recipe, tmp_path / name), bundle.load(tmp_path / name / "model")
        assert tuned[name][0]["heldout_loss"] < tuned[name][0]["heldout_loss_before"] - 0.2
    off = []
    for (name, param), (_, mine), (_, other) in zip(
        walk(multimodal.params(tuned["on"][1].config)), *(walk(made.params) for _, made in tuned.values()), strict=True
    ):
        if (at := quantised.layout(name, param)) is None:
            continue
        bits = 8 if name.endswith("embedding") else 4
        np.testing.assert_allclose(quantised.quantised(mine, at, bits).array(), mine, rtol=1e-5, atol=1e-7)
        off.append(np.abs(quantised.quantised(other, at, bits).array() - other).max() > 1e-3 * np.abs(other).max())
    assert len(off) > 6 and all(off)  # and by itself nothing is


@pytest.fixture
def pictures(painter_at, speckled, tmp_path):
    """Dialogues of several turns, in which the user shows pictures and the model draws some."""
    turns = [
        Turn("system", (Text("Be brief."),)),
        Turn("user", (speckled, Text("Turn it round."))),
        Turn("model", (Text("There:"), Image(255 - speckled.pixels))),
        Turn("user", (Text("Back."),)),
        Turn("model", (speckled,)),
    ]
    data = tmp_path / "pictures.jsonl"
    data.write_text("".join(json.dumps(to_json(Document.from_turns(turns[:n]), tmp_path)) + "\n" for n in (3, 5)))
    return Supervised(
        name="pictures",
        model=painter_at,
        data=data,
        schedule=Schedule(steps=3, peak=1e-2, warmup=1),
        rows=2,
        tokens=200,
        log_every=3,
        save_every=2,
        accumulate=2,
    )


def test_pictures_are_seen_where_the_user_shows_them_and_drawn_where_the_model_does(pictures):
    work = SupervisedWork(pictures)
    kinds = [[type(medium) for medium in work._source(n).media] for n in range(2)]
    assert sorted(kinds, key=len) == [[Patches, Drawn], [Patches, Drawn, Drawn]]
    assert work.room.patches > 0 and work.room.codes > 0


@pytest.mark.slow
def test_several_turns_with_pictures_both_ways_are_learnt_and_go_on(compiled, pictures, tmp_path):
    run(compiled, pictures, tmp_path / "run")
    (line,) = lines(tmp_path / "run")
    assert line["picture_count"] > 0 and line["image_text_count"] > 0 and np.isfinite(line["picture_loss"])
    with pytest.raises(loop.Stopped):
        run(compiled, pictures, tmp_path / "again", until=0.0)  # at once
    run(compiled, pictures, tmp_path / "again", resume=True)
    assert lines(tmp_path / "again") == lines(tmp_path / "run")


def test_only_flagged_parts_are_learnt(talker_at, talker, plain, tmp_path):
    parts, roles = ["one", "two", "three", "four"], ["user", "model", "user", "model"]
    data = tmp_path / "flags.jsonl"
    data.write_text(json.dumps({"parts": parts, "roles": roles, "loss": [False, False, False, True]}) + "\n")
    work = SupervisedWork(replace(plain, data=data, heldout=None))
    work.start(None)
    batch, _ = work.prepare(work.initial(), 0)
    work.close()
    due = {*talker.vocabulary.encode("four"), talker.vocabulary["<turn|>"]}
    assert set(batch.targets[batch.weights > 0].tolist()) == due


def test_a_line_that_is_no_document_stops_it(plain, dialogues, tmp_path):
    data = tmp_path / "bad.jsonl"
    data.write_text(dialogues.read_text() + '{"messages": [{"role": "user"}]}\n')
    told = r"bad.jsonl has lines that are no dialogues to learn from \(.*: 1\), the first of them line 101: message 1"
    with pytest.raises(BadInput, match=told):
        SupervisedWork(replace(plain, data=data))
    with pytest.raises(BadInput, match="needs data or documents"):
        SupervisedWork(replace(plain, data=None))
    with pytest.raises(BadInput, match="rows of 8 tokens hold none of the documents"):
        SupervisedWork(replace(plain, tokens=8))
    with pytest.raises(BadInput, match="exceed the context of 'talker'"):
        SupervisedWork(replace(plain, tokens=512))
