"""What test_shards runs in a process of eight virtual devices: two steps of one batch in eight shards, on some meshes.

Prints, for each mesh and turn, a digest of the state and those of the shards' gradients, as JSON.
"""

import json
import sys
from dataclasses import replace

import jax
import numpy as np

from tejat.model import multimodal
from tejat.train import mesh as meshes
from tejat.train import speed, step
from tejat.train.auditing.scan import digest_known
from tejat.train.auditing.trial import CONFIG, SCHEDULE
from tejat.train.shards import turned

SHARDS = 8
UNCLIPPED = replace(SCHEDULE, clip=1e9)
"""The norm by which gradients are clipped is a sum over devices in XLA's order."""


def main(texts: list[str]) -> None:
    batch = speed.batch(CONFIG, speed.Rows(SHARDS, 48, 20))
    initial = jax.device_get(step.initial_state(CONFIG, UNCLIPPED, 0))
    for text in texts:
        sizes = meshes.parse(text)
        count = int(np.prod(list(sizes.values()) or [1]))
        mesh = meshes.make(sizes, jax.devices()[:count]) if count > 1 else None
        lies = mesh and (meshes.state(mesh, multimodal.params(CONFIG), initial), meshes.rows(mesh))
        advance = step.build(CONFIG, UNCLIPPED, shardings=lies, shards=SHARDS)
        there = batch if mesh is None else meshes.spread(mesh, batch)
        for turn in (0, 3) if mesh is not None else (0,):
            state = jax.device_put(initial) if mesh is None else meshes.placed(initial, lies[0])
            for _ in range(2):
                rows = jax.block_until_ready(turned(there, SHARDS, turn))
                state, sums = jax.block_until_ready(advance(state, rows, np.int32(turn)))
            found = [digest_known(np.asarray(leaf)) for leaf in jax.tree.leaves(jax.device_get(state))]
            local = np.roll(np.asarray(sums["local"]), -turn, axis=0)
            print(json.dumps({"mesh": text, "turn": turn, "state": found, "local": local.tolist()}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
