"""Low-rank adapters: of a matrix W only A B is learnt, which is added to it (Hu et al. 2021, "LoRA").

Adapters are a Param tree of their own. A step adds them to the weights before it uses these, so that every kind of
layer takes part as it is; a model that is written out has them merged in. What is saved is memory for masters, moments
and checkpoints; gradients of whole matrices exist while a step runs.
"""

import itertools
import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from tejat.errors import BadInput
from tejat.model import weights
from tejat.model.params import Param, Tree, unflatten, walk
from tejat.parts import write_whole
from tejat.train.optimizer import is_matrix


@dataclass(frozen=True)
class Lora:
    """`rank` numbers between inputs and outputs; A B is multiplied by `alpha` / `rank`. `parts`: beginnings of the
    names of the matrices that are adapted, as `tejat.model.params.walk` gives them."""

    rank: int = 16
    alpha: float = 32.0
    parts: tuple[str, ...] = ("decoder.blocks",)

    @property
    def scale(self) -> float:
        return self.alpha / self.rank


class Sides(NamedTuple):
    """A weight's axes: so many that count matrices, and how the rest divide."""

    matrices: tuple[int, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


def params(tree: Tree, lora: Lora) -> Tree:
    """The adapters of a model's Param tree: of W, {"a": inputs to rank, "b": rank to outputs, which begins at zero}.

    Raises BadInput for a rank below 1, and for parts without a matrix.
    """
    if lora.rank < 1:
        raise BadInput(f"lora.rank is {lora.rank}; give 1 or more")
    found = {}
    for name, param in walk(tree):
        if (sides := _sides(name, param, lora)) is None:
            continue
        kept = len(sides.matrices)
        named = param.axes[:kept], param.axes[kept : kept + len(sides.inputs)], param.axes[kept + len(sides.inputs) :]
        shape_a, shape_b = (*sides.matrices, *sides.inputs, lora.rank), (*sides.matrices, lora.rank, *sides.outputs)
        found[f"{name}.a"] = Param(shape_a, (*named[0], *named[1], "rank"), "normal", math.prod(sides.inputs))
        found[f"{name}.b"] = Param(shape_b, (*named[0], "rank", *named[2]), 0.0)
    if not found:
        known = sorted({name.rpartition(".")[0] for name, param in walk(tree) if is_matrix(param)})
        raise BadInput(f"lora.parts {lora.parts} name no matrix; there are some in {', '.join(known)}")
    return unflatten(found)


def merged(whole: Tree, adapters: Tree, lora: Lora) -> Tree:
    """The weights with their adapters added, in the weights' own type."""
    pairs = dict(walk(adapters))

    def one(name: str, weight: Float[Array, "..."]) -> Float[Array, "..."]:
        a, b = pairs.get(f"{name}.a"), pairs.get(f"{name}.b")
        return weight if a is None or b is None else weight + _product(a, b, lora, weight.shape).astype(weight.dtype)

    return unflatten({name: one(name, weight) for name, weight in walk(whole)})


def save(directory: Path, adapters: Tree, lora: Lora, model: str) -> None:
    """Writes adapter.safetensors and adapter.json, which says of which model (by digest) they are."""
    weights.write(directory / "adapter.safetensors", adapters)
    told = {"lora": asdict(lora), "model": model}
    write_whole(directory / "adapter.json", (json.dumps(told, indent=1) + "\n").encode())


def _product(a: Array, b: Array, lora: Lora, shape: tuple[int, ...]) -> Array:
    count = _matrices(a.shape, b.shape, shape)
    first, last = a.reshape(count, -1, lora.rank), b.reshape(count, lora.rank, -1)
    return (jnp.einsum("mir,mro->mio", first, last) * lora.scale).reshape(shape)


def _matrices(a: tuple[int, ...], b: tuple[int, ...], shape: tuple[int, ...]) -> int:
    """a = matrices x inputs x rank, b = matrices x rank x outputs, shape = matrices x inputs x outputs."""
    rank = a[-1]
    return math.prod(a) // rank * (math.prod(b) // rank) // math.prod(shape)


def _sides(name: str, param: Param, lora: Lora) -> Sides | None:
    if not is_matrix(param) or not name.startswith(lora.parts):
        return None
    first = last = len(list(itertools.takewhile(lambda axis: axis in ("layers", "experts"), param.axes)))
    while math.prod(param.shape[first:last]) < param.fan_in:
        last += 1
    if math.prod(param.shape[first:last]) != param.fan_in or last == len(param.shape):
        return None
    return Sides(param.shape[:first], param.shape[first:last], param.shape[last:])
