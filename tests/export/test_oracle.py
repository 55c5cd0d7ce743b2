"""Exported checkpoints in `transformers`, and its own in ours: the same tokens, the same scores."""

import dataclasses
import functools
import shutil

import jax
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from tejat import bundle, sample
from tejat.codecs.image import Patches, patchify
from tejat.data.packing import Room, pack_prompts
from tejat.export import huggingface
from tejat.export.tensors import WHOLE
from tejat.model import decoder, multimodal
from tejat.model.audio import AudioConfig
from tejat.parts import Audio, Image, Text, Turn

pytestmark = pytest.mark.oracle

TOLERANCE = 1e-4
WORDS = Text("What is this? " * 30)  # longer than the sliding window


def image() -> Image:
    return Image(np.random.default_rng(0).integers(0, 256, (40, 70, 3), np.uint8))


def sound() -> Audio:
    return Audio(np.sin(np.arange(16_000, dtype=np.float32) / 9), 16_000)


PROMPTS = {
    "text": lambda: (WORDS,),
    "image": lambda: (Text("Look: "), image(), WORDS),
    "two images and a sound": lambda: (image(), WORDS, Image(image().pixels[:20]), sound(), Text("Well?")),
}


def our_logits(model, encoded):
    """[T, V], by our network."""
    patches = sum(len(m.patches) for m in encoded.media if isinstance(m, Patches))
    sounds = [m for m in encoded.media if not isinstance(m, Patches)]
    room = Room(
        rows=1,
        tokens=len(encoded),
        targets=0,
        patches=patches,
        sounds=len(sounds),
        frames=max(map(len, sounds), default=0),
    )
    inputs = pack_prompts([encoded], model.config, room)
    return np.asarray(_scores(model.params, model.config, inputs))[0]


@functools.partial(jax.jit, static_argnums=1)
def _scores(params, config, inputs):
    return decoder.logits(params["decoder"], config.decoder, multimodal.forward(params, config, inputs))


def their_logits(network, encoded):
    """[T, V], by transformers: from the same ids, patches and log-mel frames."""
    import torch

    seen = [m for m in encoded.media if isinstance(m, Patches)]
    heard = [m for m in encoded.media if not isinstance(m, Patches)]
    given = {"input_ids": torch.tensor(np.asarray(encoded.tokens))[None].long()}
    if seen:
        longest = max(len(m.patches) for m in seen)
        room = [(0, longest - len(m.patches)) for m in seen]
        pixels = np.stack([np.pad(m.patches, (more, (0, 0))) for m, more in zip(seen, room, strict=True)])
        places = [np.pad(m.positions, (more, (0, 0)), constant_values=-1) for m, more in zip(seen, room, strict=True)]
        given |= {"pixel_values": torch.tensor(pixels), "image_position_ids": torch.tensor(np.stack(places)).long()}
    if heard:
        given |= {
            "input_features": torch.tensor(np.stack(heard)),
            "input_features_mask": torch.ones(len(heard), len(heard[0]), dtype=torch.bool),
        }
    with torch.no_grad():
        return network(**given).logits[0].float().numpy()


def loaded(folder):
    from transformers import AutoModelForImageTextToText

    network, told = AutoModelForImageTextToText.from_pretrained(folder, output_loading_info=True)
    assert not any(told.values()), told
    return network.eval()


