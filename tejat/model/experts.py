"""Mixture-of-experts blocks: beside the dense MLP of a block, a few experts of many, chosen for every token.

A router scores the experts, the best few answer, and the sum of their answers, weighted by the router, joins that of
the dense MLP (Shazeer et al. 2017; Fedus et al. 2022). No token is dropped and no expert has a capacity. Follows
`transformers.models.gemma4`.
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from tejat.model.layers import rms_norm
from tejat.model.params import Param, Tree, linear, scale

BLOCK = 64
"""Most rows that one product of `_blocked` takes; more would only add padding."""


@dataclass(frozen=True)
class ExpertsConfig:
    """Shape of the experts. Letters: E `count`, X `used`, F `mlp`."""

    count: int
    used: int  # experts that answer to a token
    mlp: int  # width of one expert


def params(config: ExpertsConfig, width: int) -> Tree:
    """What a block holds beside its dense MLP. `gate_up` is one matrix for both, as in checkpoints."""
    d, e, f = width, config.count, config.mlp
    return {
        "router": linear({"embed": d}, {"experts": e}),
        "router_scale": scale(d, "embed"),
        "answer_scale": scale(e, "experts"),
        "norm": scale(d, "embed"),
        "gate_up": Param((e, d, 2, f), ("experts", "embed", "pair", "mlp"), fan_in=d),
        "down": Param((e, f, d), ("experts", "mlp", "embed"), fan_in=f),
        "post_norm": scale(d, "embed"),
        "dense_post_norm": scale(d, "embed"),
    }


def is_of_an_expert(param: Param) -> bool:
    """Is it a stack of one matrix for each expert? A token meets only `used` of the `count`."""
    return "experts" in param.axes[:-1]


def beside(
    weights: Tree, config: ExpertsConfig, x: Float[Array, "... D"], dense: Float[Array, "... D"], epsilon: float
) -> Float[Array, "... D"]:
    """The answer of the dense MLP joined by that of the experts to `x`, which comes before the dense MLP's own norm."""
    flat = x.reshape(-1, x.shape[-1])
    chosen, shares = route(weights, config, flat, epsilon)
    y = answers(weights, config, rms_norm(flat, weights["norm"], epsilon), chosen, shares).reshape(x.shape)
    return rms_norm(dense, weights["dense_post_norm"], epsilon) + rms_norm(y, weights["post_norm"], epsilon)


def route(
    weights: Tree, config: ExpertsConfig, x: Float[Array, "M D"], epsilon: float
) -> tuple[Int[Array, "M X"], Float[Array, "M X"]]:
    """(the experts chosen for each token, what their answers count), best first. Shares are float32.

    Shares are softmax probabilities, made to sum to one over the chosen, times a learned scale of each expert.
    """
    y = rms_norm(x, eps=epsilon) * weights["router_scale"] * jnp.asarray(x.shape[-1] ** -0.5, x.dtype)
    probabilities = jax.nn.softmax((y @ weights["router"]).astype(jnp.float32), axis=-1)
    shares, chosen = jax.lax.top_k(probabilities, config.used)
    shares = shares / shares.sum(-1, keepdims=True)
    return chosen, shares * weights["answer_scale"].astype(jnp.float32)[chosen]


def answers(
    weights: Tree,
    config: ExpertsConfig,
    x: Float[Array, "M D"],
    chosen: Int[Array, "M X"],
    shares: Float[Array, "M X"],
) -> Float[Array, "M D"]:
    """The weighted sum of the chosen experts' gated MLPs.

    The M X pairs of a token and its expert are sorted by expert, so memory and arithmetic grow with `used` and not
    with `count`.
    """
    tokens, width = x.shape
    by_expert = jnp.argsort(chosen.reshape(-1), stable=True)
    sizes = jnp.bincount(chosen.reshape(-1), length=config.count).astype(jnp.int32)
    rows = x[by_expert // config.used]
    both = grouped(rows, weights["gate_up"].reshape(config.count, width, -1), sizes)
    gate, up = jnp.split(both, 2, axis=-1)
    y = grouped(jax.nn.gelu(gate, approximate=True) * up, weights["down"], sizes)
    y = y * shares.reshape(-1)[by_expert, None].astype(y.dtype)
    return jnp.zeros((tokens, width), y.dtype).at[by_expert // config.used].add(y)


def grouped(x: Float[Array, "R I"], matrices: Float[Array, "E I O"], sizes: Int[Array, " E"]) -> Float[Array, "R O"]:
    """Rows times the matrix of their group: the first `sizes[0]` rows times the first one, and so on.

    `jax.lax.ragged_dot`, except on a CPU, for which XLA would multiply every row with every matrix.
    """
    return jax.lax.platform_dependent(x, matrices, sizes, cpu=_blocked, default=jax.lax.ragged_dot)


def _blocked(x: Float[Array, "R I"], matrices: Float[Array, "E I O"], sizes: Int[Array, " E"]) -> Float[Array, "R O"]:
    """Groups padded to whole blocks of rows, and blocks multiplied one by one (after Gale et al. 2022)."""
    count, groups = x.shape[0], matrices.shape[0]
    size = min(BLOCK, max(1, count // groups))
    blocks = min(count, count // size + groups)  # as many as there can be, whatever the sizes
    ends = jnp.cumsum(-(-sizes // size))  # of each group, in blocks
    owner = jnp.minimum(jnp.searchsorted(ends, jnp.arange(blocks), side="right"), groups - 1)
    group = jnp.searchsorted(jnp.cumsum(sizes), jnp.arange(count), side="right")
    first_row, first_block = jnp.cumsum(sizes) - sizes, ends - (-(-sizes // size))
    place = first_block[group] * size + jnp.arange(count) - first_row[group]
    padded = jnp.zeros((blocks * size, x.shape[1]), x.dtype).at[place].set(x)
    return _products(padded.reshape(blocks, size, -1), matrices, owner).reshape(blocks * size, -1)[place]


@jax.custom_vjp
def _products(x: Float[Array, "n b I"], matrices: Float[Array, "E I O"], owner: Int[Array, " n"]):
    """x[i] @ matrices[owner[i]] for every block i."""
    return jax.lax.map(lambda block: block[0] @ matrices[block[1]], (x, owner))


def _products_forward(x, matrices, owner):
    return _products(x, matrices, owner), (x, matrices, owner)


def _products_backward(kept, gradient):
    """Gradients of matrices are summed in place; JAX's own rule would add a whole stack of them for every block."""
    x, matrices, owner = kept

    def step(total, block):
        rows, due, at = block
        added = jnp.einsum("bi,bo->io", rows, due, preferred_element_type=jnp.float32)
        return total.at[at].add(added), due @ matrices[at].T

    total, back = jax.lax.scan(step, jnp.zeros(matrices.shape, jnp.float32), (x, gradient, owner))
    return back, total.astype(matrices.dtype), None


_products.defvjp(_products_forward, _products_backward)
