"""Training of the image tokenizer: a run that is killed goes on to the same weights; states on disk; the loss."""

import json
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tejat.errors import BadInput
from tejat.model import picture, picture_classifier, weights
from tejat.model.params import initialise
from tejat.model.picture import PictureConfig
from tejat.model.picture_classifier import ClassifierConfig
from tejat.train import picture_state, pictures
from tejat.train.optimizer import Schedule
from tejat.train.picture_features import Judge
from tejat.train.pictures import Kind, Run
from tejat.train.scenes import Laying, Scenes

CONFIG = PictureConfig(
    width=8, encoder_layers=1, decoder_layers=1, heads=1, head_width=8, mlp=8, patch=4, levels=(8, 8, 8), table=8
)
RUN = Run(Schedule(steps=60, peak=1e-2, warmup=5), batch=4, grids=((2, 4),), report=30, save=20)


@pytest.fixture(scope="module")
def kinds():
    random = np.random.default_rng(0)
    drawn = random.integers(0, 256, (6, 8, 8, 4), np.uint8)
    return [Kind("things", drawn[:4], drawn[4:], 3, Laying(several=0.5)), Kind("others", drawn, drawn[:2])]


def test_a_killed_run_goes_on_to_the_same_weights(tmp_path, kinds):
    (tmp_path / "whole").mkdir()
    (tmp_path / "killed").mkdir()
    whole = pictures.train(CONFIG, kinds, RUN, tmp_path / "whole")

    def killed(line):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pictures.train(CONFIG, kinds, RUN, tmp_path / "killed", killed)
    assert picture_state.step_of(tmp_path / "killed") == 25
    again = pictures.train(CONFIG, kinds, RUN, tmp_path / "killed")
    assert whole.step == again.step == 60
    for found, due in zip(jax.tree.leaves(again.params), jax.tree.leaves(whole.params), strict=True):
        np.testing.assert_array_equal(found, due)
    lines = [json.loads(line)["step"] for line in (tmp_path / "whole" / "log.jsonl").read_text().splitlines()]
    assert lines == [30, 60]
    # Out of time: nothing is trained, and what is there stays.
    stopped = pictures.train(CONFIG, kinds, RUN, tmp_path / "killed", until=0)
    assert stopped.step == 60


@pytest.mark.parametrize("muon", [False, True])
def test_finishing_trains_the_decoder_on_its_grid_and_leaves_the_codes(tmp_path, muon):
    config = replace(CONFIG, width=32, head_width=32, mlp=32)
    plain = np.random.default_rng(0).integers(0, 256, (8, 1, 1, 4), np.uint8).repeat(8, 1).repeat(8, 2)
    plain[..., 3] = 255
    kinds = [Kind("things", plain, plain)]
    begun = pictures.train(config, kinds, RUN).params
    run = replace(RUN, four_bits=True, schedule=replace(RUN.schedule, peak=3e-3, muon=muon))
    finished = pictures.train(config, kinds, run, params=begun).params
    for found, due in zip(jax.tree.leaves(finished["encoder"]), jax.tree.leaves(begun["encoder"]), strict=True):
        np.testing.assert_array_equal(found, due)

    def drawn(params):
        """As it is read from the file that is written."""
        weights.write(tmp_path / "picture.safetensors", pictures.stored(params, config, run), "float32")
        return weights.read(tmp_path / "picture.safetensors", picture.params(config))

    before, after = drawn(begun), drawn(finished)
    assert pictures.measure(after, config, kinds[0].training) > pictures.measure(before, config, kinds[0].training)
    block = np.asarray(after["decoder"]["out"]).reshape(32, -1)[:, 0]  # one output, and its inputs
    assert len(np.unique(block)) <= 16 < len(np.unique(np.asarray(finished["decoder"]["out"]).reshape(32, -1)[:, 0]))


