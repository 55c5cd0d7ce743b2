"""Our network against `transformers` Gemma 4: answers that it gave once, and live ones on models made up.

In float32 no logit differs by more than 1e-4; whatever is wrong on purpose differs by more than 1e-3.
"""

import dataclasses
import functools
import json
from pathlib import Path

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import prompts
import pytest
import shapes
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file

from tejat.codecs.audio import soft_count
from tejat.export import names
from tejat.export.settings import from_huggingface, to_huggingface
from tejat.model import audio, decoder, layers, multimodal, vision
from tejat.model.multimodal import ModelConfig
from tejat.model.params import unflatten, walk

FOLDER = Path(__file__).parent / "references"
TOLERANCE, WRONG = 1e-4, 1e-3
each = pytest.mark.parametrize("name", shapes.REFERENCES)


@functools.cache
def reference(name: str) -> dict[str, np.ndarray]:
    kept = load_file(FOLDER / "gemma4.safetensors")
    return {key.removeprefix(f"{name}."): value for key, value in kept.items() if key.startswith(f"{name}.")}


@functools.cache
def given_to(name: str):
    """(configuration, weights, prompt) of a reference."""
    config, rows, left = shapes.REFERENCES[name]
    return config, prompts.weights(config, seed=0), prompts.prompt(config, rows, seed=1, left=left)


def answers(config: ModelConfig, params, batch) -> dict[str, np.ndarray]:
    """Logits, and the soft tokens of images and of sounds in the order of the batch."""
    inputs = prompts.inputs(config, batch)
    media = inputs.media
    if not media.patches.shape[1] + media.mel.shape[1]:
        return {"logits": np.asarray(_logits(params, config, inputs))}
    soft = np.asarray(_soft(params, config, media))
    found = {"logits": np.asarray(_logits(params, config, inputs))}
    for key, kind in (("images", prompts.IMAGE), ("sounds", prompts.AUDIO)):
        row, column = np.nonzero(batch.kinds == kind)
        found[key] = soft[row, inputs.soft[row, column]]
    return found


@functools.partial(jax.jit, static_argnums=1)
def _logits(params, config, inputs):
    return decoder.logits(params["decoder"], config.decoder, multimodal.forward(params, config, inputs))


_soft = functools.partial(jax.jit, static_argnums=1)(multimodal.soft_tokens)


def distance(found: dict[str, np.ndarray], expected: dict[str, np.ndarray], batch) -> dict[str, float]:
    """The largest difference of each answer; logits of padding do not count."""
    real = {"logits": batch.real}
    return {
        key: float(np.abs(found[key] - expected[key])[real.get(key, ...)].max())
        for key in ("logits", "images", "sounds")
        if key in expected
    }


@pytest.fixture
def uncompiled():
    """Operation by operation: what is compiled for one test serves the next, and nothing is kept of a patch."""
    with jax.disable_jit():
        yield


@each
def test_a_seed_draws_what_it_drew_for_the_reference(name):
    _, params, batch = given_to(name)
    for key, value in prompts.sums(params, batch).items():
        np.testing.assert_allclose(value, reference(name)[key], rtol=1e-12)


@each
def test_answers_are_those_of_the_reference(name, uncompiled):
    config, params, batch = given_to(name)
    apart = distance(answers(config, params, batch), reference(name), batch)
    assert apart.keys() >= ({"logits", "images", "sounds"} if config.vision else {"logits"})
    assert max(apart.values()) <= TOLERANCE, apart


def without_bare_norms(x, weight=None, eps=1e-6):
    """RMSNorm where it has a scale, nothing where it has none: values, and soft tokens on their way out."""
    return x if weight is None else layers.rms_norm(x, weight, eps)


WRONG_DECODERS = {
    "a wider window": {"window": 7},
    "a narrower window": {"window": 5},
    "base of sliding layers": {"sliding_base": 11_000.0},
    "base of full layers": {"full_base": 100_000.0},
    "share that turns": {"full_rotated": 0.5},
    "positions scaled": {"position_scale": 2.0},
    "no soft cap": {"soft_cap": None},
    "epsilon": {"epsilon": 1e-2},
}


