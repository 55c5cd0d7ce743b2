"""A Gemma 4 `config.json` and our ModelConfig: each from the other. A model without towers is of its "unified" kind.

What the file asks for and ours lacks is refused by name, and so is what ours has and the file cannot say. What only
Tejat knows (the picture tokenizer's shape, budgets of the codecs) stands under "tejat" in the files that we write,
where other engines leave it alone.
"""

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tejat.bundle import build
from tejat.errors import BadInput
from tejat.export import encoder_free, names
from tejat.export.fields import Fields
from tejat.model.audio import AudioConfig
from tejat.model.decoder import AttentionType, DecoderConfig, head_shape
from tejat.model.experts import ExpertsConfig
from tejat.model.multimodal import ModelConfig
from tejat.model.picture import PictureConfig
from tejat.model.vision import VisionConfig

_ATTENTION: dict[str, AttentionType] = {"sliding_attention": "sliding", "full_attention": "full"}
_CONTROLS = {
    "boi_token_id": "<|image>",
    "image_token_id": "<|image|>",
    "eoi_token_id": "<image|>",
    "boa_token_id": "<|audio>",
    "audio_token_id": "<|audio|>",
    "eoa_token_index": "<audio|>",
}


@dataclass(frozen=True)
class _Own:
    """What stands under "tejat": the fields of our configuration that the format has no place for."""

    name: str = "gemma4"
    text_vocabulary: int | None = None
    budgets: tuple[int, ...] = (70, 140, 280, 560, 1120)
    budget_by_size: bool = False
    frame_budget: int = 70
    frames: int = 3_000
    picture: PictureConfig | None = None


_CODEC = ("budgets", "budget_by_size", "frame_budget")  # of images and frames


def from_huggingface(config: Mapping[str, Any]) -> ModelConfig:
    """The ModelConfig of a `config.json` of model_type "gemma4", "gemma4_unified" or "gemma4_text" (a decoder alone).

    Fields left out mean what `transformers` takes.

    Raises BadInput, listing the fields, where some are unknown, contradict others or ask for what ours lacks.
    """
    kind = config.get("model_type")
    if kind == names.TEXT:
        return from_huggingface({"model_type": "gemma4", "text_config": config})
    if kind not in ("gemma4", encoder_free.KIND):
        known = f"gemma4, {encoder_free.KIND} or {names.TEXT}"
        raise BadInput(f"config.json is of model_type {kind!r}; give a checkpoint of one of {known}")
    unified = kind == encoder_free.KIND
    own = build(_Own, config.get("tejat", {}), "config.json: tejat")
    top = Fields({name: value for name, value in config.items() if name not in ("model_type", "tejat")}, "")
    for name in (*_CONTROLS, "video_token_id"):
        top.take(name, None, int, least=0)  # found by their names in the tokenizer, not by these numbers
    top.only("tie_word_embeddings", True)
    text, sight, sound = (top.within(f"{part}_config") for part in ("text", "vision", "audio"))
    if not text.present:
        top.refuse("text_config", None)
    shape = _decoder(text, unified)
    seen = heard = None
    if sight.present:
        seen = encoder_free.sight(sight) if unified else _vision(sight)
        seen = dataclasses.replace(seen, **{name: getattr(own, name) for name in _CODEC})
    if sound.present:
        heard = encoder_free.sound(sound, own.frames) if unified else _audio(sound, own)
    model = ModelConfig(
        name=own.name,
        context=text.take("max_position_embeddings", 262_144 if unified else 131_072),
        decoder=shape,
        vision=seen,
        audio=heard,
        picture=own.picture,
        text_vocabulary=shape.vocabulary if own.text_vocabulary is None else own.text_vocabulary,
    )
    if wrong := list(top.wrong()):
        raise BadInput(f"config.json asks for what cannot be imported: {', '.join(wrong)}; give a plain Gemma 4 model")
    return model


