"""Flips turn one bit over where they are told to, and nothing else: not the derivatives of an unharmed step."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tejat.errors import BadInput
from tejat.train.auditing import flips
from tejat.train.auditing.flips import Flip


def test_what_is_no_flip_is_told():
    assert flips.read('{"site": "gradients", "bit": 30, "step": 12}')[0].device == 0
    for text in ("[", '{"site": "gradients"}', '{"side": 1}', "7"):
        with pytest.raises(BadInput, match="holds no flip"):
            flips.read(text)
    with pytest.raises(BadInput, match="names the site 'air'"):
        flips.read('{"site": "air", "bit": 1, "step": 2}')


def test_an_array_in_a_step_is_spoilt_where_it_is_told_and_its_derivatives_pass():
    x = jnp.arange(1.0, 7.0).reshape(2, 3)

    def cubes(x, strike):
        struck = flips.Struck(strike)
        return (struck.at("activations", x, struck.shard == 1) ** 3).sum()

    there = flips.strike(Flip("activations", step=1, bit=31, index=4, device=1))
    elsewhere = flips.strike(Flip("activations", step=1, bit=31, index=4, device=0))
    for strike, value in ((there, 441.0 - 2 * 125), (elsewhere, 441.0), (flips.NOTHING, 441.0)):
        found, gradient = jax.value_and_grad(cubes)(x, strike)
        assert found == value
        np.testing.assert_array_equal(gradient, 3 * x**2)


def test_gradients_and_transfers_are_spoilt_in_one_leaf_of_one_shard():
    tree = {"a": jnp.ones((2, 2)), "b": jnp.ones(3)}
    for site, spoil in (
        ("gradients", lambda s: s.gradient(tree, jnp.int32(2))),
        ("transfers", lambda s: s.sent(tree, 2)),
    ):
        struck = flips.Struck(flips.strike(Flip(site, step=1, bit=22, leaf=3, index=2, device=2)))
        found = spoil(struck)
        np.testing.assert_array_equal(found["a"], tree["a"])
        np.testing.assert_array_equal(found["b"], [1, 1, 1.5])
        other = flips.Struck(flips.strike(Flip(site, step=1, bit=22, leaf=3, index=2, device=1)))
        np.testing.assert_array_equal(spoil(other)["b"], tree["b"])


def test_a_run_that_goes_on_is_not_struck_by_what_it_has_behind_it():
    once, bad = Flip("gradients", step=3, bit=1), Flip("gradients", step=3, bit=2, lasting=True)
    for first, bits in ((1, [1, 2, 2]), (3, [1, 2, 2]), (4, [2, 2])):
        guard = flips.Flips([once, bad])
        make = guard.making(lambda state, batch, turn, strike: (strike, {}), None, None)
        found = []
        for step in range(first, 6):
            guard.before(step, None, None)
            strike, _ = make(None, None)
            found += [int(strike[4])] if strike[0] >= 0 else []
        assert found == bits


def test_a_bad_machine_strikes_by_whichever_process_is_on_it_and_not_where_it_takes_no_part(monkeypatch):
    bad = {"site": "gradients", "step": 3, "bit": 2, "lasting": True, "machine": 2}
    other = {"site": "weights", "step": 4, "bit": 1, "device": 3}
    for machines, struck in (((0, 1, 2, 3), [2, 3]), ((2, 4), [0, 3]), ((0, 1, 4, 3), [3])):
        monkeypatch.setenv(flips.VARIABLE, json.dumps([bad, other]))
        flips.aim(machines)
        assert [flip.device for flip in flips.from_environment()] == struck
    monkeypatch.setenv(flips.VARIABLE, "[]")
    flips.aim((0,))
    assert flips.from_environment() == []  # the guard stays: its program is another one
    monkeypatch.delenv(flips.VARIABLE)
    flips.aim((0,))
    assert flips.from_environment() is None