@pytest.mark.parametrize("change", WRONG_DECODERS.values(), ids=WRONG_DECODERS.keys())
def test_a_wrong_decoder_is_noticed(change, uncompiled):
    config, params, batch = given_to("text")
    wrong = dataclasses.replace(config, decoder=dataclasses.replace(config.decoder, **change))
    assert distance(answers(wrong, params, batch), reference("text"), batch)["logits"] > WRONG


NORMS = ["attention_norm", "post_attention_norm", "mlp_norm", "post_mlp_norm", "q_norm", "k_norm", "scalar"]


@pytest.mark.parametrize("norm", NORMS)
def test_a_missing_scale_is_noticed(norm, uncompiled):
    config, params, batch = given_to("text")
    blocks = {kind: dict(block) for kind, block in params["decoder"]["blocks"].items()}
    blocks["sliding"][norm] = jnp.ones_like(blocks["sliding"][norm])
    wrong = params | {"decoder": params["decoder"] | {"blocks": blocks}}
    assert distance(answers(config, wrong, batch), reference("text"), batch)["logits"] > WRONG


def test_a_missing_norm_of_values_is_noticed(monkeypatch, uncompiled):
    config, params, batch = given_to("text")
    monkeypatch.setattr(decoder, "rms_norm", without_bare_norms)
    assert distance(answers(config, params, batch), reference("text"), batch)["logits"] > WRONG


def test_images_seen_as_a_whole_or_not_are_noticed(uncompiled):
    config, params, batch = given_to("plain")
    causal = dataclasses.replace(config.decoder, bidirectional_images=False)
    apart = distance(answers(dataclasses.replace(config, decoder=causal), params, batch), reference("plain"), batch)
    assert apart["logits"] > WRONG and max(apart["images"], apart["sounds"]) <= TOLERANCE


def soft_images(config, params, batch, change=lambda media: media) -> np.ndarray:
    """Soft tokens of images, of the vision tower and its projector alone."""
    inputs = prompts.inputs(config, batch)
    media = change(inputs.media)
    features = vision.encode(params["vision"], config.vision, media.patches, media.patch_positions, media.patch_images)
    count = media.patches.shape[1] // 9
    found = vision.soft_tokens(params["vision"], config.vision, features, media.patch_slots, count)
    row, column = np.nonzero(batch.kinds == prompts.IMAGE)
    return np.asarray(found)[row, inputs.soft[row, column]]


