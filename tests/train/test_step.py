"""A step of a whole model: the loss falls, constants stay, and two runs are the same to the bit."""

import os
import subprocess
import sys
from dataclasses import replace

import jax
import numpy as np
import pytest

from tejat.model import multimodal, quantised
from tejat.model.params import unflatten, walk
from tejat.model.quantised import Grid
from tejat.train import objective, step


@pytest.fixture(scope="module")
def run(config, schedule, initial, batch):
    """The losses and the last state of some steps on one batch, from the beginning."""
    compiled = step.build(config, schedule)

    def run(steps: int, batch=batch):
        state, logs = jax.tree.map(jax.numpy.asarray, initial), []
        for _ in range(steps):
            state, sums = compiled(state, batch)
            logs.append({name: float(value) for name, value in sums.items()})
        return initial, jax.device_get(state), logs

    return run


def mean_loss(sums) -> float:
    return (sums["text_loss"] + sums["picture_loss"]) / (sums["text_count"] + sums["picture_count"])


def test_the_loss_of_one_batch_falls_to_nearly_nothing(run, config):
    _, state, logs = run(60)
    losses = [mean_loss(sums) for sums in logs]
    # Random weights start near the loss of guessing; no more is claimed of them than that.
    assert abs(losses[0] - np.log(config.decoder.vocabulary)) < 0.5 * np.log(config.decoder.vocabulary)
    assert losses[-1] < 0.2 * losses[0] and np.isfinite(losses).all()
    assert state.step == 60


def test_constants_stay_and_everything_else_moves(run, config):
    before, after, _ = run(4)
    leaves = zip(walk(before.params), walk(after.params), walk(multimodal.params(config)), strict=True)
    for (name, old), (_, new), (_, param) in leaves:
        assert np.array_equal(old, new) == param.frozen, name


def test_two_runs_are_the_same_to_the_bit(run):
    (_, one, first), (_, other, second) = run(5), run(5)
    assert first == second
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        assert a.tobytes() == b.tobytes()


def test_the_log_has_the_rate_of_the_step_and_the_norm_of_the_gradient(run, schedule):
    _, _, logs = run(3)
    assert [sums["rate"] for sums in logs] == pytest.approx([float(schedule.rate()(n)) for n in range(3)])
    assert all(sums["gradient_norm"] > 0 for sums in logs)


def test_a_batch_without_targets_moves_nothing_but_by_decay(run, batch, schedule):
    before, after, (_, logs) = run(2, batch._replace(weights=np.zeros_like(batch.weights)))
    assert logs["gradient_norm"] == 0
    shrunk = 1 - float(schedule.rate()(1)) * schedule.decay
    old, new = before.params["decoder"], after.params["decoder"]
    np.testing.assert_allclose(new["embedding"], old["embedding"] * shrunk, rtol=1e-6)
    np.testing.assert_array_equal(new["final_norm"], old["final_norm"])


