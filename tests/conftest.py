"""What many tests need: the smallest whole model, with random weights and a tokenizer of the sample's text."""

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tejat import sample
from tejat.bundle import Bundle
from tejat.codecs import vocabulary
from tejat.codecs.picture import PictureCodec
from tejat.export import quantize
from tejat.model import family, multimodal, picture
from tejat.model.params import Param, Tree, map_params

MAPS = 45_000
"""Mappings of memory of this process, from which on compiled programs go at the end of a file."""


@pytest.fixture(scope="module", autouse=True)
def room_for_programs() -> Iterator[None]:
    """A compiled program takes some of the 65,530 mappings that Linux gives a process; LLVM dies for want of one."""
    yield
    maps = Path("/proc/self/maps")
    if maps.is_file() and maps.read_bytes().count(b"\n") > MAPS:
        jax.clear_caches()


@pytest.fixture(scope="session")
def drawn() -> Callable[[Tree, int], Tree]:
    """Weights of a tree much as `initialise` draws them, by NumPy: to compile a draw for every shape takes seconds."""

    def drawn(tree: Tree, seed: int) -> Tree:
        random = np.random.default_rng(seed)

        def draw(param: Param):
            if isinstance(param.init, float):
                return jnp.full(param.shape, param.init, jnp.float32)
            return jnp.asarray(random.standard_normal(param.shape, np.float32) / max(param.fan_in, 1) ** 0.5)

        return map_params(draw, tree)

    return drawn


@pytest.fixture(scope="session")
def micro_vocabulary() -> vocabulary.Vocabulary:
    config = family.preset("micro")
    lines = [line for language in sample.languages() for line in sample.prose(language).splitlines()]
    return vocabulary.Vocabulary(vocabulary.train(lines, config.text_vocabulary, coverage=0.98), config.picture.codes)


@pytest.fixture(scope="session")
def micro(micro_vocabulary, drawn) -> Bundle:
    """`micro` as it is before training."""
    config = family.preset("micro")
    codec = PictureCodec(drawn(picture.params(config.picture), seed=1), config.picture)
    return Bundle(config, micro_vocabulary, drawn(multimodal.params(config), seed=0), codec)


@pytest.fixture(scope="session")
def artist(micro) -> Bundle:
    """`micro` with so strong a liking for `<|picture>` that it begins one at every other place where it may."""
    params = dict(micro.params)
    embedding = params["decoder"]["embedding"].at[micro.vocabulary["<|picture>"]].multiply(100.0)
    return dataclasses.replace(micro, params=params | {"decoder": params["decoder"] | {"embedding": embedding}})


@pytest.fixture(scope="session")
def tiny(micro_vocabulary, drawn) -> Bundle:
    """A model so small that a service of it is compiled in seconds, whose answers are various and like to draw.

    It is `micro` with two layers, a sliding and a full one, and towers of one. Random weights, of which attention
    and MLPs count much: else the likeliest token is always the one before.
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


@pytest.fixture(scope="session")
def tiny_q4(tiny) -> Bundle:
    """`tiny` in blocks: four bits, its table and its image tokenizer in eight."""
    return quantize.quantize(tiny, quantize.Plan(method="nearest"))
