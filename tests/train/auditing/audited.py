"""What test_auditor runs in a process of eight virtual devices: steps that flips strike, rows that are no numbers,
a program that never gives the same twice, and what is found.

Prints, as JSON, a line for each case: its verdicts, whether the weights are those of an unharmed run, and whether the
process ended with a bad device.
"""

import copy
import itertools
import json
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

import jax
import numpy as np

from tejat.train.auditing import trial
from tejat.train.auditing.auditor import Auditor
from tejat.train.auditing.flips import Flip

STEPS = 6
CASES = {
    "clean": None,
    "a gradient, once": Flip("gradients", step=1, bit=22, leaf=3, index=5, device=2),
    "an activation, once": Flip("activations", step=1, bit=26, leaf=2, index=40, device=5),
    "a transfer, once": Flip("transfers", step=1, bit=27, leaf=4, index=9, device=6),
    "weights at rest": Flip("weights", step=2, bit=20, leaf=2, index=3, device=1),
    "moments at rest": Flip("moments", step=2, bit=30, leaf=2, index=3, device=7),
    "a bad device": Flip("gradients", step=1, bit=18, leaf=1, index=1, device=4, lasting=True),
    "a number that is none": Flip("activations", step=2, bit=30, leaf=5, index=7, device=3),
}


ALONE = {
    "clean, alone": None,
    "weights that one device alone holds": Flip("weights", step=2, bit=3, leaf=2, index=3, device=1),
    "moments that one device alone holds": Flip("moments", step=6, bit=3, leaf=2, index=3, device=6),
}
"""On a mesh whose devices hold a part of the state each, and no copies; none of these steps is audited."""


def of_bad_rows(bench: trial.Bench) -> None:
    """The second batch makes a loss that is no number, on whatever devices."""
    batch = bench.batch
    bad = batch(1)._replace(weights=batch(1).weights * np.nan)
    bench.batch = lambda number: bad if number == 1 else batch(number)


def of_chance(bench: trial.Bench) -> None:
    """Each time a step is made, its weights come out otherwise."""
    make, times = bench.make, itertools.count(1)

    def made(*words):
        state, sums = make(*words)
        more = np.float32(next(times))
        params = jax.tree.map(lambda leaf: jax.device_put(np.asarray(leaf) + more, leaf.sharding), state.params)
        return jax.block_until_ready(state._replace(params=params)), sums

    bench.make = made


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        for mesh, cases in (("fsdp=8", ALONE), ("data=2,fsdp=4", CASES)):
            bench, right = trial.Bench(mesh, 3, Path(directory)), None
            for name, flip in cases.items():
                bench.directory = Path(directory, name)
                auditor = Auditor(bench.every, bench.shards, bench.mesh, bench.directory, bench.held)
                told = trial.run(bench, auditor, flip, bench.begun(), 0, STEPS)
                state = told["state"] and [np.asarray(leaf) for leaf in jax.tree.leaves(told["state"])]
                right = right or state
                same = state is not None and all(np.array_equal(a, b) for a, b in zip(state, right, strict=True))
                found = {"case": name, "flip": flip and asdict(flip), "verdicts": told["verdicts"], "same": same}
                print(json.dumps(found | {"ended": state is None}), flush=True)
        for spoil in (of_bad_rows, of_chance):
            spoiled = copy.copy(bench)
            spoiled.directory = Path(directory, spoil.__name__)
            spoil(spoiled)
            auditor = Auditor(bench.every, bench.shards, bench.mesh, spoiled.directory, bench.held)
            told = trial.run(spoiled, auditor, None, bench.begun(), 0, STEPS)
            found = {"case": spoil.__name__, "verdicts": told["verdicts"], "ended": told["state"] is None}
            print(json.dumps(found), flush=True)


if __name__ == "__main__":
    sys.exit(main())