def test_what_parts_of_a_batch_give_adds_up_to_that_of_the_whole(batch):
    """Parts of unlike numbers of targets: were each a share of its own part, they would add up to two."""
    twice = jax.tree.map(lambda a: np.concatenate([a, a]), batch)
    weights = np.array(twice.weights)
    weights[1::2, : weights.shape[1] // 2] = 0  # the second part has fewer
    twice = twice._replace(weights=weights)
    counts = objective.predicted(twice)

    def sums(part):
        return {kind: value / counts[kind] for kind, value in objective.predicted(part).items()}

    whole, parts = step.summed(sums, twice, 1), step.summed(sums, twice, 2)
    assert {k: float(v) for k, v in parts.items()} == pytest.approx({k: float(v) for k, v in whole.items()})


@pytest.mark.slow
def test_a_step_in_parts_is_the_step_of_the_whole(config, schedule, initial, batch):
    twice = jax.tree.map(lambda a: np.concatenate([a, a]), batch)
    weights = np.array(twice.weights)
    weights[1::2, : weights.shape[1] // 2] = 0
    twice = twice._replace(weights=weights)
    found = []
    for parts in (1, 2):
        state = jax.tree.map(jax.numpy.asarray, initial)
        found.append(jax.device_get(step.build(config, schedule, accumulate=parts)(state, twice)))
    (one, first), (other, second) = found
    assert second["gradient_norm"] == pytest.approx(first["gradient_norm"], rel=1e-5)
    assert second["text_loss"] == pytest.approx(first["text_loss"], rel=1e-5)
    assert second["tokens"] == first["tokens"]
    for a, b in zip(jax.tree.leaves(one.moments), jax.tree.leaves(other.moments), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-7)


@pytest.fixture(scope="module")
def on_grid(config, schedule):
    """A model whose matrices blocks divide, its grid, its state before the first step; and the state as it would be
    written."""
    config = replace(config, decoder=replace(config.decoder, width=32, mlp=32))
    tree, grid = multimodal.params(config), Grid(bits=4, embedding=8)
    initial = jax.device_get(step.initial_state(config, schedule, seed=0))

    def written(name, array, param):
        at = quantised.layout(name, param)
        return array if at is None else quantised.quantised(array, at, grid.of(name)).array()

    names = zip(walk(initial.params), walk(tree), strict=True)
    return config, grid, initial, unflatten({name: written(name, array, param) for (name, array), (_, param) in names})


@pytest.fixture(scope="module")
def text_loss(on_grid, batch):
    """The sum that a step would tell, of any weights."""
    config = on_grid[0]
    summed = jax.jit(lambda params: objective.loss(params, config, batch)[1]["text_loss"])
    return lambda params: float(summed(params))


def test_a_step_on_a_grid_loses_what_the_written_model_would_and_trains_its_masters(
    on_grid, text_loss, schedule, batch
):
    config, grid, initial, as_written = on_grid
    due, plain = text_loss(as_written), text_loss(initial.params)
    advance = step.build(config, schedule, grid=grid)
    state, sums = advance(initial, batch)
    state, _ = advance(state, batch)  # the first step's rate is 0
    assert float(sums["text_loss"]) == pytest.approx(due, rel=1e-5)
    assert abs(plain - due) > 1e-3 * due  # the control
    before, after = (dict(walk(tree))["decoder.blocks.sliding.down"] for tree in (initial.params, state.params))
    assert (np.asarray(before) != np.asarray(after)).mean() > 0.9


@pytest.mark.slow
def test_a_run_may_come_to_its_grid_later(on_grid, text_loss, schedule, batch):
    config, grid, initial, as_written = on_grid
    later = step.build(config, schedule, grid=replace(grid, begins=1 / schedule.steps))
    state, sums = later(initial, batch)
    assert float(sums["text_loss"]) == pytest.approx(text_loss(initial.params), rel=1e-5)
    again = later(jax.device_get(state)._replace(params=initial.params), batch)[1]
    assert float(again["text_loss"]) == pytest.approx(text_loss(as_written), rel=1e-5)


EIGHT = "--xla_force_host_platform_device_count=8"
LOWERED = """
import hashlib, jax
from tejat.model import family, multimodal
from tejat.model.passes import Pass
from tejat.train import mesh, speed, step
from tejat.train.optimizer import Schedule
config, schedule = speed.bare(family.preset("micro")), Schedule(steps=9)
laid_out = jax.eval_shape(lambda: (speed._state(config), speed.batch(config, speed.Rows(4, 32))))
alone = step.build(config, schedule, how=Pass(unrolled=True)).lower(*laid_out).as_text()
devices = mesh.make(mesh.parse("slice=2,fsdp=2,sequence=2"))
where = mesh.state(devices, multimodal.params(config), laid_out[0])
spread = step.build(config, schedule, shardings=(where, mesh.rows(devices))).lower(*laid_out).as_text()
print(*(hashlib.sha256(program.encode()).hexdigest() for program in (alone, spread)))
"""


def test_every_process_makes_the_same_program():
    """Else what one process compiled no other finds in JAX's cache, and those of one run wait for each other for ever:
    Python's sets of strings come in another order in each. Seeds 0 to 2 order kinds of layers and axes differently."""
    asked = [
        subprocess.Popen(
            [sys.executable, "-c", LOWERED],
            env=os.environ | {"PYTHONHASHSEED": seed, "JAX_PLATFORMS": "cpu", "XLA_FLAGS": EIGHT},
            stdout=subprocess.PIPE,
            text=True,
        )
        for seed in ("0", "1", "2")
    ]
    told = [process.communicate()[0].split() for process in asked]
    assert [len(hashed) for hashed in told[0]] == [64, 64] and told[0] == told[1] == told[2]
