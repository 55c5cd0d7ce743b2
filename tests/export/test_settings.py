"""A `config.json` of Gemma 4 and our configuration: nothing lost, nothing overlooked. Round trips: tests/oracles."""

import copy
import dataclasses
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tejat.errors import BadInput
from tejat.export.settings import from_huggingface, to_huggingface, token_ids
from tejat.model import family
from tejat.model.audio import AudioConfig
from tejat.model.decoder import DecoderConfig
from tejat.model.multimodal import ModelConfig

OPEN = {
    "architectures": ["Gemma4ForConditionalGeneration"],
    "audio_token_id": 258881,
    "boa_token_id": 256000,
    "boi_token_id": 255999,
    "dtype": "bfloat16",
    "eoa_token_index": 258883,
    "eoi_token_id": 258882,
    "image_token_id": 258880,
    "initializer_range": 0.02,
    "model_type": "gemma4",
    "tie_word_embeddings": True,
    "transformers_version": "5.5.0",
    "video_token_id": 258884,
    "text_config": {
        "attention_bias": False,
        "attention_dropout": 0.0,
        "attention_k_eq_v": False,
        "bos_token_id": 2,
        "dtype": "bfloat16",
        "enable_moe_block": False,
        "eos_token_id": 1,
        "final_logit_softcapping": 30.0,
        "global_head_dim": 512,
        "head_dim": 256,
        "hidden_activation": "gelu_pytorch_tanh",
        "hidden_size": 1536,
        "hidden_size_per_layer_input": 256,
        "intermediate_size": 6144,
        "layer_types": (["sliding_attention"] * 4 + ["full_attention"]) * 7,
        "max_position_embeddings": 131072,
        "model_type": "gemma4_text",
        "num_attention_heads": 8,
        "num_experts": None,
        "num_global_key_value_heads": None,
        "num_hidden_layers": 35,
        "num_key_value_heads": 1,
        "num_kv_shared_layers": 20,
        "pad_token_id": 0,
        "rms_norm_eps": 1e-06,
        "rope_parameters": {
            "full_attention": {"partial_rotary_factor": 0.25, "rope_theta": 1000000.0, "rope_type": "proportional"},
            "sliding_attention": {"rope_theta": 10000.0, "rope_type": "default"},
        },
        "sliding_window": 512,
        "tie_word_embeddings": True,
        "use_bidirectional_attention": None,
        "use_cache": True,
        "use_double_wide_mlp": True,
        "vocab_size": 262144,
        "vocab_size_per_layer_input": 262144,
    },
    "vision_config": {
        "default_output_length": 280,
        "global_head_dim": 64,
        "model_type": "gemma4_vision",
        "rope_parameters": {"rope_theta": 100.0, "rope_type": "default"},
        "standardize": False,
        "use_clipped_linears": True,
    },
    "audio_config": {"model_type": "gemma4_audio", "use_clipped_linears": True},
}
"""As the smaller open models have it: fields of an older format, much left to defaults."""


def test_an_open_model_is_read():
    found = from_huggingface(OPEN)
    shape = found.decoder
    assert (shape.width, shape.layers, shape.heads, shape.key_heads, shape.mlp) == (1536, 35, 8, 1, 6144)
    assert (shape.head_width, shape.full_head_width, shape.full_key_heads) == (256, 512, None)
    assert shape.attention_types == (("sliding",) * 4 + ("full",)) * 7
    assert [kind.shares for kind in shape.kinds] == [False] * 15 + [True] * 20
    assert (shape.shared_mlp_factor, shape.per_layer_width, shape.soft_cap) == (2, 256, 30.0)
    assert (found.vision.width, found.vision.layers, found.vision.clipped) == (768, 16, True)
    assert (found.audio.width, found.audio.channels, found.audio.mels) == (1024, (128, 32), 128)
    assert found.text_vocabulary == shape.vocabulary == 262_144
    assert found.context == 131_072


