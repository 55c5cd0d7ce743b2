"""One Transformer over everything: soft tokens of images and sounds take their places among the embedded tokens."""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float, Int, UInt8

from tejat.model import audio, decoder, picture, resampler, unified, vision
from tejat.model.attention import causal_intervals
from tejat.model.layers import picked
from tejat.model.params import Tree
from tejat.model.passes import SCANNED, Pass
from tejat.model.placing import placed


@dataclass(frozen=True)
class ModelConfig:
    """A whole model: the decoder and the parts around it. A part that is None is not there."""

    name: str
    decoder: decoder.DecoderConfig
    vision: vision.VisionConfig | None
    audio: audio.AudioConfig | None
    picture: picture.PictureConfig | None
    text_vocabulary: int  # the first rows of the embedding; picture codes follow
    context: int = 32_768


class Media(NamedTuple):
    """Images and sounds of a batch, packed along each row.

    `patch_images` numbers a row's images from 1 (0: padding); `patch_slots` says which soft token of the row a patch
    is pooled into (-1: none). Soft tokens of a row: first P / pool^2 of images, then ceil(F / 4) for each sound. Other
    front ends: a resampler gives R for each image that `image_patches` has room for (patches of each, 0: no image);
    raw, P squares of pixels are P soft tokens, and F frames of sound F. `mel_goes_on` marks pieces of a sound that go
    on where the piece before them ended; where it is None, none does.
    """

    patches: Float[Array, "B P C"] | UInt8[Array, "B P C"]  # in [0, 1], or 0 to 255
    patch_positions: Int[Array, "B P 2"]
    patch_images: Int[Array, "B P"]
    patch_slots: Int[Array, "B P"]
    mel: Float[Array, "B A F M"]
    mel_real: Bool[Array, "B A F"]
    image_patches: Int[Array, "B I"] | None = None
    mel_goes_on: Bool[Array, "B A"] | None = None


class Inputs(NamedTuple):
    """What the decoder reads. `soft` points a token at one of its row's soft tokens (-1: an ordinary token)."""

    tokens: Int[Array, "B T"]
    soft: Int[Array, "B T"]
    positions: Int[Array, "B T"]
    segments: Int[Array, "B T"]  # documents packed in a row, from 1; 0 is padding
    blocks: Int[Array, "B T"]  # tokens of one input image share an id > 0
    media: Media | None


def params(config: ModelConfig) -> Tree:
    """The Param tree of the whole model. The image tokenizer is not in it: it is trained before, and apart."""
    tree = {"decoder": decoder.params(config.decoder)}
    if config.vision is not None:
        front = unified.vision_params if config.vision.front_end == "raw" else vision.params
        tree["vision"] = front(config.vision, config.decoder.width)
        if config.vision.front_end == "resampled":
            tree["vision"]["resampler"] = resampler.params(config.vision)
    if config.audio is not None:
        front = unified.audio_params if config.audio.front_end == "raw" else audio.params
        tree["audio"] = front(config.audio, config.decoder.width)
    return tree


def soft_tokens(params: Tree, config: ModelConfig, media: Media, how: Pass = SCANNED) -> Float[Array, "B S D"]:
    """All soft tokens of each row: images first, then sounds. A buffer of size zero costs nothing."""
    dtype = params["decoder"]["embedding"].dtype
    found = []
    if media.patches.shape[1]:
        shaded = media._replace(patches=_shades(media.patches).astype(dtype))
        found.append(_seen(params["vision"], config.vision, shaded, how))
    if media.mel.shape[1]:
        found.append(_heard(params["audio"], config.audio, media._replace(mel=media.mel.astype(dtype)), how))
    return jnp.concatenate(found, axis=1)


def _shades(patches: Float[Array, "B P C"] | UInt8[Array, "B P C"]) -> Float[Array, "B P C"]:
    """Pixels in [0, 1]. Batches of training bring them as bytes, a quarter of what a host makes, keeps and sends."""
    return patches.astype(jnp.float32) / 255.0 if patches.dtype == jnp.uint8 else patches


def _seen(params: Tree, config: vision.VisionConfig, media: Media, how: Pass) -> Float[Array, "B S D"]:
    buffer = media.patches, media.patch_positions, media.patch_images
    if config.front_end == "raw":
        return unified.see(params, config, *buffer)
    features = vision.encode(params, config, *buffer, how)
    if config.front_end == "resampled":
        return resampler.soft_tokens(params, config, features, media.image_patches, how)
    return vision.soft_tokens(params, config, features, media.patch_slots, features.shape[1] // config.pool**2)


def _heard(params: Tree, config: audio.AudioConfig, media: Media, how: Pass) -> Float[Array, "B S D"]:
    batch, sounds, frames, numbers = media.mel.shape
    mel = placed(media.mel.reshape(batch * sounds, frames, numbers), "sounds", None, None)
    if config.front_end == "raw":
        found = unified.hear(params, config, mel)
    elif media.mel_goes_on is not None:
        found = audio.encode_pieces(params, config, media.mel, media.mel_real, media.mel_goes_on, how)
    else:
        found = audio.encode(params, config, mel, media.mel_real.reshape(batch * sounds, frames), how)
    return found.reshape(batch, -1, found.shape[-1])


def embed(params: Tree, config: ModelConfig, inputs: Inputs, how: Pass = SCANNED) -> Float[Array, "B T D"]:
    """Embedded tokens with soft tokens in their places."""
    # What stands for nothing, or for a soft token, looks up no row: all of these would add zeros to one gradient.
    ordinary = (inputs.segments > 0) & (inputs.soft < 0)
    x = decoder.embed(params["decoder"], config.decoder, jnp.where(ordinary, inputs.tokens, config.decoder.vocabulary))
    if inputs.media is None or inputs.media.patches.shape[1] + inputs.media.mel.shape[1] == 0:
        return x
    soft = soft_tokens(params, config, inputs.media, how)
    place = jnp.where(inputs.soft < 0, soft.shape[1], inputs.soft)
    # Whole on the devices of a row: a token may look up any of them.
    taken = picked(placed(soft, "rows", None, None), place)
    return x + placed(taken, "rows", "sequence", None).astype(x.dtype)


def forward(params: Tree, config: ModelConfig, inputs: Inputs, how: Pass = SCANNED) -> Float[Array, "B T D"]:
    """Hidden states of every position; `decoder.logits` turns those that matter into scores."""
    x = embed(params, config, inputs, how)
    extra = per_layer(params, config, inputs, x)
    shared = decoder.context(config.decoder, causal_intervals(inputs.segments), inputs.positions, inputs.blocks)
    return decoder.run(params["decoder"], config.decoder, x, shared, extra, how)


def per_layer(params: Tree, config: ModelConfig, inputs: Inputs, x: Float[Array, "B T D"]):
    """Per-layer input embeddings where the decoder has them; soft tokens count as the padding token, 0."""
    if not config.decoder.per_layer_width:
        return None
    tokens = jnp.where(inputs.soft >= 0, 0, inputs.tokens)
    return decoder.per_layer_inputs(params["decoder"], config.decoder, tokens, x)


def cast(params: Tree, dtype: DTypeLike) -> Tree:
    """The same tree with floating arrays in `dtype`: the precision that a forward pass computes in."""
    return jax.tree.map(lambda a: a.astype(dtype) if jnp.issubdtype(a.dtype, jnp.floating) else a, params)
