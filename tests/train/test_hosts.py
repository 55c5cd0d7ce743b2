"""Processes of one machine that share its GPUs: each its own, since NCCL joins no two processes on one."""

import pytest

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
