"""A model so small that a service of it is compiled in seconds, whose answers are various and like to draw."""

import dataclasses

import numpy as np
import pytest

from tejat.bundle import Bundle
from tejat.codecs.picture import PictureCodec
from tejat.model import family, multimodal, picture


@pytest.fixture(scope="session")
def tiny(micro_vocabulary, drawn) -> Bundle:
    """`micro` with two layers, a sliding and a full one, and towers of one.

    Random weights, of which attention and MLPs count much: else the likeliest token is always the one before.
    """
    micro = family.preset("micro")
    config = dataclasses.replace(
        micro,
        name="tiny",
        context=512,
        decoder=dataclasses.replace(micro.decoder, width=64, layers=2, period=2, heads=2, mlp=128, window=48),
        vision=dataclasses.replace(micro.vision, layers=1),
        audio=dataclasses.replace(micro.audio, layers=1),
        picture=dataclasses.replace(micro.picture, decoder_layers=1),
    )
    params = drawn(multimodal.params(config), seed=0)
    for block in params["decoder"]["blocks"].values():
        for name in ("post_attention_norm", "post_mlp_norm"):
            block[name] = block[name] * 4.0
    marks = np.ones(config.decoder.vocabulary, np.float32)
    marks[micro_vocabulary["<|picture>"]] = 12.0
    params["decoder"]["embedding"] = params["decoder"]["embedding"] * marks[:, None]
    return Bundle(
        config, micro_vocabulary, params, PictureCodec(drawn(picture.params(config.picture), 1), config.picture)
    )
