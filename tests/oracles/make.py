"""Small Gemma 4 models of `transformers` with given weights, and what they answer.

    python tests/oracles/make.py        writes gemma4.safetensors, gemma4.json and preprocessing.safetensors anew

Needs the `oracles` extra. All is float32 on the CPU, attention in its plain form.
"""

import json
from pathlib import Path

import numpy as np
import prompts
import shapes
import torch
from prompts import AUDIO, IMAGE, VIDEO, Prompt
from safetensors.numpy import save_file
from transformers import Gemma4AudioFeatureExtractor, Gemma4Config, Gemma4ForConditionalGeneration
from transformers.models.gemma4.image_processing_pil_gemma4 import (
    Gemma4ImageProcessorPil,
    get_aspect_ratio_preserving_size,
)

from tejat.export import names, settings
from tejat.model.multimodal import ModelConfig
from tejat.model.params import Tree, walk

TOKENS = {"image_token_id": IMAGE, "video_token_id": VIDEO, "audio_token_id": AUDIO}


def theirs(config: ModelConfig, params: Tree) -> Gemma4ForConditionalGeneration:
    """Their model of our configuration, with our weights: each of its tensors is set."""
    made = Gemma4ForConditionalGeneration(Gemma4Config(**settings.to_huggingface(config) | TOKENS)).eval()
    made.set_attn_implementation("eager")
    left = made.load_state_dict(tensors(config, params), strict=False)
    assert (left.missing_keys, left.unexpected_keys) == (["lm_head.weight"], [])
    made.tie_weights()
    return made


def tensors(config: ModelConfig, params: Tree) -> dict[str, torch.Tensor]:
    """Our weights under their names."""
    ours = {name: np.asarray(array) for name, array in walk(params)}
    found = {}
    for pair in names.pairs(config):
        array = ours[pair.ours] if pair.layer is None else ours[pair.ours][pair.layer]
        found[pair.theirs] = torch.from_numpy(np.array(pair.to_theirs(array)))
    return found


def answers(model: Gemma4ForConditionalGeneration, config: ModelConfig, batch: Prompt) -> dict[str, np.ndarray]:
    """Logits [B, T, V]; and where there are media, soft tokens [S, D] in the order of the batch, for each kind."""
    found = {}
    given = {
        "input_ids": torch.from_numpy(batch.tokens),
        "attention_mask": torch.from_numpy(batch.real.astype(np.int64)),
        "position_ids": torch.from_numpy(batch.positions),
        "mm_token_type_ids": torch.from_numpy(np.select([batch.kinds == k for k in TOKENS.values()], [1, 2, 3], 0)),
        "logits_to_keep": torch.arange(batch.tokens.shape[1]),  # a number trips over absent per-layer embeddings
    }
    seen = [one for row in batch.seen for one in row]
    images, frames = [one for one in seen if one.video < 0], [one for one in seen if one.video >= 0]
    with torch.no_grad():
        if images:
            given["pixel_values"], given["image_position_ids"] = _padded(images)
            found["images"] = torch.cat(
                model.model.get_image_features(given["pixel_values"], given["image_position_ids"]).pooler_output
            )
        if frames:
            given["pixel_values_videos"], given["video_position_ids"] = _padded(frames)
            given["num_frames_per_video"] = torch.from_numpy(np.bincount([one.video for one in frames]))
        if heard := [mel for row in batch.heard for mel in row]:
            longest = max(map(len, heard))
            mel = np.stack([np.pad(one, ((0, longest - len(one)), (0, 0))) for one in heard])
            real = np.stack([np.arange(longest) < len(one) for one in heard])
            given["input_features"], given["input_features_mask"] = torch.from_numpy(mel), torch.from_numpy(real)
            sounds = model.model.get_audio_features(given["input_features"], given["input_features_mask"])
            found["sounds"] = sounds.pooler_output[sounds.attention_mask]
        found["logits"] = model(**given).logits
    return {name: tensor.numpy() for name, tensor in found.items()}


def _padded(seen: list) -> tuple[torch.Tensor, torch.Tensor]:
    """Images as rows of one batch, padded with patches of noise at (-1, -1), which nobody may look at."""
    longest = max(len(one.patches) for one in seen)
    noise = np.random.default_rng(0).random((len(seen), longest, seen[0].patches.shape[1])).astype(np.float32)
    places = np.full((len(seen), longest, 2), -1)
    for row, one in enumerate(seen):
        noise[row, : len(one.patches)], places[row, : len(one.patches)] = one.patches, one.positions
    return torch.from_numpy(noise), torch.from_numpy(places)


def kept(name: str) -> dict[str, np.ndarray]:
    """What is kept of one of REFERENCES: its answers, and sums by which another draw of the same seed is noticed."""
    config, rows, left = shapes.REFERENCES[name]
    params, batch = prompts.weights(config, seed=0), prompts.prompt(config, rows, seed=1, left=left)
    found = answers(theirs(config, params), config, batch)
    return {f"{name}.{key}": value for key, value in (found | prompts.sums(params, batch)).items()}


def listed(name: str) -> dict:
    """Their configuration and the shape of each of their tensors, for one of REFERENCES."""
    config, _, _ = shapes.REFERENCES[name]
    with torch.device("meta"):
        made = Gemma4ForConditionalGeneration(Gemma4Config(**settings.to_huggingface(config) | TOKENS))
    found = {key: list(tensor.shape) for key, tensor in made.state_dict().items() if key != "lm_head.weight"}
    return {"config": json.loads(made.config.to_json_string()), "tensors": found}


def their_size(height: int, width: int, budget: int) -> tuple[int, int]:
    """What their processor resizes an image to, for patches of 16 and a pool of 3."""
    return get_aspect_ratio_preserving_size(height, width, 16, budget * 9, 3)


def their_patches(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(patches, positions) of an image, of which -1 are padding, in the smallest budget that their processor knows."""
    processor = Gemma4ImageProcessorPil(patch_size=4, pooling_kernel_size=2, max_soft_tokens=70)
    found = processor(images=[pixels], return_tensors="np")
    return found["pixel_values"][0], found["image_position_ids"][0]


def their_mel(sounds: list[np.ndarray]) -> list[np.ndarray]:
    """Log-mel frames of each sound, those that their extractor calls real."""
    found = Gemma4AudioFeatureExtractor()(sounds, return_tensors="np")
    masks = found["input_features_mask"].astype(bool)
    return [mel[mask] for mel, mask in zip(found["input_features"], masks, strict=True)]


def preprocessed() -> dict[str, np.ndarray]:
    """What their processors make of `prompts.raw`."""
    sizes, image, sound = prompts.raw()
    patches, positions = their_patches(image)
    return {
        "sizes": np.asarray([their_size(*map(int, size)) for size in sizes], np.int32),
        "patches": np.rint(patches * 255).astype(np.uint8),
        "positions": positions.astype(np.int32),
        "mel": their_mel([sound])[0],
    }


def main() -> None:
    folder = Path(__file__).parent / "references"
    found = {key: np.ascontiguousarray(value) for name in shapes.REFERENCES for key, value in kept(name).items()}
    save_file(found, folder / "gemma4.safetensors")
    save_file(preprocessed(), folder / "preprocessing.safetensors")
    text = json.dumps({name: listed(name) for name in shapes.REFERENCES}, separators=(",", ":"))
    (folder / "gemma4.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
