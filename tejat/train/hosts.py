"""Several processes as one program: how they find each other, and what they tell each other.

All of them run the same loop over one mesh of all their devices, and see one file system; the first alone writes what
is no array.
"""

import itertools
import json
import os
import re
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax._src import clusters, distributed  # neither schedulers nor the coordinator's memory have public names yet
from jax.sharding import NamedSharding, PartitionSpec

from tejat.errors import BadInput
from tejat.model.params import Tree


def join(
    coordinator: str | None = None,
    processes: int | None = None,
    process: int | None = None,
    beside: tuple[int, int] | None = None,
) -> None:
    """Joins the other processes of a job, if there are others. To be called before anything asks for a device.

    Under SLURM, Open MPI, Kubernetes (indexed jobs, JobSet) and on TPU pods, of several slices too, JAX finds them; on
    plain hosts, tell the address and port of process 0, their number, and which this is. (k, n) `beside`: this is the
    k-th of n processes that share this host's GPUs; without it, SLURM and Open MPI say which of them are its own.
    Raises BadInput where some of the three are missing or wrong, GPUs too few, or a scheduler cannot be read.
    """
    told = (coordinator, processes, process)
    if any(value is not None for value in told):
        if any(value is None for value in told):
            raise BadInput("give --coordinator, --processes and --process together, or none of them")
        if not 0 <= process < processes:
            raise BadInput(f"there is no process {process} among {processes}; they are numbered from 0")
        if ":" not in coordinator:
            raise BadInput(f"the coordinator {coordinator!r} has no port; write it as in 10.0.0.1:8476")
        _let_virtual_devices_wait()
        # Who is told all asks nobody: JAX would call on Kubernetes and on Google's metadata server even so. But where
        # several processes share a host, their launcher knows which GPU is whose.
        launched = beside is None and _launcher() and not _open_mpi_5()
        mine, method = gpus(beside or (0, 1)), None if launched else "deactivate"
        jax.distributed.initialize(coordinator, processes, process, mine, cluster_detection_method=method)
    elif _among_others():
        _let_virtual_devices_wait()
        jax.distributed.initialize(cluster_detection_method="mpi4py" if _open_mpi_5() else None)


def _let_virtual_devices_wait() -> None:
    """Threads enough for the virtual devices of a processor that exchange with those of other processes.

    An exchange that waits for its peers holds a thread of XLA's pool, which has one for each device or core. Where
    devices begin two exchanges in different orders, all threads can be waiting, each for one that has none to run in,
    for ever: four devices in each of two processes on two cores hung in the first step, twice of two times, and never
    in five with 16 threads. XLA reads the size of the pool from NPROC.
    """
    devices = re.findall(r"--xla_force_host_platform_device_count=(\d+)", os.environ.get("XLA_FLAGS", ""))
    if devices:
        os.environ.setdefault("NPROC", str(4 * int(devices[-1])))


def gpus(
    beside: tuple[int, int], environment: Mapping[str, str] = os.environ, devices: Path = Path("/dev")
) -> list[int] | None:
    """Which of this host's GPUs are of the k-th of n processes on it; None where one has them all, or JAX uses none.

    NCCL joins no two processes that compute on one GPU. GPUs that are left over stay idle. Raises BadInput where there
    are fewer GPUs than processes.
    """
    at, of = beside
    plugins = ("jax_cuda13_plugin", "jax_cuda12_plugin")
    if of == 1 or environment.get("JAX_PLATFORMS") == "cpu" or not any(map(find_spec, plugins)):
        return None
    if (told := environment.get("CUDA_VISIBLE_DEVICES")) is not None:
        count = len([name for name in told.split(",") if name.strip()])
    else:
        count = sum(path.name.removeprefix("nvidia").isdigit() for path in devices.glob("nvidia*"))
    if not count:
        return None
    if count < of:
        raise BadInput(f"{of} processes want a GPU each and this machine has {count}; give --supervise {count}")
    each = count // of
    return list(range(at * each, (at + 1) * each))


def _among_others() -> bool:
    """Does a scheduler run this process as one of several?

    JAX's classes are asked, since `jax.distributed.initialize` goes by them. A machine without TPU chips asks nobody
    over a network, unless it is a pod of an indexed Job. Raises BadInput where JAX could not read the job.
    """
    if _open_mpi_5():
        several = int(os.environ["OMPI_COMM_WORLD_SIZE"]) > 1
        if several and not find_spec("mpi4py"):
            raise BadInput("JAX finds the processes of Open MPI 5 by mpi4py; install it by `pip install mpi4py`")
        return several
    if launcher := _launcher():
        return launcher.get_process_count() > 1
    named = _tpu_hosts()
    if clusters.GkeTpuCluster.is_env_present():
        if named > 1 and not os.environ.get("TPU_WORKER_ID", "").isdigit():
            raise BadInput(f"this is one of {named} hosts with TPUs; set TPU_WORKER_ID to its number, from 0")
        return named > 1
    if named > 1:
        told = f"this is to be one of {named} hosts with TPUs, and JAX sees none"
        raise BadInput(f"{told}; install libtpu by `pip install 'tejat[tpu]'`, or unset TPU_WORKER_HOSTNAMES")
    return _in_a_pod_of_googles() or _in_an_indexed_job()


