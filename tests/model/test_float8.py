"""Products of 8-bit floats: as near as their bits allow, forward and backward, and only where they are asked for."""

import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np
import pytest

from tejat.model import decoder, float8
from tejat.model.attention import causal_intervals
from tejat.model.params import initialise
from tejat.model.passes import SCANNED, Pass


def error(found, wanted) -> float:
    found, wanted = (np.asarray(a, np.float64) for a in (found, wanted))
    return float(np.linalg.norm(found - wanted) / np.linalg.norm(wanted))


@pytest.mark.parametrize("scale", [1.0, 1e-6, 3e4])
def test_products_and_gradients_are_as_near_as_eight_bits_allow(scale):
    keys = jax.random.split(jax.random.key(0), 3)
    x = jax.random.normal(keys[0], (2, 24, 4, 16)) * scale
    weight = jax.random.normal(keys[1], (4, 16, 48)) / 8
    wanted = jax.random.normal(keys[2], (2, 24, 48))

    def of(product):
        y, back = jax.vjp(lambda x, w: product("bthn,hnd->btd", x, w), x, weight)
        return y, *back(wanted)

    for name, found, exact in zip(("y", "dx", "dw"), of(float8.product), of(jnp.einsum), strict=True):
        # Three bits after the point: half of 1/8 at most for either factor, less in the mean; gradients have two.
        assert 0.005 < error(found, exact) < (0.05 if name == "y" else 0.08), name


def test_scales_are_powers_of_two_that_use_the_range():
    x = jnp.asarray([3.0, -700.0, 1e-3])
    small, scale = float8.rounded(x, float8.NUMBERS)
    assert float(scale) == 2.0 and float(jnp.abs(small.astype(jnp.float32)).max()) == 352  # 350 to three bits
    assert float8.rounded(jnp.zeros(4), float8.NUMBERS)[1] == 1
    assert not jnp.isfinite(float8.rounded(jnp.asarray([jnp.nan, 1.0]), float8.NUMBERS)[0].astype(jnp.float32)).all()


def test_a_form_that_it_cannot_multiply():
    with pytest.raises(ValueError, match="last axes"):
        float8.product("btd,fd->btf", jnp.ones((1, 2, 3)), jnp.ones((4, 3)))


def test_the_decoder_multiplies_so_only_where_it_is_asked_to():
    config = decoder.DecoderConfig(vocabulary=64, width=32, layers=2, period=2, heads=2, head_width=16, mlp=64)
    params = initialise(decoder.params(config), 0)
    x, segments = jax.random.normal(jax.random.key(1), (1, 16, 32)), jnp.ones((1, 16), jnp.int32)
    context = decoder.context(config, causal_intervals(segments), jnp.arange(16)[None])
    wanted = jax.random.normal(jax.random.key(2), x.shape)

    def run(how):
        def of(params, x):
            return (decoder.run(params, config, x, context, how=how) * wanted).sum()

        return jax.jit(jax.value_and_grad(of)).lower(params, x)

    eight, all_bits = run(Pass("products", float8=True)), run(SCANNED)
    assert "f8E4M3FN" in eight.as_text() and "f8E5M2" in eight.as_text() and "f8E" not in all_bits.as_text()
    (loss, gradient), (exact, true) = (lowered.compile()(params, x) for lowered in (eight, all_bits))
    # Every product is off by a twenty-fifth, and norms give what fourteen of them add its full size.
    assert 0 < abs(float(loss - exact)) < 0.25 * np.linalg.norm(wanted)
    assert 0.005 < error(*(jax.flatten_util.ravel_pytree(each)[0] for each in (gradient, true))) < 0.5
