"""The other pooler of the vision tower: a Perceiver resampler (Alayrac et al. 2022, section 2.1 and appendix A.1.1).

A fixed number of learned latents looks at all patches of an image, so that every image, and every frame of a video,
takes as many soft tokens as any other. Keys are those of the patches and of the latents themselves. The blocks are
ours (RMS norms before and after, a gated MLP); what a patch's place is, the tower has told it already.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from tejat.model.attention import Intervals
from tejat.model.layers import project, rms_norm
from tejat.model.params import Param, Tree, scale, stack
from tejat.model.passes import SCANNED, Pass
from tejat.model.spread_attention import attend
from tejat.model.vision import VisionConfig, encoder_block_params, feed_forward


def params(config: VisionConfig) -> Tree:
    """The latents and the blocks; the tower has the way out to the decoder."""
    block = encoder_block_params(config) | {"feature_norm": scale(config.width, "vision")}
    return {
        "latents": Param((config.latents, config.width), (None, "vision"), "embedding", fan_in=1),
        "blocks": stack(config.resampler_layers, block),
    }


def soft_tokens(
    params: Tree,
    config: VisionConfig,
    features: Float[Array, "B P W"],
    counts: Int[Array, "B I"],
    how: Pass = SCANNED,
) -> Float[Array, "B S D"]:
    """The S = I R soft tokens of a buffer, R latents for each of the I images that it may hold, image by image.

    `params` are those of the tower. `counts` are the patches of each image, which stand one after the other from the
    first of the buffer on; what an image of none gives means nothing.
    """
    batch, images = counts.shape
    latents = jnp.tile(params["resampler"]["latents"].astype(features.dtype)[None], (batch, images, 1))
    intervals, key_positions = _layout(config, counts, features.shape[1])

    def body(x, weights):
        return _block(weights, config, x, features, intervals, key_positions), None

    x = how.through(body, latents, params["resampler"]["blocks"])[0]
    return rms_norm(x, eps=config.epsilon) @ params["out"]


def _layout(config: VisionConfig, counts: Int[Array, "B I"], patches: int) -> tuple[Intervals, Int[Array, "B K"]]:
    """(what each latent sees, where each key stands): keys are given as all patches, then all latents.

    As places, the latents of an image follow its patches, so that what it sees is one interval:

        patches a a b b b, two latents each    places  a a A A b b b B B    [0, 4) for A, [4, 9) for B
    """
    r = config.latents
    ends = jnp.cumsum(counts, axis=1)
    images = jnp.arange(counts.shape[1], dtype=jnp.int32)
    first = ends - counts + r * images  # place of an image's first patch
    index = jnp.arange(patches, dtype=jnp.int32)
    owner = (index[None, :, None] >= ends[:, None, :]).sum(-1)  # patches past the last image belong to none
    placed = jnp.where(index < ends[:, -1:], index + r * owner, -1)
    own = (first + counts)[:, :, None] + jnp.arange(r, dtype=jnp.int32)
    start = jnp.broadcast_to(first[:, :, None], own.shape).reshape(counts.shape[0], -1)
    end = jnp.broadcast_to((first + counts + r)[:, :, None], own.shape).reshape(counts.shape[0], -1)
    positions = jnp.concatenate([placed, own.reshape(counts.shape[0], -1)], axis=1)
    return Intervals(start, end), positions.astype(jnp.int32)


def _block(weights: Tree, config: VisionConfig, x, features, intervals: Intervals, key_positions):
    def heads(y: Array) -> Array:
        return y.reshape(*y.shape[:-1], config.heads, config.head_width)

    y = rms_norm(x, weights["attention_norm"], config.epsilon)
    seen = jnp.concatenate([rms_norm(features, weights["feature_norm"], config.epsilon), y], axis=1)
    q = rms_norm(heads(project(y, weights["q"])), weights["q_norm"], config.epsilon)
    k = rms_norm(heads(project(seen, weights["k"])), weights["k_norm"], config.epsilon)
    v = rms_norm(heads(project(seen, weights["v"])), eps=config.epsilon)
    y = attend(q, k, v, intervals, key_positions)
    y = project(y.reshape(*y.shape[:-2], -1), weights["o"])
    x = x + rms_norm(y, weights["post_attention_norm"], config.epsilon)
    return feed_forward(weights, config, x)
