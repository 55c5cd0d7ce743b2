"""One service over several devices: weights and keys are cut by heads, by the MLP's width and by the vocabulary.
Weights of key heads that are fewer than the devices are cut by the model's width.

The rules are those of training (`train.mesh`), and XLA's partitioner adds the exchanges. Sums over heads and over the
MLP's width are then made in another order than on one device: answers agree as far as rounding lets them, and are
still the same alone and in any company.
"""

from typing import Any

import jax
from jax.sharding import AbstractMesh, Mesh, NamedSharding, PartitionSpec

from tejat.errors import BadInput
from tejat.infer.cache import Cache
from tejat.model import multimodal
from tejat.model.multimodal import ModelConfig
from tejat.model.params import Param, Tree, map_params
from tejat.train import mesh as meshes


def mesh_of(text: str, config: ModelConfig) -> Mesh:
    """The mesh of a text like "tensor=2", over the first of the devices.

    Raises BadInput for another axis, for more devices than there are, and as `check` does.
    """
    sizes = meshes.parse(text)
    if [*sizes] != ["tensor"]:
        raise BadInput(f"the mesh {text!r} is none to serve on; give tensor=N, and for copies start more servers")
    devices = jax.devices()
    if sizes["tensor"] > len(devices):
        raise BadInput(f"the mesh {text!r} is of {sizes['tensor']} devices, and there are {len(devices)}; give fewer")
    mesh = meshes.make(sizes, devices[: sizes["tensor"]])
    check(mesh, config)
    return mesh


def check(mesh: Mesh | AbstractMesh, config: ModelConfig) -> None:
    """Raises BadInput for a mesh that does not divide the decoder. A tower that it does not divide stays whole."""
    tree, shape = {"decoder": multimodal.params(config)["decoder"]}, mesh.shape
    if wrong := meshes.undivided(shape, tree):
        fewer = range(shape["tensor"], 0, -1)
        fits = next(n for n in fewer if not meshes.undivided({**shape, "tensor": n}, tree))
        raise BadInput(f"{wrong}; try tensor={fits}")


def parameters(mesh: Mesh, config: ModelConfig) -> Tree:
    """A sharding for every parameter of a model whose layers are apart."""
    tree = multimodal.params(config)
    blocks = {}
    for name, layers in tree["decoder"]["blocks"].items():
        count = jax.tree.leaves(map_params(lambda param: param.shape[0], layers))[0]
        blocks[name] = (map_params(lambda param: _sharding(mesh, _one(param)), layers),) * count
    rest = {name: part for name, part in tree["decoder"].items() if name != "blocks"}
    others = {name: part for name, part in tree.items() if name != "decoder"}
    shardings = map_params(lambda param: _sharding(mesh, param), {**others, "decoder": rest})
    return {**shardings, "decoder": {**shardings["decoder"], "blocks": blocks}}


def _one(param: Param) -> Param:
    """One layer's share of a stack."""
    return Param(param.shape[1:], param.axes[1:], param.init, param.fan_in, param.frozen)


def _sharding(mesh: Mesh, param: Param) -> NamedSharding:
    return NamedSharding(mesh, spec(mesh, param))


def spec(mesh: Mesh | AbstractMesh, param: Param) -> PartitionSpec:
    """How a parameter is cut. Weights of key heads that are fewer than the devices are cut by what they sum over: each
    device would have all of them, and of a large model on many that is more than all else."""
    found = meshes.spec(mesh, param)
    if any(found) or not {"key_heads", "embed"} <= {*param.axes}:
        return found
    at = param.axes.index("embed")
    return found if param.shape[at] % mesh.shape["tensor"] else PartitionSpec(*(None,) * at, "tensor")


def placed(mesh: Mesh, cache: Cache) -> Cache:
    """A cache whose key heads lie where the weights that make them do; the lengths of rows are everywhere."""

    def keys(array: jax.Array) -> jax.Array:
        param = Param(array.shape, (None, None, "key_heads", None))
        return jax.device_put(array, _sharding(mesh, param))

    return Cache(jax.tree.map(keys, cache.layers), everywhere(mesh, cache.length))


def everywhere(mesh: Mesh, tree: Any) -> Any:
    """Arrays that every device has whole."""
    return jax.device_put(tree, NamedSharding(mesh, PartitionSpec()))
