"""A state that a device cannot hold is refused before anything is compiled."""

from pathlib import Path

import jax
import jax.numpy as jnp
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from tejat import memory
from tejat.errors import BadInput
from tejat.model import family
from tejat.train import device_memory, loop, mesh, recipe, speed

BEYOND = r"parameters and moments take [\d.]+ GiB of a device and it has"


def test_a_share_is_counted_as_it_lies(monkeypatch) -> None:
    devices = jax.device_count()
    shapes = {"one": jax.ShapeDtypeStruct((1_024 * devices, 256), jnp.float32)}
    cut = NamedSharding(mesh.make({"fsdp": devices}), PartitionSpec("fsdp"))
    copied = NamedSharding(mesh.make({"data": devices}), PartitionSpec())
    size = 1_024 * 1_024 * devices
    for lies, needed in ((None, size), ({"one": cut}, size), ({"one": copied}, size * devices)):
        state = mesh.laid(shapes, lies)
        monkeypatch.setattr(memory, "whole", lambda needed=needed: needed)
        device_memory.check(state)
        monkeypatch.setattr(memory, "whole", lambda needed=needed: needed - 1)
        with pytest.raises(BadInput, match=BEYOND):
            device_memory.check(state)


def test_a_size_beyond_this_machine_is_refused_at_once(monkeypatch) -> None:
    monkeypatch.setattr(memory, "whole", lambda: 8 << 30)
    config = speed.bare(family.preset("nano1"))
    with pytest.raises(BadInput, match=r"take 20\.\d GiB of a .* over 4 devices \(--mesh fsdp=4\), or take a smaller"):
        speed.measure(config, speed.Rows(1, 256))


def test_a_run_that_is_refused_was_not_begun(monkeypatch, tmp_path) -> None:
    smallest = recipe.read(Path(__file__).with_name("smallest.py"))
    monkeypatch.setattr(memory, "whole", lambda: 1 << 10)
    with pytest.raises(BadInput, match=BEYOND):
        loop.train(smallest, tmp_path / "run")
    assert not (tmp_path / "run").exists()
