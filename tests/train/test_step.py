"""A step of a whole model: the loss falls, constants stay, and two runs are the same to the bit."""

import jax
import numpy as np
import pytest

from tejat.model import multimodal
from tejat.model.params import walk
from tejat.train import step


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
