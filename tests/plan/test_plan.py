"""Plans without a compiler: topologies, estimates, and what cannot be."""

import dataclasses
import json

import pytest

from tejat.cli import plan as command
from tejat.errors import BadInput
from tejat.model import family
from tejat.plan import roofline, search, topology


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("v9:2x2", "no chip 'v9'"),
        ("v4:16x16", "3 sizes"),
        ("v4:32x16x16", "try v4:16x16x16 with more --slices"),
        ("v5e", "write it as in v5e:16x16"),
        ("v5e:0x4", "write it as in v5e:16x16"),
        ("h200:2x2", "try h200:4"),
        ("v5e:3x5", "try v5e:4x4"),
        ("v5e:7x7", "try v5e:8x8"),
        ("v6e:4x16", "try v6e:4x8"),
        ("v4:16x16x10", "try v4:16x16x12"),
        ("v4:2x8x8", "try v4:4x8x8"),
        ("v5p:4x4x6", "try v5p:4x4x8"),
        ("v4:32x16x10", "try v4:16x16x12 with more --slices"),
    ],
)
def test_a_topology_that_cannot_be_is_told_with_one_that_can(text, told):
    with pytest.raises(BadInput, match=told):
        topology.parse(text)


def test_what_is_built_can_be_planned_for():
    for name in ("v4", "v5e", "v5p", "v6e"):
        shapes = topology.built(topology.chip(name))
        assert shapes == tuple(topology.parse(f"{name}:{'x'.join(map(str, shape))}").shape for shape in shapes)


@pytest.mark.parametrize(
    ("text", "more"),
    [
        ("v5e:1x1", "v5e:2x2"),
        ("v5e:8x16", "v5e:16x16"),
        ("v5e:16x16", "2 x v5e:16x16"),
        ("v4:8x8x8", "v4:8x8x16"),
        ("v5p:16x16x16", "2 x v5p:16x16x16"),
        ("h200:3", "h200:6"),
    ],
)
def test_the_next_larger_topology_is_one_that_is_built(text, more):
    assert str(topology.larger(topology.parse(text))) == more


def planned(*words: str, capsys) -> dict:
    code = command.main([*words, "--estimate", "--json"])
    assert code == 0
    return json.loads(capsys.readouterr().out)


def test_the_contract_of_json(capsys):
    found = planned("nano1", "--topology", "v5e:16x16", capsys=capsys)
    wanted = {"size", "devices", "fits", "hbm_gib_per_chip", "step_s", "mfu", "dcn_bytes_per_step", "compile_s"}
    assert wanted <= found.keys()
    assert found["devices"] == 256 and found["tokens"] == 4_194_304 and len(found["best"]) == 5
    assert 0.1 < found["mfu"] < 0.74


def test_what_people_read_has_the_work_of_a_step_and_what_is_assumed(capsys):
    assert command.main(["nano1", "--topology", "v5e:16x16", "--estimate", "--price", "0.5"]) == 0
    told = capsys.readouterr().out
    for each in ("5.91e+16 FLOPs", "products at 74% of 197 TFLOP/s", "memory at 80% of 819 GB/s", "$0.50 an hour"):
        assert each in told
    assert "links at 100% of 200 GB/s, beside the arithmetic, network at 3.12 GB/s" in told


def test_a_changed_network_changes_the_plan(capsys):
    words = ("nano1", "--topology", "v5e:16x16", "--mesh", "fsdp=64,tensor=4", "--accumulate", "2")
    whole, half = (
        planned(*words, *more, capsys=capsys) for more in ((), ("--set", "decoder.layers=13", "decoder.window=512"))
    )
    assert 1.6 < whole["products_s"] / half["products_s"] < 2
    assert half["hbm_gib_per_chip"] < whole["hbm_gib_per_chip"] and half["run"]["days"] < whole["run"]["days"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["nano9"], "nano9"),
        (["nano1", "--topology", "v5e:4x4", "--mesh", "fsdp=8"], "is of 8 devices"),
        (["nano1", "--topology", "v5e:4x4", "--mesh", "fsdp=16", "--tokens", "1000"], "no multiple of the context"),
        (["nano1", "--topology", "v5e:4x4", "--mesh", "fsdp=16", "--tokens", "65536"], "2 rows cannot be spread"),
        (["nano1", "--topology", "v5e:16x16", "--tokens", "32768"], None),
        (["nano1", "--tokens", "0"], "--tokens is 1 or more"),
        (["nano1", "--context", "0"], "--context is 0"),
        (["nano1", "--price", "nan"], "--price a number of dollars"),
        (["nano1", "--set", "decoder.lairs=3"], "lairs"),
        (["ultra", "--topology", "v5e:8x8"], r"needs about .* GiB a chip on v5e:8x8.*try --topology v5p:4x8x8"),
    ],
)
def test_what_cannot_be_planned_is_told_before_anything_is_compiled(words, told):
    if told is None:  # one long row on 256 chips: the sequence axis takes them
        assert command.main([*words, "--estimate"]) == 0
        return
    with pytest.raises(BadInput, match=told):
        command.main(words)