def to_huggingface(config: ModelConfig) -> dict[str, Any]:
    """The `config.json` of a model, but for the ids of its control tokens (`token_ids` gives them).

    Raises BadInput, listing our fields, for what the format cannot say.
    """
    own = _Own(name=config.name, text_vocabulary=config.text_vocabulary, picture=config.picture)
    if config.vision is not None:
        own = dataclasses.replace(own, **{name: getattr(config.vision, name) for name in _CODEC})
    if config.audio is not None:
        own = dataclasses.replace(own, frames=config.audio.frames)
    unified = is_unified(config)
    sight, sound = (encoder_free.sight_settings, encoder_free.sound_settings) if unified else (_sight, _sound)
    made = {
        "architectures": [f"Gemma4{'Unified' if unified else ''}ForConditionalGeneration"],
        "model_type": encoder_free.KIND if unified else "gemma4",
        "tie_word_embeddings": True,
        "text_config": _text_config(config, unified),
        "vision_config": sight(config.vision) if config.vision else None,
        "audio_config": sound(config.audio) if config.audio else None,
        "tejat": _plain(dataclasses.asdict(own)),
    }
    # Whatever the file does not bring back, it cannot say.
    if lost := sorted(_differences(_spelt_out(config), _spelt_out(from_huggingface(made)))):
        raise BadInput(f"a Gemma 4 checkpoint has no place for {', '.join(lost)}; export a model without them")
    return made


def is_unified(config: ModelConfig) -> bool:
    """Does something come in without a tower?"""
    return any(part is not None and part.front_end == "raw" for part in (config.vision, config.audio))


def token_ids(controls: Mapping[str, int]) -> dict[str, int | None]:
    """The fields of a `config.json` that number control tokens, from `Vocabulary.controls`.

    The frames of a video are images here, each in a place of its own, so that no token stands for a video.
    """
    return {field: controls[name] for field, name in _CONTROLS.items()} | {"video_token_id": None}


def _decoder(text: Fields, unified: bool) -> DecoderConfig:
    text.only("model_type", f"{encoder_free.KIND if unified else 'gemma4'}_text")
    text.only("hidden_activation", "gelu_pytorch_tanh")
    text.only("attention_bias", False)
    text.only("attention_dropout", 0.0)
    text.only("tie_word_embeddings", True)
    text.only("pad_token_id", 0)  # what soft tokens count as in per-layer inputs
    layers = text.take("num_hidden_layers", 30)
    types = _attention_types(text, layers)
    heads, keys_are_values = text.take("num_attention_heads", 8), text.take("attention_k_eq_v", False)
    shapes = _head_shapes(text, types, heads, keys_are_values)
    (key_heads, head_width), (full_key_heads, full_head_width) = shapes["sliding"], shapes["full"]
    shared = text.take("num_kv_shared_layers", 0, least=0)
    if shared and set(types[: max(layers - shared, 0)]) != set(types):
        text.refuse("num_kv_shared_layers", shared)  # some layer would find no keys to share
    wide = text.take("use_double_wide_mlp", False)
    per_layer = per_layer_vocabulary = 0
    if not unified:
        per_layer = text.take("hidden_size_per_layer_input", 256, least=0)
        per_layer_vocabulary = text.take("vocab_size_per_layer_input", 262_144)
    both_ways: tuple[str | None, ...] = ("vision", None) if unified else (None, "vision")
    rope = text.within("rope_parameters")
    sliding_base, _, _ = _rope(rope, "sliding_attention", "default", 10_000.0, 1.0)
    full_base, full_rotated, position_scale = _rope(rope, "full_attention", "proportional", 1_000_000.0, 0.25)
    return DecoderConfig(
        vocabulary=text.take("vocab_size", 262_144),
        width=text.take("hidden_size", 2304),
        layers=layers,
        heads=heads,
        mlp=text.take("intermediate_size", 9216),
        head_width=head_width,
        key_heads=key_heads,
        full_head_width=None if full_head_width == head_width else full_head_width,
        full_key_heads=None if full_key_heads == key_heads else full_key_heads,
        window=text.take("sliding_window", 1_024 if unified else 512),
        pattern=None if types == _usual(layers) else types,
        sliding_base=sliding_base,
        full_base=full_base,
        full_rotated=full_rotated,
        position_scale=position_scale,
        soft_cap=text.take("final_logit_softcapping", None, float),
        bidirectional_images=text.only("use_bidirectional_attention", *both_ways) == "vision",
        shared_key_layers=shared,
        shared_mlp_factor=2 if wide and shared else 1,
        keys_are_values=keys_are_values,
        per_layer_width=per_layer,
        per_layer_vocabulary=per_layer_vocabulary if per_layer else 0,
        experts=None if unified else _experts(text),
        epsilon=text.take("rms_norm_eps", 1e-6),
    )