def test_a_state_is_written_in_pieces_and_damage_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(picture_state, "PIECE", 4_000)
    random = np.random.default_rng(0)
    params = {"a": jnp.asarray(random.random((20, 40)), jnp.float32), "b": jnp.asarray(random.random(7), jnp.float32)}
    moments = picture_state.rounded((params, jnp.asarray(3, jnp.int32)))
    picture_state.save(tmp_path, 100, params, moments)
    before = sorted(tmp_path.glob("state-*"))
    picture_state.save(tmp_path, 200, params, moments)
    pieces = sorted(tmp_path.glob("state-*"))
    assert len(pieces) == len(before) > 1 and not {*pieces} & {*before} and picture_state.step_of(tmp_path) == 200
    blank = jax.tree.map(jnp.zeros_like, (params, moments))
    for found, due in zip(
        jax.tree.leaves(picture_state.restore(tmp_path, *blank)), jax.tree.leaves((params, moments)), strict=True
    ):
        assert found.dtype == due.dtype
        np.testing.assert_array_equal(found, due)
    with pytest.raises(BadInput, match="has no params.a of shape"):
        picture_state.restore(tmp_path, {"a": jnp.zeros((2, 2))}, ())
    pieces[0].write_bytes(pieces[0].read_bytes()[:50])
    with pytest.raises(BadInput, match=f"{pieces[0].name} cannot be read"):
        picture_state.restore(tmp_path, *blank)
    (tmp_path / "state.json").write_text("{")
    with pytest.raises(BadInput, match=r"state.json cannot be read"):
        picture_state.step_of(tmp_path)


def test_the_loss_weighs_things_and_ends_in_squares():
    random = np.random.default_rng(0)
    shown = Scenes(jnp.asarray(random.random((1, 4, 4, 3))), jnp.zeros((1, 4, 4)).at[:, :2].set(1), jnp.zeros(1, int))
    wrong_inside, wrong_outside = shown.pixels.at[:, 0].add(0.1), shown.pixels.at[:, 3].add(0.1)

    def loss(drawn, index, **changed):
        run = Run(Schedule(steps=100), **({"edges": 0.0, "ground": 0.25, "squares": 0.3} | changed))
        return float(pictures._loss(run, shown, drawn, index)[0])

    assert loss(wrong_inside, 0) == pytest.approx(4 * loss(wrong_outside, 0), rel=1e-4)
    assert loss(wrong_inside, 0) == pytest.approx(0.1 * 0.25 / 0.625, rel=1e-4)
    assert loss(wrong_inside, 99) == pytest.approx(pictures.SQUARED * 0.01 * 0.25 / 0.625, rel=1e-4)
    assert loss(wrong_inside, 75) == pytest.approx((loss(wrong_inside, 0) + loss(wrong_inside, 99)) / 2, rel=1e-4)
    assert loss(wrong_inside, 99, squares=0.0) == loss(wrong_inside, 0)
    assert loss(wrong_inside, 0, edges=1.0) > loss(wrong_inside, 0)


def test_a_batch_is_shared_out_whole():
    assert pictures.shares([3, 1], 8) == [6, 2] and pictures.shares([1, 1e-6, 1e-6], 5) == [3, 1, 1]


def test_a_judged_run_with_a_learned_codebook_goes_on_too(tmp_path, kinds):
    shape = ClassifierConfig((4, 8), blocks=1)
    judge = Judge(initialise(picture_classifier.params(shape, 2), 0), shape)
    run = replace(RUN, perceptual=0.5, report=25, save=25, schedule=replace(RUN.schedule, steps=50))
    config = replace(CONFIG, vectors=4)

    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
    whole, told = pictures.train(config, kinds, run, tmp_path / "whole", judge=judge).params, []

    def killed(line):
        told.append(line)
        if len(told) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pictures.train(config, kinds, run, tmp_path / "killed", killed, judge=judge)
    assert picture_state.step_of(tmp_path / "killed") == 25
    again = pictures.train(config, kinds, run, tmp_path / "killed", judge=judge).params
    for found, due in zip(jax.tree.leaves(again), jax.tree.leaves(whole), strict=True):
        np.testing.assert_array_equal(found, due)
    begun = initialise(picture.params(config), 0)["codebook"]["vectors"]
    assert not np.array_equal(whole["codebook"]["vectors"], begun)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"batch": 0}, "batch is 0"),
        ({"report": 0}, "report is 0"),
        ({"save": -5}, "save is -5"),
        ({"edges": float("nan")}, "edges is nan"),
        ({"grids": ((0, 4),)}, "are no pictures"),
    ],
)
def test_a_run_that_cannot_be_is_refused(changed, said):
    with pytest.raises(BadInput, match=said):
        replace(RUN, **changed)


def test_a_loss_that_is_no_number_ends_the_run_and_is_not_saved(tmp_path, kinds):
    wild = replace(RUN, schedule=Schedule(steps=60, peak=1e30, warmup=1), report=10, save=10)
    with pytest.raises(BadInput, match="the loss is no number after"):
        pictures.train(CONFIG, kinds, wild, tmp_path)
    assert picture_state.step_of(tmp_path) < 20
