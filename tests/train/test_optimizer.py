"""The schedule by hand; what decays and what never moves; and one update against AdamW written out."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from tejat.model import multimodal
from tejat.model.params import Param, abstract, map_params, walk
from tejat.train import optimizer
from tejat.train.optimizer import Schedule

TREE = {
    "matrix": Param((2, 3), (None, None), fan_in=2),
    "table": Param((4, 2), (None, None), "embedding", 2),
    "norm": Param((3,), (None,), "ones"),
    "bias": Param((3,), (None,), "zeros"),
    "towers": {"bound": Param((), (), "lowest", frozen=True), "shift": Param((3,), (None,), "zeros", frozen=True)},
}
FLAT = Schedule(steps=10, peak=0.01, warmup=0, floor=1.0, decay=0.1, clip=1.0, beta1=0.9, beta2=0.95)


def updated(tree, gradient, steps: int = 1, schedule: Schedule = FLAT):
    """(before, after) `steps` updates with one gradient."""
    transform = optimizer.build(schedule, tree)
    random = np.random.default_rng(0)
    before = params = map_params(lambda p: jnp.asarray(random.standard_normal(p.shape), jnp.float32), tree)
    if "towers" in tree:
        params["towers"]["bound"] = jnp.asarray(-jnp.inf)
    state = transform.init(params)
    for _ in range(steps):
        updates, state = transform.update(gradient, state, params)
        params = optax.apply_updates(params, updates)
    return before, params


def like(tree, value: float):
    return map_params(lambda p: jnp.full(p.shape, value), tree)


@pytest.mark.parametrize("tree", [TREE, {k: v for k, v in TREE.items() if k != "towers"}], ids=["frozen", "plain"])
def test_without_a_gradient_matrices_decay_and_nothing_else_moves(tree):
    before, after = (dict(walk(t)) for t in updated(tree, like(tree, 0.0)))
    for name, value in before.items():
        kept = 1 - 0.01 * 0.1 if name in ("matrix", "table") else 1.0
        np.testing.assert_allclose(after[name], value * kept, rtol=1e-6)
        assert name in ("matrix", "table") or np.array_equal(after[name], value)


def test_constants_never_move_and_do_not_count_in_the_clipping():
    gradient = like(TREE, 0.1) | {"towers": like(TREE["towers"], 1e6)}
    before, after = updated(TREE, gradient, steps=3)
    np.testing.assert_array_equal(after["towers"]["bound"], -jnp.inf)
    np.testing.assert_array_equal(after["towers"]["shift"], before["towers"]["shift"])
    plain = {k: v for k, v in TREE.items() if k != "towers"}
    _, alone = updated(plain, like(plain, 0.1), steps=3)
    for name, value in alone.items():
        np.testing.assert_array_equal(after[name], value)


def test_an_update_equals_adamw_written_out():
    tree = {"matrix": TREE["matrix"]}
    random = np.random.default_rng(0)
    gradient = {"matrix": random.standard_normal((2, 3)).astype(np.float32) * 3}
    before, after = updated(tree, gradient, steps=4)
    value = np.asarray(before["matrix"], np.float64)
    clipped = gradient["matrix"] / np.linalg.norm(gradient["matrix"])
    m = v = np.zeros_like(clipped)
    for step in range(1, 5):
        m, v = 0.9 * m + 0.1 * clipped, 0.95 * v + 0.05 * clipped**2
        direction = m / (1 - 0.9**step) / (np.sqrt(v / (1 - 0.95**step)) + 1e-8)
        value = value - 0.01 * (direction + 0.1 * value)
    np.testing.assert_allclose(after["matrix"], value, rtol=1e-5)


def test_the_rate_climbs_to_its_peak_and_falls_to_its_floor():
    rate = Schedule(steps=110, peak=1.0, warmup=10, floor=0.2).rate()
    found = [float(rate(step)) for step in (0, 5, 10, 60, 110, 500)]
    np.testing.assert_allclose(found, [0, 0.5, 1, 0.6, 0.2, 0.2], atol=1e-6)


def test_a_run_shorter_than_its_warmup_is_possible():
    rate = Schedule(steps=4, peak=1.0, warmup=50).rate()
    assert [round(float(rate(s)), 6) for s in (0, 2, 4)] == [0, 0.5, 1]


def test_every_leaf_of_a_whole_model_has_its_place(config):
    """A tree with frozen leaves goes through `init` and `update`."""
    tree = multimodal.params(config)
    assert any(p.frozen for _, p in walk(tree))
    transform = optimizer.build(FLAT, tree)
    shapes = abstract(tree)
    state = jax.eval_shape(transform.init, shapes)
    updates, _ = jax.eval_shape(transform.update, shapes, state, shapes)
    assert jax.tree.structure(updates) == jax.tree.structure(shapes)
    moments = sum(leaf.size for leaf in jax.tree.leaves(state) if leaf.dtype == jnp.float32)
    assert moments == 2 * sum(p.size for _, p in walk(tree) if not p.frozen)
