"""How processes find each other, and whose each GPU of a machine is: NCCL joins no two processes on one."""

import os
import socket
import sys
from types import SimpleNamespace
from typing import NamedTuple

import jax
import pytest
from jax._src import clusters
from jax._src.clusters import cloud_tpu_cluster, cluster

from tejat.errors import BadInput
from tejat.train import hosts


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """A machine with four GPUs, for a JAX that uses them, as `hosts.gpus` sees it."""
    monkeypatch.setattr(hosts, "find_spec", lambda name: name)
    for name in ("nvidia0", "nvidia1", "nvidia2", "nvidia3", "nvidiactl", "nvidia-uvm"):
        (tmp_path / name).touch()
    return tmp_path


@pytest.mark.parametrize("of", [2, 3, 4])
def test_no_two_processes_get_one_gpu(machine, of):
    found = [hosts.gpus((at, of), {}, machine) for at in range(of)]
    assert all(len(each) == 4 // of for each in found)
    assert len({gpu for each in found for gpu in each}) == of * (4 // of)


def test_of_those_that_are_visible(machine):
    visible = {"CUDA_VISIBLE_DEVICES": "2,3"}  # JAX numbers what it sees from 0
    assert [hosts.gpus((at, 2), visible, machine) for at in (0, 1)] == [[0], [1]]


def test_more_processes_than_gpus_are_refused(machine):
    with pytest.raises(BadInput, match="5 processes want a GPU each and this machine has 4; give --supervise 4"):
        hosts.gpus((0, 5), {}, machine)


@pytest.mark.parametrize("environment", [{"JAX_PLATFORMS": "cpu"}, {"CUDA_VISIBLE_DEVICES": ""}])
def test_where_none_are_used_nothing_is_shared(machine, environment):
    assert hosts.gpus((0, 5), environment, machine) is None


def test_a_process_alone_has_them_all(machine):
    assert hosts.gpus((0, 1), {}, machine) is None


def test_a_jax_without_cuda_has_none(machine, monkeypatch):
    monkeypatch.setattr(hosts, "find_spec", lambda name: None)
    assert hosts.gpus((0, 5), {}, machine) is None


class Joined(NamedTuple):
    """What JAX makes of the environment when it joins."""

    coordinator: str
    processes: int
    process: int
    devices: list[int] | None


@pytest.fixture
def joined(monkeypatch):
    """`hosts.join` on a machine of which nothing is known, without a network; gives what JAX joined, or None."""
    for name in [*os.environ]:
        if name.startswith(("SLURM_", "OMPI_", "TPU_", "MEGASCALE_", "KUBERNETES_", "JOB_", "JAX_COORDINATOR")):
            monkeypatch.delenv(name)
    monkeypatch.setattr(cloud_tpu_cluster, "running_in_cloud_tpu_vm", False)
    monkeypatch.setattr(cluster, "running_in_cloud_tpu_vm", False)
    monkeypatch.setattr(socket, "socket", offline)
    monkeypatch.setattr(socket, "getaddrinfo", offline)
    monkeypatch.setattr(cloud_tpu_cluster, "get_metadata", offline)
    monkeypatch.setattr(cloud_tpu_cluster.BaseTpuCluster, "wait_for_coordinator", lambda *_: None)
    found: list[Joined] = []

    def initialize(*told, cluster_detection_method=None):
        if cluster_detection_method != "deactivate":
            told += (None,) * (4 - len(told)) + (cluster_detection_method, None)
            told = clusters.ClusterEnv.auto_detect_unset_distributed_params(*told)
        found.append(Joined(*told))

    monkeypatch.setattr(jax.distributed, "initialize", initialize)

    def join(environment: dict[str, str], *told, **more) -> Joined | None:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        hosts.join(*told, **more)
        return found.pop() if found else None

    return join


def offline(*_):
    raise AssertionError("nobody is to be asked over a network")


@pytest.fixture
def chips(monkeypatch):
    """TPU chips and libtpu, as JAX saw them when it was imported."""
    monkeypatch.setattr(cloud_tpu_cluster, "running_in_cloud_tpu_vm", True)
    monkeypatch.setattr(cluster, "running_in_cloud_tpu_vm", True)


def test_a_plain_machine_joins_nothing(joined):
    assert joined({}) is None


SLURM = {
    "SLURM_JOB_ID": "4096",
    "SLURM_STEP_NODELIST": "node[007-008],far1",
    "SLURM_NTASKS": "6",
    "SLURM_PROCID": "5",
    "SLURM_LOCALID": "1",
}


def test_under_slurm_a_task_is_one_of_all(joined):
    assert joined(SLURM) == Joined("node007:61440", 6, 5, [1])


def test_a_single_task_of_slurm_is_alone(joined):
    assert joined(SLURM | {"SLURM_NTASKS": "1", "SLURM_PROCID": "0"}) is None


def test_a_batch_script_of_slurm_is_no_task(joined):
    """It is told the number of tasks that srun would begin, and that its own is 0."""
    assert joined({name: value for name, value in SLURM.items() if "STEP" not in name} | {"SLURM_PROCID": "0"}) is None


def test_flags_say_more_than_slurm_which_says_whose_a_gpu_is(joined):
    assert joined(SLURM, "10.0.0.1:8476", 2, 0) == Joined("10.0.0.1:8476", 2, 0, [1])


def test_a_supervised_process_alone_on_its_host_has_all_gpus_under_slurm_too(joined):
    assert joined(SLURM, "10.0.0.1:8476", 2, 0, beside=(0, 1)) == Joined("10.0.0.1:8476", 2, 0, None)


OPEN_MPI = {"OMPI_COMM_WORLD_SIZE": "2", "OMPI_COMM_WORLD_RANK": "1", "OMPI_COMM_WORLD_LOCAL_RANK": "0"}


def test_under_open_mpi_a_rank_is_one_of_all(joined):
    launcher = {"OMPI_MCA_orte_hnp_uri": "4096.0;tcp://10.96.0.1,10.148.0.1:34911", "OMPI_VERSION": "4.1.6"}
    assert joined(OPEN_MPI | launcher) == Joined("10.96.0.1:61441", 2, 1, [0])


def test_open_mpi_5_wants_mpi4py(joined, monkeypatch):
    monkeypatch.setattr(hosts, "find_spec", lambda name: None)
    with pytest.raises(BadInput, match="pip install mpi4py"):
        joined(OPEN_MPI)
    assert joined({"OMPI_COMM_WORLD_SIZE": "1"}) is None


GKE = {"TPU_WORKER_HOSTNAMES": "pod-0.net,pod-1.net", "TPU_WORKER_ID": "1", "TPU_SKIP_MDS_QUERY": "true"}
SLICES = {"MEGASCALE_NUM_SLICES": "2", "MEGASCALE_SLICE_ID": "1", "MEGASCALE_COORDINATOR_ADDRESS": "first.net"}
POD = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "JOB_COMPLETION_INDEX": "2"}


def test_on_gke_a_host_is_one_of_its_slice(joined, chips, monkeypatch):
    """Its pod is of an indexed Job, which needs no package here. JAX asks for several slices when it joins."""
    monkeypatch.setattr(cloud_tpu_cluster, "get_metadata", lambda key: ("", 404))
    assert joined(GKE | POD) == Joined("pod-0.net:8482", 2, 1, None)


def test_on_gke_a_host_is_one_of_all_slices(joined, chips):
    assert joined(GKE | SLICES) == Joined("first.net:8482", 4, 3, None)


def test_slices_of_one_host_each_are_several_hosts(joined, chips):
    alone = {"TPU_WORKER_HOSTNAMES": "localhost", "TPU_WORKER_ID": "0"}
    assert joined(GKE | alone | SLICES) == Joined("first.net:8482", 2, 1, None)


def test_a_single_host_of_gke_asks_nobody(joined, chips):
    assert joined(POD | {"TPU_WORKER_HOSTNAMES": "localhost", "TPU_WORKER_ID": "0"}) is None


def test_a_host_of_gke_without_a_number_is_told(joined, chips):
    with pytest.raises(BadInput, match="one of 2 hosts with TPUs; set TPU_WORKER_ID"):
        joined({"TPU_WORKER_HOSTNAMES": "pod-0.net,pod-1.net"})


def test_a_host_of_gke_without_libtpu_is_told(joined):
    with pytest.raises(BadInput, match="one of 2 hosts with TPUs, and JAX sees none; install libtpu by `pip install"):
        joined(GKE)


@pytest.fixture
def knows(monkeypatch):
    """Says what Google's metadata server knows."""

    def knows(**told: str):
        told = {name.replace("_", "-"): value for name, value in told.items()}
        answer = lambda key: (told[key], 200) if key in told else ("", 404)  # noqa: E731
        monkeypatch.setattr(cloud_tpu_cluster, "get_metadata", answer)

    return knows


def test_a_tpu_vm_is_one_of_its_pod(joined, chips, knows):
    knows(agent_worker_number="1", worker_network_endpoints="a:0:10.0.0.2,b:1:10.0.0.3", tpu_env="ZONE: 'x'")
    assert joined({}) == Joined("10.0.0.2:8482", 2, 1, None)


def test_a_tpu_vm_is_one_of_all_slices(joined, chips, knows):
    slices = "".join(f"{name}: '{value}'\n" for name, value in SLICES.items())
    knows(agent_worker_number="0", worker_network_endpoints="10.0.0.2,10.0.0.3", tpu_env=slices)
    assert joined({}) == Joined("first.net:8482", 4, 2, None)


def test_a_single_tpu_vm_joins_nothing(joined, chips, knows):
    knows(agent_worker_number="0", worker_network_endpoints="10.0.0.2", tpu_env="")
    assert joined({}) is None


def test_a_machine_with_chips_that_is_no_pod_joins_nothing(joined, chips, knows):
    knows()
    assert joined({}) is None


def test_chips_where_nobody_is_to_be_asked_join_nothing(joined, chips):
    assert joined({"TPU_SKIP_MDS_QUERY": "1"}) is None


@pytest.mark.parametrize(
    ("error", "told"), [(ConnectionError(), "set TPU_SKIP_MDS_QUERY=1"), (ImportError(), "pip install 'tejat")]
)
def test_a_tpu_vm_that_cannot_be_read_is_told(joined, chips, monkeypatch, error, told):
    def fails(_):
        raise error

    monkeypatch.setattr(cloud_tpu_cluster, "get_metadata", fails)
    with pytest.raises(BadInput, match=told):
        joined({})


def test_flags_ask_nobody(joined, chips):
    assert joined(POD, "10.0.0.1:8476", 2, 0) == Joined("10.0.0.1:8476", 2, 0, None)


@pytest.fixture
def kubernetes(monkeypatch):
    """The client's package, before a cluster whose Jobs have so many pods."""
    package = SimpleNamespace(
        config=SimpleNamespace(load_incluster_config=lambda: None),
        client=SimpleNamespace(
            CoreV1Api=lambda: None, BatchV1Api=lambda: None, exceptions=SimpleNamespace(ApiException=OSError)
        ),
    )
    monkeypatch.setitem(sys.modules, "kubernetes", package)
    monkeypatch.setattr(hosts, "find_spec", lambda name: name)
    for name in ("_core_api", "_batch_api", "_ApiException"):  # what JAX keeps of it
        monkeypatch.setattr(clusters.K8sCluster, name, None, raising=False)
    monkeypatch.setattr(clusters.K8sCluster, "get_coordinator_address", lambda **_: "job-0.net:55527")

    def of(pods: int):
        job = SimpleNamespace(spec=SimpleNamespace(parallelism=pods))
        monkeypatch.setattr(clusters.K8sCluster, "_job", lambda: job)
        return package

    return of


def test_a_pod_is_one_of_its_indexed_job(joined, kubernetes):
    kubernetes(4)
    assert joined(POD) == Joined("job-0.net:55527", 4, 2, None)


def test_the_only_pod_of_a_job_joins_nothing(joined, kubernetes):
    kubernetes(1)
    assert joined(POD) is None


def test_a_pod_of_no_indexed_job_joins_nothing(joined):
    assert joined({"KUBERNETES_SERVICE_HOST": "10.0.0.1"}) is None


def test_a_pod_wants_the_package(joined, monkeypatch):
    monkeypatch.setattr(hosts, "find_spec", lambda name: None)
    with pytest.raises(BadInput, match="kubernetes package; install it by `pip install kubernetes`, or give --coord"):
        joined(POD)


def test_a_cluster_that_does_not_tell_is_told(joined, kubernetes):
    def refuses():
        raise RuntimeError("Service token file does not\nexist.")

    kubernetes(4).config.load_incluster_config = refuses
    with pytest.raises(BadInput, match=r"\(Service token file does not exist.\); let its service account read pods"):
        joined(POD)
