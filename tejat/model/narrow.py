"""A decoder's matrices as decoding on one GPU wants them: outputs first, in 16, eight or four bits, few and large.

A step reads every matrix once for a row or a few, and is bound by the bytes. With the inputs of an output side by side,
a multiplication and a sum reads memory as fast as it gives (`benchmarks/narrow_products.py`), where a product of
matrices does not. Numbers on the grids of `quantised` stay on them: those of eight bits are multiplied by their scales
within that sum, those of four by `narrow_kernel`. More rows are multiplied by what the matrix stands for. Matrices of
the same inputs are one (`together`): a step has dozens of products for every millisecond.

Four bits lie in words of 32, each with eight numbers of one block, in planes: word [p, o, g] holds numbers 8p to 8p + 7
of block g of output o, the first lowest. So the words of a plane, the scales and what they are multiplied by have one
shape, and the kernel needs no shuffling.
"""

import functools
import math
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Int, Num, UInt32

from tejat.model.params import Tree
from tejat.model.quantised import BLOCK, Layout, Quantised

ROWS = 8
"""Rows that the kernel takes; more are worth making the matrix whole."""

MULTIPLE = 16
"""In four bits, blocks of an output's row are padded to a multiple of it, for the kernel's tiles."""

FIELDS, OFFSET = 8, 8
"""Numbers of four bits in a word, and what is taken from each."""

MERGED = {"qkv": ("q", "k", "v"), "gate_up": ("gate", "up")}
INPUTS = {"q": 1, "k": 1, "v": 1, "o": 2, "gate": 1, "up": 1, "down": 1}
"""A layer's matrices that are one, and how many axes each takes."""


@functools.partial(
    jax.tree_util.register_dataclass,
    data_fields=["codes", "scales"],
    meta_fields=["bits", "inputs", "outputs", "dtype"],
)
@dataclass(frozen=True)
class Narrow:
    """A matrix on a device; with leading axes a stack of them. `codes` are words in four bits, in eight whole numbers
    [*S, O, I], in 16 (or 32) the numbers themselves, which have no scales."""

    codes: UInt32[Array | np.ndarray, "*S P O G"] | Num[Array | np.ndarray, "*S O I"]
    scales: Float[Array | np.ndarray, "*S O G"] | None
    bits: int
    inputs: tuple[int, ...]  # the axes that it takes, multiplied I
    outputs: tuple[int, ...]  # those that it gives, multiplied O
    dtype: Any  # of what it stands for in a forward pass


def kept(params: Tree, dtype: DTypeLike) -> Tree:
    """A model's parameters with the matrices of its layers narrow, and its table where that is `Quantised`.

    What is `Quantised` of them stays in its bits. All else is of `dtype`.
    """
    dtype = jnp.dtype(dtype)

    def array(leaf: Any) -> Any:
        if isinstance(leaf, Narrow):
            return leaf
        leaf = leaf.array() if isinstance(leaf, Quantised) else leaf
        return leaf.astype(dtype) if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf

    decoder = {**params["decoder"]}
    decoder["blocks"] = {kind: together(layers, dtype) for kind, layers in decoder["blocks"].items()}
    if isinstance(decoder["embedding"], Quantised):
        decoder["embedding"] = narrowed([decoder["embedding"]], Layout(0, 1, True), dtype)
    return jax.tree.map(array, {**params, "decoder": decoder}, is_leaf=lambda a: isinstance(a, Quantised | Narrow))


def together(layers: Tree, dtype: DTypeLike) -> Tree:
    """A stack of layers whose matrices are narrow, and merged where they can be."""
    layers = dict(layers)
    for name, parts in MERGED.items():
        here = [layers.get(part) for part in parts]
        bits = {part.bits if isinstance(part, Quantised) else None for part in here}
        if all(part is not None for part in here) and len(bits) == 1:
            for part in parts:
                del layers[part]
            layers[name] = narrowed(here, Layout(1, 1), dtype)
    for name, inputs in INPUTS.items():
        if name in layers:
            layers[name] = narrowed([layers[name]], Layout(1, inputs), dtype)
    return layers


def narrowed(parts: list[Any], at: Layout, dtype: DTypeLike) -> Narrow:
    """Matrices of the same inputs as one, the outputs of each after those of the one before.

    `at` says how each Param is a stack of matrices; all are `Quantised` in the same bits, or none is.
    """
    shape = parts[0].shape
    if at.outputs_first:  # a table: its rows are what it gives
        inputs, outputs = shape[1:], [part.shape[:1] for part in parts]
    else:
        inputs = shape[at.stacked : at.stacked + at.inputs]
        outputs = [part.shape[at.stacked + at.inputs :] for part in parts]
    every = (sum(o[0] for o in outputs), *outputs[0][1:])
    if not isinstance(parts[0], Quantised):
        flat = [part.reshape(*shape[: at.stacked], math.prod(inputs), -1).swapaxes(-1, -2) for part in parts]
        numbers = np.concatenate([np.asarray(part).astype(dtype) for part in flat], axis=-2)
        return Narrow(numbers, None, 8 * numbers.dtype.itemsize, inputs, every, jnp.dtype(dtype))
    bits = parts[0].bits
    codes = np.concatenate([part.codes for part in parts], axis=-2)
    scales = np.concatenate([part.scales for part in parts], axis=-2)
    if bits == 4:
        codes, scales = _words(codes), _padded(scales)
    return Narrow(codes, scales, bits, inputs, every, jnp.dtype(dtype))


