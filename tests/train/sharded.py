"""What test_mesh runs in a process of eight virtual devices: two steps on one of them, and on meshes of all.

Prints, for each mesh, as JSON: the largest differences of gradients, of moments and of the sums from those of one
device; that of weights from what the optimizer of one device makes of the mesh's own gradient ("weights"), and, with
Muon, from what it makes of every piece alone, as if it were a whole matrix ("pieces").
"""

import json
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax

from tejat.codecs.framing import Framing
from tejat.codecs.vocabulary import Vocabulary
from tejat.data.loading import Loader
from tejat.model import multimodal
from tejat.train import loop, mesh, optimizer, recipe, step

RECIPE = recipe.read(Path(__file__).with_name("smallest.py"))
ROOM = replace(RECIPE.room, rows=8)
SCHEDULE = replace(RECIPE.schedule, muon="--muon" in sys.argv)  # its products of whole matrices are hard to cut
TREE = multimodal.params(RECIPE.config)
OPTIMIZER = optimizer.build(SCHEDULE, TREE)


def keeping(_schedule, _tree) -> optax.GradientTransformation:
    """The optimizer, which keeps the gradient that it was given beside its moments."""

    def init(params):
        return OPTIMIZER.init(params), jax.tree.map(jnp.zeros_like, params)

    def update(gradient, state, params):
        updates, moments = OPTIMIZER.update(gradient, state[0], params)
        return updates, (moments, gradient)

    return optax.GradientTransformation(init, update)


def run(initial, batch, shardings=None):
    """The states after one step and after two, and the sums of the second, on the host."""
    advance = step.build(RECIPE.config, SCHEDULE, shardings=shardings)
    first, _ = advance(initial, batch)
    kept = jax.device_get(first)  # the next step takes its memory
    return kept, *jax.device_get(advance(first, batch))


def updated(params, moments, gradient):
    """The next weights."""
    updates, _ = OPTIMIZER.update(gradient, moments, params)
    return optax.apply_updates(params, updates)


def updated_in_pieces(where: step.TrainState):
    """`updated`, where each device takes the pieces that it holds for whole matrices."""
    specs = jax.tree.map(lambda sharding: sharding.spec, where)
    taken = (specs.params, specs.moments[0], specs.moments[1])
    return jax.jit(
        jax.shard_map(
            updated,
            mesh=where.step.mesh,
            in_specs=taken,
            out_specs=specs.params,
            axis_names=set(mesh.AXES),
            check_vma=False,
        )
    )


def apart(these, those) -> float:
    """The largest difference of two trees of arrays."""
    return max(
        jax.tree.leaves(jax.tree.map(lambda a, b: float(np.abs(np.asarray(a) - np.asarray(b)).max()), these, those))
    )


def of_rounding(gradient, alone) -> float:
    """The largest difference from the gradient of one device, as a part of what rounding may do: a ten-thousandth of
    the tensor's largest element, and a unit in the last place of the whole gradient's norm."""
    unit = float(np.finfo(np.float32).eps * optax.tree.norm(alone))

    def part(these, those) -> float:
        return float(np.abs(these - those).max() / (1e-4 * np.abs(those).max() + unit))

    return max(jax.tree.leaves(jax.tree.map(part, gradient, alone)))


def main(meshes: list[str]) -> None:
    optimizer.build = keeping
    vocabulary = Vocabulary(RECIPE.tokenizer(), RECIPE.config.picture.codes)
    source = RECIPE.documents(Framing(RECIPE.config, vocabulary, loop._codec(RECIPE)), RECIPE)
    with closing(Loader(source, RECIPE.config, ROOM)) as batches:
        batch, _ = next(batches)
    initial = jax.device_get(step.initial_state(RECIPE.config, SCHEDULE, 0))
    _, alone, sums = run(jax.device_put(initial), batch)
    whole = jax.jit(updated)
    found = {}
    for text in meshes:
        devices = mesh.make(mesh.parse(text))
        mesh.check(devices, TREE, ROOM.rows)
        where = mesh.state(devices, TREE, initial)
        state = jax.device_put(initial, where)
        cut = sum(not array.sharding.is_fully_replicated for array in jax.tree.leaves(state.moments))
        before, after, added = run(state, mesh.spread(devices, batch), (where, mesh.rows(devices)))
        moments, gradient = after.moments
        found[text] = {"moments cut": cut, "moments": apart(moments, alone.moments[0])}
        found[text]["gradient"] = of_rounding(gradient, alone.moments[1])
        found[text]["weights"] = apart(after.params, whole(before.params, before.moments[0], gradient))
        if SCHEDULE.muon:
            clipped, _ = optax.clip_by_global_norm(SCHEDULE.clip).update(gradient, ())  # a piece's norm is another
            pieces = jax.device_put((before.params, before.moments[0], clipped), (where.params, *where.moments))
            found[text]["pieces"] = apart(after.params, updated_in_pieces(where)(*pieces))
        found[text] |= {
            name: float(abs(added[name] - sums[name])) for name in ("text_loss", "picture_loss", "gradient_norm")
        }
    print(json.dumps(found))


if __name__ == "__main__":
    main([word for word in sys.argv[1:] if word != "--muon"])
