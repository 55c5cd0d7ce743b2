"""A small model that a Gemma 4 checkpoint can hold, as a bundle's directory."""

import dataclasses
from pathlib import Path

import pytest

from tejat import bundle
from tejat.bundle import Bundle
from tejat.model import multimodal


@pytest.fixture(scope="session")
def small(micro, drawn) -> Bundle:
    """`micro` with an ear that the format can say: there, the first convolution has as many channels as mel bins."""
    audio = dataclasses.replace(micro.config.audio, channels=(64, 16), mels=64)
    config = dataclasses.replace(micro.config, audio=audio)
    return dataclasses.replace(micro, config=config, params=drawn(multimodal.params(config), 3))


@pytest.fixture(scope="session")
def saved(small, tmp_path_factory) -> dict[str, Path]:
    """Its directory in every type that weights are stored in; not to be written to."""
    folder = tmp_path_factory.mktemp("small")
    for dtype in ("float32", "bfloat16", "float16"):
        bundle.save(folder / dtype, small, dtype)
    return {dtype: folder / dtype for dtype in ("float32", "bfloat16", "float16")}
