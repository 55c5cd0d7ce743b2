"""The choice of a token against its definition, written with a sort and float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tejat.infer import sampling
from tejat.infer.sampling import Settings

B, V = 3, 50
choose, keep = jax.jit(sampling.choose), jax.jit(sampling._kept)


def wishes(**columns) -> Settings:
    """Settings of a batch; what is not given is greedy."""
    defaults = {"seed": 0, "temperature": 0, "top_k": 0, "top_p": 1}
    defaults |= {"picture_temperature": 0, "picture_top_k": 0, "picture_min_p": 0}
    kinds = {"seed": np.uint32, "top_k": np.int32, "picture_top_k": np.int32}
    size = max([np.size(v) for v in columns.values()] + [B])
    return Settings(
        **{
            n: jnp.asarray(np.broadcast_to(columns.get(n, d), (size,)), kinds.get(n, np.float32))
            for n, d in defaults.items()
        }
    )


def kept(logits: np.ndarray, top_k: int, top_p: float) -> set[int]:
    """Ids that top-k, then top-p leave, by sorting."""
    order = np.argsort(-logits.astype(np.float64), kind="stable")
    order = order[: top_k or len(order)]
    p = np.exp(logits[order].astype(np.float64) - logits.max())
    before = (np.cumsum(p) - p) / p.sum()
    return set(order[before < top_p].tolist()) if top_p < 1 else set(order.tolist())


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, V + 5), st.floats(0.01, 1.0), st.floats(0.1, 30.0))
def test_top_k_and_top_p(seed: int, top_k: int, top_p: float, spread: float) -> None:
    logits = (np.random.default_rng(seed).standard_normal((B, V)) * spread).astype(np.float32)
    got = np.asarray(keep(jnp.asarray(logits), jnp.full(B, top_k), jnp.full(B, top_p, jnp.float32)))
    for row, mine in zip(logits, got, strict=True):
        # Where rounding decides, on either side of the bar, both answers are right.
        low, high = kept(row, top_k, min(top_p, 1) - 1e-4), kept(row, top_k, min(top_p + 1e-4, 1.0))
        mine = set(np.flatnonzero(mine).tolist())
        # What float32 takes for 0 are equals of each other, of which none is ever chosen.
        nothing = set(np.flatnonzero(np.exp(row - row.max()) < np.finfo(np.float32).tiny).tolist())
        assert low - nothing <= mine and mine - nothing <= high


def test_equals_of_the_last_are_kept() -> None:
    logits = jnp.asarray([[2.0, 1.0, 1.0, 0.0]])
    assert np.asarray(keep(logits, jnp.asarray([2]), jnp.asarray([1.0]))).tolist() == [[1, 1, 1, 0]]


def test_greedy_and_its_log_probability() -> None:
    random = np.random.default_rng(1)
    logits, allowed = random.standard_normal((B, V)).astype(np.float32) * 4, random.random((B, V)) < 0.5
    token, logprob = choose(logits, allowed, jnp.zeros(B, bool), jnp.arange(B), wishes())
    exact = np.where(allowed, logits.astype(np.float64), -np.inf)
    assert token.tolist() == exact.argmax(-1).tolist()
    np.testing.assert_allclose(logprob, exact.max(-1) - np.log(np.exp(exact).sum(-1)), atol=1e-5)


def test_the_log_probability_is_of_the_model_not_of_the_settings() -> None:
    logits = np.random.default_rng(2).standard_normal((B, V)).astype(np.float32)
    token, logprob = choose(
        logits, np.ones((B, V), bool), jnp.zeros(B, bool), jnp.arange(B), wishes(temperature=3.0, top_k=7, seed=5)
    )
    exact = logits - np.log(np.exp(logits.astype(np.float64)).sum(-1, keepdims=True))
    np.testing.assert_allclose(logprob, exact[np.arange(B), token], atol=1e-5)


def test_a_forced_token_is_certain() -> None:
    allowed = np.zeros((B, V), bool)
    allowed[:, 17] = True
    for temperature in (0.0, 2.0):
        token, logprob = choose(
            np.random.default_rng(3).standard_normal((B, V)).astype(np.float32),
            *(allowed, jnp.zeros(B, bool), jnp.arange(B), wishes(temperature=temperature)),
        )
        assert token.tolist() == [17] * B
        assert logprob.tolist() == [0.0] * B


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_frequencies(temperature: float) -> None:
    n, logits = 4000, np.asarray([1.0, 0.0, -1.0, 2.0], np.float32)
    token, _ = choose(
        np.tile(logits, (n, 1)),
        *(
            np.ones((n, 4), bool),
            jnp.zeros(n, bool),
            jnp.full(n, 9),
            wishes(temperature=temperature, seed=np.arange(n)),
        ),
    )
    expected = np.exp(logits / temperature) / np.exp(logits / temperature).sum()
    got = np.bincount(np.asarray(token), minlength=4) / n
    # Five standard deviations: a right sampler fails once in a million seeds, and the seeds are fixed.
    assert (np.abs(got - expected) < 5 * np.sqrt(expected * (1 - expected) / n)).all()


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 2**32 - 1), min_size=B, max_size=B), st.integers(0, 10_000), st.permutations(range(B)))
def test_a_row_depends_on_its_own_seed_and_place_only(seeds, position, order) -> None:
    logits = np.random.default_rng(4).standard_normal((B, V)).astype(np.float32)
    where, order = np.arange(B) + position, list(order)
    ones, no = np.ones((B, V), bool), jnp.zeros(B, bool)

    def chosen(rows: list[int], temperature) -> list[int]:
        mine = wishes(temperature=temperature, seed=np.asarray(seeds)[rows])
        return choose(logits[rows], ones, no, where[rows], mine)[0].tolist()

    whole = chosen([0, 1, 2], 1.0)
    assert chosen(order, 1.0) == [whole[i] for i in order]
    # Beside greedy rows, which take the other branch when alone.
    assert chosen([0, 1, 2], [1.0, 0.0, 0.0])[0] == whole[0]


def test_other_seeds_and_places_choose_otherwise() -> None:
    n = 40
    ones, no = np.ones((n, V), bool), jnp.zeros(n, bool)
    same = np.zeros((n, V), np.float32)
    by_seed = choose(same, ones, no, jnp.zeros(n, int), wishes(temperature=1.0, seed=np.arange(n)))[0]
    by_place = choose(same, ones, no, jnp.arange(n), wishes(temperature=1.0, seed=np.zeros(n)))[0]
    assert len(set(by_seed.tolist())) > 15
    assert len(set(by_place.tolist())) > 15


def test_codes_have_settings_of_their_own() -> None:
    n, logits = 200, np.arange(V, dtype=np.float32) / 10
    due = np.arange(n) % 2 == 0
    mine = wishes(seed=np.arange(n), picture_temperature=100.0, picture_top_k=5)
    token, _ = choose(np.tile(logits, (n, 1)), np.ones((n, V), bool), due, jnp.zeros(n, int), mine)
    assert set(np.asarray(token)[~due].tolist()) == {V - 1}  # text is greedy
    assert set(np.asarray(token)[due].tolist()) == set(range(V - 5, V))


def test_codes_are_plausible() -> None:
    """None is chosen, by chance or for what else it is liked for, that has less than its share of the likeliest."""
    n, logits = 300, np.log(np.arange(1, V + 1, dtype=np.float32))  # as likely as 1 .. V
    due, ones = np.arange(n) % 2 == 0, np.ones((n, V), bool)
    hot = {"temperature": 100.0, "picture_temperature": 100.0, "picture_min_p": 0.9}
    mine, scores = wishes(seed=np.arange(n), **hot), np.tile(logits, (n, 1))
    token, logprob = choose(scores, ones, due, jnp.zeros(n, int), mine)
    plausible = set(range(int(0.9 * V) - 1, V))
    assert set(np.asarray(token)[due].tolist()) == plausible < set(np.asarray(token)[~due].tolist())
    np.testing.assert_allclose(logprob, (logits - np.log(np.exp(logits).sum()))[np.asarray(token)], atol=1e-5)
    greedy = wishes(picture_min_p=0.9 * np.ones(n))
    token, _ = choose(scores, ones, due, jnp.zeros(n, int), greedy, -scores)
    assert set(np.asarray(token)[due].tolist()) == {min(plausible)} and set(np.asarray(token)[~due].tolist()) == {0}
