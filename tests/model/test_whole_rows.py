"""Rows that one document fills are told from others when they are there; the two ways are XLA's attention and ours."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AbstractMesh, PartitionSpec

from tejat.model import interval_kernel, passes, whole_rows
from tejat.model.attention import Intervals, attend, causal_intervals, windowed

B, T, H, K, N = 2, 48, 4, 2, 16


def arrays(seed: int = 0):
    random = np.random.default_rng(seed)
    shapes = (B, T, H, N), (B, T, K, N), (B, T, K, N), (B, T, H, N)
    q, k, v, wanted = (jnp.asarray(random.standard_normal(shape, np.float32)) for shape in shapes)
    return q * N**-0.25, k * N**-0.25, v, wanted


def whole(q, k, v):
    """As cuDNN's, marked: what it gives is twice as large."""
    return 2 * jax.nn.dot_product_attention(q, k, v, scale=1.0, is_causal=True, implementation="xla")


def rows() -> dict[str, Intervals]:
    one = jnp.ones((B, T), jnp.int32)
    causal = causal_intervals(one)
    return {
        "whole": causal,
        "two documents in one of the rows": causal_intervals(one.at[1, T - 1].set(2)),
        "padding in one of the rows": causal_intervals(one.at[0, T - 1].set(0)),
        "a window of all but one": windowed(causal, T - 1),
        "a window of all": windowed(causal, T),
        "images that see their ends": windowed(causal, T, one.at[:, :-2].set(0)),
    }


def by_intervals(q, k, v, start, end):
    return attend(q, k, v, Intervals(start, end))


def chosen(q, k, v, start, end):
    return whole_rows.attend(q, k, v, start, end, lambda *x: by_intervals(*x, start, end), whole)


def backward(function):
    """What it gives, and its gradients."""

    def run(q, k, v, start, end, wanted):
        out, back = jax.vjp(lambda *x: function(*x, start, end), q, k, v)
        return out, *back(wanted)

    return jax.jit(run)


@pytest.mark.parametrize("keep", ["everything", "products", "inputs"])
def test_rows_that_are_whole_go_one_way_and_all_others_the_other(keep):
    q, k, v, wanted = arrays()
    mine, other = backward(passes.Pass(keep=keep, unrolled=True).kept(chosen)), backward(by_intervals)
    for name, intervals in rows().items():
        times = 2 if name in ("whole", "a window of all") else 1
        for one, two in zip(mine(q, k, v, *intervals, wanted), other(q, k, v, *intervals, wanted), strict=True):
            np.testing.assert_allclose(one, times * two, atol=2e-5, rtol=2e-5, err_msg=name)


def test_long_rows_on_the_gpu_that_was_measured_are_asked_and_no_others(monkeypatch):
    def takes(length=whole_rows.LEAST, keys=whole_rows.LEAST, width=128, dtype=jnp.bfloat16) -> bool:
        q, k = (jax.ShapeDtypeStruct((1, n, 1, width), dtype) for n in (length, keys))
        return whole_rows.takes(q, k)

    assert not takes()  # these processors
    monkeypatch.setattr(jax, "devices", lambda: [SimpleNamespace(compute_capability="8.0")])
    assert not takes()
    monkeypatch.setattr(jax, "devices", lambda: [SimpleNamespace(compute_capability="9.0")])
    assert takes()
    assert not takes(length=64) and not takes(64, 64) and not takes(width=256) and not takes(dtype=jnp.float32)
    flags = "--xla_gpu_exclude_nondeterministic_ops", "--xla_gpu_deterministic_ops"
    for flag in (f"{name}{value}" for name in flags for value in ("", "=true", "=True", "=1")):
        monkeypatch.setenv("XLA_FLAGS", f"--xla_dump_to=/tmp {flag} --xla_gpu_autotune_level=0")
        assert not takes(), flag
        monkeypatch.setenv("XLA_FLAGS", f"{flag.partition('=')[0]}=false")
        assert takes(), flag


@pytest.mark.parametrize("devices", [1, 2])
def test_the_backward_pass_makes_nothing_of_cudnns_again(devices, monkeypatch):
    """The program for a GPU, which none is needed to write: each kernel stands in it once, on several devices too."""
    cudnn = pytest.importorskip("jax._src.cudnn.fused_attention_stablehlo")  # asks a GPU what it can
    monkeypatch.setattr(cudnn, "check_cudnn_version", lambda: 91_000)
    monkeypatch.setattr(cudnn, "check_compute_capability", lambda _: True)
    monkeypatch.setattr(cudnn, "is_cuda_compute_capability_equal", lambda _: False)
    mesh = AbstractMesh((devices,), ("fsdp",))

    def local(q, k, v, start, end):
        def others(q, k, v):
            return interval_kernel.attend(q, k, v, start, end, interval_kernel.plan(128))

        return whole_rows.attend(q, k, v, start, end, others)

    cut = PartitionSpec("fsdp")
    spread = jax.shard_map(local, mesh=mesh, in_specs=(cut,) * 5, out_specs=cut, check_vma=False)
    kept = passes.Pass(keep="products", unrolled=True).kept(local if devices == 1 else spread)
    step = jax.jit(jax.grad(lambda *x: kept(*x).astype(jnp.float32).sum(), argnums=(0, 1, 2)))
    q, k = (jax.ShapeDtypeStruct((2, 4_096, heads, 128), jnp.bfloat16) for heads in (16, 1))
    place = jax.ShapeDtypeStruct((2, 4_096), jnp.int32)
    calls = "__cudnn$fmhaSoftmax", "__cudnn$fmhaSoftmaxBackward", "__gpu$xla.gpu.triton"
    unchecked = [jax.export.DisabledSafetyCheck.custom_call(call) for call in calls]
    made = jax.export.export(step, platforms=["cuda"], disabled_checks=unchecked)(q, k, k, place, place)
    assert [made.mlir_module().count(f"custom_call @{call}(") for call in calls] == [1, 1, 3]
