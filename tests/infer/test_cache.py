"""A cache changes nothing: prompts in chunks and then single tokens against the whole row at once."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tejat.infer.cache import chunks, empty_cache, run_cached
from tejat.model import decoder
from tejat.model.attention import Intervals, causal_intervals, windowed
from tejat.model.decoder import DecoderConfig
from tejat.model.params import map_params

LENGTH, HEAD = 48, 26  # tokens of a row; of them, those that may be read in chunks and hold images
BASE = DecoderConfig(vocabulary=50, width=32, layers=3, heads=4, mlp=48, head_width=8, window=8, period=2)
CONFIGS = {
    "one key head": BASE,
    "images see themselves": dataclasses.replace(BASE, bidirectional_images=True, key_heads=4, window=5),
    "grouped queries, wide full heads, keys are values": dataclasses.replace(
        BASE, key_heads=2, full_head_width=16, full_key_heads=1, keys_are_values=True, bidirectional_images=True
    ),
    "shared keys, per-layer inputs": dataclasses.replace(
        BASE,
        layers=4,
        shared_key_layers=2,
        shared_mlp_factor=2,
        full_head_width=16,
        per_layer_width=16,
        per_layer_vocabulary=50,
        position_scale=4.0,
        bidirectional_images=True,
    ),
}
# Programs that run for milliseconds are not worth seconds of optimisation.
QUICK = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}


@functools.cache
def weights(config):
    """Random weights, norms and scalars too. Queries are small and norms near one, as trained ones are.

    Large scores, and scales that nearly cancel what they scale, would magnify rounding beyond the tolerance.
    """
    random = np.random.default_rng(0)

    def draw(param):
        noise = random.standard_normal(param.shape, np.float32)
        return 1 + 0.1 * noise if isinstance(param.init, float) else noise / np.float32(param.fan_in) ** 0.5

    params = map_params(draw, decoder.params(config))
    for block in params["blocks"].values():
        block["q_norm"] = 0.15 * block["q_norm"]
    return params


def rows(seed: int) -> dict[str, np.ndarray]:
    """Three rows: one document; a shorter one and padding; several documents packed. Images of 2 to 9 tokens in all."""
    random = np.random.default_rng(seed)
    segments = np.ones((3, LENGTH), np.int32)
    segments[1, random.integers(HEAD, LENGTH) :] = 0
    segments[2] = 1 + np.searchsorted(np.sort(random.integers(0, LENGTH, 3)), np.arange(LENGTH), side="right")
    index = np.arange(LENGTH)
    starts = [np.flatnonzero(np.diff(row, prepend=-1)) for row in segments]
    positions = np.stack([index - s[np.searchsorted(s, index, side="right") - 1] for s in starts]).astype(np.int32)
    blocks = np.zeros_like(segments)
    for row in range(3):
        at = number = 0
        while (at := at + int(random.integers(0, 4))) < HEAD:
            end = min(at + int(random.integers(2, 10)), HEAD)
            number += 1
            blocks[row, at:end] = number
            at = end
    # A document that ends inside an image takes the image with it: no image is of two documents.
    cut = np.diff(segments, axis=1, prepend=segments[:, :1]) != 0
    blocks += 100 * np.cumsum(cut, axis=1) * (blocks > 0)
    tokens = random.integers(0, 50, (3, LENGTH)).astype(np.int32)
    return {"tokens": tokens, "segments": segments, "positions": positions, "blocks": blocks}


@functools.partial(jax.jit, static_argnums=0, compiler_options=QUICK)
def forward(config, params, tokens, segments, positions, blocks):
    x = decoder.embed(params, config, tokens)
    extra = decoder.per_layer_inputs(params, config, tokens, x) if config.per_layer_width else None
    shared = decoder.context(config, causal_intervals(segments), positions, blocks)
    return decoder.run(params, config, x, shared, extra)


@functools.partial(jax.jit, static_argnums=0, compiler_options=QUICK)
def forward_cached(config, params, tokens, positions, full, sliding, places, cache):
    x = decoder.embed(params, config, tokens)
    extra = decoder.per_layer_inputs(params, config, tokens, x) if config.per_layer_width else None
    shared = decoder.context(config, full, positions, sliding=sliding)
    return run_cached(params, config, x, shared, places, cache, extra)


def plan(data, heads, size: int, together: bool):
    """Places to read at a time: chunks of the first tokens of each row, then the others one by one."""
    lengths = (data["segments"] > 0).sum(axis=1)
    yield from chunks(np.arange(LENGTH) < heads[:, None], data["blocks"] if together else None, size)
    at = heads.copy()
    while (at < lengths).any():
        yield np.where(at < lengths, at, -1)[:, None].astype(np.int32)
        at += 1


def cached(config, data, steps, cache) -> np.ndarray:
    """Hidden states of all rows, by a cache."""
    full = causal_intervals(jnp.asarray(data["segments"]))
    sliding = windowed(full, config.window, data["blocks"] if config.bidirectional_images else None)
    found = np.zeros((3, LENGTH, config.width), np.float32)
    for places in steps:

        def pick(row, places=places):
            return np.where(places >= 0, np.take_along_axis(np.asarray(row), np.maximum(places, 0), axis=1), 0)

        tokens, positions = pick(data["tokens"]), pick(data["positions"])
        intervals = (Intervals(*map(pick, i)) for i in (full, sliding))
        hidden, cache = forward_cached(config, weights(config), tokens, positions, *intervals, places, cache)
        real = places >= 0
        found[np.nonzero(real)[0], places[real]] = np.asarray(hidden)[real]
    return found


def compare(config, seed: int, size: int):
    data = rows(seed)
    random = np.random.default_rng(seed)
    lengths = (data["segments"] > 0).sum(axis=1)
    heads = np.minimum(random.integers(HEAD, HEAD + 5, 3), lengths)
    steps = list(plan(data, heads, size, config.bidirectional_images))
    wanted = np.asarray(forward(config, weights(config), **data))
    found = cached(config, data, steps, empty_cache(config, 3, LENGTH))
    real = data["segments"] > 0
    np.testing.assert_allclose(found[real], wanted[real], rtol=0, atol=1e-5)


@pytest.mark.parametrize(("name", "size"), list(zip(CONFIGS, (13, 11, 5, 9), strict=True)))
def test_a_cache_changes_nothing(name, size):
    """Chunks longer than the window and shorter ones, ragged where an image has to stay whole."""
    compare(CONFIGS[name], seed=size, size=size)


@st.composite
def configurations(draw):
    layers = draw(st.integers(2, 6))
    pattern = tuple(draw(st.lists(st.sampled_from(["sliding", "full"]), min_size=layers, max_size=layers)))
    shared = draw(st.integers(0, layers - 1))
    assume(set(pattern[layers - shared :]) <= set(pattern[: layers - shared]))
    return dataclasses.replace(
        BASE,
        layers=layers,
        pattern=pattern,
        shared_key_layers=shared,
        window=draw(st.integers(1, 12)),
        key_heads=draw(st.sampled_from([1, 2, 4])),
        full_key_heads=draw(st.sampled_from([None, 1, 2, 4])),
        full_head_width=draw(st.sampled_from([None, 4, 16])),
        keys_are_values=draw(st.booleans()),
        bidirectional_images=draw(st.booleans()),
        per_layer_width=draw(st.sampled_from([0, 8])),
        per_layer_vocabulary=50,
        position_scale=draw(st.sampled_from([1.0, 8.0])),
        full_rotated=draw(st.sampled_from([0.25, 1.0])),
    )


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(configurations(), st.integers(0, 2**32 - 1), st.integers(1, 20))
def test_a_cache_changes_nothing_whatever_the_configuration(config, seed, size):
    assume(rounding(config, seed) < 5e-6)
    compare(config, seed, size)


def rounding(config, seed: int) -> float:
    """How far the uncached pass is from itself when rows are computed alone: some random networks magnify rounding."""
    data = rows(seed)
    together = forward(config, weights(config), **data)
    alone = [forward(config, weights(config), **{k: v[row : row + 1] for k, v in data.items()}) for row in range(3)]
    return float(np.abs(together - np.concatenate(alone))[data["segments"] > 0].max())


def test_a_ring_too_short_is_noticed():
    """A control: one slot less than the window."""
    config, data = CONFIGS["one key head"], rows(13)
    steps = list(plan(data, np.full(3, 13), 13, False))
    short = empty_cache(dataclasses.replace(config, window=config.window - 1), 3, LENGTH)
    wrong = np.abs(cached(config, data, steps, short) - np.asarray(forward(config, weights(config), **data)))
    assert wrong[0, :13].max() < 1e-5 and wrong[0, 13:].max(-1).min() > 1e-3


def test_an_image_that_is_cut_is_noticed():
    """A control: chunks that do not ask where images are."""
    config, data = CONFIGS["images see themselves"], rows(11)
    steps = list(plan(data, np.full(3, HEAD), 11, False))
    wrong = cached(config, data, steps, empty_cache(config, 3, LENGTH)) - forward(config, weights(config), **data)
    assert np.abs(wrong)[0].max() > 1e-3


def test_a_row_that_waits_is_left_alone():
    """Place -1 in a single step (a finished row of a batch) writes nothing."""
    config = CONFIGS["grouped queries, wide full heads, keys are values"]

    def step(places, cache):
        at = np.asarray(places, np.int32)[:, None]
        seen = Intervals(np.zeros_like(at), at + 1)
        return forward_cached(config, weights(config), np.maximum(at, 0), at, seen, seen, at, cache)[1]

    before = step([0, 0], empty_cache(config, 2, LENGTH))
    after = step([1, -1], before)
    assert before.length.tolist() == [1, 1] and after.length.tolist() == [2, 1]
    for a, b in zip(jax.tree.leaves(before.layers), jax.tree.leaves(after.layers), strict=True):
        np.testing.assert_array_equal(a[1], b[1])
        assert np.any(a[0] != b[0])


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS.keys())
def test_a_window_on_sliding_layers_and_nothing_on_sharing_ones(config):
    slots = [k.shape[1] for k, _ in empty_cache(config, 1, LENGTH).layers]
    assert slots == [LENGTH if k.attention == "full" else config.window for k in config.kinds if not k.shares]
    assert [k.shape[1] for k, _ in empty_cache(config, 1, 3).layers] == [3] * len(slots)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 20), st.booleans())
def test_chunks_cover_every_token_once_and_cut_no_image(seed, size, together):
    data = rows(seed)
    blocks, real = data["blocks"], data["segments"] > 0
    longest = max(np.sum(row == n) for row in blocks for n in set(row[row > 0].tolist())) if together else 0
    where = [[] for _ in range(3)]
    for number, places in enumerate(chunks(real, blocks if together else None, size)):
        assert places.shape[1] == max(size, longest) and (places >= 0).any()
        for row in range(3):
            mine = places[row][places[row] >= 0]
            assert (places[row][: len(mine)] >= 0).all()  # at the left
            where[row] += [(int(p), number) for p in mine]
    for row in range(3):
        assert [p for p, _ in where[row]] == list(range(real[row].sum()))
        if together:
            images = {blocks[row, p]: set() for p, _ in where[row] if blocks[row, p]}
            for p, number in where[row]:
                images.get(blocks[row, p], set()).add(number)
            assert all(len(numbers) == 1 for numbers in images.values())


def test_no_tokens_no_chunks():
    assert list(chunks(np.zeros((2, 5), bool), None, 4)) == []
