"""What tests of post-training share: models so small that a step is compiled in a second or two, as directories."""

import json
from pathlib import Path

import numpy as np
import pytest

from tejat import bundle, sample
from tejat.bundle import Bundle
from tejat.codecs import vocabulary
from tejat.codecs.picture import PictureCodec
from tejat.codecs.vocabulary import Vocabulary
from tejat.model import family, multimodal, picture
from tejat.model.decoder import DecoderConfig
from tejat.model.multimodal import ModelConfig
from tejat.model.vision import VisionConfig
from tejat.parts import Image

PIECES = 448


@pytest.fixture(scope="session")
def pieces() -> bytes:
    sums = [f"{a} + {b} = ? {a + b}" for a in range(10) for b in range(10)]
    return vocabulary.train([*sample.prose("en").splitlines()[:200], *sums, "user\nmodel\n"], PIECES)


@pytest.fixture(scope="session")
def talker(pieces, drawn) -> Bundle:
    """Text in, text out."""
    config = ModelConfig(
        name="talker",
        text_vocabulary=PIECES,
        context=256,
        decoder=DecoderConfig(
            vocabulary=PIECES, width=32, layers=1, heads=2, mlp=64, head_width=16, window=64, period=1
        ),
        vision=None,
        audio=None,
        picture=None,
    )
    return Bundle(config, Vocabulary(pieces, 0), drawn(multimodal.params(config), seed=0), None)


@pytest.fixture(scope="session")
def painter(pieces, drawn) -> Bundle:
    """Text and images in, text and pictures out."""
    micro = family.preset("micro").picture
    config = ModelConfig(
        name="painter",
        text_vocabulary=PIECES,
        context=512,
        decoder=DecoderConfig(
            vocabulary=PIECES + micro.codes, width=16, layers=1, heads=2, mlp=24, head_width=8, window=64, period=1
        ),
        vision=VisionConfig(
            width=16, layers=1, heads=2, head_width=8, mlp=24, patch=8, pool=2, table=64, budgets=(16,), frame_budget=4
        ),
        audio=None,
        picture=micro,
    )
    codec = PictureCodec(drawn(picture.params(micro), seed=1), micro)
    return Bundle(config, Vocabulary(pieces, micro.codes), drawn(multimodal.params(config), seed=0), codec)


@pytest.fixture(scope="session")
def talker_at(talker, tmp_path_factory) -> Path:
    directory = tmp_path_factory.mktemp("talker")
    bundle.save(directory, talker)
    return directory


@pytest.fixture(scope="session")
def painter_at(painter, tmp_path_factory) -> Path:
    directory = tmp_path_factory.mktemp("painter")
    bundle.save(directory, painter)
    return directory


@pytest.fixture(scope="session")
def dialogues(tmp_path_factory) -> Path:
    """Sums, as messages."""
    path = tmp_path_factory.mktemp("data") / "sums.jsonl"
    lines = []
    for a in range(10):
        for b in range(10):
            said = [{"role": "user", "content": f"{a} + {b} = ?"}, {"role": "assistant", "content": str(a + b)}]
            lines.append(json.dumps({"messages": said}) + "\n")
    path.write_text("".join(lines))
    return path


@pytest.fixture(scope="session")
def speckled() -> Image:
    return Image(np.random.default_rng(0).integers(0, 255, (24, 16, 3)).astype(np.uint8))
