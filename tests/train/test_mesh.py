"""A model on many devices learns what it learns on one."""

import json
import math
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax.sharding import AbstractMesh, PartitionSpec

from tejat.errors import BadInput
from tejat.model import family, multimodal
from tejat.model.params import walk
from tejat.train import mesh

HERE = Path(__file__).parent
QUICK = ["fsdp=2,sequence=2,tensor=2"]
ALL = [
    "--muon",
    "fsdp=4,tensor=2",
    "data=8",
    "fsdp=8",
    "slice=2,data=4",
    "slice=2,data=2,tensor=2",
    "slice=2,fsdp=2,tensor=2",
    "data=2,fsdp=4",
    "sequence=8",
    "slice=2,sequence=2,tensor=2",
    "fsdp=2,sequence=4",
]


def on_eight_devices(*words: str) -> str:
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=8"
    environment = os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    done = subprocess.run([sys.executable, *words], env=environment, cwd=HERE, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("meshes", [QUICK, pytest.param(ALL, marks=pytest.mark.slow)], ids=["quick", "all"])
def test_two_steps_are_those_of_one_device(meshes):
    """The gradient is that of one device but for rounding, and the weights are what one device makes of that gradient.

    Weights themselves are not held against each other. Sums over devices round otherwise than those over one, and Adam
    divides by the gradient's size + 1e-8: an element of `audio.conv1` whose gradient is 1.0e-9, between others of 2e-5,
    is 0.5e-9 on one device and 1.2e-9 on a mesh, and moves by another part of the rate (docs/LOG.md, 2026-11-26).
    """
    found = json.loads(on_eight_devices("sharded.py", *meshes))
    assert found.keys() == {*meshes} - {"--muon"}
    for name, wrong in found.items():
        is_of_one_device(name, wrong)
        are_busy_alike(name, wrong["encoded"])
        if cut(name) and "--muon" in meshes:
            assert wrong["pieces"] > 1e-3, f"{name}: the control, Muon of every piece alone, would pass too"


def are_busy_alike(name: str, counted: dict[str, list[int]]) -> None:
    """Have encoders as much to do on every device? Of 8 rows of the tour, with 128 patches and a sound of 112 frames in
    each, and whatever documents fill: what is left of a row is computed with and weighs nothing."""
    copies = 8
    for axis in ("slice", "data", "fsdp", "sequence"):
        copies //= mesh.parse(name).get(axis, 1)  # heads are cut among those that are left
    for what, size in (("patches", 8 * 128), ("frames", 8 * 112)):
        assert counted[what] == [size * copies // 8] * 8, (name, what)
        assert 0 < sum(counted[f"real {what}"]) < size * copies, (name, what)


def cut(name: str) -> bool:
    """Has a mesh no device that keeps all of every weight?"""
    return any(axis in name for axis in ("fsdp", "sequence", "tensor"))


def is_of_one_device(name: str, wrong: dict[str, float]) -> None:
    """Are these differences (`sharded.py`) those of rounding?"""
    assert wrong["gradient"] < 1 and wrong["moments"] < 1e-7, name
    assert wrong["weights"] < 1e-6, name  # rates are 2e-3
    assert wrong["text_loss"] < 1e-2 and wrong["picture_loss"] < 1e-2  # sums over a thousand tokens
    assert wrong["gradient_norm"] < 1e-4
    assert bool(wrong["moments cut"]) == cut(name)


def in_processes(processes: int, devices: int, *words: str) -> str:
    """What `sharded.py` prints in so many real processes, which have so many virtual devices between them."""
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={devices // processes}"
    how = {"env": os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}, "cwd": HERE, "text": True}
    told = [sys.executable, "sharded.py", *words, "--join", free_address(), str(processes)]
    running = [subprocess.Popen([*told, str(n)], stdout=subprocess.PIPE, **how) for n in range(processes)]
    try:
        printed = [process.communicate(timeout=900)[0] for process in running]
    finally:
        for process in running:
            process.kill()
    assert [process.returncode for process in running] == [0] * processes
    return printed[0].splitlines()[-1]  # before it, gloo tells whom it found


@pytest.mark.parametrize(
    ("processes", "devices", "words"),
    [
        (2, 2, ["fsdp=2", "--bare"]),
        pytest.param(3, 6, ["data=3,tensor=2", "--rows=6"], marks=pytest.mark.slow),
        pytest.param(4, 4, ["fsdp=4", "--bare"], marks=pytest.mark.slow),
        pytest.param(2, 8, ["fsdp=4,tensor=2", "slice=2,fsdp=2,sequence=2"], marks=pytest.mark.slow),
        pytest.param(4, 4, ["slice=2,fsdp=2", "--bare"], marks=pytest.mark.slow),
    ],
    ids=["quick", "three", "four", "two of several groups", "four of several groups"],
)
def test_two_steps_of_real_processes_are_those_of_one_device(processes, devices, words):
    """As above, but over sockets."""
    found = json.loads(in_processes(processes, devices, *words))
    assert found.keys() == {word for word in words if not word.startswith("--")}
    for name, wrong in found.items():
        is_of_one_device(name, wrong)
        assert wrong["unsummed"] > 100, f"{name}: the control, the gradient of one process alone, would pass too"


TOGETHER = """
import sys
import time
from dataclasses import replace
from pathlib import Path
from tejat.train import hosts, loop, mesh, recipe
directory, text, processes, process, coordinator, how = sys.argv[1:]
if processes != "1":
    hosts.join(coordinator, int(processes), int(process))
chosen = recipe.read(Path("smallest.py"))
chosen = replace(chosen, room=replace(chosen.room, rows=8), schedule=replace(chosen.schedule, steps=12), save_every=6)
loop.train(chosen, Path(directory), mesh=mesh.chosen(text), resume=how == "resume")
"""


def free_address() -> str:
    """Of a coordinator."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{free.getsockname()[1]}"


def begin(directory: Path, text: str, processes: int, how: str = "begin") -> list[subprocess.Popen]:
    """The run in so many processes, which have eight virtual devices between them."""
    coordinator = free_address()
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={8 // processes}"
    environment = os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    told = [str(directory), text, str(processes)]
    return [
        subprocess.Popen([sys.executable, "-c", TOGETHER, *told, str(n), coordinator, how], env=environment, cwd=HERE)
        for n in range(processes)
    ]


@pytest.mark.slow
@pytest.mark.parametrize("text", ["data=2,fsdp=4", "fsdp=4,tensor=2", "tensor=2,data=4"])
def test_two_processes_train_as_one_does_and_one_goes_on_from_two(tmp_path, text):
    """Real processes, which exchange over sockets."""
    for name, processes in (("one", 1), ("two", 2)):
        assert [process.wait(timeout=500) for process in begin(tmp_path / name, text, processes)] == [0] * processes
    one, two = ((tmp_path / name / "log.jsonl").read_text().splitlines() for name in ("one", "two"))
    assert len(one) == len(two) == 3
    for a, b in zip(map(json.loads, one), map(json.loads, two), strict=True):
        assert [a[name] for name in ("step", "tokens", "documents")] == [
            b[name] for name in ("step", "tokens", "documents")
        ]
        assert abs(a["text_loss"] - b["text_loss"]) < 1e-3 and abs(a["picture_loss"] - b["picture_loss"]) < 1e-3
    shutil.rmtree(tmp_path / "two" / "checkpoints" / "12")
    assert [process.wait(timeout=500) for process in begin(tmp_path / "two", "fsdp=8", 1, "resume")] == [0]
    again = json.loads((tmp_path / "two" / "log.jsonl").read_text().splitlines()[-1])
    assert again["step"] == 12 and again["tokens"] == json.loads(one[-1])["tokens"]
    assert abs(again["text_loss"] - json.loads(one[-1])["text_loss"]) < 1e-3


@pytest.mark.slow
def test_a_notice_to_one_of_two_processes_stops_both_after_the_same_step(tmp_path):
    """SIGTERM is what says that a machine will be taken away. JAX takes it from Python where there are several."""
    together = ["--coordinator", free_address(), "--processes", "2", "--mesh", "data=2"]
    settings = [
        word
        for one in ("room.rows=8", "schedule.steps=100000", "log_every=2", "save_every=100000")
        for word in ("--set", one)
    ]
    words = ["-m", "tejat", "train", str(HERE / "smallest.py"), "--out", str(tmp_path / "run"), *together, *settings]
    how = {"env": os.environ | {"XLA_FLAGS": "", "JAX_PLATFORMS": "cpu"}, "stderr": subprocess.PIPE, "text": True}
    running = [subprocess.Popen([sys.executable, *words, "--process", str(n)], **how) for n in range(2)]
    try:
        log = tmp_path / "run" / "log.jsonl"
        until = time.monotonic() + 300
        while not (log.is_file() and log.read_text()):
            assert time.monotonic() < until and all(process.poll() is None for process in running)
            time.sleep(0.2)
        running[1].send_signal(signal.SIGTERM)
        told = [process.communicate(timeout=120)[1] for process in running]
    finally:
        for process in running:
            process.kill()
    [kept] = [int(path.name) for path in (tmp_path / "run" / "checkpoints").iterdir()]
    assert [process.returncode for process in running] == [130, 130], told
    assert all(f"stopped at step {kept:,}" in one for one in told), told
    assert (tmp_path / "run" / "model" / "config.json").is_file()


RESUMED = """
import sys
import time
from dataclasses import replace
from pathlib import Path
from tejat.train import loop, mesh, recipe
directory, first, then = sys.argv[1:]
chosen = recipe.read(Path("smallest.py"))
chosen = replace(chosen, room=replace(chosen.room, rows=8), schedule=replace(chosen.schedule, steps=12), save_every=6)

def told(line):
    if line["step"] == 8 and len(sys.argv) == 4:
        raise SystemExit(7)

try:
    loop.train(chosen, Path(directory), mesh=mesh.chosen(first), told=told if then else lambda line: None)
except SystemExit:
    loop.train(chosen, Path(directory), resume=True, mesh=mesh.chosen(then))
"""


@pytest.mark.slow
def test_a_run_goes_on_upon_another_mesh(tmp_path):
    on_eight_devices("-c", RESUMED, str(tmp_path / "one"), "fsdp=4,tensor=2", "")
    on_eight_devices("-c", RESUMED, str(tmp_path / "two"), "fsdp=4,tensor=2", "data=8")
    one, two = ((tmp_path / name / "log.jsonl").read_text().splitlines() for name in ("one", "two"))
    assert len(one) == len(two) == 3
    for a, b in zip(map(json.loads, one), map(json.loads, two), strict=True):
        assert a["step"] == b["step"] and a["tokens"] == b["tokens"]
        assert abs(a["text_loss"] - b["text_loss"]) < 1e-3


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("fsdp=8,depth=2", "names the axis 'depth'"),
        ("fsdp=8,fsdp=2", "each axis once"),
        ("fsdp=zero", "no list like"),
        ("fsdp=0", "no list like"),
        ("fsdp", "no list like"),
    ],
)
def test_what_is_no_mesh_is_told(text, told):
    with pytest.raises(BadInput, match=told):
        mesh.parse(text)


def test_a_mesh_of_other_devices_names_the_nearest():
    devices = list(range(8))
    with pytest.raises(BadInput, match="of 12 devices and there are 8; try data=2,fsdp=4"):
        mesh.make({"data": 6, "fsdp": 2}, devices)
    with pytest.raises(BadInput, match="try fsdp=8"):
        mesh.make({}, devices)


def abstract(**sizes: int) -> AbstractMesh:
    return AbstractMesh(tuple(sizes.get(axis, 1) for axis in mesh.AXES), mesh.AXES)


def test_the_large_sizes_are_cut_into_even_parts():
    for name, sizes in {"ultra": {"fsdp": 64, "tensor": 16}, "nano1": {"fsdp": 16, "tensor": 4}}.items():
        tree = multimodal.params(family.preset(name))
        mesh.check(abstract(**sizes), tree, rows=sizes["fsdp"] * 2)
        specs = {key: mesh.spec(abstract(**sizes), param) for key, param in walk(tree)}
        assert specs["decoder.blocks.sliding.gate"] == PartitionSpec(None, "fsdp", "tensor")
        assert specs["decoder.blocks.full.o"] == PartitionSpec(None, "tensor", None, "fsdp")
        assert specs["decoder.embedding"] == PartitionSpec("tensor", "fsdp")
        keys = specs["decoder.blocks.full.k"]
        assert keys == PartitionSpec(None, "fsdp", "tensor" if name == "ultra" else None, None)  # one key head stays


def test_what_a_mesh_does_not_divide_is_named():
    tree = multimodal.params(family.preset("mini"))
    with pytest.raises(BadInput, match="tensor=8 does not divide the 4 of heads in decoder.*try fsdp=2,tensor=4$"):
        mesh.check(abstract(tensor=8), tree, rows=8)
    for rows, shards in ((1, 0), (8, 1)):  # what cannot be halved among copies
        with pytest.raises(BadInput, match="try sequence=2,tensor=4$"):
            mesh.check(abstract(tensor=8), tree, rows, shards)
    with pytest.raises(BadInput, match="fsdp=7 does not divide the 512 of embed in .*; try data=7$"):
        mesh.check(abstract(fsdp=7), tree, rows=7)
    with pytest.raises(BadInput, match="tensor=7 does not divide .*; try another number of devices$"):
        mesh.check(abstract(tensor=7), tree, rows=4)
    with pytest.raises(BadInput, match="a batch of 6 rows cannot be spread over 4 devices; try room.rows=8"):
        mesh.check(abstract(data=4), tree, rows=6)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from([1, 2, 3, 4, 8]), min_size=4, max_size=4), st.integers(1, 4))
def test_the_mesh_that_is_advised_works(sizes, times):
    tree, shape = multimodal.params(family.preset("mini")), dict(zip(mesh.AXES[1:], sizes, strict=True))
    rows = times * shape["data"] * shape["fsdp"]
    try:
        mesh.check(abstract(**shape), tree, rows)
    except BadInput as error:
        told = str(error).partition("; try ")[2]
        if told != "another number of devices":
            advised = mesh.parse(told)
            assert math.prod(advised.values()) == math.prod(sizes)
            mesh.check(abstract(**advised), tree, rows)