def _launcher() -> type[clusters.ClusterEnv] | None:
    """What started this process and tells all of it in the environment."""
    return next((each for each in (clusters.OmpiCluster, clusters.SlurmCluster) if each.is_env_present()), None)


def _open_mpi_5() -> bool:
    """Was this started by an Open MPI that no longer tells the address of its launcher, by which JAX found it?"""
    return "OMPI_COMM_WORLD_SIZE" in os.environ and "OMPI_MCA_orte_hnp_uri" not in os.environ


def _tpu_hosts() -> int:
    """How many hosts with TPUs the environment names, in all slices: GKE's way to tell. 0 where it names none.

    JAX's own count would ask the metadata server for the number of slices wherever there is only one.
    """
    named = clusters.GkeTpuCluster._get_worker_host_names_env_var()
    return 0 if named is None else len(named.split(",")) * int(os.environ.get("MEGASCALE_NUM_SLICES") or 1)


_FLAGS = "give --coordinator, --processes and --process"


def _in_a_pod_of_googles() -> bool:
    """Is this one of several TPU VMs? Google's metadata server knows; JAX asks it only where chips and libtpu are."""
    try:
        return clusters.GceTpuCluster.is_env_present() and clusters.GceTpuCluster.get_process_count() > 1
    except ImportError as error:
        raise BadInput("a TPU VM is read by requests; install it by `pip install 'tejat[tpu]'`") from error
    except OSError as error:  # as all errors of requests are
        told = "the metadata server of this TPU VM does not answer"
        raise BadInput(f"{told}; if the host is alone, set TPU_SKIP_MDS_QUERY=1, else {_FLAGS}") from error


def _in_an_indexed_job() -> bool:
    """Is this one of several pods of a Job with completionMode Indexed, as those of a JobSet are? Kubernetes knows."""
    if not {"JOB_COMPLETION_INDEX", "KUBERNETES_SERVICE_HOST"} <= os.environ.keys():
        return False
    if not find_spec("kubernetes"):
        told = "JAX finds the other pods of this Job by the kubernetes package"
        raise BadInput(f"{told}; install it by `pip install kubernetes`, or {_FLAGS}")
    try:
        return clusters.K8sCluster.is_env_present() and clusters.K8sCluster.get_process_count() > 1
    except Exception as error:  # its client has many kinds, without a common one
        told = f"Kubernetes does not tell of this pod's Job ({' '.join(str(error).split())[:100]})"
        raise BadInput(f"{told}; let its service account read pods, jobs and services, or {_FLAGS}") from error


def is_first() -> bool:
    return jax.process_index() == 0


def meet(name: str) -> None:
    """Waits until all processes are here."""
    if jax.process_count() > 1:
        from jax.experimental import multihost_utils

        multihost_utils.sync_global_devices(name)


def gather(value: Any) -> list[Any]:
    """What each process gives, as JSON can say it, in the order of the processes.

    It goes through the coordinator's memory, not through devices: no program is compiled for it.
    """
    if jax.process_count() == 1:
        return [value]
    client, number = distributed.global_state.client, next(_gathered)
    client.key_value_set(f"{_key(number)}{jax.process_index():08}", json.dumps(value))
    client.wait_at_barrier(f"gathered-{number}", _PATIENCE)
    found = [json.loads(told) for _, told in sorted(client.key_value_dir_get(_key(number)))]
    # All have set this one, and so have read the one before.
    client.key_value_delete(f"{_key(number - 1)}{jax.process_index():08}")
    return found


_gathered = itertools.count(1)
_PATIENCE = 24 * 3600 * 1000  # in milliseconds; whoever dies is missed by the coordinator long before


def _key(number: int) -> str:
    return f"tejat-gather-{number}/"


def connected() -> bool:
    """Is this process one of several?"""
    return distributed.global_state.client is not None


def told_to_stop(step: int) -> bool:
    """Has some process been told to end, by SIGTERM, and is this the step after which all can? To be asked after every
    step."""
    from jax.experimental import multihost_utils

    return connected() and multihost_utils.reached_preemption_sync_point(step)


def whole(tree: Tree) -> Tree:
    """Arrays, whichever devices hold them, in the memory of every host."""
    if jax.process_count() == 1:
        return jax.device_get(tree)
    leaves, form = jax.tree.flatten(tree)
    everywhere = NamedSharding(leaves[0].sharding.mesh, PartitionSpec())
    gathered = jax.jit(lambda *arrays: arrays, out_shardings=everywhere)
    found: list[np.ndarray] = []
    # Some at once, since each program takes its time to compile; not all, since they may not fit a device.
    while (at := len(found)) < len(leaves):
        sizes = itertools.accumulate(leaf.nbytes for leaf in leaves[at:])
        count = max(1, sum(size <= _AT_ONCE for size in sizes))
        some = leaves[at : at + count]
        program = gathered.lower(*some).compile()
        # Gloo, which joins processors, waits 30 s for whoever still compiles, or makes the step before.
        jax.block_until_ready(some)
        gather(None)
        found += [np.asarray(array.addressable_data(0)) for array in program(*some)]
    return jax.tree.unflatten(form, found)


_AT_ONCE = 1 << 28


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
