"""The conformer: attention in chunks equals attention by a mask; a sound means the same alone and beside others."""

import functools
import math

import jax
import numpy as np
import pytest

from tejat.codecs.audio import soft_count
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
    found = audio._attention(weights, CONFIG, x, audio._relative_table(CONFIG, np.float32), jax.numpy.asarray(real))
    # The last token is padding: nobody looks at it, and what it says itself does not matter.
    expected = by_mask(weights, x[0].astype(np.float64), real[0] | (np.arange(length) == length - 1))
    np.testing.assert_allclose(found[0, :-1], expected[:-1], rtol=0, atol=1e-5)
