"""Codes of the pictures that a model learns to draw, made on the device that trains, all of a batch at once.

Loaders send pixels: an image tokenizer on their CPUs would take longer than all else that they do.
"""

import functools

import jax
import jax.numpy as jnp

from tejat.data.packing import Batch
from tejat.model import picture
from tejat.model.multimodal import ModelConfig
from tejat.model.params import Tree


@functools.partial(jax.jit, static_argnums=1)
def with_codes(params: Tree, config: ModelConfig, batch: Batch) -> Batch:
    """The batch with a code wherever one was to be made, and without its pictures. `params`: the image tokenizer's."""
    assert config.picture is not None and batch.pictures is not None
    patches, positions, images = batch.pictures
    made = picture.encode(params, config.picture, patches.astype(jnp.float32) / 255.0, positions, images)
    codes = config.text_vocabulary + picture.codes(params, config.picture, made)

    def placed(ids):
        at = ids - config.decoder.vocabulary
        return jnp.where(at < 0, ids, jnp.take_along_axis(codes, jnp.maximum(at, 0), axis=1))

    inputs = batch.inputs._replace(tokens=placed(batch.inputs.tokens))
    return batch._replace(inputs=inputs, targets=placed(batch.targets), pictures=None)
