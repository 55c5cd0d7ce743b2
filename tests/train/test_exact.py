"""Deterministic runs: what XLA is told, and when it is too late to tell it."""

import os

import jax
import pytest

from tejat.errors import BadInput
from tejat.train import exact


@pytest.fixture
def nothing_computed(monkeypatch):
    from jax._src import xla_bridge

    monkeypatch.setattr(xla_bridge, "backends_are_initialized", lambda: False)
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false")


def test_kernels_are_kept_beside_the_run_and_taken_again(nothing_computed, tmp_path):
    run = tmp_path / "run"
    exact.demand(run)
    flags = os.environ["XLA_FLAGS"].split()
    assert "--xla_cpu_multi_thread_eigen=false" in flags and "--xla_gpu_exclude_nondeterministic_ops=true" in flags
    assert f"--xla_gpu_dump_autotune_results_to={run / exact.CHOSEN}" in flags
    assert not any("load_autotune" in flag for flag in flags)
    (run / exact.CHOSEN).write_text("version: 3")
    exact.demand(run)
    assert f"--xla_gpu_load_autotune_results_from={run / exact.CHOSEN}" in os.environ["XLA_FLAGS"].split()


def test_it_is_too_late_once_something_was_computed(tmp_path):
    jax.numpy.zeros(1).block_until_ready()
    with pytest.raises(BadInput, match="process of its own"):
        exact.demand(tmp_path)
    assert not (tmp_path / exact.CHOSEN).exists()