def _experts(text: Fields) -> ExpertsConfig | None:
    fields = ("num_experts", "top_k_experts", "moe_intermediate_size")
    if not text.take("enable_moe_block", False):
        for name in fields:
            text.only(name, None)
        return None
    found = [text.take(name, None, int) for name in fields]
    for name, value in zip(fields, found, strict=True):
        if value is None or (name == "top_k_experts" and value > (found[0] or value)):
            text.refuse(name, value)
    count, used, mlp = (value or 1 for value in found)
    return ExpertsConfig(count, used, mlp)


def _usual(layers: int) -> tuple[AttentionType, ...]:
    """Five sliding layers for a full one, the last one full."""
    return DecoderConfig(vocabulary=1, width=1, layers=layers, heads=1, mlp=1, head_width=1).attention_types


def _attention_types(text: Fields, layers: int) -> tuple[AttentionType, ...]:
    given = text.take("layer_types", None, list)
    if given is None:
        return _usual(layers)
    types = tuple(_ATTENTION[name] for name in given if isinstance(name, str) and name in _ATTENTION)
    if not len(types) == len(given) == layers or types[-1] != "full":
        text.refuse("layer_types", given)
        return _usual(layers)
    return types


def _head_shapes(
    text: Fields, types: tuple[AttentionType, ...], heads: int, keys_are_values: bool
) -> dict[AttentionType, tuple[int, int]]:
    """(key heads, head width) of either kind of layer, from "global" fields or, as newer files have it, by layer."""
    common = text.take("num_key_value_heads", 4), text.take("head_dim", 256)
    global_keys = text.take("num_global_key_value_heads", None, int)
    global_width = text.take("global_head_dim", None, int)
    by_layer = text.take("per_layer_config", None, dict)
    shapes: dict[AttentionType, tuple[int, int]] = {
        "sliding": common,
        "full": (global_keys or common[0], global_width or 512),
    }
    if by_layer is not None:
        told = [by_layer.get(str(number), {}) for number in range(len(types))]
        fields = {"num_key_value_heads": common[0], "head_dim": common[1]}
        known = by_layer.keys() <= {str(number) for number in range(len(types))} and all(
            isinstance(own, dict)
            and own.keys() <= fields.keys()
            and all(type(n) is int and n > 0 for n in own.values())
            for own in told
        )
        for kind in shapes:
            layers = [own for own, of in zip(told, types, strict=True) if of == kind] if known else []
            alike = {tuple((fields | own).values()) for own in layers} or {common}
            shapes[kind] = alike.pop()
            known = known and not alike
        if not known:
            text.refuse("per_layer_config", by_layer)
    elif not keys_are_values and global_keys not in (None, common[0]):
        text.refuse("num_global_key_value_heads", global_keys)  # read only beside attention_k_eq_v
    if global_width not in (None, shapes["full"][1]):
        text.refuse("global_head_dim", global_width)
    if any(heads % keys for keys, _ in shapes.values()):
        text.refuse("num_attention_heads", heads)
    return shapes


def _rope(rope: Fields, name: str, kind: str, base: float, rotated: float) -> tuple[float, float, float]:
    """(base, share of the dimensions that turn, what positions are divided by) of one kind of layer."""
    part = rope.within(name)
    if not rope.present:
        return base, rotated, 1.0
    if not part.present:
        rope.refuse(name, None)
    base = part.take("rope_theta", base)
    if part.only("rope_type", *dict.fromkeys(("default", kind))) == "default":
        part.only("partial_rotary_factor", 1.0)
        return base, 1.0, 1.0
    return base, part.take("partial_rotary_factor", 1.0), part.take("factor", 1.0)


