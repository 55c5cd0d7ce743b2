"""Documents of each stream by blocks: full, near their shares, the same however they are asked for, in little room."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tejat.data.quotas import APART, LAST, Quotas

BLOCK = 64
densities = st.lists(st.one_of(st.just(0.0), st.floats(1e-4, 10)), min_size=1, max_size=6).filter(any)


@settings(max_examples=50, deadline=None)
@given(densities, st.data(), st.floats(10, 1e4))
def test_every_block_is_full_and_close_to_its_shares(first, data, ramp):
    last = data.draw(st.sampled_from([first, first[::-1]]))
    made, blocks = Quotas(np.array(first), np.array(last), 1e6, ramp, BLOCK), 12
    counts = np.array([made.counts(b) for b in range(blocks + 1)])
    each = np.diff(counts, axis=0)
    assert (each >= 0).all() and (each.sum(1) == BLOCK).all()
    # What is due, reckoned apart: shares at the middle of each block of a ramp in documents.
    whole = max(ramp * (sum(first) + sum(last)) / 2, 1.0)
    at = np.minimum((np.arange(blocks) + 0.5) * BLOCK / whole, 1.0)[:, None]
    shares = (1 - at) * np.array(first) + at * np.array(last)
    due = np.cumsum(BLOCK * shares / shares.sum(1, keepdims=True), axis=0)
    assert (np.abs(counts[1:] - due) < 1.001).all()


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(0, 3 * APART), min_size=1, max_size=8))
def test_any_block_can_be_asked_for_at_any_time(asked):
    def quotas() -> Quotas:
        return Quotas(np.array([0.3, 0.0, 0.011, 0.007]), np.array([0.1, 0.2, 0.0, 0.007]), 1e6, 3e5, BLOCK)

    in_order, out_of_order = quotas(), quotas()
    found = {block: in_order.counts(block) for block in sorted(asked)}
    assert all((out_of_order.counts(block) == found[block]).all() for block in asked)


def test_counts_of_a_long_run_take_little_room():
    made = Quotas(np.full(40, 0.1), np.full(40, 0.2), 1e6, 1e6, BLOCK)
    for block in range(4 * APART):
        made.counts(block)
        assert len(made._known) <= LAST + 2 + block // APART
    for block in range(0, 4 * APART, 97):  # and however they are asked for
        made.counts(block)
    assert len(made._known) <= LAST + 2 + 4
