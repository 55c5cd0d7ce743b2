"""A service cut over devices answers as one that is whole does."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from jax.sharding import AbstractMesh

from tejat import bundle
from tejat.errors import BadInput
from tejat.infer.parallel import check, mesh_of, parameters, spec
from tejat.model import multimodal
from tejat.model.params import Param, walk
from tejat.train import mesh as meshes


@pytest.mark.slow
def test_two_devices_answer_as_one(tiny, tmp_path) -> None:
    bundle.save(tmp_path, tiny)
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=2"
    environment = os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, Path(__file__).with_name("on_two_devices.py"), tmp_path]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    one, two = json.loads(done.stdout.splitlines()[-1])
    assert one["tokens"] == two["tokens"] and len({*map(tuple, one["tokens"])}) == 3
    for mine, theirs in zip(one["logprobs"], two["logprobs"], strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-4)
    assert one["alone"] == two["alone"] == [True, True]
    assert "tensor" in two["cut"] and 2 * two["shard"][0] == one["shard"][0]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("data=2", "give tensor=N"),
        ("tensor=2,fsdp=2", "give tensor=N"),
        ("tensor=64", "and there are"),
        ("tensor", "no list like"),
    ],
)
def test_meshes_that_cannot_serve(tiny, text, told) -> None:
    with pytest.raises(BadInput, match=told):
        mesh_of(text, tiny.config)


def test_a_tower_that_does_not_divide_stays_whole(tiny) -> None:
    mesh = AbstractMesh((1, 1, 1, 1, 4), meshes.AXES)
    four = dataclasses.replace(tiny.config.decoder, heads=4, mlp=128)
    odd = dataclasses.replace(tiny.config.vision, mlp=130)
    config = dataclasses.replace(tiny.config, decoder=four, vision=odd)
    check(mesh, config)
    whole = [param for _, param in walk(multimodal.params(config)["vision"]) if 130 in param.shape]
    assert whole and not any("tensor" in spec(mesh, param) for param in whole)
    with pytest.raises(BadInput, match="does not divide the 130 of mlp in .*; try tensor=2$"):
        check(mesh, dataclasses.replace(config, decoder=dataclasses.replace(four, mlp=130)))


def test_every_weight_has_a_place(tiny) -> None:
    """Of the same tree as the weights, layers apart."""
    import jax

    from tejat.model import decoder

    apart = {**tiny.params, "decoder": decoder.apart(tiny.params["decoder"])}
    places = parameters(meshes.make({"tensor": 1}, jax.devices()[:1]), tiny.config)
    assert jax.tree.structure(apart) == jax.tree.structure(places)


@pytest.mark.parametrize(
    ("heads", "width", "cut"),
    [(4, 64, (None, "tensor")), (2, 64, ("tensor",)), (2, 66, ())],
    ids=["by heads", "fewer heads than devices: by what they sum over", "whole"],
)
def test_weights_of_key_heads_are_cut(heads, width, cut) -> None:
    mesh = AbstractMesh((1, 1, 1, 1, 4), meshes.AXES)
    found = spec(mesh, Param((width, heads, 8), ("embed", "key_heads", "head"), 1.0))
    assert tuple(found)[: len(cut)] == cut and not any(tuple(found)[len(cut) :])