def _vision(sight: Fields) -> VisionConfig:
    sight.only("model_type", "gemma4_vision")
    sight.only("hidden_activation", "gelu_pytorch_tanh")
    sight.only("attention_bias", False, None)
    sight.only("attention_dropout", 0.0, None)
    sight.only("default_output_length", 280)  # of its image processor, and of ours
    sight.take("max_position_embeddings", 131_072)  # the position tables say how far patches go
    heads, head_width = sight.take("num_attention_heads", 12), sight.take("head_dim", 64)
    if (key_heads := sight.take("num_key_value_heads", 12)) != heads:
        sight.refuse("num_key_value_heads", key_heads)
    sight.only("global_head_dim", None, head_width)
    rope = sight.within("rope_parameters")
    rope.only("rope_type", "axial", "default")  # older files call it "default"
    if head_width % 4:
        sight.refuse("head_dim", head_width)  # a quarter turns with x, a quarter with y
    return VisionConfig(
        width=sight.take("hidden_size", 768),
        layers=sight.take("num_hidden_layers", 16),
        heads=heads,
        head_width=head_width,
        mlp=sight.take("intermediate_size", 3072),
        patch=sight.take("patch_size", 16),
        pool=sight.take("pooling_kernel_size", 3, least=2),  # of one, `transformers` keeps padding and drops the image
        table=sight.take("position_embedding_size", 10_240),
        rope_base=rope.take("rope_theta", 100.0),
        clipped=sight.take("use_clipped_linears", False),
        standardize=sight.take("standardize", False),
        epsilon=sight.take("rms_norm_eps", 1e-6),
    )


def _audio(sound: Fields, own: _Own) -> AudioConfig:
    sound.only("model_type", "gemma4_audio")
    sound.only("hidden_act", "silu")
    sound.only("attention_invalid_logits_value", -1e9)
    width, heads = sound.take("hidden_size", 1024), sound.take("num_attention_heads", 8)
    if width % heads:
        sound.refuse("num_attention_heads", heads)
    channels = sound.take("subsampling_conv_channels", [128, 32])
    if len(channels) != 2 or not all(type(n) is int and n > 0 for n in channels) or channels[0] % 4:
        sound.refuse("subsampling_conv_channels", channels)
        channels = [128, 32]
    return AudioConfig(
        width=width,
        layers=sound.take("num_hidden_layers", 12),
        heads=heads,
        channels=(channels[0], channels[1]),
        mels=channels[0],  # the format has no field for them, and its class takes them to be as many
        kernel=sound.take("conv_kernel_size", 5),
        chunk=sound.take("attention_chunk_size", 12),
        left=sound.take("attention_context_left", 13),
        right=sound.take("attention_context_right", 0, least=0),
        score_cap=sound.take("attention_logit_cap", 50.0),
        residual=sound.take("residual_weight", 0.5),
        output=sound.take("output_proj_dims", 1536),
        frames=own.frames,
        clipped=sound.take("use_clipped_linears", True),
        clip=sound.take("gradient_clipping", 1e10),
        epsilon=sound.take("rms_norm_eps", 1e-6),
    )