def test_fields_left_out_mean_what_theirs_takes():
    found = from_huggingface({"model_type": "gemma4", "text_config": {"num_hidden_layers": 12}})
    assert found.vision is None and found.audio is None
    assert found.decoder == DecoderConfig(
        vocabulary=262_144,
        width=2304,
        layers=12,
        heads=8,
        mlp=9216,
        head_width=256,
        key_heads=4,
        full_head_width=512,
        window=512,
        per_layer_width=256,
        per_layer_vocabulary=262_144,
    )


def test_a_model_without_towers_is_read():
    told = {
        "model_type": "gemma4_unified",
        "text_config": {"model_type": "gemma4_unified_text", "hidden_size": 3840, "attention_k_eq_v": True},
        "vision_config": {"model_type": "gemma4_unified_vision", "model_patch_size": 48},
        "audio_config": {"audio_embed_dim": 640, "hidden_size": 640},
    }
    found = from_huggingface(told)
    assert (found.decoder.window, found.decoder.bidirectional_images, found.decoder.per_layer_width) == (1024, True, 0)
    assert (found.vision.front_end, found.vision.side, found.vision.width, found.vision.table) == (
        "raw",
        48,
        3840,
        1120,
    )
    assert (found.audio.front_end, found.audio.samples, found.context) == ("raw", 640, 262_144)
    for path, wrong in {
        "vision_config.model_patch_size": 32,
        "vision_config.output_proj_dims": 64,
        "audio_config.hidden_size": 64,
        "text_config.hidden_size_per_layer_input": 256,
        "text_config.enable_moe_block": True,
        "text_config.model_type": "gemma4_text",
    }.items():
        with pytest.raises(BadInput, match=path):
            from_huggingface(changed(path, wrong, told))


def test_one_tower_alone_cannot_be_said():
    """The format is either with towers or without."""
    config = family.preset("mini")
    mixed = dataclasses.replace(config, audio=AudioConfig(width=0, layers=0, heads=0, front_end="raw"))
    with pytest.raises(BadInput, match="vision.front_end"):
        to_huggingface(mixed)


def test_experts_are_read():
    told = copy.deepcopy(OPEN)
    moe = {"enable_moe_block": True, "num_experts": 128, "top_k_experts": 8, "moe_intermediate_size": 704}
    told["text_config"] |= moe
    found = from_huggingface(told).decoder.experts
    assert (found.count, found.used, found.mlp) == (128, 8, 704)


def changed(path: str, value, whole=OPEN):
    told = copy.deepcopy(whole)
    *outer, last = path.split(".")
    node = told
    for name in outer:
        node = node[name]
    node[last] = value
    return told


REFUSED = {
    # unknown
    "colour": 1,
    "quantization_config": {},
    "text_config.depth": 1,
    "text_config.rope_parameters.linear_attention": {},
    "vision_config.depth": 1,
    "audio_config.depth": 1,
    # what ours cannot do
    "tie_word_embeddings": False,
    "text_config.tie_word_embeddings": False,
    "text_config.attention_bias": True,
    "text_config.hidden_activation": "silu",
    "text_config.attention_dropout": 0.1,
    "text_config.pad_token_id": 3,
    "text_config.use_bidirectional_attention": "all",
    "text_config.rope_parameters.sliding_attention.rope_type": "yarn",
    "text_config.rope_parameters.full_attention.rope_type": "yarn",
    "vision_config.num_key_value_heads": 4,
    "vision_config.pooling_kernel_size": 1,
    "vision_config.rope_parameters.rope_type": "yarn",
    "audio_config.hidden_act": "gelu",
    "audio_config.attention_invalid_logits_value": -1.0,
    # contradictions
    "text_config.num_hidden_layers": 34,
    "text_config.layer_types": ["full_attention"] * 34 + ["sliding_attention"],
    "text_config.num_kv_shared_layers": 35,
    "text_config.num_global_key_value_heads": 2,
    "text_config.per_layer_config": {"0": {"head_dim": 128}},
    "text_config.num_key_value_heads": 3,
    "vision_config.global_head_dim": 32,
    "vision_config.head_dim": 30,
    "audio_config.num_attention_heads": 7,
    "audio_config.subsampling_conv_channels": [6, 4, 2],
    # of another type, or out of range
    "text_config.hidden_size": "1536",
    "text_config.sliding_window": 0,
    "text_config.rms_norm_eps": 0.0,
    "text_config.final_logit_softcapping": 0.0,
    "text_config.use_double_wide_mlp": 1,
    "text_config.num_attention_heads": True,
    "text_config": None,
    "vision_config": [],
}


