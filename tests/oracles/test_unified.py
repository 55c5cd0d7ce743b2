"""The encoder-free front end against `transformers` gemma4_unified: the live model, and what it answered once.

`python tests/oracles/test_unified.py` writes the reference anew.
"""

import dataclasses
import functools
from pathlib import Path

import jax
import numpy as np
import pytest
from prompts import AUDIO, FIRST_TEXT, IMAGE, weights
from safetensors.numpy import load_file, save_file

from tejat.codecs import audio as audio_codec
from tejat.codecs.framing import Encoded
from tejat.codecs.image import Patches, patchify
from tejat.data.packing import Batch, Room, Row, collate
from tejat.export import names, settings
from tejat.model import decoder, multimodal, unified
from tejat.model.audio import AudioConfig
from tejat.model.decoder import DecoderConfig
from tejat.model.multimodal import ModelConfig
from tejat.model.params import walk
from tejat.model.vision import VisionConfig

REFERENCE = Path(__file__).parent / "references" / "unified.safetensors"
CONFIG = ModelConfig(
    name="unified",
    text_vocabulary=24,
    context=64,
    decoder=DecoderConfig(
        vocabulary=24,
        width=16,
        layers=3,
        heads=2,
        mlp=24,
        head_width=8,
        full_head_width=16,
        window=6,
        period=3,
        bidirectional_images=True,
    ),
    vision=VisionConfig(
        width=12,
        layers=0,
        heads=0,
        head_width=0,
        mlp=0,
        patch=4,
        pool=2,
        table=9,
        budgets=(6,),
        front_end="raw",
    ),
    audio=AudioConfig(width=0, layers=0, heads=0, front_end="raw", samples=20, frames=16),
    picture=None,
)
OTHER = dataclasses.replace(
    CONFIG,
    decoder=dataclasses.replace(CONFIG.decoder, key_heads=2, heads=4, bidirectional_images=False, soft_cap=9.0),
    vision=dataclasses.replace(CONFIG.vision, width=20, patch=2, pool=3, budgets=(9,)),
    audio=dataclasses.replace(CONFIG.audio, samples=33),
)
ROOM = Room(rows=2, tokens=32, targets=0, patches=16, sounds=2, frames=8)


def documents(config: ModelConfig, seed: int) -> list[Encoded]:
    """Two rows: text, an image, text, a sound, text, an image of another aspect; and a sound and text alone."""
    random = np.random.default_rng(seed)

    def image(height: int, width: int) -> Patches:
        return patchify(random.integers(0, 256, (height, width, 3), np.uint8), config.vision)

    def sound(samples: int) -> np.ndarray:
        return audio_codec.frames(random.uniform(-1, 1, samples).astype(np.float32), config.audio)

    def encoded(*parts) -> Encoded:
        rows, media, images = [], [], 0
        for part in parts:
            if isinstance(part, int):
                rows += [(token, 0, -1, 0) for token in random.integers(FIRST_TEXT, 24, part)]
                continue
            seen = isinstance(part, Patches)
            images += seen
            kind, block, count = (IMAGE, images, part.count) if seen else (AUDIO, 0, len(part))
            rows += [(kind, block, len(media), at) for at in range(count)]
            media.append(part)
        tokens, blocks, item, soft = np.asarray(rows, np.int32).T
        nothing = np.zeros(len(tokens), np.int32)
        return Encoded(tokens, nothing.astype(bool), nothing, blocks, item, soft, tuple(media))

    first = encoded(2, image(30, 20), 3, sound(4 * config.audio.samples + 5), 1, image(9, 40), 2)
    return [first, encoded(1, sound(2 * config.audio.samples), 4)]


def batch(config: ModelConfig, found: list[Encoded]) -> Batch:
    rows = [Row(ROOM) for _ in found]
    assert all(row.take(document) for row, document in zip(rows, found, strict=True))
    return collate(rows, config, ROOM)


@functools.partial(jax.jit, static_argnums=1)
def run(params, config: ModelConfig, inputs):
    hidden = multimodal.forward(params, config, inputs)
    return decoder.logits(params["decoder"], config.decoder, hidden), multimodal.soft_tokens(
        params, config, inputs.media
    )


def ours(config: ModelConfig, params, found: list[Encoded]) -> dict[str, np.ndarray]:
    """Logits of all tokens, and soft tokens, row after row."""
    inputs = batch(config, found).inputs
    logits, soft = map(np.asarray, run(params, config, inputs))
    media = np.concatenate([soft[row][at[at >= 0]] for row, at in enumerate(inputs.soft)])
    return {"logits": np.concatenate([x[: len(d)] for x, d in zip(logits, found, strict=True)]), "soft": media}


def theirs(config: ModelConfig, params):
    """Their model with our weights: each of its tensors is set."""
    import torch
    from transformers import Gemma4UnifiedConfig, Gemma4UnifiedForConditionalGeneration

    marks = {"image_token_id": IMAGE, "audio_token_id": AUDIO, "video_token_id": 6}
    made = Gemma4UnifiedForConditionalGeneration(
        Gemma4UnifiedConfig(**settings.to_huggingface(config) | marks),
    ).eval()
    made.set_attn_implementation("eager")
    leaves = {name: np.asarray(x) for name, x in walk(params)}
    given = {
        p.theirs: p.to_theirs(leaves[p.ours] if p.layer is None else leaves[p.ours][p.layer])
        for p in names.pairs(config)
    }
    tensors = {name: torch.from_numpy(np.array(x, order="C")) for name, x in given.items()}
    made.load_state_dict(tensors, strict=False)
    assert (
        made.state_dict().keys() - tensors.keys() == {"lm_head.weight"}
        and not tensors.keys() - made.state_dict().keys()
    )
    made.tie_weights()
    return made