def _text_config(config: ModelConfig, unified: bool) -> dict[str, Any]:
    shape = config.decoder
    full_keys, full_width = head_shape(shape, "full")
    named = {ours: theirs for theirs, ours in _ATTENTION.items()}
    full = {"rope_type": "proportional", "rope_theta": shape.full_base, "partial_rotary_factor": shape.full_rotated}
    if shape.position_scale != 1.0:
        full["factor"] = shape.position_scale
    made = {
        "model_type": f"{encoder_free.KIND if unified else 'gemma4'}_text",
        "vocab_size": shape.vocabulary,
        "hidden_size": shape.width,
        "intermediate_size": shape.mlp,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.key_heads,
        "num_global_key_value_heads": full_keys if shape.keys_are_values else None,
        "head_dim": shape.head_width,
        "global_head_dim": full_width,
        "hidden_activation": "gelu_pytorch_tanh",
        "max_position_embeddings": config.context,
        "rms_norm_eps": shape.epsilon,
        "pad_token_id": 0,
        "eos_token_id": 1,
        "bos_token_id": 2,
        "tie_word_embeddings": True,
        "rope_parameters": {
            "sliding_attention": {"rope_type": "default", "rope_theta": shape.sliding_base},
            "full_attention": full,
        },
        "attention_bias": False,
        "attention_dropout": 0.0,
        "sliding_window": shape.window,
        "layer_types": [named[kind] for kind in shape.attention_types],
        "final_logit_softcapping": shape.soft_cap,
        "use_bidirectional_attention": "vision" if shape.bidirectional_images else None,
        "attention_k_eq_v": shape.keys_are_values,
        "num_kv_shared_layers": shape.shared_key_layers,
        "use_double_wide_mlp": shape.shared_key_layers > 0 and shape.shared_mlp_factor == 2,
    }
    if not unified:
        made["vocab_size_per_layer_input"] = shape.per_layer_vocabulary or shape.vocabulary
        made["hidden_size_per_layer_input"] = shape.per_layer_width
        made["enable_moe_block"] = shape.experts is not None
    if not unified and shape.experts is not None:
        made["num_experts"] = shape.experts.count
        made["top_k_experts"] = shape.experts.used
        made["moe_intermediate_size"] = shape.experts.mlp
    if full_keys != shape.key_heads and not shape.keys_are_values:
        own = {"head_dim": full_width, "num_key_value_heads": full_keys}
        made["per_layer_config"] = {
            str(number): own for number, kind in enumerate(shape.attention_types) if kind == "full"
        }
    return made


def _sight(config: VisionConfig) -> dict[str, Any]:
    return {
        "model_type": "gemma4_vision",
        "hidden_size": config.width,
        "intermediate_size": config.mlp,
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads,
        "num_key_value_heads": config.heads,
        "head_dim": config.head_width,
        "hidden_activation": "gelu_pytorch_tanh",
        "rms_norm_eps": config.epsilon,
        "attention_bias": False,
        "attention_dropout": 0.0,
        "rope_parameters": {"rope_type": "axial", "rope_theta": config.rope_base},
        "pooling_kernel_size": config.pool,
        "patch_size": config.patch,
        "position_embedding_size": config.table,
        "use_clipped_linears": config.clipped,
        "standardize": config.standardize,
    }


def _sound(config: AudioConfig) -> dict[str, Any]:
    return {
        "model_type": "gemma4_audio",
        "hidden_size": config.width,
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads,
        "hidden_act": "silu",
        "subsampling_conv_channels": list(config.channels),
        "conv_kernel_size": config.kernel,
        "residual_weight": config.residual,
        "attention_chunk_size": config.chunk,
        "attention_context_left": config.left,
        "attention_context_right": config.right,
        "attention_logit_cap": config.score_cap,
        "attention_invalid_logits_value": -1e9,
        "use_clipped_linears": config.clipped,
        "rms_norm_eps": config.epsilon,
        "gradient_clipping": config.clip,
        "output_proj_dims": config.output,
    }


def _plain(value: Any) -> Any:
    """Tuples as lists, as JSON has them."""
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    return [_plain(part) for part in value] if isinstance(value, tuple | list) else value


def _spelt_out(config: ModelConfig) -> ModelConfig:
    """The same model with what its decoder leaves to defaults written out."""
    shape = config.decoder
    keys, width = head_shape(shape, "full")
    spelt = dataclasses.replace(
        shape,
        period=1,
        pattern=shape.attention_types,
        full_key_heads=keys,
        full_head_width=width,
        shared_mlp_factor=shape.shared_mlp_factor if shape.shared_key_layers else 1,
        per_layer_vocabulary=shape.per_layer_vocabulary if shape.per_layer_width else 0,
    )
    return dataclasses.replace(config, decoder=spelt)


def _differences(one: Any, other: Any, where: str = "") -> Iterator[str]:
    """The names of the fields in which two configurations differ."""
    for field in dataclasses.fields(one):
        a, b, name = getattr(one, field.name), getattr(other, field.name), f"{where}{field.name}"
        if dataclasses.is_dataclass(a) and type(a) is type(b):
            yield from _differences(a, b, f"{name}.")
        elif a != b:
            yield name
