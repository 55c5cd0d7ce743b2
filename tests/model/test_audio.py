"""The conformer: attention in chunks equals attention by a mask; a sound means the same alone and beside others."""

import dataclasses
import functools
import math

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tejat.codecs.audio import soft_count
from tejat.errors import BadInput
from tejat.model import audio
from tejat.model.audio import AudioConfig

CONFIG = AudioConfig(width=16, layers=2, heads=2, channels=(4, 2), mels=8, chunk=4, left=5, output=12, frames=64)
FRAMES = 64


@pytest.fixture(scope="module")
def params(drawn):
    return drawn(audio.params(CONFIG, 12), seed=0)


encode = functools.partial(jax.jit, static_argnums=1)(audio.encode)


def batch(*lengths: int):
    """Sounds of these many frames, the same ones whatever stands beside them, and noise behind each."""
    mel = np.random.default_rng(99).standard_normal((3, FRAMES, CONFIG.mels)).astype(np.float32)
    real = np.zeros((3, FRAMES), bool)
    for row, length in enumerate(lengths):
        mel[row, :length] = np.random.default_rng(length).standard_normal((length, CONFIG.mels))
        real[row, :length] = True
    return mel, real


def test_a_sound_means_the_same_alone_and_beside_others(params):
    lengths = (38, 64, 5)  # after 38 frames the second convolution would look at what the first made of padding
    together = encode(params, CONFIG, *batch(*lengths))
    assert together.shape == (3, FRAMES // 4, 12)
    for row, length in enumerate(lengths):
        count = soft_count(length)
        alone = encode(params, CONFIG, *batch(length))[0, :count]
        np.testing.assert_allclose(together[row, :count], alone, rtol=0, atol=1e-5)
    mel, real = batch(38)
    unpadded = encode(params, CONFIG, mel[:1, :38], real[:1, :38])
    assert unpadded.shape[1] == soft_count(38)
    np.testing.assert_allclose(together[0, : soft_count(38)], unpadded[0], rtol=0, atol=1e-5)


def test_a_wrong_end_of_a_sound_is_noticed(params):
    """The control of the test above."""
    mel, real = batch(37)
    longer = real.copy()
    longer[0, 37:45] = True
    a, b = encode(params, CONFIG, mel, real), encode(params, CONFIG, mel, longer)
    assert np.abs(a - b)[0, : soft_count(37)].max() > 1e-2


def by_mask(weights, x, real):
    """Every query looks at itself and the `left` - 2 tokens before; relative positions by their distance."""
    heads, n = CONFIG.heads, CONFIG.width // CONFIG.heads
    w = {name: np.asarray(value, np.float64) for name, value in weights.items()}
    q, k, v = ((x @ w[name]).reshape(len(x), heads, n) for name in "qkv")
    q = q * n**-0.5 / math.log(2) * np.log1p(np.exp(w["dimension_scale"]))
    k = k * math.log(1 + math.e) / math.log(2)
    out = np.zeros_like(q)
    for t in range(len(x)):
        keys = [s for s in range(max(0, t - CONFIG.left + 2), t + 1) if real[s]]
        for h in range(heads):
            scores = []
            for s in keys:
                rates = [math.exp(-i * math.log(10_000) / (CONFIG.width // 2 - 1)) for i in range(CONFIG.width // 2)]
                waves = [f((t - s) * rate) for f in (math.sin, math.cos) for rate in rates]
                place = (np.asarray(waves) @ w["relative"]).reshape(heads, n)[h]
                scores.append(CONFIG.score_cap * math.tanh(q[t, h] @ (k[s, h] + place) / CONFIG.score_cap))
            weight = np.exp(np.asarray(scores) - max(scores))
            out[t, h] = weight @ v[keys, h] / weight.sum()
    return out.reshape(len(x), -1) @ w["o"]


@pytest.mark.parametrize("length", [3, 4, 18])
def test_attention_in_chunks_equals_attention_by_a_mask(params, length):
    weights = jax.tree.map(lambda a: a[0], params["blocks"]["attention"])
    weights["dimension_scale"] = np.linspace(-1, 1, CONFIG.width // CONFIG.heads, dtype=np.float32)
    x = np.random.default_rng(0).standard_normal((1, length, CONFIG.width)).astype(np.float32)
    real = np.arange(length)[None] < length - 1
    before = audio.start(CONFIG, 1)
    known = jax.numpy.asarray(np.concatenate([before.real, real], axis=1))
    table = audio._relative_table(CONFIG, np.float32)
    past = jax.numpy.asarray(real.sum(1)), before.keys[0], before.values[0]
    found, _, _ = audio._attention(weights, CONFIG, x, table, known, *past)
    # The last token is padding: nobody looks at it, and what it says itself does not matter.
    expected = by_mask(weights, x[0].astype(np.float64), real[0] | (np.arange(length) == length - 1))
    np.testing.assert_allclose(found[0, :-1], expected[:-1], rtol=0, atol=1e-5)


stream = functools.partial(jax.jit, static_argnums=1)(audio.stream)


@st.composite
def cuts(draw):
    """A sound of 1 to 64 frames in pieces of 4, 8 or 20, the last of any length."""
    length, pieces = draw(st.integers(1, FRAMES)), []
    while length > 0:
        pieces.append(min(length, draw(st.sampled_from([4, 8, 20]))))
        length -= pieces[-1]
    return pieces


def streamed(params, mel, pieces, *, forget: str | None = None) -> np.ndarray:
    """The soft tokens of a sound in pieces, all padded to 20 frames."""
    state, found, at = audio.start(CONFIG, 1), [], 0
    for piece in pieces:
        padded = np.random.default_rng(7).standard_normal((1, 20, CONFIG.mels)).astype(np.float32)
        padded[:, :piece] = mel[:, at : (at := at + piece)]
        tokens, state = stream(params, CONFIG, state, padded, np.arange(20)[None] < piece)
        found.append(tokens[:, : soft_count(piece)])
        if forget:
            state = state._replace(**{forget: getattr(audio.start(CONFIG, 1), forget)})
    return np.concatenate(found, axis=1)


@settings(max_examples=30, deadline=None)
@given(cuts(), st.integers(0, 9))
def test_a_sound_in_pieces_is_the_sound_at_once(params, pieces, seed):
    mel = np.random.default_rng(seed).standard_normal((1, sum(pieces), CONFIG.mels)).astype(np.float32)
    whole = np.zeros((1, FRAMES, CONFIG.mels), np.float32)
    whole[:, : mel.shape[1]] = mel
    at_once = encode(params, CONFIG, whole, np.arange(FRAMES)[None] < mel.shape[1])
    np.testing.assert_allclose(streamed(params, mel, pieces), at_once[:, : soft_count(sum(pieces))], rtol=0, atol=1e-5)


@pytest.mark.parametrize("forget", audio.State._fields)
def test_a_state_that_forgets_is_noticed(params, forget):
    """The control of the test above, for each thing carried: thirty times its tolerance, at the least."""
    mel = np.random.default_rng(0).standard_normal((1, 40, CONFIG.mels)).astype(np.float32)
    pieces = [8, 8, 8, 8, 8]
    right, wrong = streamed(params, mel, pieces), streamed(params, mel, pieces, forget=forget)
    assert np.abs(right - wrong)[:, :2].max() == 0 and np.abs(right - wrong)[:, 2:].max() > 3e-4


def test_a_tower_that_looks_ahead_is_not_streamed(params):
    ahead = dataclasses.replace(CONFIG, right=2)
    with pytest.raises(BadInput, match="sees 1 tokens ahead cannot be streamed"):
        audio.stream(params, ahead, audio.start(ahead, 1), *batch(8))
