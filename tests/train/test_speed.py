"""What `tejat bench train` counts: arithmetic by the sizes' own table, and batches as the packer makes them."""

import gzip
import json
import os
import subprocess
import sys

import numpy as np
import pytest

from tejat.errors import BadInput
from tejat.model import family, sizes
from tejat.train import speed
from tejat.train.speed import Rows


@pytest.mark.parametrize("name", ["micro", "mini"])
def test_whole_rows_cost_what_the_family_says(name):
    config = speed.bare(family.preset(name))
    made = speed.batch(config, Rows(rows=2, tokens=1_024))
    # The last token of a row predicts nothing, and the family counts scores for each.
    scores = 6 * config.decoder.vocabulary * config.decoder.width
    expected = 2 * (1_024 * sizes.training_flops(config, 1_024) - scores)
    assert speed.flops(config, made) == pytest.approx(expected, rel=1e-6)


def test_packed_rows_cost_less_and_media_more():
    config = family.preset("mini")
    whole, packed = (speed.batch(speed.bare(config), Rows(2, 2_048, document)) for document in (0, 200))
    assert packed.inputs.segments.max() > 5
    assert speed.flops(speed.bare(config), packed) < 0.95 * speed.flops(speed.bare(config), whole)
    mixed = speed.batch(config, Rows(2, 2_048, 400, media=True))
    assert (mixed.inputs.soft >= 0).any() and mixed.inputs.media.mel_real.any()
    assert (mixed.inputs.segments > 0).mean() > 0.5
    without = mixed._replace(inputs=mixed.inputs._replace(media=None))
    assert speed.flops(config, mixed) > 1.02 * speed.flops(config, without)


def test_kernels_of_a_trace_are_summed_by_name(tmp_path):
    """Of a device's lines, the streams alone: modules and steps hold the same time again."""
    events = [
        {"ph": "M", "name": "process_name", "pid": 1, "args": {"name": "/device:GPU:0"}},
        {"ph": "M", "name": "thread_name", "pid": 1, "tid": 1, "args": {"name": "Stream #13(Compute)"}},
        {"ph": "M", "name": "thread_name", "pid": 1, "tid": 2, "args": {"name": "XLA Modules"}},
        *({"ph": "X", "name": "gemm", "pid": 1, "tid": 1, "dur": 500.0} for _ in range(3)),
        {"ph": "X", "name": "fusion", "pid": 1, "tid": 1, "dur": 2_000.0},
        {"ph": "X", "name": "jit_step", "pid": 1, "tid": 2, "dur": 9_000.0},
    ]
    with gzip.open(tmp_path / "perfetto_trace.json.gz", "wt") as file:
        json.dump({"traceEvents": events}, file)
    found = speed.kernels(tmp_path)
    assert [name for name, _ in found] == ["fusion", "gemm"]
    np.testing.assert_allclose([seconds for _, seconds in found], [2e-3, 1.5e-3])


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["nano7"], "there is no model size 'nano7'"),
        (["micro", "--tokens", "4096"], "the context of micro is 2,048"),
        (["mini", "--rows", "0"], "at least 1"),
        (["mini", "--media"], "--media needs the length"),
        (["micro", "--ways", "--compile-only"], "give one of them"),
    ],
)
def test_what_cannot_be_measured_is_told(words, told):
    from tejat.cli import bench

    with pytest.raises(BadInput, match=told):
        bench.main(["train", *words])


def test_what_is_only_compiled_is_not_measured():
    found = speed.measure(speed.bare(family.preset("micro")), Rows(1, 32), bfloat16=False, compile_only=True)
    assert found.keys() == {"compile_s", "temporary_gib"} and found["temporary_gib"] > 0


@pytest.mark.slow
def test_devices_that_share_the_work_have_the_losses_of_one():
    def measured(*words: str) -> dict:
        command = [sys.executable, "-m", "tejat", "bench", "train", "micro", "--rows", "2", "--tokens", "32"]
        command += ["--steps", "1", "--float32", "--json", *words]
        env = dict(os.environ) | {"XLA_FLAGS": "--xla_force_host_platform_device_count=2", "JAX_PLATFORMS": "cpu"}
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=env)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    one, two = measured(), measured("--mesh", "fsdp=2")
    assert (one["devices"], two["devices"]) == (1, 2) and one["tokens"] == two["tokens"]
    assert two["losses"] == pytest.approx(one["losses"], rel=1e-5)


@pytest.mark.slow
def test_all_ways_in_one_call():
    command = [
        sys.executable,
        "-m",
        "tejat",
        "bench",
        "train",
        "micro",
        "--rows",
        "1",
        "--tokens",
        "256",
        "--steps",
        "2",
    ]
    command += ["--document", "40", "--ways", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    ways = {each["way"]: each for each in json.loads(done.stdout)["ways"]}
    assert len(ways) == 4 and ways["one document a row"]["flops"] > ways["packed"]["flops"]
    packed, exact, eight = (ways[name]["losses"][0] for name in [*ways][1:])
    assert exact == packed and eight != packed and eight == pytest.approx(packed, rel=0.05)