def live(config: ModelConfig, params, found: list[Encoded]) -> dict[str, np.ndarray]:
    import torch

    made = theirs(config, params)
    images = [m for d in found for m in d.media if isinstance(m, Patches)]
    sounds = [m for d in found for m in d.media if not isinstance(m, Patches)]
    most, longest = max(m.count for m in images), max(map(len, sounds))
    pixels = np.stack([np.pad(m.patches, ((0, most - m.count), (0, 0)), constant_values=0.5) for m in images])
    places = np.stack([np.pad(m.positions, ((0, most - m.count), (0, 0)), constant_values=-1) for m in images])
    waves = np.stack([np.pad(m, ((0, longest - len(m)), (0, 0))) for m in sounds])
    length = max(map(len, found))
    tokens = np.stack([np.pad(d.tokens, (0, length - len(d))) for d in found]).astype(np.int64)
    real = np.stack([np.arange(length) < len(d) for d in found])
    heard = {
        "input_features": torch.from_numpy(waves),
        "input_features_mask": torch.from_numpy(np.stack([np.arange(longest) < len(m) for m in sounds])),
    }
    seen = {
        "pixel_values": torch.from_numpy(pixels),
        "image_position_ids": torch.from_numpy(places.astype(np.int64)),
    }
    # The masks that they generate with: their plain forward pass lets images see themselves on full layers too, which
    # neither their `generate` nor gemma4 does.
    masks = made.create_masks_for_generate(
        made.config,
        torch.zeros(*tokens.shape, config.decoder.width),
        torch.from_numpy(real.astype(np.int64)),
        None,
        torch.arange(length)[None],
        mm_token_type_ids=torch.from_numpy(np.select([tokens == IMAGE, tokens == AUDIO], [1, 3], 0)),
    )
    with torch.no_grad():
        logits = made(
            input_ids=torch.from_numpy(tokens),
            attention_mask=masks,
            **heard,
            **seen,
        ).logits
        visible = list(made.model.get_image_features(**seen).pooler_output)
        audible = made.model.get_audio_features(**heard).pooler_output
        audible = [x[: len(m)] for x, m in zip(audible, sounds, strict=True)]
        soft = torch.cat([(visible if isinstance(m, Patches) else audible).pop(0) for d in found for m in d.media])
    return {
        "logits": np.concatenate([x[: len(d)] for x, d in zip(logits.numpy(), found, strict=True)]),
        "soft": soft.numpy(),
    }


def differs(found: dict[str, np.ndarray], expected: dict[str, np.ndarray], name: str = "logits") -> bool:
    return np.abs(found[name] - expected[name]).max() > 1e-2


@pytest.fixture(scope="module")
def reference() -> dict[str, np.ndarray]:
    return load_file(REFERENCE)


def test_answers_are_those_of_the_reference(reference):
    found = ours(CONFIG, weights(CONFIG, 0), documents(CONFIG, 0))
    for name, expected in reference.items():
        np.testing.assert_allclose(found[name], expected, atol=1e-4, rtol=0, err_msg=name)


@pytest.mark.parametrize("name", sorted({*unified.vision_params(CONFIG.vision, 1)} - {"out"}))
def test_a_weight_left_out_is_seen(reference, name):
    """Control: a scale of ones, or nothing where the checkpoint has something."""
    params = weights(CONFIG, 0)
    blank = np.ones_like if name.endswith("norm") else np.zeros_like
    params["vision"][name] = blank(params["vision"][name])
    assert differs(ours(CONFIG, params, documents(CONFIG, 0)), reference, "soft")


def test_turned_places_and_one_way_images_are_seen(reference):
    """Controls: x for y; images that are causal on sliding layers."""
    params, found = weights(CONFIG, 0), documents(CONFIG, 0)
    media = [m._replace(positions=m.positions[:, ::-1]) if isinstance(m, Patches) else m for m in found[0].media]
    turned = Encoded(*found[0][:-1], tuple(media))
    assert differs(ours(CONFIG, params, [turned, found[1]]), reference, "soft")
    causal = dataclasses.replace(CONFIG, decoder=dataclasses.replace(CONFIG.decoder, bidirectional_images=False))
    assert differs(ours(causal, params, found), reference)


@pytest.mark.oracle
@pytest.mark.parametrize("config", [CONFIG, OTHER], ids=["small", "other"])
@pytest.mark.parametrize("seed", range(3))
def test_answers_are_those_of_transformers(config, seed):
    params, found = weights(config, seed), documents(config, seed)
    mine = ours(config, params, found)
    for name, expected in live(config, params, found).items():
        np.testing.assert_allclose(mine[name], expected, atol=1e-4, rtol=0, err_msg=name)


@pytest.mark.oracle
@pytest.mark.parametrize("samples", [1, 20, 95])
def test_waves_are_cut_as_there(samples):
    from transformers import Gemma4UnifiedAudioFeatureExtractor

    wave = np.random.default_rng(1).uniform(-1, 1, samples).astype(np.float32)
    there = Gemma4UnifiedAudioFeatureExtractor(feature_size=20, audio_samples_per_token=20)(wave)
    np.testing.assert_array_equal(audio_codec.frames(wave, CONFIG.audio), there["input_features"][0])


@pytest.mark.oracle
def test_the_reference_is_what_transformers_makes(reference):
    made = live(CONFIG, weights(CONFIG, 0), documents(CONFIG, 0))
    assert made.keys() == reference.keys()
    for name, x in made.items():
        np.testing.assert_allclose(reference[name], x, atol=1e-5, err_msg=name)


if __name__ == "__main__":
    made = live(CONFIG, weights(CONFIG, 0), documents(CONFIG, 0))
    save_file({name: np.ascontiguousarray(x) for name, x in made.items()}, REFERENCE)
