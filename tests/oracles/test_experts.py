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

from tejat.model import decoder
from tejat.model.attention import causal_intervals
from tejat.model.decoder import DecoderConfig
from tejat.model.experts import ExpertsConfig
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
LAYER = {  # ours to theirs; matrices are turned below
    "attention_norm": "input_layernorm",
    "q": "self_attn.q_proj",
    "q_norm": "self_attn.q_norm",
    "k": "self_attn.k_proj",
    "k_norm": "self_attn.k_norm",
    "v": "self_attn.v_proj",
    "o": "self_attn.o_proj",
    "post_attention_norm": "post_attention_layernorm",
    "mlp_norm": "pre_feedforward_layernorm",
    "gate": "mlp.gate_proj",
    "up": "mlp.up_proj",
    "down": "mlp.down_proj",
    "post_mlp_norm": "post_feedforward_layernorm",
    "scalar": "layer_scalar",
    "experts.router": "router.proj",
    "experts.router_scale": "router.scale",
    "experts.answer_scale": "router.per_expert_scale",
    "experts.norm": "pre_feedforward_layernorm_2",
    "experts.gate_up": "experts.gate_up_proj",
    "experts.down": "experts.down_proj",
    "experts.post_norm": "post_feedforward_layernorm_2",
    "experts.dense_post_norm": "post_feedforward_layernorm_1",
}


def theirs(config: DecoderConfig, seed: int):
    """Their model of this shape, its every number drawn, so that no scale is one and no norm does nothing."""
    import torch
    from transformers import Gemma4ForCausalLM, Gemma4TextConfig

    made = Gemma4ForCausalLM(
        Gemma4TextConfig(
            vocab_size=config.vocabulary,
            hidden_size=config.width,
            intermediate_size=config.mlp,
            num_hidden_layers=config.layers,
            num_attention_heads=config.heads,
            num_key_value_heads=config.key_heads,
            num_global_key_value_heads=config.full_key_heads,
            head_dim=config.head_width,
            global_head_dim=config.full_head_width or config.head_width,
            sliding_window=config.window,
            layer_types=[f"{kind}_attention" for kind in config.attention_types],
            final_logit_softcapping=config.soft_cap,
            attention_k_eq_v=config.keys_are_values,
            num_kv_shared_layers=config.shared_key_layers,
            use_double_wide_mlp=config.shared_mlp_factor == 2,
            hidden_size_per_layer_input=0,
            enable_moe_block=True,
            num_experts=config.experts.count,
            top_k_experts=config.experts.used,
            moe_intermediate_size=config.experts.mlp,
            attn_implementation="eager",
            experts_implementation="eager",  # their plain loop over experts; the grouped one wants widths in fours
        )
    ).eval()
    torch.manual_seed(seed)
    with torch.no_grad():
        for name, tensor in [*made.named_parameters(), *made.named_buffers()]:
            if tensor.ndim > 1:
                tensor.normal_(0, tensor.shape[-1] ** -0.5)
            elif name.endswith(
                ("norm.weight", "norm_1.weight", "norm_2.weight", "router.scale", "expert_scale", "scalar")
            ):
                tensor.normal_(1, 0.3)
    return made


def tensors(made) -> dict[str, np.ndarray]:
    kept = made.state_dict()
    return {name.removeprefix("model."): kept[name].numpy() for name in kept if name.startswith("model.")}


def ours(config: DecoderConfig, found: dict[str, np.ndarray]) -> dict:
    """Our parameters from their tensors. Every one of them is used."""
    left = dict(found)

    def layer(at: int, kind: decoder.Kind) -> dict[str, np.ndarray]:
        k, n = decoder.head_shape(config, kind.attention)
        leaves = {}
        for name, theirs in LAYER.items():
            x = left.pop(f"layers.{at}.{theirs}", None)
            x = left.pop(f"layers.{at}.{theirs}.weight", None) if x is None else x
            if x is None:  # a layer that shares keys, or whose keys are its values
                continue
            if name == "experts.gate_up":
                x = x.reshape(config.experts.count, 2, config.experts.mlp, config.width).transpose(0, 3, 1, 2)
            elif x.ndim > 1:
                x = np.swapaxes(x, -1, -2)
            shapes = {"q": (-1, config.heads, n), "k": (-1, k, n), "v": (-1, k, n), "o": (config.heads, n, -1)}
            leaves[name] = x.reshape(shapes.get(name, x.shape if name != "scalar" else ()))
        return leaves

    stacks: dict[str, list] = {}
    for at, kind in enumerate(config.kinds):
        stacks.setdefault(kind.name, []).append(layer(at, kind))
    flat = {"embedding": left.pop("embed_tokens.weight"), "final_norm": left.pop("norm.weight")}
    for name, layers in stacks.items():
        flat |= {f"blocks.{name}.{leaf}": np.stack([each[leaf] for each in layers]) for leaf in layers[0]}
    left = {name: x for name, x in left.items() if "rotary" not in name and not name.endswith("embed_scale")}
    assert not left, f"tensors that nobody took: {sorted(left)}"
    return jax.tree.map(jnp.asarray, unflatten(flat))


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
    "router.scale": "layers.0.router.scale",
    "router.per_expert_scale": "layers.1.router.per_expert_scale",
    "norm before the experts": "layers.0.pre_feedforward_layernorm_2.weight",
    "norm after the experts": "layers.1.post_feedforward_layernorm_2.weight",
    "norm after the dense MLP": "layers.0.post_feedforward_layernorm_1.weight",
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
    name = "layers.0.experts.gate_up_proj"
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
