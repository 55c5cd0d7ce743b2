"""A learned codebook for the image tokenizer, what finite scalar quantisation is compared with.

Codes are vectors of length one, as is what an encoder makes before the nearest is looked up, so that neither can shrink
or grow away from the other (Yu et al. 2022, section 3.2). Vectors follow the mean of what fell to them (van den Oord et
al. 2017, appendix A.1); one that hardly anything falls to begins again somewhere in the batch (Dhariwal et al. 2020,
section 3.1).
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from tejat.model.params import Param, Tree

MEMORY = 0.99  # of a step's counts and vectors, what is kept of the steps before
DEAD = 0.1  # pieces a step: a code to which fewer fall begins again


def params(codes: int, width: int) -> Tree:
    """Vectors, and how many pieces of a batch fall to each; no gradient changes them."""
    return {
        "vectors": Param((codes, width), (None, None), "normal", width, frozen=True),
        "counts": Param((codes,), (None,), 1.0, frozen=True),
    }


def on_sphere(z: Float[Array, "... N"]) -> Float[Array, "... N"]:
    """Vectors of length one, in float32."""
    z = z.astype(jnp.float32)
    return z * jax.lax.rsqrt(jnp.square(z).sum(-1, keepdims=True) + 1e-12)


def nearest(codebook: Tree, z: Float[Array, "... N"]) -> Int[Array, "..."]:
    """The code of the vector nearest to each: of those of one length, the one with the largest product."""
    products = jnp.einsum("...n,kn->...k", on_sphere(z), on_sphere(codebook["vectors"]), precision="highest")
    return products.argmax(-1).astype(jnp.int32)


def vectors(codebook: Tree, codes: Int[Array, "..."]) -> Float[Array, "... N"]:
    """What a decoder reads of codes: their vectors, of mean square one."""
    chosen = on_sphere(codebook["vectors"])[codes]
    return chosen * chosen.shape[-1] ** 0.5


def rounded(codebook: Tree, z: Float[Array, "... N"]) -> Float[Array, "... N"]:
    """`vectors` of the nearest codes; the gradient passes straight through to what is on the sphere."""
    placed = on_sphere(z) * z.shape[-1] ** 0.5
    return placed + jax.lax.stop_gradient(vectors(codebook, nearest(codebook, z)) - placed)


def commitment(codebook: Tree, z: Float[Array, "... N"]) -> Float[Array, ""]:
    """The mean squared distance of what is on the sphere, scaled to mean square one, from the nearest codes."""
    chosen = jax.lax.stop_gradient(vectors(codebook, nearest(codebook, z)))
    return jnp.square(on_sphere(z) * z.shape[-1] ** 0.5 - chosen).mean()


def followed(codebook: Tree, z: Float[Array, "... N"], key: Array) -> Tree:
    """The codebook after a step in which an encoder made `z`."""
    pieces = on_sphere(z).reshape(-1, z.shape[-1])
    codes, size = nearest(codebook, pieces), len(codebook["counts"])
    counts = jax.ops.segment_sum(jnp.ones(len(pieces)), codes, size)
    sums = jax.ops.segment_sum(pieces, codes, size)
    kept = MEMORY * codebook["counts"]
    found = on_sphere(kept[:, None] * on_sphere(codebook["vectors"]) + (1 - MEMORY) * sums)
    counts = kept + (1 - MEMORY) * counts
    dead = counts < DEAD
    anew = pieces[jax.random.randint(key, (size,), 0, len(pieces))]
    return {"vectors": jnp.where(dead[:, None], anew, found), "counts": jnp.where(dead, 1.0, counts)}