def test_a_compiler_that_is_not_installed_is_told_before_anything_else(monkeypatch):
    monkeypatch.setattr(topology, "find_spec", lambda name: None)
    with pytest.raises(BadInput, match=r"needs libtpu.*pip install 'tejat\[tpu\]'"):
        command.main(["nano1", "--topology", "v5e:16x16"])


def test_the_steps_that_constants_were_fitted_to_come_out():
    """nano1, and mini when its MLP was 2,048, on one H100, docs/PERFORMANCE.md: 392 and 82 ms."""
    for size, rows, mlp, measured in (("nano1", 4, 8_192, 0.3925), ("mini", 16, 2_048, 0.0820)):
        from dataclasses import replace

        config = replace(family.preset(size), context=4_096, vision=None, audio=None, picture=None)
        config = replace(config, decoder=replace(config.decoder, mlp=mlp))
        where = topology.parse("h100:1")
        found = roofline.estimate(config, where, rows, keep="products", accumulate=1, tensor=1, links=0, network=0)
        assert found.step_s == pytest.approx(measured, rel=0.25), size


@pytest.mark.parametrize(
    ("size", "axis", "keep", "measured"),
    [
        ("nano1", "fsdp", "products", 66_640),
        ("nano1", "tensor", "products", 67_128),
        ("nano1", "sequence", "products", 62_966),
        ("nano2", "fsdp", "inputs", 32_063),
    ],
)
def test_two_gpus_are_foretold_within_a_fifth(size, axis, keep, measured):
    """4 rows of 4,096 on two H100, docs/PERFORMANCE.md; tokens a second. The constant was fitted to data=2 alone."""
    bare = {"vision": None, "audio": None, "picture": None}
    config = dataclasses.replace(family.preset(size), context=4_096, **bare)
    mesh = {"slice": 1, "fsdp": 1, "sequence": 1, "tensor": 1} | {axis: 2}
    found = search.candidate(config, topology.parse("h100:2"), 4, keep, 0, 0, mesh, 1).estimate
    assert found.tokens / found.step_s == pytest.approx(measured, rel=0.2)
    hidden = found.tokens / (found.step_s - found.links_s)
    if size == "nano1":  # were exchanges hidden, as they were held to be before, it would miss
        assert hidden > 1.2 * measured


def test_more_memory_is_asked_for_where_more_is_kept():
    config, where = family.preset("nano1"), topology.parse("v5p:4x4x4")
    least, most = (
        search.candidate(config, where, 128, keep, 0, 0, {"slice": 1, "fsdp": 64, "sequence": 1, "tensor": 1}, 1).bytes
        for keep in ("inputs", "products")
    )
    assert least < most


@pytest.mark.slow
def test_a_step_is_compiled_for_devices_that_stand_in(capsys):
    """Two processors for two GPUs: a cut along fsdp gathers weights and scatters gradients."""
    words = ["micro", "--topology", "h200:2", "--mesh", "fsdp=2", "--tokens", "8192", "--context", "1024", "--json"]
    assert command.main(words) == 0
    found = json.loads(capsys.readouterr().out)
    kinds = {each["kind"] for each in found["exchanges"]}
    assert found["fits"] and kinds & {"all-gather", "all-reduce"} and found["dcn_bytes_per_step"] == 0
    memory = found["memory_gib"]
    assert memory["optimizer"] == pytest.approx(2 * memory["parameters"], rel=0.01)
    assert memory["parameters"] * 2**30 == pytest.approx(found["parameters"] * 4 / 2, rel=0.1)


def test_batches_and_what_is_kept_and_copies_are_searched(capsys):
    """A mesh that was asked for has one batch and what layers keep; the search, of each what is fastest and fits."""
    words = ("nano1", "--topology", "v5e:16x16")
    whole = planned(*words, capsys=capsys)
    fixed = planned(*words, "--mesh", "fsdp=64,tensor=4", "--accumulate", "2", capsys=capsys)
    assert (fixed["keep"], len(fixed["best"])) == ("inputs", 1)
    assert whole["keep"] == "products" and whole["step_s"] < 0.8 * fixed["step_s"]
    assert len({each["keep"] for each in whole["best"]}) > 1
    kept = planned(*words, "--keep", "inputs", "--tokens", "8388608", capsys=capsys)
    assert {(each["keep"], each["tokens"]) for each in kept["best"]} == {("inputs", 8_388_608)}
    # Small weights cost less to add up once than to gather for every pass.
    assert planned("mini", "--topology", "h200:8", "--keep", "inputs", capsys=capsys)["mesh"].startswith("data=")


def test_a_larger_batch_has_to_gain_what_it_wastes(capsys):
    found = planned("ultra", "--topology", "v4:16x16x16", "--slices", "8", capsys=capsys)
    config = family.preset("ultra")
    assert found["tokens"] == 4_194_304 and {each["tokens"] for each in found["best"]} > {4_194_304}
    times = [each["step_s"] * roofline.needed(config, each["tokens"]) / each["tokens"] for each in found["best"]]
    assert times == sorted(times)
    # By tokens a second alone, which a run of fewer and larger steps does not gain, another would be first.
    assert max(found["best"], key=lambda each: each["tokens"] / each["step_s"])["tokens"] > found["tokens"]
    assert roofline.critical(config) == pytest.approx(3.2e7, rel=0.01)  # a loss of 1.47: 2e8 / 1.47^4.76
