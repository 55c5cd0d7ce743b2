"""What test_mesh runs in a process of eight virtual devices: two steps on one of them, and on meshes of all.

Several processes may have the devices between them. Prints, for each mesh, as JSON: the largest differences of
gradients, of moments and of the sums from those of one device; that of weights from what the optimizer of one device
makes of the mesh's own gradient ("weights"), and, with Muon, from what it makes of every piece alone, as if it were a
whole matrix ("pieces"). Where each process has rows of its own, also the gradient's difference if those of the first
were all that counts, as if nobody exchanged gradients ("unsummed").

Of one process also, as XLA has it, how many patches and frames of sound every device encodes of the batch ("encoded"),
and how many of these are no padding ("real …").
"""

import argparse
import json
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from tejat.codecs.framing import Framing
from tejat.codecs.vocabulary import Vocabulary
from tejat.data.loading import Loader
from tejat.data.packing import Batch
from tejat.model import audio, multimodal, placing, vision
from tejat.train import hosts, loop, mesh, optimizer, recipe, speed, step

PARSER = argparse.ArgumentParser()
PARSER.add_argument("meshes", nargs="+")
PARSER.add_argument("--muon", action="store_true")
PARSER.add_argument("--bare", action="store_true", help="the decoder alone, which compiles in seconds")
PARSER.add_argument("--rows", type=int, default=8)
PARSER.add_argument("--join", nargs=3, metavar=("COORDINATOR", "PROCESSES", "PROCESS"))
OPTIONS = PARSER.parse_args()
if OPTIONS.join:
    hosts.join(OPTIONS.join[0], *map(int, OPTIONS.join[1:]))

RECIPE = recipe.read(Path(__file__).with_name("smallest.py"))
ROOM = replace(RECIPE.room, rows=OPTIONS.rows)
SCHEDULE = replace(RECIPE.schedule, muon=OPTIONS.muon)  # its products of whole matrices are hard to cut
CONFIG = speed.bare(RECIPE.config) if OPTIONS.bare else RECIPE.config
TREE = multimodal.params(CONFIG)
OPTIMIZER = optimizer.build(SCHEDULE, TREE)


def keeping(_schedule, _tree) -> optax.GradientTransformation:
    """The optimizer, which keeps the gradient that it was given beside its moments."""

    def init(params):
        return OPTIMIZER.init(params), jax.tree.map(jnp.zeros_like, params)

    def update(gradient, state, params):
        updates, moments = OPTIMIZER.update(gradient, state[0], params)
        return updates, (moments, gradient)

    return optax.GradientTransformation(init, update)


def run(advance, initial, batch, fetched):
    """The states after one step and after two, and the sums of the second, on the host."""
    first, _ = advance(initial, batch)
    kept = fetched(first)  # the next step takes its memory
    second, sums = advance(first, batch)
    return kept, fetched(second), jax.device_get(sums)


class Ran(NamedTuple):
    """What a mesh made of a batch."""

    where: step.TrainState
    cut: int  # arrays of moments that no device has whole
    states: tuple[step.TrainState, step.TrainState, dict[str, np.ndarray]]
    unsummed: step.TrainState | None  # after two steps in which the rows of the first process alone count


def over(text: str, initial, batch) -> Ran:
    """The batch's steps on the mesh of all devices, those of other processes too."""
    devices = mesh.make(mesh.parse(text))
    mesh.check(devices, TREE, ROOM.rows)
    where = mesh.state(devices, TREE, initial)
    at, of = hosts.share(mesh.rows(devices), ROOM.rows)
    mine = jax.tree.map(lambda array: np.split(array, of)[at], batch)
    rows, state = mesh.spread(devices, mine), mesh.placed(initial, where)
    cut = sum(not array.sharding.is_fully_replicated for array in jax.tree.leaves(state.moments))
    advance = step.build(CONFIG, SCHEDULE, shardings=(where, mesh.rows(devices))).lower(state, rows).compile()
    hosts.gather(None)  # gloo waits 30 s for whoever still compiles
    states, unsummed = run(advance, state, rows, hosts.whole), None
    if of == jax.process_count() > 1:
        counted = mine if hosts.is_first() else mine._replace(weights=np.zeros_like(mine.weights))
        lone = mesh.spread(devices, counted), mesh.placed(initial, where)
        unsummed = run(advance, lone[1], lone[0], hosts.whole)[1]
    return Ran(where, cut, states, unsummed)


