"""The family of sizes, by name. Nothing here allocates; `tejat.model.sizes` tells what each one weighs and costs."""

from collections.abc import Callable

from tejat.errors import BadInput
from tejat.model.audio import AudioConfig
from tejat.model.decoder import DecoderConfig
from tejat.model.multimodal import ModelConfig
from tejat.model.picture import PictureConfig
from tejat.model.vision import VisionConfig

CODES = 4_096  # picture codebook: FSQ levels (8, 8, 8, 8)


def micro() -> ModelConfig:
    """1.0M, 1.9M with all its parts: tests, the tour, chaos runs. Trains in minutes on a laptop's CPU."""
    return ModelConfig(
        name="micro",
        text_vocabulary=2_048,
        context=2_048,
        decoder=DecoderConfig(
            vocabulary=2_048 + 512, width=128, layers=4, period=4, heads=4, head_width=32, mlp=384, window=128
        ),
        vision=VisionConfig(
            width=64,
            layers=3,
            heads=2,
            head_width=32,
            mlp=192,
            patch=8,
            pool=2,
            table=64,
            budgets=(4, 9, 36),
            frame_budget=4,
        ),
        audio=AudioConfig(width=64, layers=2, heads=2, channels=(16, 16), mels=64, output=64, frames=128),
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


def mini() -> ModelConfig:
    """42M, 63M with codes and towers: trained here, shipped with Tejat, runs on a laptop.

    A head width of 128 is what on-device kernels are made for, hence four heads; one key head, as in Nano. An
    MLP of 2.75 times the width, and not four, lets all of it ship in 40 MB: four bits and a half for each weight of the
    decoder and of the towers, eight in the image tokenizer, whose quality bounds that of everything that is drawn.
    """
    return ModelConfig(
        name="mini",
        text_vocabulary=16_384,
        context=4_096,
        decoder=DecoderConfig(
            vocabulary=16_384 + CODES, width=512, layers=12, heads=4, head_width=128, mlp=1_408, window=512
        ),
        vision=VisionConfig(
            width=256,
            layers=6,
            heads=4,
            head_width=64,
            mlp=768,
            table=256,
            budgets=(16, 32, 64, 128),
            budget_by_size=True,
            frame_budget=8,
        ),
        audio=AudioConfig(width=192, layers=6, heads=4, output=192, frames=1_000),
        picture=PictureConfig(
            width=256, encoder_layers=2, decoder_layers=7, heads=4, head_width=64, mlp=704, patch=8, budget=256
        ),
    )


def nano1() -> ModelConfig:
    """1.8B, for devices with little memory (the paper's table 1).

    One key head: a device reads the weights and the cache once for every token, and the cache is the part that grows.
    """
    return ModelConfig(
        name="nano1",
        text_vocabulary=131_072,
        decoder=DecoderConfig(
            vocabulary=131_072 + CODES, width=2_048, layers=26, heads=16, head_width=128, mlp=8_192, window=1_024
        ),
        vision=_small_vision(),
        audio=_audio(),
        picture=_picture(),
    )


def nano2() -> ModelConfig:
    """3.25B, for devices with more memory (the paper's table 1): Nano-1 a quarter wider and a fifth deeper."""
    return ModelConfig(
        name="nano2",
        text_vocabulary=131_072,
        decoder=DecoderConfig(
            vocabulary=131_072 + CODES, width=2_560, layers=31, heads=20, head_width=128, mlp=10_368, window=1_024
        ),
        vision=_small_vision(),
        audio=_audio(),
        picture=_picture(),
    )


def pro() -> ModelConfig:
    """72B: Ultra with half the width and half the depth, so about an eighth of it.

    The aspect ratio D / L stays 114, in the flat valley where width and depth trade evenly (Kaplan et al. 2020): what
    is learned on Pro about rates and data carries over to Ultra. 64 heads and 16 key heads go evenly into a 16-way
    tensor mesh, one key head a chip; fewer would be copied there, not saved. 72 layers are twelve whole periods of
    5 sliding : 1 full. At 32k positions the cache of a sequence is 3.7 GB, or 233 MB on each of 16 chips, of which
    the twelve full layers take six sevenths. F / 16 = 2,048 leaves every chip whole tiles of 128 x 128.
    """
    return ModelConfig(
        name="pro",
        text_vocabulary=262_144,
        decoder=DecoderConfig(
            vocabulary=262_144 + CODES,
            width=8_192,
            layers=72,
            heads=64,
            key_heads=16,
            head_width=128,
            mlp=32_768,
            window=1_024,
        ),
        vision=_large_vision(),
        audio=_audio(),
        picture=_picture(),
    )


def ultra() -> ModelConfig:
    """555B: beyond PaLM (540B), "significantly larger than PaLM 2".

    Aspect ratio D / L = 16,384 / 144 = 114, near GPT-3's 128: a tensor mesh computes in proportion to
    D^2 and exchanges in proportion to D, so D is as large as hides the exchange and no larger. On 16 TPU v4 chips a
    layer computes 2 x 3.8G FLOP a token forward, 1.7 us at 275 TFLOP/s each, and exchanges 8 D bytes, 1.5 us on one
    axis of the torus at 90 GB/s. 128 heads and 16 key heads go evenly into that mesh, one key head a chip. 24 whole
    periods of 5 : 1. At 32k positions the cache of a sequence is 7.4 GB, or 466 MB on each of 16 chips; with a key
    head for every head and full attention everywhere it would be 309 GB.
    """
    return ModelConfig(
        name="ultra",
        text_vocabulary=262_144,
        decoder=DecoderConfig(
            vocabulary=262_144 + CODES,
            width=16_384,
            layers=144,
            heads=128,
            key_heads=16,
            head_width=128,
            mlp=65_536,
            window=1_024,
        ),
        vision=_large_vision(),
        audio=_audio(),
        picture=_picture(),
    )


def _small_vision() -> VisionConfig:
    """About 170M: ViT-B's width, made deeper, its MLPs gated."""
    return VisionConfig(width=768, layers=16, heads=12, head_width=64, mlp=3_072)


def _large_vision() -> VisionConfig:
    """About 580M: ViT-So400m (Alabdulmohsin et al. 2023) with gated MLPs."""
    return VisionConfig(width=1_152, layers=27, heads=16, head_width=72, mlp=4_304)


def _audio() -> AudioConfig:
    """About 300M: USM's conformer cut to twelve blocks."""
    return AudioConfig(width=1_024, layers=12, heads=8)


def _picture() -> PictureConfig:
    """About 105M: 256 codes of 16 x 16 pixels make a picture of 256 x 256, or as much at another aspect."""
    return PictureConfig(
        width=640, encoder_layers=4, decoder_layers=12, heads=10, head_width=64, mlp=2_560, patch=16, budget=256
    )


FAMILY: dict[str, Callable[[], ModelConfig]] = {
    "ultra": ultra,
    "pro": pro,
    "nano2": nano2,
    "nano1": nano1,
    "mini": mini,
    "micro": micro,
}
"""Every size, largest first."""


def preset(name: str) -> ModelConfig:
    """The configuration of a family member. Raises BadInput for a name that is none."""
    if name not in FAMILY:
        raise BadInput(f"there is no model size {name!r}; choose one of {', '.join(FAMILY)}")
    return FAMILY[name]()