WRONG_SIGHT = {
    "pooling": lambda media: media._replace(
        patch_slots=np.where(media.patch_images > 0, np.arange(media.patch_slots.shape[1]) // 9, -1)
    ),
    "x for y": lambda media: media._replace(patch_positions=media.patch_positions[..., ::-1]),
    "images that see each other": lambda media: media._replace(patch_images=np.minimum(media.patch_images, 1)),
    "channels last to first": lambda media: media._replace(
        patches=media.patches.reshape(*media.patches.shape[:2], -1, 3)[..., ::-1].reshape(media.patches.shape)
    ),
}


@pytest.mark.parametrize("change", WRONG_SIGHT.values(), ids=WRONG_SIGHT.keys())
def test_wrong_sight_is_noticed(change, uncompiled):
    config, params, batch = given_to("plain")
    expected = reference("plain")["images"]
    assert np.abs(soft_images(config, params, batch) - expected).max() <= TOLERANCE
    assert np.abs(soft_images(config, params, batch, change) - expected).max() > WRONG


@pytest.mark.parametrize("change", [{"rope_base": 90.0}, {"epsilon": 1e-2}], ids=["base", "epsilon"])
def test_a_wrong_vision_tower_is_noticed(change, uncompiled):
    config, params, batch = given_to("plain")
    wrong = dataclasses.replace(config, vision=dataclasses.replace(config.vision, **change))
    assert np.abs(soft_images(wrong, params, batch) - reference("plain")["images"]).max() > WRONG


def test_a_missing_norm_of_the_vision_tower_is_noticed(monkeypatch, uncompiled):
    config, params, batch = given_to("plain")
    monkeypatch.setattr(vision, "rms_norm", without_bare_norms)
    assert np.abs(soft_images(config, params, batch) - reference("plain")["images"]).max() > WRONG


def soft_sounds(config, params, batch) -> np.ndarray:
    """Soft tokens of sounds, of the conformer and its projector alone."""
    inputs = prompts.inputs(config, batch)
    mel, real = inputs.media.mel, inputs.media.mel_real
    mel, real = mel.reshape(-1, *mel.shape[2:]), real.reshape(-1, real.shape[2])
    found, heard = np.asarray(audio.encode(params["audio"], config.audio, mel, real)), real.sum(1)
    return np.concatenate([row[: soft_count(n)] for row, n in zip(found, heard, strict=True)])


WRONG_HEARING = {
    "as it is": {},
    "one token more to the left": {"left": 6},
    "another chunk": {"chunk": 6},
    "one token to the right": {"right": 2},
    "score cap": {"score_cap": 1.0},
    "residual": {"residual": 0.6},
    "epsilon": {"epsilon": 1e-2},
}


@pytest.mark.parametrize("change", WRONG_HEARING.values(), ids=WRONG_HEARING.keys())
def test_wrong_hearing_is_noticed(change, uncompiled):
    """But for the size of a chunk, which says how attention is computed, and by no more than that what it sees."""
    config, params, batch = given_to("plain")
    found = soft_sounds(dataclasses.replace(config, audio=dataclasses.replace(config.audio, **change)), params, batch)
    apart = np.abs(found - reference("plain")["sounds"]).max()
    assert apart > WRONG if change else apart <= TOLERANCE


CONSTANTS = {
    "vision.blocks.q.input_max": np.inf,
    "vision.blocks.gate.output_min": -np.inf,
    "vision.shift": 0.0,
    "audio.blocks.first.up.output_max": np.inf,
    "audio.blocks.convolution.in.input_min": -np.inf,
    "audio.blocks.attention.dimension_scale": 0.0,
    "decoder.per_layer.norm": 1.0,
}


@pytest.mark.parametrize("name", CONSTANTS)
def test_a_constant_left_out_is_noticed(name, uncompiled):
    """Clipping bounds, what standardises soft tokens, and scales that "text" has not."""
    config, params, batch = given_to("everything")
    arrays = dict(walk(params))
    wrong = unflatten(arrays | {name: jnp.full_like(arrays[name], CONSTANTS[name])})
    assert distance(answers(config, wrong, batch), reference("everything"), batch)["logits"] > WRONG


def test_soft_tokens_that_have_per_layer_inputs_of_their_own_are_noticed(monkeypatch, uncompiled):
    config, params, batch = given_to("everything")

    def own(params, config, inputs, x):
        return decoder.per_layer_inputs(params["decoder"], config.decoder, inputs.tokens, x)

    monkeypatch.setattr(multimodal, "per_layer", own)
    assert distance(answers(config, params, batch), reference("everything"), batch)["logits"] > WRONG


@each
def test_every_tensor_of_theirs_is_one_of_ours(name):
    """Names and shapes as their class lists them, its tied head left out; ours are all there, each layer once."""
    config = shapes.REFERENCES[name][0]
    found = list(names.pairs(config))
    listed = json.loads((FOLDER / "gemma4.json").read_text())[name]
    assert {pair.theirs: list(pair.their_shape) for pair in found} == listed["tensors"]
    assert len(found) == len(listed["tensors"])
    every = []
    for ours, param in walk(multimodal.params(config)):
        stacked = "layers" in param.axes
        every += [(ours, layer, param.shape[stacked:]) for layer in (range(param.shape[0]) if stacked else [None])]
    assert sorted((p.ours, p.layer or 0, p.shape) for p in found) == sorted((n, i or 0, s) for n, i, s in every)


@each
def test_their_file_says_the_same_model(name):
    """A `config.json` as their class writes it, with all that it adds."""
    config = shapes.REFERENCES[name][0]
    told = json.loads((FOLDER / "gemma4.json").read_text())[name]["config"]
    assert to_huggingface(from_huggingface(told)) == to_huggingface(config)


@settings(max_examples=50, deadline=None)
@given(st.data(), st.sampled_from([np.float32, np.float16, ml_dtypes.bfloat16]))
def test_an_array_goes_there_and_back_bit_by_bit(data, kind):
    config = data.draw(shapes.models())
    for pair in names.pairs(config):
        array = np.random.default_rng(0).standard_normal(pair.shape).astype(kind)
        sent = pair.to_theirs(array)
        assert sent.shape == pair.their_shape and sent.dtype == kind
        back = pair.to_ours(sent)
        assert back.shape == pair.shape and back.tobytes() == array.tobytes()
        assert sorted(sent.ravel().tolist()) == sorted(array.ravel().tolist())


@settings(max_examples=100, deadline=None)
@given(shapes.models())
def test_a_configuration_goes_there_and_back(config):
    told = json.loads(json.dumps(to_huggingface(config)))
    assert to_huggingface(from_huggingface(told)) == told


def faults(config: ModelConfig, params, batch) -> dict[str, tuple]:
    """(configuration, weights, prompt) with a fault, of each kind that this prompt can tell."""
    shape, length = config.decoder, batch.real.sum(1).max()
    kinds = params["decoder"]["blocks"].items()
    blocks = {kind: block | {"attention_norm": jnp.ones_like(block["attention_norm"])} for kind, block in kinds}
    found = {"a scale left out": (config, params | {"decoder": params["decoder"] | {"blocks": blocks}}, batch)}

    def of(**change) -> tuple:
        return dataclasses.replace(config, decoder=dataclasses.replace(shape, **change)), params, batch

    slides = any(kind.attention == "sliding" for kind in shape.kinds)
    if slides and length > shape.window + 1:
        found["a wider window"] = of(window=shape.window + 1)
    if slides and min(length, shape.window) > 2:
        found["another base"] = of(sliding_base=2 * shape.sliding_base)
    if any(one.positions[:, 0].max() >= config.vision.pool for row in batch.seen for one in row):
        pooled = config.vision.pool**2
        seen = [[one._replace(slots=np.arange(len(one.slots)) // pooled) for one in row] for row in batch.seen]
        found["patches pooled as they come"] = (config, params, batch._replace(seen=seen))
    return found


@pytest.mark.oracle
@settings(
    max_examples=16,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],  # to shrink a failure would take longer than to read it
    suppress_health_check=list(HealthCheck),
)
@given(st.data(), st.integers(0, 2**16), st.booleans())
def test_answers_are_those_of_transformers(data, seed, left):
    import make

    config = data.draw(shapes.models())
    rows = data.draw(shapes.rows(config))
    params, batch = prompts.weights(config, seed), prompts.prompt(config, rows, seed, left=left)
    expected = make.answers(make.theirs(config, params), config, batch)
    apart = distance(answers(config, params, batch), expected, batch)
    note(apart)
    assert max(apart.values()) <= TOLERANCE, apart
    for fault, wrong in faults(config, params, batch).items():
        apart = distance(answers(*wrong), expected, batch)
        assert max(apart.values()) > WRONG, f"{fault} goes unnoticed: {apart}"


@pytest.mark.oracle
@each
def test_the_reference_is_what_transformers_makes(name):
    import make

    for key, value in make.kept(name).items():
        kept = reference(name)[key.removeprefix(f"{name}.")]
        real = given_to(name)[2].real if key.endswith("logits") else ...
        np.testing.assert_allclose(kept[real], value[real], rtol=1e-12 if not value.shape else 0, atol=1e-5)
    assert json.loads((FOLDER / "gemma4.json").read_text())[name]["tensors"] == make.listed(name)["tensors"]