def encoded(text: str, params, batch: Batch) -> dict[str, list[int]]:
    """What each device of a mesh encodes of a batch that is spread over it."""
    devices = mesh.make(mesh.parse(text))
    media = mesh.spread(devices, batch.inputs.media)

    def towers(params, media):
        patches = media.patches.astype(jnp.float32)
        seen = vision.encode(params["vision"], CONFIG.vision, patches, media.patch_positions, media.patch_images)
        mel, real = (array.reshape(-1, *array.shape[2:]) for array in (media.mel, media.mel_real))
        return seen, audio.encode(params["audio"], CONFIG.audio, mel, real)

    with placing.in_force(mesh.rules(devices)):
        seen, heard = jax.jit(towers)(mesh.placed(params, mesh.parameters(devices, TREE)), media)
    frames, heard_of = CONFIG.audio.stride, batch.inputs.media.mel_real
    sounds = heard_of.reshape(-1, heard_of.shape[-1])[:, ::frames]
    found = {}
    for name, array, real, each in (
        ("patches", seen, batch.inputs.media.patch_images > 0, 1),
        ("frames", heard, sounds, frames),
    ):
        held = array.sharding.devices_indices_map(array.shape)
        parts = [real[held[device][: real.ndim]] for device in devices.devices.flat]
        found |= {
            name: [part.size * each for part in parts],
            f"real {name}": [int(part.sum()) * each for part in parts],
        }
    return found


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


def made() -> Batch:
    """The batch of all processes: the recipe's first, or one of random tokens."""
    if OPTIONS.bare:
        return speed.batch(CONFIG, speed.Rows(ROOM.rows, 48, 20))
    vocabulary = Vocabulary(RECIPE.tokenizer(), CONFIG.picture.codes)
    source = RECIPE.documents(Framing(CONFIG, vocabulary, loop._codec(RECIPE)), RECIPE)
    with closing(Loader(source, CONFIG, ROOM)) as batches:
        return next(batches)[0]


def main(meshes: list[str]) -> None:
    optimizer.build = keeping
    batch = made()
    initial = jax.device_get(step.initial_state(CONFIG, SCHEDULE, 0))
    ran = {text: over(text, initial, batch) for text in meshes}
    if not hosts.is_first():
        return
    _, alone, sums = run(step.build(CONFIG, SCHEDULE), jax.device_put(initial), batch, jax.device_get)
    whole = jax.jit(updated)
    found = {}
    for text, (where, cut, (before, after, added), unsummed) in ran.items():
        moments, gradient = after.moments
        found[text] = {"moments cut": cut, "moments": apart(moments, alone.moments[0])}
        found[text]["gradient"] = of_rounding(gradient, alone.moments[1])
        found[text]["weights"] = apart(after.params, whole(before.params, before.moments[0], gradient))
        if CONFIG.vision and jax.process_count() == 1:
            found[text]["encoded"] = encoded(text, initial.params, batch)
        if unsummed is not None:
            found[text]["unsummed"] = of_rounding(unsummed.moments[1], alone.moments[1])
        if SCHEDULE.muon:
            clipped, _ = optax.clip_by_global_norm(SCHEDULE.clip).update(gradient, ())  # a piece's norm is another
            pieces = jax.device_put((before.params, before.moments[0], clipped), (where.params, *where.moments))
            found[text]["pieces"] = apart(after.params, updated_in_pieces(where)(*pieces))
        found[text] |= {
            name: float(abs(added[name] - sums[name])) for name in ("text_loss", "picture_loss", "gradient_norm")
        }
    print(json.dumps(found))


if __name__ == "__main__":
    main(OPTIONS.meshes)
