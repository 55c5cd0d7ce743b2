"""What many tests need: the smallest whole model, with random weights and a tokenizer of the sample's text."""

import jax
import pytest

from tejat import sample
from tejat.bundle import Bundle
from tejat.codecs import vocabulary
from tejat.codecs.picture import PictureCodec
from tejat.model import family, multimodal, picture
from tejat.model.params import initialise


@pytest.fixture(scope="session")
def micro_vocabulary() -> vocabulary.Vocabulary:
    config = family.preset("micro")
    lines = [line for language in sample.languages() for line in sample.prose(language).splitlines()]
    return vocabulary.Vocabulary(vocabulary.train(lines, config.text_vocabulary, coverage=0.98), config.picture.codes)


@pytest.fixture(scope="session")
def micro(micro_vocabulary) -> Bundle:
    """`micro` as it is before training."""
    config = family.preset("micro")
    params = initialise(multimodal.params(config), jax.random.key(0))
    codec = PictureCodec(initialise(picture.params(config.picture), jax.random.key(1)), config.picture)
    return Bundle(config, micro_vocabulary, params, codec)
