"""The family of sizes, by name. Nothing here allocates."""

from collections.abc import Callable

from tejat.errors import BadInput
from tejat.model.audio import AudioConfig
from tejat.model.decoder import DecoderConfig
from tejat.model.multimodal import ModelConfig
from tejat.model.picture import PictureConfig
from tejat.model.vision import VisionConfig

CODES = 4_096  # picture codebook: FSQ levels (8, 8, 8, 8)


def micro() -> ModelConfig:
    """About 2M: tests, the tour, chaos runs. Trains in minutes on a laptop's CPU."""
    return ModelConfig(
        name="micro",
        text_vocabulary=2_048,
        context=2_048,
        decoder=DecoderConfig(
            vocabulary=2_048 + 512, width=160, layers=4, period=4, heads=5, head_width=32, mlp=640, window=128
        ),
        vision=VisionConfig(
            width=96,
            layers=3,
            heads=3,
            head_width=32,
            mlp=256,
            patch=8,
            pool=2,
            table=64,
            budgets=(4, 16, 64),
            frame_budget=4,
        ),
        audio=AudioConfig(width=96, layers=2, heads=3, channels=(32, 16), output=96, frames=128),
        picture=PictureConfig(
            width=96,
            encoder_layers=1,
            decoder_layers=3,
            heads=3,
            head_width=32,
            mlp=256,
            patch=8,
            levels=(8, 8, 8),
            table=32,
        ),
    )


FAMILY: dict[str, Callable[[], ModelConfig]] = {"micro": micro}


def preset(name: str) -> ModelConfig:
    """The configuration of a family member. Raises BadInput for a name that is none."""
    if name not in FAMILY:
        raise BadInput(f"there is no model size {name!r}; choose one of {', '.join(FAMILY)}")
    return FAMILY[name]()
