"""The same bits on a GPU in any process: kernels that add in a fixed order, and that were tried out once.

XLA times several kernels for a product or a sum and takes the fastest, another one in another process; and it adds up
scattered numbers in whatever order they come. A run that is `deterministic` forbids the second, and keeps what was
chosen beside its checkpoints, to be chosen again by every process that goes on. Our own kernels of attention add in a
fixed order as they are (`tejat.model.interval_kernel`).
"""

import os
from pathlib import Path

from tejat.errors import BadInput

CHOSEN = "autotuned.txt"
"""In a run's directory: which kernels were taken, by XLA's names."""


def demand(directory: Path) -> None:
    """From here on every program of this process is made so, with the kernels that `directory` tells, which it is told.

    On other devices than GPUs nothing changes: they have one order. Raises BadInput where JAX already began to compile.
    """
    from jax._src import xla_bridge  # has no public name yet

    if xla_bridge.backends_are_initialized():
        raise BadInput(
            "a deterministic run must be told so before anything is computed; start it as a process of its own"
        )
    directory.mkdir(parents=True, exist_ok=True)
    chosen = directory.absolute() / CHOSEN
    flags = ["--xla_gpu_exclude_nondeterministic_ops=true", f"--xla_gpu_dump_autotune_results_to={chosen}"]
    if chosen.is_file():
        flags.append(f"--xla_gpu_load_autotune_results_from={chosen}")
    os.environ["XLA_FLAGS"] = " ".join([os.environ.get("XLA_FLAGS", ""), *flags]).strip()
