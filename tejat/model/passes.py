"""How a stack of layers is passed: scanned or one after the other, and what of it waits for the backward pass.

Scanned, a program is as long as one layer, and what it keeps is copied in and out of buffers for all layers.
Unrolled, it takes longer to compile and nothing is copied. Between the matrix products of a layer stand many cheap
steps whose results are as large as theirs: on an accelerator it is faster to make these again than to keep them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import jax
import jax.numpy as jnp
from jax.ad_checkpoint import checkpoint_name

from tejat.model import float8
from tejat.model.params import Tree

Keep = Literal["everything", "products", "inputs"]


@dataclass(frozen=True)
class Pass:
    """`keep` says what the forward pass leaves for the backward one; the rest is made again there.

    "everything" that derivatives need; results of matrix "products" and of attention; or the "inputs" of layers alone
    (of each period of their pattern where they are scanned). `float8`: the decoder's products are of 8-bit floats.
    """

    keep: Keep = "everything"
    unrolled: bool = False
    float8: bool = False

    @property
    def product(self) -> Callable[[str, jax.Array, jax.Array], jax.Array]:
        """What multiplies by weights, of the form of `jnp.einsum`."""
        return float8.product if self.float8 else jnp.einsum

    def kept(self, body: Callable) -> Callable:
        """`body`, keeping what is to be kept."""
        if self.keep == "everything":
            return body
        policy = None
        if self.keep == "products":
            policies = jax.checkpoint_policies
            products = policies.save_from_both_policies(policies.dots_with_no_batch_dims_saveable, _by_cudnn)
            policy = policies.save_from_both_policies(products, policies.save_only_these_names(ATTENDED))
        # In a scan nothing could be merged with the forward pass; elsewhere barriers must see to it.
        return jax.checkpoint(body, policy=policy, prevent_cse=self.unrolled)

    def through(self, body: Callable[[Any, Tree], tuple[Any, Any]], x: Any, layers: Tree) -> tuple[Any, Any]:
        """As `jax.lax.scan` over the first axis of `layers`: (what the last layer gives, what all give beside it)."""
        if not self.unrolled:
            return jax.lax.scan(self.kept(body), x, layers)
        body, beside = self.kept(body), []
        for layer in layers_of(layers):
            x, more = body(x, layer)
            beside.append(more)
        return x, jax.tree.map(lambda *each: jnp.stack(each), *beside)


SCANNED = Pass()
"""A short program which keeps everything."""

ATTENDED = "attended"
"""The name of what attention kept for its backward pass."""


def attended(*arrays: jax.Array) -> tuple[jax.Array, ...]:
    """The same arrays, which "products" keeps."""
    return tuple(checkpoint_name(array, ATTENDED) for array in arrays)


def _by_cudnn(primitive, *_, **__) -> bool:
    """Whether this is cuDNN's attention, which keeps what has no name of ours (`tejat.model.whole_rows`)."""
    return primitive.name == "dot_product_attention_fwd_wrapper"


def layers_of(layers: Tree) -> list[Tree]:
    """The layers of a stack. Backward, their gradients are laid side by side: those of slices would be added up."""
    count = jax.tree.leaves(layers)[0].shape[0]
    parts = jax.tree.map(lambda a: [jnp.squeeze(p, 0) for p in jax.lax.split(a, [1] * count)], layers)
    return [jax.tree.map(lambda _, p, at=at: p[at], layers, parts) for at in range(count)]
