"""Deployments: what fits, by estimate; and the engine's steps compiled for devices that stand in."""

import json
from dataclasses import replace

import pytest
from jax.sharding import AbstractMesh

from tejat.cli import plan as command
from tejat.errors import BadInput
from tejat.model import family, multimodal, sizes
from tejat.plan import serving, topology
from tejat.train import mesh as meshes


def planned(*words: str, capsys) -> dict:
    assert command.main([*words, "--serve", "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_the_cheapest_replica_that_fits(capsys):
    found = planned("pro", "--topology", "v5e:16x16", "--estimate", capsys=capsys)
    wanted = {"size", "devices", "fits", "hbm_gib_per_chip", "step_s", "mfu", "dcn_bytes_per_step", "compile_s"}
    assert wanted <= found.keys() and not found["fits"]  # nothing was compiled
    config = family.preset("pro")
    least = 2 * sizes.parts(config).decoder / found["tensor"]
    assert least < found["hbm_gib_per_chip"] * 2**30 < 16 * 2**30 and found["replicas"] * found["tensor"] == 256
    # Every row needs its keys read, and all of them the weights once.
    assert found["step_s"] > least / 0.819e12
    assert found["tokens_per_s"] == pytest.approx(found["replicas"] * found["rows"] / found["step_s"])
    assert found["dollars_per_million"] == pytest.approx(256 * 1.2 / 3600 / found["tokens_per_s"] * 1e6)


def test_what_is_assumed_is_told_and_used(capsys, monkeypatch):
    words = ["nano1", "--topology", "v5e:4x4", "--serve", "--estimate", "--price", "0.5"]
    assert command.main(words) == 0
    told = capsys.readouterr().out
    for each in ("products at 74% of 197 TFLOP/s", "memory at 80% of 819 GB/s", "waits 2 µs", "$0.50 an hour"):
        assert each in told
    assert "weights and keys in bfloat16, in 92% of its memory, rows 50% full in the mean" in told
    half = planned(*words[:3], "--estimate", capsys=capsys)
    monkeypatch.setattr(serving, "FILLED", 1.0)
    full = planned(*words[:3], "--estimate", capsys=capsys)
    assert full["read_s"] > half["read_s"] and full["assumed"]["filled_share"] == 1


def test_keys_are_those_of_the_cache(capsys):
    found = planned("nano1", "--topology", "v5e:4x4", "--estimate", capsys=capsys)
    (one,) = (each for each in found["keys"] if (each["rows"], each["context"]) == (1, 32_768))
    assert one["gib"] * 2**30 == sizes.cache_bytes(family.preset("nano1").decoder, 32_768)


def test_a_network_with_more_key_heads_serves_fewer_rows(capsys):
    words = ("nano1", "--topology", "v5e:1x1", "--estimate")
    one, four = (
        planned(*words, *more, capsys=capsys) for more in ((), ("--set", "decoder.key_heads=4", "decoder.window=4096"))
    )
    assert four["rows"] < one["rows"] and four["dollars_per_million"] > one["dollars_per_million"]


def test_more_rows_share_the_reading_of_the_weights():
    config, where = family.preset("nano1"), topology.parse("h200:1")
    few, many = (serving.estimate(config, where, 1, rows, 4_096) for rows in (1, 64))
    assert many.step_s < 2 * few.step_s and many.tokens_per_s > 32 * few.tokens_per_s and few.bound == "memory"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["ultra", "--topology", "v5e:4x4"], "takes 1,03.* GiB.*more chips"),
        (["nano1", "--topology", "v5e:4x4", "--mesh", "fsdp=4"], "give tensor=N"),
        (["nano1", "--topology", "v5e:4x4", "--context", "65536"], "32,768 tokens"),
        (["nano1", "--topology", "v5e:4x4", "--rows", "0"], "answers nobody"),
        (["nano1", "--topology", "v5e:4x4", "--goodput"], "of training"),
    ],
)
def test_what_cannot_be_served(words, told):
    with pytest.raises(BadInput, match=told):
        command.main([*words, "--serve"])


@pytest.mark.parametrize(
    ("whole", "chips", "sides"),
    [("v5e:16x16", 8, (4, 2)), ("v4:16x16x16", 16, (4, 2, 2)), ("v5e:16x16", 1, (1, 1)), ("h200:8", 4, (4,))],
)
def test_a_part_of_a_slice_is_near_to_a_cube(whole, chips, sides):
    assert topology.part(topology.parse(whole), chips).shape == sides


def test_a_slice_without_such_a_part():
    with pytest.raises(BadInput, match="no parts of 4"):
        topology.part(replace(topology.parse("h200:8"), shape=(6,)), 4)


@pytest.mark.slow
def test_the_engines_steps_are_compiled_for_devices_that_stand_in(capsys):
    """Two processors for two GPUs: heads and MLPs are cut, and their sums exchanged twice a layer."""
    words = ("micro", "--topology", "h200:2", "--mesh", "tensor=2", "--rows", "4", "--context", "512")
    found = planned(*words, capsys=capsys)
    assert found["fits"] and found["replicas"] == 1
    layers = family.preset("micro").decoder.layers
    for step in found["steps"].values():
        assert sum(each["count"] for each in step["exchanges"]) >= 2 * layers
    held = found["steps"]["write"]["bytes"]["arguments"]
    # One key head is copied, all else is cut in two but norms.
    assert found["keys_bytes"] < held < found["keys_bytes"] + 1.2 * found["parameters"]


def test_what_chips_do_not_divide_is_whole_on_each():
    """Ultra's tower of images is 4,304 wide inside: 16 times 269. Its 16 key heads are cut by their width instead."""
    config = family.preset("ultra")
    parts = sizes.parts(config)
    for chips, whole in ((16, 0), (64, parts.vision)):
        found, share = serving.weight_bytes(config, chips), 2 * (parts.whole - parts.picture) / chips
        assert share + whole < found < 1.01 * share + 2 * whole


@pytest.mark.parametrize("topology_name", ["v5e:16x16", "v4:4x4x8", "v5p:4x4x4", "h100:8"])
def test_what_is_proposed_divides_the_decoder(topology_name):
    where, proposed = topology.parse(topology_name), 0
    for name in family.FAMILY:
        config = family.preset(name)
        tree = {"decoder": multimodal.params(config)["decoder"]}
        for one in serving.candidates(config, where, config.context, None):
            meshes.check(AbstractMesh((1, 1, 1, 1, one.tensor), meshes.AXES), tree, 1)
            proposed += 1
    assert proposed > 4