@pytest.fixture(scope="module")
def exported(saved, tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported") / "checkpoint"
    huggingface.export(saved["float32"], folder, shard=2_000_000)
    return folder


@pytest.fixture(scope="module")
def network(exported):
    return loaded(exported)


def difference(model, network, prompt):
    encoded = model.framing.prompt([Turn("user", PROMPTS[prompt]())])
    ours, theirs = our_logits(model, encoded), their_logits(network, encoded)
    assert ours.shape == theirs.shape and np.abs(ours).max() > 1
    return np.abs(ours - theirs).max()


@pytest.mark.parametrize("prompt", PROMPTS)
def test_an_exported_model_scores_alike(small, network, prompt):
    assert difference(small, network, prompt) <= TOLERANCE


@pytest.mark.parametrize(
    "swapped", ["language_model.layers.{}.self_attn.q_proj", "vision_tower.encoder.layers.{}.mlp.up_proj.linear"]
)
def test_layers_that_changed_places_do_not(small, exported, tmp_path, swapped):
    """The control: a mistake in the names of two tensors would be seen."""
    folder = shutil.copytree(exported, tmp_path / "swapped")
    names = [f"model.{swapped.format(layer)}.weight" for layer in (0, 1)]
    arrays = {name: array for path in folder.glob("model-*") for name, array in load_file(path).items()}
    arrays[names[0]], arrays[names[1]] = arrays[names[1]], arrays[names[0]]
    for path in folder.glob("model*"):
        path.unlink()
    save_file(arrays, folder / WHOLE, metadata={"format": "pt"})
    assert difference(small, loaded(folder), "image") > 100 * TOLERANCE


def test_what_transformers_saves_is_imported(small, saved, exported, network, tmp_path):
    from transformers import AutoTokenizer

    network.save_pretrained(tmp_path / "theirs", max_shard_size="1MB")
    AutoTokenizer.from_pretrained(exported).save_pretrained(tmp_path / "theirs")
    shutil.copy(exported / huggingface.PICTURE, tmp_path / "theirs")
    huggingface.import_(tmp_path / "theirs", tmp_path / "back")
    before, after = (load_file(folder / WHOLE) for folder in (saved["float32"], tmp_path / "back"))
    assert before.keys() == after.keys()
    assert all(before[name].tobytes() == after[name].tobytes() for name in before)
    for prompt in PROMPTS:
        assert difference(bundle.load(tmp_path / "back"), network, prompt) <= TOLERANCE


def test_without_towers_it_is_the_unified_model(small, drawn, tmp_path):
    """Another class of theirs, found by itself."""
    raw = dict.fromkeys(("layers", "heads", "head_width", "mlp"), 0)
    config = dataclasses.replace(
        small.config,
        vision=dataclasses.replace(small.config.vision, front_end="raw", **raw),
        audio=AudioConfig(width=0, layers=0, heads=0, front_end="raw", frames=50),
    )
    model = dataclasses.replace(small, config=config, params=drawn(multimodal.params(config), 5))
    bundle.save(tmp_path / "model", model, "float32")
    huggingface.export(tmp_path / "model", tmp_path / "out")
    network = loaded(tmp_path / "out")
    assert type(network).__name__ == "Gemma4UnifiedForConditionalGeneration"
    for prompt in PROMPTS:
        assert difference(model, network, prompt) <= TOLERANCE, prompt
    network.save_pretrained(tmp_path / "theirs")
    for name in ("tokenizer.model", huggingface.PICTURE):
        shutil.copy(tmp_path / "out" / name, tmp_path / "theirs")
    huggingface.import_(tmp_path / "theirs", tmp_path / "back")
    before, after = (load_file(folder / WHOLE) for folder in (tmp_path / "model", tmp_path / "back"))
    assert before.keys() == after.keys()
    assert all(before[name].tobytes() == after[name].tobytes() for name in before)


def test_a_decoder_alone_is_imported(exported, network, tmp_path):
    """As `Gemma4ForCausalLM` saves it."""
    from transformers import AutoTokenizer, Gemma4ForCausalLM

    text = Gemma4ForCausalLM(network.config.text_config)
    text.model.load_state_dict(network.model.language_model.state_dict())
    text.save_pretrained(tmp_path / "theirs")
    AutoTokenizer.from_pretrained(exported).save_pretrained(tmp_path / "theirs")
    huggingface.import_(tmp_path / "theirs", tmp_path / "back")
    model = bundle.load(tmp_path / "back")
    assert model.config.vision is None and model.pictures is None
    assert difference(model, text.eval(), "text") <= TOLERANCE


def test_bfloat16_is_loaded_to_the_bit(saved, tmp_path):
    import torch

    huggingface.export(saved["bfloat16"], tmp_path / "out")
    network, written = loaded(tmp_path / "out"), load_file(tmp_path / "out" / WHOLE)
    assert network.dtype == torch.bfloat16
    found = {name: tensor for name, tensor in network.state_dict().items() if name in written}
    assert found.keys() == written.keys()
    for name, tensor in found.items():
        assert tensor.contiguous().view(torch.uint16).numpy().tobytes() == written[name].tobytes(), name


@pytest.mark.parametrize("language", sample.languages())
def test_the_exported_tokenizer_reads_the_sample_alike(small, exported, language):
    from transformers import AutoTokenizer

    theirs, ours = AutoTokenizer.from_pretrained(exported), small.vocabulary
    assert len(theirs) == ours.size
    for line in sample.prose(language).splitlines():
        ids = ours.encode(line)
        assert theirs(line, add_special_tokens=False).input_ids == ids, line
        assert theirs.decode(ids) == line


def test_a_dialogue_is_framed_alike(small, exported):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(exported)
    said = [("user", "Hello there,\nwho are you?"), ("model", "Nobody."), ("user", " A  pity ")]
    ours = small.framing.prompt([Turn(role, (Text(text),)) for role, text in said])
    messages = [{"role": "assistant" if role == "model" else role, "content": text} for role, text in said]
    theirs = tokenizer.apply_chat_template(messages, add_generation_prompt=True)["input_ids"]
    assert theirs == ours.tokens.tolist()
    shown = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "What?"}]}]
    assert tokenizer.apply_chat_template(shown, tokenize=False) == "<bos><|turn>user\n<|image|>What?<turn|>\n"


def test_images_and_sounds_come_alike_out_of_the_exported_processor(small, drawn, tmp_path):
    """Where the format has a processor for the model's budgets; its own video processor wants torchvision."""
    from transformers import AutoFeatureExtractor, AutoImageProcessor

    from tejat.codecs.audio import log_mel

    vision = dataclasses.replace(small.config.vision, budgets=(70, 140, 280), frame_budget=70)
    config = dataclasses.replace(small.config, vision=vision)
    model = dataclasses.replace(small, config=config, params=drawn(multimodal.params(config), 5))
    bundle.save(tmp_path / "model", model)
    huggingface.export(tmp_path / "model", tmp_path / "out")
    pixels = np.random.default_rng(1).integers(0, 256, (300, 501, 3), np.uint8)
    theirs = AutoImageProcessor.from_pretrained(tmp_path / "out")(pixels, return_tensors="np")
    ours = patchify(pixels, vision)
    count = len(ours.patches)
    assert theirs["num_soft_tokens_per_image"][0] == ours.count
    np.testing.assert_array_equal(theirs["image_position_ids"][0][:count], ours.positions)
    np.testing.assert_allclose(theirs["pixel_values"][0][:count], ours.patches, atol=1.5 / 255)
    samples = sound().samples
    heard = AutoFeatureExtractor.from_pretrained(tmp_path / "out")([samples], return_tensors="np")
    frames = log_mel(samples, config.audio.mels)
    found = heard["input_features"][0][heard["input_features_mask"][0].astype(bool)]
    assert found.shape == frames.shape
    np.testing.assert_allclose(found, frames, atol=1e-4)
