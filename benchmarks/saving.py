"""Host memory that saving takes beside the state itself, and how long training waits for it.

    python benchmarks/saving.py mini      on one GPU, where the state is in the device's memory; some seconds
    python benchmarks/saving.py micro     on a processor, where the state is in the host's memory already

The state is that of training: masters and both moments in float32. Memory is the highest that the kernel saw of this
process between the call and the end of what is written in the background, less what it had before, over the bytes of
the state. Wanted: 1.2 times a process's shard at most.
"""

import json
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

import jax
import tyro

from tejat.model import family
from tejat.train import step
from tejat.train.checkpoint import Checkpoints
from tejat.train.optimizer import Schedule


def main(size: tyro.conf.Positional[str] = "mini", times: int = 3, out: Path | None = None) -> None:
    state = jax.device_put(step.initial_state(family.preset(size), Schedule(steps=1_000), 0))
    held = sum(leaf.nbytes for leaf in jax.tree.leaves(state))
    for number in range(times):
        # New arrays: of those that were saved, JAX keeps what it copied.
        state = jax.block_until_ready(jax.tree.map(lambda leaf: leaf + 1, state))
        with tempfile.TemporaryDirectory(dir=out) as place:
            before, begun = _forget_the_highest(), time.perf_counter()
            with closing(Checkpoints(Path(place), keep=1)) as checkpoints:
                checkpoints.save(state, {})
                waited = time.perf_counter() - begun
            found = {
                "size": size,
                "device": jax.devices()[0].device_kind,
                "save": number,
                "state_mb": round(held / 1e6, 1),
                "host_of_state": round((_kilobytes("VmHWM") - before) * 1_024 / held, 3),
                "waited_s": round(waited, 3),
                "written_s": round(time.perf_counter() - begun, 3),
            }
            print(json.dumps(found), flush=True)


def _forget_the_highest() -> int:
    """What this process holds now, in kB, from which the highest is counted anew."""
    Path("/proc/self/clear_refs").write_text("5")
    return _kilobytes("VmRSS")


def _kilobytes(what: str) -> int:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(what))
    return int(line.split()[1])


if __name__ == "__main__":
    sys.exit(tyro.cli(main, description=__doc__))
