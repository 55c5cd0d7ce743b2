"""The choice on the host is the one of the compiled steps: the same ids allowed, the same taken, as likely."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tejat.infer import choice, guidance, sampling, steps
from tejat.infer.constraints import Rule, State
from tejat.infer.options import Options

ROWS = 6


@pytest.fixture(scope="module")
def rule(tiny) -> Rule:
    return Rule.of(tiny.vocabulary, tiny.config.picture)


def places(rule: Rule) -> list[tuple[int, int, int]]:
    """In text, at either side of a picture, at a code, at the end of a row and of the picture."""
    return [(0, 0, 0), (1, 0, 0), (2, 3, 0), (4, 3, 4), (3 + 4, 3, 4), (3 + 15, 3, 4)]


@pytest.mark.parametrize("seed", [0, 1])
def test_greedy_tokens_are_those_of_the_compiled_step(tiny, rule, seed) -> None:
    random = np.random.default_rng(seed)
    vocabulary = tiny.config.decoder.vocabulary
    scores = random.standard_normal((ROWS, vocabulary)).astype(np.float32) * 3
    wishes = steps.Wishes.of(ROWS)
    for row in range(ROWS):
        wish = Options(presence_penalty=0.5 * (row % 2), frequency_penalty=1.0, top_logprobs=4, picture_temperature=0.0)
        wishes.put(row, dataclasses.replace(wish, picture_guidance=1.0 + row % 2), draws=row % 3 > 0)
    words = np.full((ROWS, rule.text_size // 32), 0xFFFFFFFF, np.uint32)
    words[0] = random.integers(0, 2**32, words.shape[1], np.uint32)
    counts = random.integers(0, 3, (ROWS, vocabulary)).astype(np.uint16)

    def state():
        picture = State._make(np.asarray(column, np.int32) for column in zip(*places(rule), strict=True))
        columns = (np.full(ROWS, n, np.int32) for n in (9, 100, 60))
        return steps.State._make((*columns, picture, counts.copy()))

    mine, before = state(), jax.tree.map(jnp.asarray, state())
    unasked = random.standard_normal(scores.shape).astype(np.float32) * 3
    liked = guidance.mixed(scores, unasked, wishes, before.picture)
    assert (np.asarray(liked) != scores).any(axis=1).tolist() == [False, False, False, True, False, False]
    after, theirs = steps.choose(rule, sampling.Needs(), before, scores, liked, wishes, words)
    found = choice.choose(rule, mine, scores, wishes, words, dict(enumerate(unasked)))
    assert found.token.tolist() == theirs.token.tolist()
    np.testing.assert_allclose(found.logprob, theirs.logprob, atol=1e-4)
    real = np.isfinite(np.asarray(theirs.top_logprobs))
    assert (found.top == np.asarray(theirs.top))[real].all()
    np.testing.assert_allclose(found.top_logprobs[real], np.asarray(theirs.top_logprobs)[real], atol=1e-4)
    for a, b in zip(jax.tree.leaves(mine), jax.tree.leaves(after), strict=True):
        np.testing.assert_array_equal(a, b)


@given(st.lists(st.integers(0, 40), min_size=8, max_size=8), st.integers(0, 9), st.sampled_from([0.2, 0.5, 0.9, 1.0]))
@settings(max_examples=60, deadline=None)
def test_what_is_kept_is_what_the_compiled_step_keeps(numbers, top_k, top_p) -> None:
    scores = np.asarray(numbers, np.float32) / 8
    weights = np.exp(scores - scores.max())
    theirs = kept(jnp.asarray(scores)[None], jnp.asarray([top_k]), jnp.asarray([top_p], jnp.float32))
    assert choice._kept(weights, top_k, top_p).tolist() == np.asarray(theirs)[0].tolist()


kept = jax.jit(sampling._kept)


def test_chance_follows_the_probabilities_and_the_seed(tiny, rule) -> None:
    """Of four ids that are likely at all, each as often as it should be; the same for the same seed and place."""
    vocabulary = tiny.config.decoder.vocabulary
    scores = np.full((1, vocabulary), -40.0, np.float32)
    ids, shares = [300, 301, 302, 303], np.asarray([0.1, 0.2, 0.3, 0.4])
    scores[0, ids] = np.log(shares)
    words = np.full((1, rule.text_size // 32), 0xFFFFFFFF, np.uint32)

    def taken(seed: int) -> int:
        wishes, state = steps.Wishes.of(1), choice.idle(1, vocabulary)
        wishes.put(0, Options(temperature=1.0, seed=seed), draws=False)
        state.left[0] = 5
        return int(choice.choose(rule, state, scores, wishes, words).token[0])

    drawn = [taken(seed) for seed in range(1_000)]
    found = np.asarray([drawn.count(id) for id in ids]) / 1_000
    assert np.abs(found - shares).max() < 0.06  # four deviations
    assert drawn[:50] == [taken(seed) for seed in range(50)]
