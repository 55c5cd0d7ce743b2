"""What test_auditor runs in a process of eight virtual devices: steps that are struck by flips, and what is found.

Prints, as JSON, a line for each case: its verdicts, whether the weights are those of an unharmed run, and whether the
process ended with a bad device.
"""

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


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        bench = trial.Bench("data=2,fsdp=4", 3, Path(directory))
        right = None
        for name, flip in CASES.items():
            bench.directory = Path(directory, name)
            auditor = Auditor(bench.every, bench.shards, bench.mesh, bench.directory, bench.held)
            told = trial.run(bench, auditor, flip, bench.begun(), 0, STEPS)
            state = told["state"] and [np.asarray(leaf) for leaf in jax.tree.leaves(told["state"])]
            right = right or state
            same = state is not None and all(np.array_equal(a, b) for a, b in zip(state, right, strict=True))
            found = {"case": name, "flip": flip and asdict(flip), "verdicts": told["verdicts"], "same": same}
            print(json.dumps(found | {"ended": state is None}), flush=True)


if __name__ == "__main__":
    sys.exit(main())
