"""Gradients of shards, added in their order: the same bits on one device and on many, wherever the shards lie."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tejat.errors import BadInput
from tejat.train import loop
from tejat.train.tour import RECIPE


@pytest.mark.slow
def test_a_step_is_the_same_to_the_bit_on_any_mesh_and_turned_over_its_devices():
    meshes = ["data=2,fsdp=4", "fsdp=8", "fsdp=4", "data=2,fsdp=2,tensor=2", ""]
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("shards_alike.py")), *meshes],
        capture_output=True,
        text=True,
        timeout=900,
        env={**os.environ, "XLA_FLAGS": "--xla_force_host_platform_device_count=8"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(found) == 2 * (len(meshes) - 1) + 1
    first, *others = [one for one in found if "tensor" not in one["mesh"]]
    for other in others:
        assert (other["state"], other["local"]) == (first["state"], first["local"]), other["mesh"]
    # Where matrices are cut, products are other sums; turned over the devices, they are the same again.
    one, two = [one for one in found if "tensor" in one["mesh"]]
    assert (one["state"], one["local"]) == (two["state"], two["local"])


def test_shards_that_cannot_be_are_told():
    loop._check_shards(RECIPE, None)
    rows = RECIPE.room.rows
    with pytest.raises(BadInput, match=f"has no {rows + 1} shards"):
        loop._check_shards(replace(RECIPE, shards=rows + 1), None)
    with pytest.raises(BadInput, match="has no -1 shards"):
        loop._check_shards(replace(RECIPE, shards=-1), None)
