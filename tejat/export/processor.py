"""The files by which other engines frame a dialogue as we do: special tokens, chat template, images and sound."""

from typing import Any

from tejat.codecs import audio as audio_codec
from tejat.model.multimodal import ModelConfig

_BUDGETS = (70, 140, 280, 560, 1120)
"""The soft tokens that `transformers` lets an image have."""

CHAT = (
    "{{ bos_token }}{% for message in messages %}"
    "<|turn>{{ 'model' if message.role == 'assistant' else message.role }}\n"
    "{% if message.content is string %}{{ message.content }}{% else %}{% for part in message.content %}"
    "{% if part.type == 'text' %}{{ part.text }}{% else %}{{ '<|' + part.type + '|>' }}{% endif %}"
    "{% endfor %}{% endif %}<turn|>\n{% endfor %}{% if add_generation_prompt %}<|turn>model\n{% endif %}"
)
"""`chat_template.jinja`: a dialogue as `framing` writes it. Of an image or a sound, one mark, to be expanded."""


def tokenizer_settings(context: int) -> dict[str, Any]:
    """`tokenizer_config.json`: what the special tokens are for."""
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "pad_token": "<pad>",
        "eos_token": "<eos>",
        "bos_token": "<bos>",
        "unk_token": "<unk>",
        "model_max_length": context,
        "padding_side": "left",
        "clean_up_tokenization_spaces": False,
        "extra_special_tokens": {
            "image_token": "<|image|>",
            "boi_token": "<|image>",
            "eoi_token": "<image|>",
            "audio_token": "<|audio|>",
            "boa_token": "<|audio>",
            "eoa_token": "<audio|>",
            "sot_token": "<|turn>",
            "eot_token": "<turn|>",
        },
    }


def processor_settings(config: ModelConfig) -> dict[str, Any] | None:
    """`processor_config.json`; None for a model that lacks a tower, or has budgets that the format does not know.

    A video is not framed as we do it: the format writes whole seconds and leaves sound out.
    """
    sight, sound = config.vision, config.audio
    if sight is None or sound is None or "raw" in (sight.front_end, sound.front_end):
        return None
    budget = sight.budgets[len(sight.budgets) // 2]
    if budget not in _BUDGETS or sight.frame_budget not in _BUDGETS:
        return None
    cut = {"patch_size": sight.patch, "pooling_kernel_size": sight.pool}
    milliseconds = audio_codec.HOP * audio_codec.STRIDE * 1_000 // audio_codec.RATE
    return {
        "processor_class": "Gemma4Processor",
        "image_seq_length": budget,
        "audio_seq_length": audio_codec.soft_count(sound.frames),
        "audio_ms_per_token": milliseconds,
        "image_processor": {"image_processor_type": "Gemma4ImageProcessor", "max_soft_tokens": budget, **cut},
        "video_processor": {
            "video_processor_type": "Gemma4VideoProcessor",
            "max_soft_tokens": sight.frame_budget,
            **cut,
        },
        "feature_extractor": {
            "feature_extractor_type": "Gemma4AudioFeatureExtractor",
            "feature_size": sound.mels,
            "sampling_rate": audio_codec.RATE,
            "mel_floor": audio_codec.FLOOR,
        },
    }
