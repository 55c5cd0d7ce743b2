"""Advantages, ratios and losses are those of google-tunix 0.1.7, from which references/tunix.json was made.

By `tunix_numbers.py`, in an environment of its own; nothing of it is needed here.
"""

import json
from pathlib import Path

import numpy as np
import pytest

from tejat.posttrain import advantages, losses

TOLERANCE = {"rtol": 2e-5, "atol": 2e-6}


@pytest.fixture(scope="module")
def cases():
    told = json.loads((Path(__file__).parent / "references" / "tunix.json").read_text())
    return {name: (_arrays(case["given"]), _arrays(case["found"])) for name, case in told.items()}


def _arrays(value):
    if isinstance(value, dict):
        return {name: _arrays(part) for name, part in value.items()}
    return np.asarray(value, np.float32) if isinstance(value, list) else value


@pytest.mark.parametrize(("name", "normalise"), [("group_relative", True), ("group_centred", False)])
def test_group_relative(cases, name, normalise):
    given, found = cases[name]
    mine = advantages.group_relative(given["rewards"], normalise)
    np.testing.assert_allclose(mine.reshape(found.shape), found, **TOLERANCE)


def test_generalised_advantages_and_returns(cases):
    given, found = cases["generalised"]
    there = given["mask"] > 0
    pairs = [
        advantages.generalised(rewards[mask], values[mask], given["discount"], given["trace"])
        for rewards, values, mask in zip(given["rewards"], given["values"], there, strict=True)
    ]
    mine = advantages.whitened([pair[0] for pair in pairs])
    np.testing.assert_allclose(np.concatenate(mine), found["advantages"][there], **TOLERANCE)
    np.testing.assert_allclose(np.concatenate([pair[1] for pair in pairs]), found["returns"][there], **TOLERANCE)


@pytest.mark.parametrize("kind", ["plain", "square", "positive"])
def test_divergences(cases, kind):
    given, found = cases[f"divergence_{kind}"]
    np.testing.assert_allclose(losses.divergence(given["logprobs"], given["reference"], kind), found, **TOLERANCE)


@pytest.mark.parametrize("name", ["policy_ppo", "policy_grpo", "policy_grpo_importance"])
def test_policies(cases, name):
    """The clipped surrogate, weighted where a sampler was another program, and GRPO's divergence beside it."""
    given, found = cases[name]
    each, _ = losses.clipped(given["logprobs"], given["before"], given["advantages"], given["low"], given["high"])
    if given.get("importance") is not None:
        each = each * given["importance"]
    mine = losses.masked_mean(each, given["mask"])
    if "beta" in given:
        drift = losses.divergence(given["logprobs"], given["reference"], "positive")
        mine = mine + given["beta"] * losses.masked_mean(drift, given["mask"])
    np.testing.assert_allclose(mine, found, **TOLERANCE)


def test_values(cases):
    given, found = cases["value"]
    each = losses.value(given["values"], given["before"], given["returns"], given["clip"])
    np.testing.assert_allclose(losses.masked_mean(each, given["mask"]), found, **TOLERANCE)


def test_dpo(cases):
    given, found = cases["dpo"]
    sides = (given[name] for name in ("chosen", "rejected", "reference_chosen", "reference_rejected"))
    each, _ = losses.dpo(*sides, given["beta"], given["smoothing"])
    np.testing.assert_allclose(each.mean(), found, **TOLERANCE)
