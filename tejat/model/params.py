"""The declarative parameter tree: one description from which initialisation, sharding, sizes and name maps follow.

A model part is described by a nested dict whose leaves are `Param`s. Nothing is allocated to describe a model, so the
largest member of the family is as cheap to talk about as the smallest.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

Tree = dict[str, Any]
Init = Literal["normal", "embedding"] | float


@dataclass(frozen=True)
class Param:
    """One array of the model: its shape, the logical name of every axis, and how it starts.

    `fan_in` counts the inputs summed into one output; "normal" starts with standard deviation 1/sqrt(fan_in), and
    "embedding" likewise (it is multiplied by sqrt(D) on the way in and used as it is on the way out); a number is what
    every entry starts as. `frozen` marks constants of a checkpoint (clipping bounds, standardisation) which training
    leaves alone.
    """

    shape: tuple[int, ...]
    axes: tuple[str | None, ...]
    init: Init = "normal"
    fan_in: int = 0
    frozen: bool = False

    def __post_init__(self) -> None:
        if len(self.shape) != len(self.axes):
            raise ValueError(f"a Param of shape {self.shape} needs {len(self.shape)} axis names, got {self.axes}")

    @property
    def size(self) -> int:
        return math.prod(self.shape)


def linear(inputs: dict[str, int], outputs: dict[str, int]) -> Param:
    """A weight [inputs..., outputs...] whose axes are named by the two dicts, scaled for the product of its inputs."""
    return Param(
        shape=(*inputs.values(), *outputs.values()),
        axes=(*inputs.keys(), *outputs.keys()),
        fan_in=math.prod(inputs.values()),
    )


def scale(width: int, axis: str | None = None, start: float = 1.0) -> Param:
    """The learned scale of a norm, of shape [width]."""
    return Param((width,), (axis,), start)


def temper(head_width: int) -> Param:
    """The scale of the norm of queries or of keys, started so that their products begin with a variance of one.

    Scores are not divided by sqrt(N) here: begun at one, scores of N = 32 would have a deviation of 5.7, and attention
    would be stuck on single keys from the start (docs/LOG.md has the loss curves).
    """
    return scale(head_width, start=head_width**-0.25)


def stack(count: int, tree: Tree) -> Tree:
    """The same tree `count` times, stacked along a new leading axis "layers" (scanned over, never sharded)."""
    return jax.tree.map(
        lambda p: Param((count, *p.shape), ("layers", *p.axes), p.init, p.fan_in, p.frozen), tree, is_leaf=is_param
    )


def is_param(node: Any) -> bool:
    return isinstance(node, Param)


def walk(tree: Tree, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """(name, leaf) pairs in a fixed order; names join keys with dots: "decoder.blocks.full.q"."""
    for key in sorted(tree):
        name, node = f"{prefix}{key}", tree[key]
        if isinstance(node, dict):
            yield from walk(node, name + ".")
        else:
            yield name, node


def unflatten(leaves: dict[str, Any]) -> Tree:
    """The inverse of `walk`: {"a.b": x} becomes {"a": {"b": x}}."""
    tree: Tree = {}
    for name, leaf in leaves.items():
        *path, last = name.split(".")
        node = tree
        for key in path:
            node = node.setdefault(key, {})
        node[last] = leaf
    return tree


def map_params(function: Callable[[Param], Any], tree: Tree) -> Tree:
    return jax.tree.map(function, tree, is_leaf=is_param)


def count(tree: Tree) -> int:
    """How many numbers a tree holds, frozen constants included."""
    return sum(param.size for _, param in walk(tree))


def initialise(tree: Tree, seed: int, dtype: DTypeLike = jnp.float32) -> Tree:
    """Arrays for a tree of Params. What a leaf draws depends on its name alone, so adding a part moves no other.

    Drawn by NumPy: XLA would compile a program for every shape, which for a small model takes longer than its first
    hundred steps.
    """
    from scipy.special import ndtr, ndtri  # a fifth of a second, which who reads a model from disk need not wait

    arrays = {}
    for name, param in walk(tree):
        if isinstance(param.init, float):
            arrays[name] = jnp.full(param.shape, param.init, dtype)
        else:
            random = np.random.default_rng([seed, _stable_hash(name)])
            std = 1.0 / math.sqrt(max(param.fan_in, 1))
            # Truncation at two deviations keeps outliers out of the first steps; 0.87962566 is the deviation left.
            draw = ndtri(random.uniform(ndtr(-2.0), ndtr(2.0), param.shape))
            arrays[name] = jnp.asarray(draw * (std / 0.87962566), dtype)
    return unflatten(arrays)


def abstract(tree: Tree, dtype: DTypeLike = jnp.float32) -> Tree:
    """Shapes without memory: jax.ShapeDtypeStruct for every Param."""
    return map_params(lambda p: jax.ShapeDtypeStruct(p.shape, dtype), tree)


def _stable_hash(name: str) -> int:
    """A 31-bit hash that is the same in every process (Python's own is salted): FNV-1a."""
    value = 2166136261
    for byte in name.encode():
        value = ((value ^ byte) * 16777619) & 0xFFFFFFFF
    return value & 0x7FFFFFFF
