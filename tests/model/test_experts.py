"""Experts: products of groups against every row on its own, gradients against JAX's, memory, caches, sizes."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tejat.infer.cache import empty_cache, run_cached
from tejat.model import decoder, experts, sizes
from tejat.model.attention import Intervals, causal_intervals
from tejat.model.decoder import DecoderConfig
from tejat.model.experts import ExpertsConfig
from tejat.model.params import count

CONFIG = DecoderConfig(
    vocabulary=16,
    width=16,
    layers=2,
    heads=2,
    mlp=12,
    head_width=8,
    window=4,
    period=2,
    experts=ExpertsConfig(count=6, used=2, mlp=10),
)


@st.composite
def groups(draw):
    """(rows, matrices, sizes): sizes of any kind, groups without rows and groups with all of them included.

    Of one shape, so that they compile once: 150 rows are 30 a group, and most often in no whole number of blocks.
    """
    cuts = sorted(draw(st.lists(st.sampled_from([0, 1, 29, 30, 31, 60, 149, 150]), min_size=4, max_size=4)))
    random = np.random.default_rng(draw(st.integers(0, 9)))
    rows, matrices = random.standard_normal((150, 3)), random.standard_normal((5, 3, 4))
    sizes = np.diff([0, *cuts, 150])
    return jnp.asarray(rows, jnp.float32), jnp.asarray(matrices, jnp.float32), jnp.asarray(sizes, jnp.int32)


def gradients(product):
    def total(rows, matrices, sizes, weights):
        return (product(rows, matrices, sizes) * weights).sum()

    return jax.jit(jax.grad(total, (0, 1)))


PRODUCT = jax.jit(experts.grouped)
GRADIENTS, THEIRS = gradients(experts.grouped), gradients(jax.lax.ragged_dot)


@settings(deadline=None)
@given(groups())
def test_rows_meet_the_matrix_of_their_group(case):
    rows, matrices, sizes = case
    owner = np.repeat(np.arange(len(sizes)), sizes)
    expected = np.einsum("ri,rio->ro", rows, matrices[owner])
    np.testing.assert_allclose(PRODUCT(*case), expected, rtol=1e-5, atol=1e-5)


@settings(deadline=None)
@given(groups())
def test_gradients_are_those_of_ragged_dot(case):
    weights = jnp.asarray(np.random.default_rng(1).standard_normal((150, 4)), jnp.float32)
    for mine, theirs in zip(GRADIENTS(*case, weights), THEIRS(*case, weights), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-4)


def test_answers_are_weighted_sums_of_the_chosen(drawn):
    config, width = CONFIG.experts, CONFIG.width
    weights = drawn(experts.params(config, width), seed=0)
    random = np.random.default_rng(0)
    weights["answer_scale"] = jnp.asarray(random.uniform(0.5, 2, config.count), jnp.float32)
    x = jnp.asarray(random.standard_normal((9, width)), jnp.float32)
    chosen, shares = experts.route(weights, config, x, 1e-6)
    assert all(len(set(row)) == config.used for row in np.asarray(chosen).tolist())
    np.testing.assert_allclose((shares / weights["answer_scale"][chosen]).sum(-1), 1, rtol=1e-5)

    def one(row, expert):
        gate, up = (row @ weights["gate_up"][expert, :, i] for i in range(2))
        return (jax.nn.gelu(gate, approximate=True) * up) @ weights["down"][expert]

    expected = [
        sum(share * one(row, expert) for expert, share in zip(*pair, strict=True))
        for row, *pair in zip(x, chosen, shares, strict=True)
    ]
    np.testing.assert_allclose(experts.answers(weights, config, x, chosen, shares), expected, rtol=1e-4, atol=1e-5)


def test_memory_grows_with_the_experts_used_and_not_with_all(drawn):
    """Control: with ragged_dot itself, as XLA has it on a CPU, memory does grow with all."""

    def temporary(product, groups: int) -> int:
        shapes = [((2048, 64), np.float32), ((groups, 64, 32), np.float32), ((groups,), np.int32)]
        arrays = [jax.ShapeDtypeStruct(*shape) for shape in shapes]
        return jax.jit(product).lower(*arrays).compile().memory_analysis().temp_size_in_bytes

    assert temporary(experts.grouped, 32) < 4 * temporary(experts.grouped, 4)
    assert temporary(jax.lax.ragged_dot, 32) > 6 * temporary(jax.lax.ragged_dot, 4)


def test_the_cached_pass_is_the_plain_one(drawn):
    params = drawn(decoder.params(CONFIG), seed=2)
    tokens = jnp.asarray(np.random.default_rng(2).integers(0, 16, (2, 9)))
    positions = jnp.broadcast_to(jnp.arange(9), (2, 9))
    x = decoder.embed(params, CONFIG, tokens)
    plain = jax.jit(decoder.run, static_argnums=1)(
        params, CONFIG, x, decoder.context(CONFIG, causal_intervals(jnp.ones_like(tokens)), positions)
    )
    cache, steps = empty_cache(CONFIG, 2, 9), []
    step = jax.jit(run_cached, static_argnums=1)
    for t in range(9):
        at = jnp.full((2, 1), t)
        sliding = Intervals(jnp.maximum(at - CONFIG.window + 1, 0), at + 1)
        shared = decoder.context(CONFIG, Intervals(jnp.zeros_like(at), at + 1), at, sliding=sliding)
        hidden, cache = step(params, CONFIG, x[:, t : t + 1], shared, at, cache)
        steps.append(hidden)
    np.testing.assert_allclose(jnp.concatenate(steps, 1), plain, atol=1e-5)


def test_active_parameters_leave_out_the_experts_that_rest():
    whole = count(decoder.params(CONFIG))
    one = CONFIG.width * CONFIG.experts.mlp * 3
    assert sizes.active(CONFIG) == whole - CONFIG.layers * 4 * one
    assert sizes.active(dataclasses.replace(CONFIG, experts=None)) < sizes.active(CONFIG)


@pytest.mark.parametrize("used", [1, 6])
def test_a_used_expert_costs_six_operations_a_weight(used):
    from tejat.model.multimodal import ModelConfig

    def flops(used: int) -> float:
        shape = dataclasses.replace(CONFIG, experts=dataclasses.replace(CONFIG.experts, used=used))
        return sizes.training_flops(ModelConfig("moe", shape, None, None, None, 16, 64))

    assert flops(used) - flops(2) == 6 * (used - 2) * CONFIG.layers * CONFIG.width * CONFIG.experts.mlp * 3