def product(spec: str, x: Float[Array, "..."], weight: Array | Narrow) -> Float[Array, "..."]:
    """`jnp.einsum(spec, x, weight)`, where the last axes of x are the first of the weight, and are summed over."""
    if not isinstance(weight, Narrow):
        return jnp.einsum(spec, x, weight)
    before = x.shape[: x.ndim - len(weight.inputs)]
    y = multiplied(x.reshape(-1, math.prod(weight.inputs)), weight)
    return y.astype(x.dtype).reshape(*before, *weight.outputs)


def multiplied(x: Float[Array, "n I"], weight: Narrow) -> Float[Array, "n O"]:
    """x times what the matrix stands for, in float32."""
    if jax.default_backend() == "gpu":
        if weight.bits == 4 and x.shape[0] <= ROWS:
            from tejat.model import narrow_kernel  # to load Pallas takes a moment, which a CPU need not wait

            if narrow_kernel.takes(weight):
                return narrow_kernel.multiplied(x, weight.codes, weight.scales)
        if weight.bits > 4 and x.shape[0] == 1:
            return summed(x, weight)
    return jnp.einsum("ni,oi->no", x, _matrix(weight).astype(weight.dtype), preferred_element_type=jnp.float32)


def summed(x: Float[Array, "1 I"], weight: Narrow) -> Float[Array, "1 O"]:
    """The same by a multiplication and a sum, which XLA makes one program that reads the codes."""
    return (_matrix(weight) * x.astype(jnp.float32)).sum(-1)[None]


def look_up(table: Narrow, index: Int[Array, "..."]) -> Float[Array, "... D"]:
    """Rows of a table that is on a grid, as `layers.look_up` gives them: zeros for an index beyond its end."""
    scales = table.scales.at[index].get(mode="fill", fill_value=0)
    if table.bits == 4:
        codes = jnp.moveaxis(table.codes.at[:, index].get(mode="fill", fill_value=0), 0, -2)
    else:
        codes = table.codes.at[index].get(mode="fill", fill_value=0)
    return _numbers(codes, scales, table).astype(table.dtype)


def whole(params: Tree) -> Tree:
    """The parameters as any forward pass takes them: what is narrow made whole, what was merged apart."""
    blocks = {}
    for kind, layers in params["decoder"]["blocks"].items():
        alone = isinstance(layers, tuple)
        made = tuple(_layer(layer) for layer in (layers if alone else (layers,)))
        blocks[kind] = made if alone else made[0]
    table = params["decoder"]["embedding"]
    table = _matrix(table).astype(table.dtype) if isinstance(table, Narrow) else table
    return {**params, "decoder": {**params["decoder"], "embedding": table, "blocks": blocks}}


def _layer(weights: Tree) -> Tree:
    found = {name: _array(leaf) if isinstance(leaf, Narrow) else leaf for name, leaf in weights.items()}
    if "qkv" in found:
        every, heads = found.pop("qkv"), found["o"].shape[-3]
        cuts = heads, (heads + every.shape[-2]) // 2
        found |= zip("qkv", jnp.split(every, cuts, axis=-2), strict=True)
    if "gate_up" in found:
        found |= zip(("gate", "up"), jnp.split(found.pop("gate_up"), 2, axis=-1), strict=True)
    return found


def _array(weight: Narrow) -> Float[Array, "..."]:
    """[stacked..., inputs..., outputs...], as a Param of a matrix has it."""
    matrix = jnp.swapaxes(_matrix(weight), -1, -2).astype(weight.dtype)
    return matrix.reshape(*matrix.shape[:-2], *weight.inputs, *weight.outputs)


def _matrix(weight: Narrow) -> Float[Array, "*S O I"]:
    """What it stands for, in float32."""
    if weight.scales is None:
        return weight.codes.astype(jnp.float32)
    codes = jnp.moveaxis(weight.codes, -3, -2) if weight.bits == 4 else weight.codes
    return _numbers(codes, weight.scales, weight)


def _numbers(codes: Num[Array, "..."], scales: Float[Array, "... G"], weight: Narrow) -> Float[Array, "... I"]:
    """What codes [..., I], or words [..., P, G], stand for, in float32."""
    if weight.bits == 4:
        shifts = jnp.arange(0, 32, 4, dtype=jnp.uint32)
        fields = (codes[..., None] >> shifts) & 15  # [..., P, G, 8]
        codes = jnp.swapaxes(fields, -3, -2).astype(jnp.float32) - OFFSET
    blocks = codes.reshape(*scales.shape, BLOCK).astype(jnp.float32) * scales[..., None].astype(jnp.float32)
    return blocks.reshape(*scales.shape[:-1], -1)[..., : math.prod(weight.inputs)]


def _words(codes: np.ndarray) -> np.ndarray:
    """[..., P, O, G] words of codes [..., O, I] of four bits."""
    blocks = codes.reshape(*codes.shape[:-1], -1, BLOCK // FIELDS, FIELDS)  # [..., O, G, P, 8]
    found = np.zeros(blocks.shape[:-1], np.uint32)
    for field in range(FIELDS):
        found |= blocks[..., field].astype(np.uint32) << np.uint32(4 * field)
    return _padded(np.ascontiguousarray(np.moveaxis(found, -1, -3)))


def _padded(array: np.ndarray) -> np.ndarray:
    """With zeros after its last axis, to a multiple of `MULTIPLE`."""
    short = -array.shape[-1] % MULTIPLE
    return np.pad(array, [(0, 0)] * (array.ndim - 1) + [(0, short)])
