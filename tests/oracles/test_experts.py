"""Mixture-of-experts decoders against `transformers`: the live model, and tensors that it made once.

`python tests/oracles/test_experts.py` writes the tensors anew.
"""

import dataclasses
import functools
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from tejat.export import names, settings
from tejat.model import decoder
from tejat.model.attention import causal_intervals
from tejat.model.decoder import DecoderConfig
from tejat.model.experts import ExpertsConfig
from tejat.model.multimodal import ModelConfig
from tejat.model.params import unflatten

REFERENCE = Path(__file__).parent / "references" / "experts.safetensors"
SMALL = DecoderConfig(
    vocabulary=24,
    width=16,
    layers=2,
    heads=2,
    mlp=12,
    head_width=8,
    window=4,
    period=2,
    experts=ExpertsConfig(count=5, used=2, mlp=6),
)
WIDE = dataclasses.replace(
    SMALL,
    width=32,
    layers=5,
    heads=4,
    key_heads=2,
    full_head_width=16,
    full_key_heads=1,
    period=3,
    keys_are_values=True,
    soft_cap=20.0,
    experts=ExpertsConfig(count=16, used=4, mlp=10),
)
SHARING = dataclasses.replace(
    SMALL, layers=6, period=3, shared_key_layers=3, shared_mlp_factor=2, experts=ExpertsConfig(count=3, used=3, mlp=7)
)


def theirs(config: DecoderConfig, seed: int):
    """Their model of this shape, its every number drawn, so that no scale is one and no norm does nothing."""
    import torch
    from transformers import Gemma4ForCausalLM, Gemma4TextConfig

    shape = settings.to_huggingface(whole(config))["text_config"]
    # Their plain loops: the grouped product of experts wants widths in fours.
    made = Gemma4ForCausalLM(
        Gemma4TextConfig(**shape, attn_implementation="eager", experts_implementation="eager")
    ).eval()
    torch.manual_seed(seed)
    ends = ("norm.weight", "norm_1.weight", "norm_2.weight", "router.scale", "expert_scale", "scalar")
    with torch.no_grad():
        for name, tensor in [*made.named_parameters(), *made.named_buffers()]:
            if tensor.ndim > 1:
                tensor.normal_(0, tensor.shape[-1] ** -0.5)
            elif name.endswith(ends):
                tensor.normal_(1, 0.3)
    return made


def whole(config: DecoderConfig) -> ModelConfig:
    return ModelConfig("experts", config, None, None, None, config.vocabulary, context=64)


def tensors(made) -> dict[str, np.ndarray]:
    """Their parameters and the scalars of layers, named as in a checkpoint of the whole model."""
    kept = made.state_dict()
    own = {name for name, _ in made.named_parameters()} | {name for name in kept if name.endswith("layer_scalar")}
    return {name.replace("model.", "model.language_model."): kept[name].numpy() for name in kept if name in own}


def ours(config: DecoderConfig, found: dict[str, np.ndarray]) -> dict:
    """Our parameters from their tensors. Every one of them is used."""
    stacks: dict[str, list] = {}
    used = set()
    for pair in names.pairs(whole(config)):
        stacks.setdefault(pair.ours, []).append(pair.to_ours(found[pair.theirs]))
        used.add(pair.theirs)
    assert used == found.keys()
    stacked = {name: np.stack(x) if ".blocks." in name else x[0] for name, x in stacks.items()}
    return jax.tree.map(jnp.asarray, unflatten(stacked)["decoder"])


@functools.partial(jax.jit, static_argnums=1)
def logits(params: dict, config: DecoderConfig, tokens: np.ndarray) -> jax.Array:
    x = decoder.embed(params, config, tokens)
    positions = jnp.broadcast_to(jnp.arange(tokens.shape[1]), tokens.shape)
    shared = decoder.context(config, causal_intervals(jnp.ones_like(tokens)), positions)
    return decoder.logits(params, config, decoder.run(params, config, x, shared))


def live(made, tokens: np.ndarray) -> np.ndarray:
    import torch

    with torch.no_grad():
        everywhere = torch.arange(tokens.shape[1])  # a number here trips over a missing per-layer embedding
        return made(torch.from_numpy(tokens), logits_to_keep=everywhere).logits.numpy()


def reference() -> dict[str, np.ndarray]:
    made = theirs(SMALL, seed=0)
    tokens = np.random.default_rng(0).integers(0, SMALL.vocabulary, (2, 9))
    return tensors(made) | {"tokens": tokens.astype(np.int64), "logits": live(made, tokens)}


def split(kept: dict[str, np.ndarray]) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    return {n: x for n, x in kept.items() if n not in ("tokens", "logits")}, kept["tokens"], kept["logits"]


def test_logits_are_those_of_the_reference():
    found, tokens, expected = split(load_file(REFERENCE))
    np.testing.assert_allclose(logits(ours(SMALL, found), SMALL, tokens), expected, atol=1e-5, rtol=0)


WRONG = {
    "router.scale": "model.language_model.layers.0.router.scale",
    "router.per_expert_scale": "model.language_model.layers.1.router.per_expert_scale",
    "norm before the experts": "model.language_model.layers.0.pre_feedforward_layernorm_2.weight",
    "norm after the experts": "model.language_model.layers.1.post_feedforward_layernorm_2.weight",
    "norm after the dense MLP": "model.language_model.layers.0.post_feedforward_layernorm_1.weight",
}


@pytest.mark.parametrize("name", WRONG)
def test_a_scale_left_out_is_seen(name):
    """Control: with ones where the checkpoint has a scale, logits differ by far more than the tolerance."""
    found, tokens, expected = split(load_file(REFERENCE))
    found[WRONG[name]] = np.ones_like(found[WRONG[name]])
    assert np.abs(logits(ours(SMALL, found), SMALL, tokens) - expected).max() > 1e-3


def test_fewer_experts_and_swapped_halves_are_seen():
    """Controls: one expert less for each token; up where gate belongs."""
    found, tokens, expected = split(load_file(REFERENCE))
    fewer = dataclasses.replace(SMALL, experts=dataclasses.replace(SMALL.experts, used=1))
    assert np.abs(logits(ours(SMALL, found), fewer, tokens) - expected).max() > 1e-3
    name = "model.language_model.layers.0.experts.gate_up_proj"
    found[name] = np.concatenate(np.split(found[name], 2, axis=1)[::-1], axis=1)
    assert np.abs(logits(ours(SMALL, found), SMALL, tokens) - expected).max() > 1e-3


@pytest.mark.oracle
@pytest.mark.parametrize("config", [SMALL, WIDE, SHARING], ids=["small", "wide", "sharing"])
@pytest.mark.parametrize("seed", range(3))
def test_logits_are_those_of_transformers(config, seed):
    made = theirs(config, seed)
    tokens = np.random.default_rng(seed).integers(0, config.vocabulary, (2, 17))
    found = logits(ours(config, tensors(made)), config, tokens)
    np.testing.assert_allclose(found, live(made, tokens), atol=1e-4, rtol=0)


@pytest.mark.oracle
def test_the_reference_is_what_transformers_makes():
    kept, made = load_file(REFERENCE), reference()
    assert kept.keys() == made.keys()
    for name, x in made.items():
        np.testing.assert_allclose(kept[name], x, atol=1e-6, err_msg=name)


if __name__ == "__main__":
    save_file({name: np.ascontiguousarray(x) for name, x in reference().items()}, REFERENCE)