@pytest.mark.parametrize("path", REFUSED)
def test_what_cannot_be_imported_is_named(path):
    with pytest.raises(BadInput) as caught:
        from_huggingface(changed(path, REFUSED[path]))
    named = path
    if path == "text_config.num_hidden_layers":
        named = "text_config.layer_types"
    elif path == "text_config.num_key_value_heads":
        named = "text_config.num_attention_heads"
    assert named in str(caught.value)


def leaves(node, path=()):
    for name, value in node.items():
        yield (*path, name)
        if isinstance(value, dict):
            yield from leaves(value, (*path, name))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 99) | st.floats(allow_nan=False) | st.sampled_from(["a", "full"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["0", "head_dim"]), inner, max_size=2),
    max_leaves=4,
)


@settings(max_examples=500, deadline=None)
@given(st.sampled_from([*leaves(OPEN), ("text_config", "per_layer_config"), ("tejat",), ("tejat", "budgets")]), JSON)
def test_whatever_stands_in_a_field_is_read_or_refused(path, value):
    told = copy.deepcopy(OPEN) | ({"tejat": {}} if path[0] == "tejat" else {})
    try:
        assert isinstance(from_huggingface(changed(".".join(path), value, told)), ModelConfig)
    except BadInput as error:
        assert path[0] in str(error)


def test_all_of_them_are_named_at_once():
    told = changed("text_config.attention_bias", True)
    told["colour"] = told["audio_config"]["depth"] = 1
    with pytest.raises(BadInput, match=r"colour.*text_config\.attention_bias.*audio_config\.depth"):
        from_huggingface(told)


def test_newer_files_tell_heads_by_layer():
    told = changed("text_config.per_layer_config", {str(n): {"head_dim": 512} for n in range(4, 35, 5)})
    del told["text_config"]["global_head_dim"]
    assert from_huggingface(told) == from_huggingface(OPEN)
    contrary = copy.deepcopy(told)
    contrary["text_config"]["global_head_dim"] = 256
    with pytest.raises(BadInput, match="global_head_dim"):
        from_huggingface(contrary)


@pytest.mark.parametrize("name", [name for name in family.FAMILY if name != "micro"])
def test_the_family_goes_there_and_back(name):
    """Micro hears through more mel bins than its first convolution has channels, which the format cannot say."""
    config = family.preset(name)
    assert from_huggingface(json.loads(json.dumps(to_huggingface(config)))) == config


def without(config: ModelConfig, part: str, **changes) -> ModelConfig:
    return dataclasses.replace(config, **{part: dataclasses.replace(getattr(config, part), **changes)})


@pytest.mark.parametrize(
    ("part", "change", "named"),
    [
        ("audio", {"mels": 64}, "audio.mels"),
        ("vision", {"front_end": "resampled"}, "vision.front_end"),
        ("decoder", {"shared_key_layers": 6, "shared_mlp_factor": 3}, "decoder.shared_mlp_factor"),
    ],
)
def test_what_the_format_cannot_say_is_named(part, change, named):
    with pytest.raises(BadInput, match=f"no place for .*{named}"):
        to_huggingface(without(family.preset("mini"), part, **change))


def test_control_tokens_are_numbered_by_name():
    names = ["<|image>", "<|image|>", "<image|>", "<|audio>", "<|audio|>", "<audio|>"]
    found = token_ids({name: number for number, name in enumerate(names)})
    assert found == {
        "boi_token_id": 0,
        "image_token_id": 1,
        "eoi_token_id": 2,
        "boa_token_id": 3,
        "audio_token_id": 4,
        "eoa_token_index": 5,
        "video_token_id": None,
    }
    assert from_huggingface(to_huggingface(family.preset("mini")) | found) == family.preset("mini")
