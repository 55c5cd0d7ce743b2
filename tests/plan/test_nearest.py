"""What cannot be planned is told with the nearest that can; and that can."""

import json
import re

import pytest
from jax.sharding import AbstractMesh

from tejat.cli import plan as command
from tejat.errors import BadInput
from tejat.model import family, multimodal
from tejat.plan import compiling, nearest, search, topology
from tejat.train import mesh as meshes


def refused(*words: str) -> str:
    with pytest.raises(BadInput) as told:
        command.main([*words, "--estimate"])
    return str(told.value)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("micro --topology v5e:4x4 --mesh tensor=16 --tokens 65536", "tensor=16 does not divide the 4 of heads"),
        ("micro --topology v5e:4x4 --mesh fsdp=8 --tokens 65536", "is of 8 devices and v5e:4x4 has 16"),
        ("micro --topology h200:3 --mesh sequence=3 --tokens 6144", "does not divide the context of 2,048"),
        ("nano1 --topology v5e:4x4 --mesh fsdp=16 --tokens 65536", "2 rows cannot be spread over 16 copies in 1 parts"),
        ("micro --topology v5e:4x4 --mesh fsdp=16 --accumulate 3 --tokens 65536", "over 16 copies in 3 parts"),
        ("ultra --topology v4:16x16x16 --slices 2 --mesh fsdp=128,sequence=8,tensor=8", "has no slice axis and 2 x v4"),
        ("micro --topology v5e:2x2 --slices 2 --mesh slice=4,fsdp=2", "has slice=4 and 2 x v5e:2x2 wants slice=2"),
        ("nano1 --topology v4:12x12x12", "no mesh over v4:12x12x12 divides nano1 and 128 rows"),
        ("nano1 --topology h200:7", "no mesh over h200:7 divides nano1"),
        ("micro --topology v5e:16x16 --tokens 2048", "no mesh over v5e:16x16 divides micro and 1 rows"),
    ],
)
def test_the_nearest_that_is_told_works(words, told, capsys):
    """Each of the ways that a sentence names, in place of what was asked."""
    asked = words.split()
    sentence = refused(*asked)
    assert told in sentence and "\n" not in sentence
    ways = re.findall(r"(--\w+) ([^ ,]+(?:,[^ ,]+)*)", sentence.partition("; try ")[2])
    assert ways
    for name, value in ways:
        if name == "--topology" and "--mesh" in asked:  # of another number of chips
            continue
        at = asked.index(name) if name in asked else len(asked)
        assert command.main([*asked[:at], name, value, *asked[at + 2 :], "--estimate"]) == 0
    capsys.readouterr()


def test_a_mesh_keeps_the_most_of_an_axis_that_can_be():
    words = ("micro", "--topology", "v5e:4x4", "--tokens", "65536", "--mesh")
    assert refused(*words, "fsdp=2,tensor=8").endswith("tensor=2")
    assert refused(*words, "fsdp=16,tensor=2").endswith("try --mesh fsdp=8,tensor=2")


@pytest.mark.parametrize("size", ["micro", "mini", "nano1", "nano2", "pro", "ultra"])
def test_meshes_that_are_searched_hold_the_model(size):
    config = family.preset(size)
    tree = multimodal.params(config)
    for mesh in search.dividing(config, topology.parse("v5e:16x16")):
        shape = tuple(mesh.get(axis, 1) for axis in meshes.AXES)
        meshes.check(AbstractMesh(shape, meshes.AXES), tree, search.copies(mesh))


@pytest.mark.parametrize(
    ("size", "where", "near"),
    [
        ("nano1", "v5e:2x2", "--topology v5e:2x4"),
        # A slice of v5e keeps a whole model, and 256 chips of 16 GiB are too few for this one.
        ("ultra", "v5e:16x16", "--topology v5p:4x8x8"),
        ("pro", "h200:4", "--topology h200:16"),
    ],
)
def test_the_least_that_has_room(size, where, near):
    config, small = family.preset(size), topology.parse(where)
    found = search.candidates(config, small, [128], ["inputs"])
    assert nearest.roomier(config, small, [128], ["inputs"], found) == near
    there = topology.parse(near.split()[1])
    assert min(each.bytes for each in search.candidates(config, there, [128], ["inputs"])) < 0.9 * there.chip.memory


def test_an_estimate_that_does_not_fit_is_told_with_one_that_does(capsys):
    words = ["nano1", "--topology", "h200:8", "--mesh", "fsdp=8", "--estimate"]
    assert command.main([*words, "--json"]) == 0
    near = json.loads(capsys.readouterr().out)["nearest"]
    assert near == "--mesh data=4,fsdp=2 --accumulate 4"
    assert command.main(words) == 0
    assert f"by estimate it does not fit; {near} does, by estimate" in capsys.readouterr().out
    assert command.main([*words[:3], *near.split(), "--estimate", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["nearest"] is None


def test_a_compiled_step_that_does_not_fit_is_told_with_what_may(capsys, monkeypatch):
    """Where estimates say that it fits, or nearly, the compiler decides; what it tells is here made up."""
    held = {"arguments": 149 << 30, "activations": 1 << 30, "temporaries": 1 << 30, "results": 0, "program": 0}
    monkeypatch.setattr(compiling, "in_a_child", lambda job, limit: {"bytes": held})
    words = ["nano1", "--topology", "h200:8", "--mesh", "fsdp=4,tensor=2", "--accumulate", "8"]
    assert command.main([*words, "--json"]) == 1
    told = capsys.readouterr()
    assert "mesh fsdp=4,tensor=2: it needs 151.0 GiB of 139.8" in told.err
    found = json.loads(told.out)
    assert not found["fits"] and found["nearest"].startswith("--")
    assert command.main(words) == 1
    told = capsys.readouterr().out
    assert f"nothing that was compiled fits; {found['nearest']} does, by estimate" in told
    assert [each["compiled"] for each in found["best"]] == ["151.0, too much"] and "| 151.0, too much |" in told


def test_after_one_that_does_not_fit_only_what_needs_less_is_compiled(capsys, monkeypatch):
    """Many meshes are as fast and as large as each other; after a crash, the next may well be one of them."""
    made = {"bytes": {"arguments": 150 << 30, "activations": 0, "temporaries": 0, "results": 0, "program": 0}}
    words = ["nano1", "--topology", "h200:8", "--json"]
    for told in (made, {"error": "it does not fit: RESOURCE_EXHAUSTED"}, {"error": "the compiler died of signal 8"}):
        monkeypatch.setattr(compiling, "in_a_child", lambda job, limit, told=told: told)
        assert command.main(words) == 1
        tried = [each["estimated"] for each in json.loads(capsys.readouterr().out)["tried"]]
        less = [after < 0.95 * before for before, after in zip(tried, tried[1:], strict=False)]
        assert len(tried) == 4 and all(less) == ("signal" not in str(told))
