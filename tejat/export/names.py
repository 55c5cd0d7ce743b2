"""What every tensor is called on either side: in our Param tree, and in a Gemma 4 checkpoint.

A checkpoint has one tensor for each layer, and matrices as [outputs, inputs]; ours stacks the layers of one kind, and
matrices are [inputs, outputs] with heads as an axis of their own. Either becomes the other by permuting axes and by
merging or splitting neighbours: no number changes.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Num

from tejat.errors import BadInput
from tejat.model import multimodal
from tejat.model.decoder import DecoderConfig
from tejat.model.multimodal import ModelConfig
from tejat.model.params import walk

TEXT = "gemma4_text"
"""The model_type of a decoder alone."""

Axes = tuple[tuple[int, ...], ...]
"""For each axis of theirs, those of ours that it merges, the slowest first; none: an axis of length one."""


@dataclass(frozen=True)
class Pair:
    """One array of ours and the tensor of a checkpoint that holds the same numbers."""

    ours: str  # as `params.walk` names it in the tree of `multimodal.params`
    layer: int | None  # which one of the stack `ours`; None: `ours` is no stack
    theirs: str
    shape: tuple[int, ...]  # of our array, of one layer alone
    axes: Axes

    @property
    def their_shape(self) -> tuple[int, ...]:
        return tuple(math.prod(self.shape[axis] for axis in merged) for merged in self.axes)

    def to_theirs(self, array: Num[np.ndarray, "..."]) -> Num[np.ndarray, "..."]:
        """Our array of one layer, of `shape`, as their tensor."""
        return array.transpose(self._order).reshape(self.their_shape)

    def to_ours(self, array: Num[np.ndarray, "..."]) -> Num[np.ndarray, "..."]:
        """Their tensor, of `their_shape`, as our array of one layer."""
        split = array.reshape([self.shape[axis] for axis in self._order])
        return split.transpose(np.argsort(self._order))

    @property
    def _order(self) -> list[int]:
        return [axis for merged in self.axes for axis in merged]


def pairs(config: ModelConfig) -> Iterator[Pair]:
    """Every Param of the tree, layer by layer, with its tensor; each occurs once. The tied head has no tensor.

    Raises BadInput, naming the array, for a part that a Gemma 4 checkpoint has no place for.
    """
    layers = _layers(config.decoder)
    bare = config.vision is not None and config.vision.front_end == "raw"
    for name, param in walk(multimodal.params(config)):
        where, leaf = _split(name)
        where = "raw vision" if bare and where == "vision" else where
        if (where, leaf) not in _RULES:
            raise BadInput(f"a Gemma 4 checkpoint has no place for {name}; export a model without that part")
        theirs, axes = _RULES[where, leaf]
        if "*" not in theirs:
            yield Pair(name, None, theirs, param.shape, axes)
            continue
        numbers = layers[name.split(".")[2]] if where == "decoder.blocks" else range(param.shape[0])
        for layer, number in enumerate(numbers):
            yield Pair(name, layer, theirs.replace("*", str(number)), param.shape[1:], axes)


def alone(name: str) -> str:
    """What a checkpoint of the decoder alone (`TEXT`) calls this tensor of a whole one."""
    return name.replace(_DECODER, "model.")


def unread(config: ModelConfig) -> set[str]:
    """Tensors that open checkpoints carry and nobody reads: keys and values of layers which share those of others."""
    names = ("k_proj.weight", "v_proj.weight", "k_norm.weight")
    return {
        f"{_DECODER}layers.{number}.self_attn.{name}"
        for number, kind in enumerate(config.decoder.kinds)
        if kind.shares
        for name in names
    }


def _layers(config: DecoderConfig) -> dict[str, list[int]]:
    """For each kind of layer, where in the whole depth those of its stack stand."""
    found: dict[str, list[int]] = {}
    for number, kind in enumerate(config.kinds):
        found.setdefault(kind.name, []).append(number)
    return found


def _split(name: str) -> tuple[str, str]:
    """("decoder.blocks", "q") from "decoder.blocks.full.q": all kinds of layers have the same names."""
    part, _, rest = name.partition(".")
    if not rest.startswith("blocks."):
        return part, rest
    leaf = rest.removeprefix("blocks.")
    return f"{part}.blocks", leaf.partition(".")[2] if part == "decoder" else leaf


_DECODER, _VISION, _AUDIO = "model.language_model.", "model.vision_tower.", "model.audio_tower."

_SCALAR: Axes = ()
_LONE: Axes = ((),)  # a scalar that they keep as a vector of one
_VECTOR: Axes = ((0,),)
_SAME: Axes = ((0,), (1,))
_MATRIX: Axes = ((1,), (0,))
_TO_HEADS: Axes = ((1, 2), (0,))  # [D, H, N] to (H N, D)
_FROM_HEADS: Axes = ((2,), (0, 1))  # [H, N, D] to (D, H N)
_TABLES: Axes = ((0,), (1,), (2,))
_IMAGE_KERNEL: Axes = ((3,), (2,), (0,), (1,))  # [3, 3, inputs, outputs] to (outputs, inputs, 3, 3)
_DEPTHWISE: Axes = ((1,), (), (0,))  # [kernel, W] to (W, 1, kernel)

_RULES: dict[tuple[str, str], tuple[str, Axes]] = {}


def _rules(where: str, prefix: str, rules: dict[str, tuple[str, Axes]]) -> None:
    _RULES.update({(where, leaf): (prefix + theirs, axes) for leaf, (theirs, axes) in rules.items()})


def _clippable(where: str, prefix: str, rules: dict[str, str]) -> None:
    """Matrices with or without clipping bounds beside them."""
    for leaf, theirs in rules.items():
        matrix = f"{theirs}.linear.weight", _MATRIX
        bounds = ("input_min", "input_max", "output_min", "output_max")
        bounded = {f"{leaf}.{bound}": (f"{theirs}.{bound}", _SCALAR) for bound in bounds}
        _rules(where, prefix, {leaf: matrix, f"{leaf}.w": matrix, **bounded})


_rules(
    "decoder",
    _DECODER,
    {
        "embedding": ("embed_tokens.weight", _SAME),
        "final_norm": ("norm.weight", _VECTOR),
        "per_layer.embedding": ("embed_tokens_per_layer.weight", _SAME),
        "per_layer.projection": ("per_layer_model_projection.weight", _MATRIX),
        "per_layer.norm": ("per_layer_projection_norm.weight", _VECTOR),
    },
)
_rules(
    "decoder.blocks",
    f"{_DECODER}layers.*.",
    {
        "attention_norm": ("input_layernorm.weight", _VECTOR),
        "q": ("self_attn.q_proj.weight", _TO_HEADS),
        "q_norm": ("self_attn.q_norm.weight", _VECTOR),
        "k": ("self_attn.k_proj.weight", _TO_HEADS),
        "k_norm": ("self_attn.k_norm.weight", _VECTOR),
        "v": ("self_attn.v_proj.weight", _TO_HEADS),
        "o": ("self_attn.o_proj.weight", _FROM_HEADS),
        "post_attention_norm": ("post_attention_layernorm.weight", _VECTOR),
        "mlp_norm": ("pre_feedforward_layernorm.weight", _VECTOR),
        "gate": ("mlp.gate_proj.weight", _MATRIX),
        "up": ("mlp.up_proj.weight", _MATRIX),
        "down": ("mlp.down_proj.weight", _MATRIX),
        "post_mlp_norm": ("post_feedforward_layernorm.weight", _VECTOR),
        "scalar": ("layer_scalar", _LONE),
        "per_layer_gate": ("per_layer_input_gate.weight", _MATRIX),
        "per_layer_out": ("per_layer_projection.weight", _MATRIX),
        "per_layer_norm": ("post_per_layer_input_norm.weight", _VECTOR),
        "experts.router": ("router.proj.weight", _MATRIX),
        "experts.router_scale": ("router.scale", _VECTOR),
        "experts.answer_scale": ("router.per_expert_scale", _VECTOR),
        "experts.norm": ("pre_feedforward_layernorm_2.weight", _VECTOR),
        "experts.gate_up": ("experts.gate_up_proj", ((0,), (2, 3), (1,))),  # [E, D, 2, F] to (E, 2 F, D)
        "experts.down": ("experts.down_proj", ((0,), (2,), (1,))),
        "experts.post_norm": ("post_feedforward_layernorm_2.weight", _VECTOR),
        "experts.dense_post_norm": ("post_feedforward_layernorm_1.weight", _VECTOR),
    },
)
_rules(
    "vision",
    "model.",
    {
        "patch_in": ("vision_tower.patch_embedder.input_proj.weight", _MATRIX),
        "positions": ("vision_tower.patch_embedder.position_embedding_table", _TABLES),
        "shift": ("vision_tower.std_bias", _VECTOR),
        "spread": ("vision_tower.std_scale", _VECTOR),
        "out": ("embed_vision.embedding_projection.weight", _MATRIX),
    },
)
_rules(
    "raw vision",
    "model.embed_vision.",
    {
        "pixel_norm": ("patch_ln1.weight", _VECTOR),
        "pixel_norm_bias": ("patch_ln1.bias", _VECTOR),
        "patch_in": ("patch_dense.weight", _MATRIX),
        "patch_in_bias": ("patch_dense.bias", _VECTOR),
        "patch_norm": ("patch_ln2.weight", _VECTOR),
        "patch_norm_bias": ("patch_ln2.bias", _VECTOR),
        "positions": (
            "pos_embedding",
            ((1,), (0,), (2,)),
        ),  # x and y for each place there, places for each of them here
        "position_norm": ("pos_norm.weight", _VECTOR),
        "position_norm_bias": ("pos_norm.bias", _VECTOR),
        "out": ("multimodal_embedder.embedding_projection.weight", _MATRIX),
    },
)
_rules(
    "vision.blocks",
    f"{_VISION}encoder.layers.*.",
    {
        "attention_norm": ("input_layernorm.weight", _VECTOR),
        "q_norm": ("self_attn.q_norm.weight", _VECTOR),
        "k_norm": ("self_attn.k_norm.weight", _VECTOR),
        "post_attention_norm": ("post_attention_layernorm.weight", _VECTOR),
        "mlp_norm": ("pre_feedforward_layernorm.weight", _VECTOR),
        "post_mlp_norm": ("post_feedforward_layernorm.weight", _VECTOR),
    },
)
_clippable(
    "vision.blocks",
    f"{_VISION}encoder.layers.*.",
    {
        "q": "self_attn.q_proj",
        "k": "self_attn.k_proj",
        "v": "self_attn.v_proj",
        "o": "self_attn.o_proj",
        "gate": "mlp.gate_proj",
        "up": "mlp.up_proj",
        "down": "mlp.down_proj",
    },
)
_rules(
    "audio",
    "model.",
    {
        "conv0": ("audio_tower.subsample_conv_projection.layer0.conv.weight", _IMAGE_KERNEL),
        "conv0_norm": ("audio_tower.subsample_conv_projection.layer0.norm.weight", _VECTOR),
        "conv1": ("audio_tower.subsample_conv_projection.layer1.conv.weight", _IMAGE_KERNEL),
        "conv1_norm": ("audio_tower.subsample_conv_projection.layer1.norm.weight", _VECTOR),
        "frame_in": ("audio_tower.subsample_conv_projection.input_proj_linear.weight", _MATRIX),
        "frame_out": ("audio_tower.output_proj.weight", _MATRIX),
        "frame_out_bias": ("audio_tower.output_proj.bias", _VECTOR),
        "out": ("embed_audio.embedding_projection.weight", _MATRIX),
    },
)
_rules(
    "audio.blocks",
    f"{_AUDIO}layers.*.",
    {
        "first.norm": ("feed_forward1.pre_layer_norm.weight", _VECTOR),
        "first.post_norm": ("feed_forward1.post_layer_norm.weight", _VECTOR),
        "second.norm": ("feed_forward2.pre_layer_norm.weight", _VECTOR),
        "second.post_norm": ("feed_forward2.post_layer_norm.weight", _VECTOR),
        "attention.norm": ("norm_pre_attn.weight", _VECTOR),
        "attention.relative": ("self_attn.relative_k_proj.weight", _MATRIX),
        "attention.dimension_scale": ("self_attn.per_dim_scale", _VECTOR),
        "attention.post_norm": ("norm_post_attn.weight", _VECTOR),
        "convolution.norm": ("lconv1d.pre_layer_norm.weight", _VECTOR),
        "convolution.depthwise": ("lconv1d.depthwise_conv1d.weight", _DEPTHWISE),
        "convolution.inner_norm": ("lconv1d.conv_norm.weight", _VECTOR),
        "norm": ("norm_out.weight", _VECTOR),
    },
)
_clippable(
    "audio.blocks",
    f"{_AUDIO}layers.*.",
    {
        "first.up": "feed_forward1.ffw_layer_1",
        "first.down": "feed_forward1.ffw_layer_2",
        "second.up": "feed_forward2.ffw_layer_1",
        "second.down": "feed_forward2.ffw_layer_2",
        "attention.q": "self_attn.q_proj",
        "attention.k": "self_attn.k_proj",
        "attention.v": "self_attn.v_proj",
        "attention.o": "self_attn.post",
        "convolution.in": "lconv1d.linear_start",
        "convolution.out": "lconv1d.linear_end",
    },
)
