"""The parts of a `config.json` of model_type "gemma4_unified": pixels and waveform without towers, both ways."""

from typing import Any

from tejat.export.fields import Fields
from tejat.model.audio import AudioConfig
from tejat.model.vision import VisionConfig

KIND = "gemma4_unified"


def sight(fields: Fields) -> VisionConfig:
    """Squares of pixels, projected. Fields that repeat others may stand there too, if they say the same."""
    fields.only("model_type", f"{KIND}_vision")
    width = fields.take("mm_embed_dim", 3840)
    patch, pool = fields.take("patch_size", 16), fields.take("pooling_kernel_size", 3)
    if (projected := fields.take("output_proj_dims", 3840)) != width:
        fields.refuse("output_proj_dims", projected)
    fields.only("model_patch_size", patch * pool)
    return VisionConfig(
        width=width,
        layers=0,
        heads=0,
        head_width=0,
        mlp=0,
        patch=patch,
        pool=pool,
        table=fields.take("mm_posemb_size", 1120),
        front_end="raw",
        epsilon=fields.take("rms_norm_eps", 1e-6),
    )


def sound(fields: Fields, frames: int) -> AudioConfig:
    """Frames of the waveform, projected."""
    fields.only("model_type", f"{KIND}_audio")
    samples = fields.take("audio_embed_dim", 640)
    for repeated in ("hidden_size", "output_proj_dims", "audio_samples_per_token"):
        fields.only(repeated, samples)
    return AudioConfig(
        width=0,
        layers=0,
        heads=0,
        front_end="raw",
        samples=samples,
        frames=frames,
        epsilon=fields.take("rms_norm_eps", 1e-6),
    )


def sight_settings(config: VisionConfig) -> dict[str, Any]:
    return {
        "model_type": f"{KIND}_vision",
        "patch_size": config.patch,
        "pooling_kernel_size": config.pool,
        "mm_embed_dim": config.width,
        "mm_posemb_size": config.table,
        "output_proj_dims": config.width,
        "rms_norm_eps": config.epsilon,
    }


def sound_settings(config: AudioConfig) -> dict[str, Any]:
    return {"model_type": f"{KIND}_audio", "audio_embed_dim": config.samples, "rms_norm_eps": config.epsilon}
