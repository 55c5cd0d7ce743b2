"""Memory grows with the row and not with its square, by what the compiler sets aside, up to 32,768 tokens.

Rows are packed, layers have windows and images see themselves. A dense mask fails the same checks.
"""

import dataclasses
import functools
import itertools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tejat.data.packing import Batch
from tejat.infer.cache import empty_cache, run_cached
from tejat.model import decoder, family, multimodal
from tejat.model.attention import Intervals, attend, causal_intervals, windowed
from tejat.model.decoder import DecoderConfig
from tejat.model.params import abstract
from tejat.model.passes import SCANNED, Pass
from tejat.train import objective

LENGTHS = (4_096, 8_192, 16_384, 32_768)
SMALL = DecoderConfig(
    vocabulary=64, width=32, layers=3, heads=2, mlp=64, head_width=16, window=512, period=3, bidirectional_images=True
)
LARGE = DecoderConfig(
    vocabulary=64,
    width=256,
    layers=8,
    heads=4,
    key_heads=2,
    mlp=1_024,
    head_width=64,
    full_head_width=512,
    window=1_024,
    period=4,
    bidirectional_images=True,
    shared_key_layers=2,
)


def dense(q, k, v, intervals, *_, **__):
    """Attention as a textbook has it, with a mask of T x T."""
    at = jnp.arange(k.shape[1])
    visible = (at >= intervals.start[..., None]) & (at < intervals.end[..., None])
    k, v = (jnp.repeat(x, q.shape[2] // k.shape[2], axis=2) for x in (k, v))
    scores = jnp.where(visible[:, None], jnp.einsum("bthn,bshn->bhts", q, k), -1e30)
    return jnp.einsum("bhts,bshn->bthn", jax.nn.softmax(scores), v)


def ints(length: int):
    return jax.ShapeDtypeStruct((1, length), jnp.int32)


def forward(config, params, x, segments, positions, blocks, how=SCANNED):
    shared = decoder.context(config, causal_intervals(segments), positions, blocks)
    return decoder.run(params, config, x, shared, how=how)


def gradient(config, params, *row):
    return jax.grad(lambda params: jnp.square(forward(config, params, *row, how=Pass("inputs"))).mean())(params)


def prefill(config, params, x, places, full, sliding, cache):
    shared = decoder.context(config, full, places, sliding=sliding)
    return run_cached(params, config, x, shared, places, cache)


def whole_row(config, length: int):
    row = jax.ShapeDtypeStruct((1, length, config.width), jnp.float32)
    return abstract(decoder.params(config)), row, ints(length), ints(length), ints(length)


def chunk(config, length: int):
    """A thousand tokens beside a cache for all."""
    x = jax.ShapeDtypeStruct((1, 1_024, config.width), jnp.float32)
    at = Intervals(ints(1_024), ints(1_024))
    cache = jax.eval_shape(lambda: empty_cache(config, 1, length))
    return abstract(decoder.params(config)), x, ints(1_024), at, at, cache


PATHS = {"forward": (forward, whole_row), "gradient": (gradient, whole_row), "prefill": (prefill, chunk)}


def temporary(function, arguments) -> int:
    """Bytes that a program needs beside its arguments and results."""
    options = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}
    return jax.jit(function).lower(*arguments).compile(compiler_options=options).memory_analysis().temp_size_in_bytes


def measure(path: str, config, lengths) -> list[int]:
    function, arguments = PATHS[path]
    return [temporary(functools.partial(function, config), arguments(config, length)) for length in lengths]


def is_linear(lengths: Sequence[int], found: Sequence[int]) -> bool:
    """Does memory grow no faster than the row, within a tenth?"""
    pairs = list(zip(lengths, found, strict=True))
    return all(b / a < 1.1 * m / n for (n, a), (m, b) in itertools.pairwise(pairs))


@pytest.mark.parametrize("path", ["forward", pytest.param("gradient", marks=pytest.mark.slow)])
def test_memory_grows_with_the_row(path):
    ends = LENGTHS[:: len(LENGTHS) - 1]
    assert is_linear(ends, measure(path, SMALL, ends))


@pytest.mark.slow
@pytest.mark.parametrize("path", PATHS)
def test_memory_grows_with_the_row_of_a_wider_decoder(path):
    assert is_linear(LENGTHS, measure(path, LARGE, LENGTHS))


@pytest.mark.parametrize("path", ["forward", pytest.param("gradient", marks=pytest.mark.slow)])
def test_a_dense_mask_fails_the_check(path, monkeypatch):
    monkeypatch.setattr(decoder, "attend", dense)
    assert not is_linear(LENGTHS[:2], measure(path, SMALL, LENGTHS[:2]))


@pytest.mark.slow
def test_memory_of_training_grows_with_the_row():
    """The gradient of the loss of a whole model: scores of the vocabulary are in it, and they too come in chunks."""
    config = family.preset("micro")
    config = dataclasses.replace(config, vision=None, audio=None, context=LENGTHS[-1])

    def step(params, batch):
        return jax.grad(lambda params: objective.loss(params, config, batch, how=Pass("inputs"))[0])(params)

    def arguments(length: int):
        row, half = ints(length), ints(length // 2)
        inputs = multimodal.Inputs(row, row, row, row, row, None)
        real = jax.ShapeDtypeStruct(half.shape, jnp.float32)
        return abstract(multimodal.params(config)), Batch(inputs, half, half, real, half)

    assert is_linear(LENGTHS, [temporary(step, arguments(length)) for length in LENGTHS])


def test_a_long_prompt_is_read_in_the_memory_of_a_short_one():
    short, long = measure("prefill", SMALL, (2_048, 32_768))
    assert long < 1.2 * short


def test_the_last_of_32k_tokens_sees_the_first():
    """And on a sliding layer it does not: the interval functions and the scan over blocks, at full length."""
    length, random = LENGTHS[-1], np.random.default_rng(0)
    q, k = random.standard_normal((2, 1, length, 1, 8), np.float32)
    v = np.zeros((1, length, 1, 8), np.float32)
    v[0, 0] = 1
    full = causal_intervals(jnp.ones((1, length), jnp.int32))
    last = Intervals(*(i[:, -300:] for i in full))
    seen = np.asarray(jax.jit(attend)(q[:, -300:], k, v, last))[0, :, 0, 0]
    scores = np.einsum("tn,sn->ts", q[0, -300:, 0].astype(float), k[0, :, 0].astype(float))
    scores[np.arange(length) > np.arange(length - 300, length)[:, None]] = -np.inf
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    np.testing.assert_allclose(seen, (weights / weights.sum(-1, keepdims=True))[:, 0], rtol=1e-4)
    sliding = windowed(full, 512)
    assert not np.any(jax.jit(attend)(q[:, -300:], k, v, Intervals(*(i[:, -300:] for i in sliding))))
