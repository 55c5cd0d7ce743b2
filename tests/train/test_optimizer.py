"""The schedule by hand; what decays and what never moves; AdamW against itself written out, Muon against the SVD."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from tejat.model import experts, family, multimodal
from tejat.model.experts import ExpertsConfig
from tejat.model.params import Param, abstract, linear, map_params, stack, walk
from tejat.train import optimizer
from tejat.train.optimizer import Schedule, is_matrix

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


SIDES = {
    "wide": linear({"embed": 6}, {"heads": 4, "head": 5}),
    "tall": linear({"heads": 4, "head": 5}, {"embed": 6}),
    "stack": stack(3, {"square": linear({"vision": 8}, {"mlp": 8})}),
    "moe": stack(2, {"gate_up": experts.params(ExpertsConfig(count=3, used=1, mlp=5), 6)["gate_up"]}),
}
MUON = replace(FLAT, muon=True, decay=0.0, clip=1e9)


def as_matrices(name: str, value) -> np.ndarray:
    """[count, inputs, outputs]"""
    shape = {"wide": (1, 6, 20), "tall": (1, 20, 6), "stack.square": (3, 8, 8), "moe.gate_up": (6, 6, 10)}[name]
    return np.asarray(value, np.float64).reshape(shape)


def muon_moves(gradient) -> dict[str, np.ndarray]:
    """How one step of a rate of 0.01 moves each matrix of SIDES, divided by the rate."""
    before, after = (dict(walk(t)) for t in updated(SIDES, gradient, schedule=MUON))
    return {name: as_matrices(name, (before[name] - after[name]) / 0.01) for name in before}


def random_like(tree, seed: int):
    random = np.random.default_rng(seed)
    return map_params(lambda p: jnp.asarray(random.standard_normal(p.shape), jnp.float32), tree)


def test_muon_moves_a_matrix_along_the_orthogonal_factor_of_its_gradient():
    gradient = random_like(SIDES, 1)
    moves = muon_moves(gradient)
    for name, value in walk(gradient):
        u, _, v = np.linalg.svd(as_matrices(name, value), full_matrices=False)
        polar, moved = u @ v, moves[name]
        along = (polar * moved).sum((1, 2)) / np.linalg.norm(polar, axis=(1, 2)) / np.linalg.norm(moved, axis=(1, 2))
        assert (along > 0.97).all(), name
        gradient_along = (polar * as_matrices(name, value)).sum((1, 2))
        gradient_along /= np.linalg.norm(polar, axis=(1, 2)) * np.linalg.norm(as_matrices(name, value), axis=(1, 2))
        assert (gradient_along < 0.97).all(), f"{name}: the control, the gradient itself, would pass too"


def test_muon_moves_as_far_as_adam_whatever_the_shape_and_the_size_of_the_gradient():
    for size in (1e-3, 1.0, 1e3):
        for moved in muon_moves(jax.tree.map(lambda g, s=size: g * s, random_like(SIDES, 2))).values():
            deviation = np.sqrt(np.square(moved).mean((1, 2)))
            assert (abs(deviation / 0.2 - 1) < 0.25).all()


def test_muon_takes_every_layer_of_a_stack_alone():
    gradient = random_like(SIDES, 3)
    other = gradient | {"stack": {"square": gradient["stack"]["square"].at[0].multiply(-2.0)}}
    here, there = muon_moves(gradient)["stack.square"], muon_moves(other)["stack.square"]
    np.testing.assert_array_equal(here[1:], there[1:])
    assert not np.allclose(here[0], there[0])


def test_what_is_no_matrix_moves_as_with_adamw_alone():
    tree = SIDES | {k: v for k, v in TREE.items() if k != "matrix"}
    gradient = random_like(tree, 4)
    schedule = replace(MUON, decay=0.1)
    _, muon = updated(tree, gradient, steps=3, schedule=schedule)
    _, adam = updated(tree, gradient, steps=3, schedule=replace(schedule, muon=False))
    apart = {name for name, value in walk(muon) if not np.array_equal(value, dict(walk(adam))[name])}
    assert apart == {"wide", "tall", "stack.square", "moe.gate_up"}


def test_the_matrices_of_micro_are_its_projections():
    tree = dict(walk(multimodal.params(family.preset("micro"))))
    rest = {name.split(".")[-1] for name, param in tree.items() if len(param.shape) > 2 and not is_matrix(param)}
    assert rest == {"conv0", "conv1", "depthwise", "positions"}
    assert is_matrix(tree["vision.patch_in"]) and not is_matrix(tree["decoder.embedding"])
