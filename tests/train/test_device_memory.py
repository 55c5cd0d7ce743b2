"""A state that a device cannot hold is refused before anything is compiled."""

import jax
import jax.numpy as jnp
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from tejat import memory
from tejat.errors import BadInput
from tejat.model import family
from tejat.train import device_memory, mesh, speed


def test_a_share_is_counted_as_it_lies(monkeypatch) -> None:
    over = mesh.make({"fsdp": jax.device_count()})
    cut = NamedSharding(over, PartitionSpec("fsdp"))
    rows = 1_024 * jax.device_count()
    whole = jax.ShapeDtypeStruct((rows, 256), jnp.float32)
    for leaf, share in ((whole, rows * 1_024), (device_memory.laid(whole, cut), 1_024 * 1_024)):
        there = share * jax.local_device_count()
        monkeypatch.setattr(memory, "free", lambda there=there: there)
        device_memory.check({"one": leaf})
        monkeypatch.setattr(memory, "free", lambda there=there: there - jax.local_device_count())
        with pytest.raises(BadInput, match=r"parameters and moments take [\d.]+ GiB of a device and it has"):
            device_memory.check({"one": leaf})
    monkeypatch.setattr(memory, "free", lambda: None)
    device_memory.check({"one": whole})


def test_a_size_beyond_this_machine_is_refused_at_once(monkeypatch) -> None:
    monkeypatch.setattr(memory, "free", lambda: 8 << 30)
    config = speed.bare(family.preset("nano1"))
    with pytest.raises(BadInput, match=r"take 20\.\d GiB of a device .* \(--mesh fsdp=N\), or take a smaller model"):
        speed.measure(config, speed.Rows(1, 256))
