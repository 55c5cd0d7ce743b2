"""Whatever the scores say, what comes out is well formed: checked by a parser that knows nothing of the rule's code."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tejat.codecs import vocabulary
from tejat.infer import constraints
from tejat.infer.constraints import Asked, Rule

# A small vocabulary: <|turn> 4, media 5-6, sides 7-14, <|row|> 15, <picture|> 16, <turn|> 17, <|picture> 18, text
# 19-29, codes 30-35; scores 36-39 stand for nothing.
RULE = Rule(
    text_size=30,
    codes=6,
    first_written=17,
    turn_end=17,
    picture_begin=18,
    picture_end=16,
    row_end=15,
    size_one=7,
    longest=8,
    budget=20,
)
SCORES, STEPS = 40, 120
END = (RULE.turn_end, vocabulary.EOS)


@functools.partial(jax.jit, static_argnums=0)
def write(rule: Rule, seed, drawing, left, asked: Asked):
    """[STEPS, B] tokens drawn at random, `drawing` added to the score of `<|picture>`; -1 after the end."""
    bonus = jnp.zeros(SCORES).at[rule.picture_begin].set(drawing).at[jnp.asarray(END)].add(-2.0)

    def step(carry, key):
        state, left = carry
        may = constraints.allowed(rule, state, asked, left, SCORES)
        token = jax.random.categorical(key, jnp.where(may, bonus, -jnp.inf))
        token = jnp.where(may.any(-1), token, 99)  # nothing allowed: told apart from every id
        alive = left > 0
        ends = (token == rule.turn_end) | (token == vocabulary.EOS)
        state = constraints.advance(rule, state, token)
        return (state, jnp.where(ends | ~alive, 0, left - 1)), jnp.where(alive, token, -1)

    keys = jax.random.split(jax.random.key(seed), STEPS)
    return jax.lax.scan(step, (constraints.start(left.shape[0]), left), keys)[1]


def pictures(tokens: list[int], rule: Rule) -> list[tuple[int, int]]:
    """(rows, columns) of the pictures in an answer; fails where the answer is no sentence of the language."""
    found, at = [], 0
    while at < len(tokens):
        token = tokens[at]
        at += 1
        if token == rule.picture_begin:
            rows, columns = tokens[at] - rule.size_one + 1, tokens[at + 1] - rule.size_one + 1
            at += 2
            for _ in range(rows):
                row = tokens[at : at + columns + 1]
                assert len(row) == columns + 1
                assert all(rule.text_size <= code < rule.text_size + rule.codes for code in row[:-1])
                assert row[-1] == rule.row_end
                at += columns + 1
            assert tokens[at] == rule.picture_end
            at += 1
            found.append((rows, columns))
        elif token in END:
            assert at == len(tokens)
        else:
            assert RULE.turn_end < token < rule.text_size
    return found


sides = st.integers(1, RULE.longest)
rows_of_a_batch = st.lists(
    st.tuples(st.booleans(), st.none() | st.tuples(sides, sides), st.integers(1, STEPS)), min_size=4, max_size=4
)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**31 - 1), st.sampled_from([-20.0, 0.0, 3.0, 20.0]), rows_of_a_batch)
@example(0, 20.0, [(True, None, 6), (True, None, 5), (True, (8, 8), 75), (True, (8, 8), 76)])
def test_every_answer_is_well_formed(seed, drawing, wishes) -> None:
    asked = Asked(
        jnp.asarray([draws for draws, _, _ in wishes]),
        jnp.asarray([(size or (0, 0))[0] for _, size, _ in wishes]),
        jnp.asarray([(size or (0, 0))[1] for _, size, _ in wishes]),
    )
    left = jnp.asarray([limit for _, _, limit in wishes])
    columns = np.asarray(write(RULE, seed, drawing, left, asked)).T
    for column, (draws, size, limit) in zip(columns, wishes, strict=True):
        tokens = [int(t) for t in column if t >= 0]
        assert len(tokens) == limit or tokens[-1] in END
        drawn = pictures(tokens, RULE)
        if not draws:
            assert drawn == []
        for rows, width in drawn:
            if size is not None:
                assert (rows, width) == size
            assert rows <= RULE.longest and width <= RULE.longest
            assert size is not None or rows * width <= RULE.budget
        needed = 6 if size is None else 4 + size[0] * (size[1] + 1)
        if drawing == 20.0 and draws and limit >= needed:
            assert drawn  # so strong a wish to draw is granted


def test_every_size_within_the_budget_can_be_chosen() -> None:
    may = functools.partial(constraints.allowed, RULE, asked=Asked(*jnp.asarray([[1], [0], [0]])), vocabulary=SCORES)
    for rows in range(1, 9):
        state = constraints.State(*jnp.asarray([[2], [rows], [0]]))
        got = np.flatnonzero(np.asarray(may(state=state, left=jnp.asarray([1000])))[0]) - RULE.size_one + 1
        assert got.tolist() == [c for c in range(1, 9) if rows * c <= RULE.budget]


@pytest.mark.parametrize("drawing", [0.0, 20.0])
def test_a_model_that_draws_nothing(drawing: float) -> None:
    import dataclasses

    rule = dataclasses.replace(RULE, codes=0, longest=0, budget=0)
    asked = Asked(jnp.ones(2, bool), jnp.zeros(2, jnp.int32), jnp.zeros(2, jnp.int32))
    for column in np.asarray(write(rule, 1, drawing, jnp.asarray([50, 100]), asked)).T:
        assert pictures([int(t) for t in column if t >= 0], rule) == []


def test_rule_of_a_vocabulary(micro) -> None:
    rule, words = Rule.of(micro.vocabulary, micro.config.picture), micro.vocabulary
    state, asked = constraints.start(1), Asked(*jnp.asarray([[1], [0], [0]]))
    may = np.asarray(constraints.allowed(rule, state, asked, jnp.asarray([100]), micro.config.decoder.vocabulary))[0]
    names = {name for name, piece in words.controls.items() if may[piece]}
    assert names == {"<turn|>", "<|picture>"}
    assert may[vocabulary.EOS] and not may[[vocabulary.PAD, vocabulary.BOS, vocabulary.UNK]].any()
    assert all(may[t] for t in words.encode("Any text, whatever: 漢字 \x00\x1f"))
    assert not may[words.text_size :].any()
    assert constraints.picture_tokens(3, 5) == len(micro.framing.codes(np.zeros((3, 5), np.int32)))
