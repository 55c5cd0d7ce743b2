"""What test_mesh runs in a process of eight virtual devices: two steps on one of them, and on meshes of all.

Prints, for each mesh, the largest differences of weights, of their moments and of the sums, as JSON.
"""

import json
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np

from tejat.codecs.framing import Framing
from tejat.codecs.vocabulary import Vocabulary
from tejat.data.loading import Loader
from tejat.model import multimodal
from tejat.train import loop, mesh, recipe, step

RECIPE = recipe.read(Path(__file__).with_name("smallest.py"))
ROOM = replace(RECIPE.room, rows=8)
SCHEDULE = replace(RECIPE.schedule, muon="--muon" in sys.argv)  # its products of whole matrices are hard to cut


def run(initial, batch, shardings=None):
    """The state after two steps and the sums of the second, on the host."""
    advance = step.build(RECIPE.config, SCHEDULE, shardings=shardings)
    state, _ = advance(initial, batch)
    return jax.device_get(advance(state, batch))


def main(meshes: list[str]) -> None:
    vocabulary = Vocabulary(RECIPE.tokenizer(), RECIPE.config.picture.codes)
    source = RECIPE.documents(Framing(RECIPE.config, vocabulary, loop._codec(RECIPE)), RECIPE)
    with closing(Loader(source, RECIPE.config, ROOM)) as batches:
        batch, _ = next(batches)
    tree = multimodal.params(RECIPE.config)
    initial = jax.device_get(step.initial_state(RECIPE.config, SCHEDULE, 0))
    alone = run(jax.device_put(initial), batch)
    found = {}
    for text in meshes:
        devices = mesh.make(mesh.parse(text))
        mesh.check(devices, tree, ROOM.rows)
        where = mesh.state(devices, tree, initial)
        state = jax.device_put(initial, where)
        cut = sum(not array.sharding.is_fully_replicated for array in jax.tree.leaves(state.moments))
        together = run(state, mesh.spread(devices, batch), (where, mesh.rows(devices)))
        wrong = jax.tree.map(lambda a, b: float(np.abs(np.asarray(a) - np.asarray(b)).max()), together, alone)
        found[text] = {"weights": max(jax.tree.leaves(wrong[0].params)), "moments cut": cut}
        found[text]["moments"] = max(jax.tree.leaves(wrong[0].moments))
        found[text] |= {name: float(wrong[1][name]) for name in ("text_loss", "picture_loss", "gradient_norm")}
    print(json.dumps(found))


if __name__ == "__main__":
    main([word for word in sys.argv[1:] if word != "--muon"])
