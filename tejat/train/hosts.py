"""Several processes as one program: how they find each other, and what they tell each other.

All of them run the same loop over one mesh of all their devices, and see one file system; the first alone writes what
is no array.
"""

import json
import os
from typing import Any

import jax
import numpy as np
from jax.sharding import NamedSharding

from tejat.errors import BadInput
from tejat.model.params import Tree


def join(coordinator: str | None = None, processes: int | None = None, process: int | None = None) -> None:
    """Joins the other processes of a job, if there are others. To be called before anything asks for a device.

    Under SLURM, Open MPI, Kubernetes (JobSet) and on TPU pods, JAX finds them; on plain hosts, tell the address and
    port of process 0, their number, and which this is. Raises BadInput where some of the three are missing or wrong.
    """
    told = (coordinator, processes, process)
    if any(value is not None for value in told):
        if any(value is None for value in told):
            raise BadInput("give --coordinator, --processes and --process together, or none of them")
        if not 0 <= process < processes:
            raise BadInput(f"there is no process {process} among {processes}; they are numbered from 0")
        if ":" not in coordinator:
            raise BadInput(f"the coordinator {coordinator!r} has no port; write it as in 10.0.0.1:8476")
        jax.distributed.initialize(coordinator, processes, process)
    elif _among_others():
        jax.distributed.initialize()


def _among_others() -> bool:
    """Does the environment speak of a job of several processes?"""
    several = any(int(os.environ.get(name, "1")) > 1 for name in ("SLURM_NTASKS", "OMPI_COMM_WORLD_SIZE"))
    one_of_them = "SLURM_PROCID" in os.environ or "OMPI_COMM_WORLD_RANK" in os.environ
    pod = "," in os.environ.get("TPU_WORKER_HOSTNAMES", "")
    job = "JOB_COMPLETION_INDEX" in os.environ and "KUBERNETES_SERVICE_HOST" in os.environ
    return (several and one_of_them) or pod or job


def is_first() -> bool:
    return jax.process_index() == 0


def meet(name: str) -> None:
    """Waits until all processes are here."""
    if jax.process_count() > 1:
        from jax.experimental import multihost_utils

        multihost_utils.sync_global_devices(name)


def gather(value: Any) -> list[Any]:
    """What each process gives, as JSON can say it, in the order of the processes."""
    if jax.process_count() == 1:
        return [value]
    from jax.experimental import multihost_utils

    mine = np.frombuffer(json.dumps(value).encode(), np.uint8)
    lengths = np.asarray(multihost_utils.process_allgather(np.asarray(len(mine)))).reshape(-1)
    padded = np.pad(mine, (0, int(lengths.max()) - len(mine)))
    rows = np.asarray(multihost_utils.process_allgather(padded)).reshape(len(lengths), -1)
    return [json.loads(row[:length].tobytes()) for row, length in zip(rows, lengths, strict=True)]


def whole(tree: Tree) -> Tree:
    """Arrays, whichever devices hold them, in the memory of every host."""
    if jax.process_count() == 1:
        return jax.device_get(tree)
    from jax.experimental import multihost_utils

    return jax.tree.map(lambda array: np.asarray(multihost_utils.process_allgather(array, tiled=True)), tree)


def share(sharding: NamedSharding, rows: int) -> tuple[int, int]:
    """(k, n): this host's devices hold the k-th of n equal parts of the rows of a batch.

    Hosts between which matrices are cut hold the same part. Raises BadInput where the part of this host is in pieces.
    """
    held = {
        (index[0].start or 0, rows if index[0].stop is None else index[0].stop)
        for index in sharding.addressable_devices_indices_map((rows,)).values()
    }
    first, last = min(start for start, _ in held), max(stop for _, stop in held)
    if sum(stop - start for start, stop in held) != last - first or rows % (last - first) or first % (last - first):
        raise BadInput("the mesh gives a host rows that are not next to each other; name its larger axes first")
    return first // (last - first), rows // (last - first)
