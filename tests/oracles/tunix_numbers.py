"""What google-tunix computes of random numbers, as JSON on standard output; run by an interpreter that has it.

    python tests/oracles/tunix_numbers.py > tests/oracles/references/tunix.json

Apart from Tejat's own environment, since it brings TensorFlow Datasets and more with it. Nothing of Tejat is imported.
"""

import json
import types

import jax.numpy as jnp
import numpy as np
from tunix.rl import algo_core, common
from tunix.sft.dpo import dpo_trainer


def cases():
    """Inputs, and what is computed of them."""
    random = np.random.default_rng(0)
    rewards = random.standard_normal((6, 4)).astype(np.float32)
    yield "group_relative", {"rewards": rewards}, algo_core.compute_advantages(rewards.reshape(-1), 4).reshape(6, 4)
    yield (
        "group_centred",
        {"rewards": rewards},
        algo_core.compute_drgrpo_advantages(jnp.asarray(rewards.reshape(-1)), 4),
    )

    shape, lengths = (5, 7), random.integers(2, 8, 5)
    mask = (np.arange(7) < lengths[:, None]).astype(np.float32)
    steps, values = random.standard_normal(shape).astype(np.float32), random.standard_normal(shape).astype(np.float32)
    given = {"rewards": steps * mask, "values": values * mask, "mask": mask, "discount": 0.97, "trace": 0.9}
    advantages, returns = algo_core.compute_gae_advantages(steps * mask, values * mask, mask, 0.97, 0.9)
    yield "generalised", given, {"advantages": advantages * mask, "returns": returns * mask}

    ours, before, reference = (random.standard_normal(shape).astype(np.float32) - 2 for _ in range(3))
    for method, kind in (("kl", "plain"), ("mse_kl", "square"), ("low_var_kl", "positive")):
        given = {"logprobs": ours, "reference": reference, "kind": kind}
        yield f"divergence_{kind}", given, common.compute_kl_divergence(ours, reference, method)

    gained = random.standard_normal(shape).astype(np.float32)
    given = {"logprobs": ours, "before": before, "advantages": gained, "mask": mask, "low": 0.2, "high": 0.3}
    importance = np.minimum(np.exp(random.standard_normal(shape)), 2).astype(np.float32)
    for name, weights in (("policy_grpo", None), ("policy_grpo_importance", importance)):
        loss = _policy(algo_core.grpo_loss_fn, ours, before, reference, gained, mask, weights)
        yield name, given | {"reference": reference, "beta": 0.04, "importance": weights}, loss
    yield "policy_ppo", given, _policy(algo_core.ppo_policy_loss_fn, ours, before, None, gained, mask, None)
    given = {"values": values, "before": ours, "returns": steps, "mask": mask, "clip": 0.2}
    yield "value", given, _value(values, ours, steps, mask)
    chosen, rejected, first, other = (random.standard_normal(9).astype(np.float32) * 3 for _ in range(4))
    given = {"chosen": chosen, "rejected": rejected, "reference_chosen": first, "reference_rejected": other}
    yield "dpo", given | {"beta": 0.3, "smoothing": 0.1}, _dpo(chosen, rejected, first, other)


def _policy(function, ours, before, reference, gained, mask, weights):
    """A policy's loss, whose log-probabilities are given instead of a model."""
    example = types.SimpleNamespace(
        prompt_ids=None,
        completion_ids=jnp.zeros(ours.shape, jnp.int32),
        completion_mask=jnp.asarray(mask),
        advantages=jnp.asarray(gained),
        old_per_token_logps=jnp.asarray(before),
        ref_per_token_logps=None if reference is None else jnp.asarray(reference),
        sampler_is_weights=None if weights is None else jnp.asarray(weights),
    )
    settings = types.SimpleNamespace(
        beta=0.04,
        epsilon=0.2,
        epsilon_low=0.2,
        epsilon_high=0.3,
        loss_algo="grpo",
        loss_agg_mode="token-mean",
        temperature=1.0,
        kl_loss_mode="low_var_kl",
        kl_clamp_value=None,
        entropy_coef=0.0,
        kl_coef=0.0,
    )
    kept, split = common.compute_per_token_logps, algo_core.nnx.split
    common.compute_per_token_logps = lambda *_, **__: (jnp.asarray(ours), jnp.zeros((*ours.shape, 3)))
    algo_core.nnx.split = lambda model: (None, None)
    try:
        return function(None, example, settings, 0, 1)[0]
    finally:
        common.compute_per_token_logps, algo_core.nnx.split = kept, split


def _value(values, before, returns, mask):
    example = types.SimpleNamespace(
        prompt_ids=None,
        completion_ids=jnp.zeros(values.shape, jnp.int32),
        completion_mask=jnp.asarray(mask),
        old_values=jnp.asarray(before),
        returns=jnp.asarray(returns),
    )
    kept = common.compute_score
    # Values of one place more, of which the last is left out.
    common.compute_score = lambda *_, **__: jnp.pad(jnp.asarray(values), ((0, 0), (0, 1)))
    try:
        return algo_core.ppo_value_loss_fn(None, example, 0.2, 0, 1)[0]
    finally:
        common.compute_score = kept


def _dpo(chosen, rejected, first, other):
    example = types.SimpleNamespace(
        input_ids=None,
        positions=None,
        attention_mask=None,
        logits_to_keep=None,
        completion_mask=None,
        images=None,
        ref_chosen_logps=jnp.asarray(first),
        ref_rejected_logps=jnp.asarray(other),
    )
    kept = dpo_trainer.compute_logps
    dpo_trainer.compute_logps = lambda *_, **__: (jnp.asarray(chosen), jnp.asarray(rejected))
    try:
        return dpo_trainer.dpo_loss_fn(None, example, "dpo", 0.3, 0.1, 0.1)[0]
    finally:
        dpo_trainer.compute_logps = kept


def _plain(value):
    """In as few digits as tell the 32 bits of each number."""
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_plain(part) for part in value]
    if value is None or isinstance(value, str):
        return value
    return float(str(np.float32(value))) if isinstance(value, float) else _plain(np.asarray(value, np.float64).tolist())


if __name__ == "__main__":
    print(
        json.dumps(
            {name: {"given": _plain(given), "found": _plain(found)} for name, given, found in cases()},
            separators=(",", ":"),
        )
    )
