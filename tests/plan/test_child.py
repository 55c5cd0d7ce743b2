"""Compilers that are not done in time, are killed, run out of memory or print what is no plan: small modules stand in
for them."""

import sys

import pytest

from tejat.cli import plan as command
from tejat.errors import BadInput
from tejat.plan import child, compiling, topology

STUB = """
import json, os, signal, sys, time
what = json.loads(sys.argv[1])["what"]
if what == "slow":
    time.sleep(60)
if what == "killed":
    os.kill(os.getpid(), signal.SIGKILL)
if what == "crashed":
    print("F0000 Check failed: size > 0 (0 vs. 0)", file=sys.stderr, flush=True)
    os.kill(os.getpid(), signal.SIGABRT)
if what == "full":
    sys.exit("Traceback\\nXlaRuntimeError: RESOURCE_EXHAUSTED: Ran out of memory: 40G of 32G")
if what == "broken":
    sys.exit("Traceback\\nTypeError: no such thing")
if what == "bad":
    print("a line of the libraries\\nthe mesh cannot be; try another", file=sys.stderr)
    sys.exit(2)
print("a line of the libraries")
print(json.dumps({"devices": os.environ["XLA_FLAGS"], "platform": os.environ["JAX_PLATFORMS"]}))
"""

TOLD = {
    "slow": "the compiler was not done in 2 s",
    "killed": "the compiler died of signal 9",
    "crashed": "the compiler died of signal 6: F0000 Check failed: size > 0 (0 vs. 0)",
    "full": "it does not fit: XlaRuntimeError: RESOURCE_EXHAUSTED: Ran out of memory: 40G of 32G",
    "broken": "the compiler failed: TypeError: no such thing",
}


@pytest.fixture
def run(tmp_path, monkeypatch):
    (tmp_path / "a_compiler.py").write_text(STUB)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    where = topology.parse("h200:2")
    return lambda what, limit=30.0: child.run("a_compiler", {"what": what}, where, limit)


@pytest.mark.parametrize("what", TOLD)
def test_a_compiler_that_fails_is_told_with_its_mesh(what, run, monkeypatch, capsys):
    monkeypatch.setattr(compiling, "in_a_child", lambda job, limit: run(what, limit))
    limit = "2" if what == "slow" else "30"
    words = ["micro", "--topology", "h200:2", "--mesh", "fsdp=2", "--tokens", "8192", "--limit", limit]
    assert command.main(words) == 1
    told = capsys.readouterr()
    assert f"mesh fsdp=2: {TOLD[what]}\n" in told.err
    assert "nothing that was compiled fits" in told.out


def test_what_a_compiler_refuses_is_raised_here(run):
    with pytest.raises(BadInput, match=r"^the mesh cannot be; try another$"):
        run("bad")


def test_a_compiler_has_as_many_processors_as_there_are_gpus(run):
    found = run("well")
    assert found["devices"].endswith("--xla_force_host_platform_device_count=2") and found["platform"] == "cpu"


def test_a_job_is_compiled_and_its_refusal_is_a_code(monkeypatch, capsys):
    monkeypatch.setattr(child, "die_with_parent", lambda: None)
    monkeypatch.setattr(sys, "argv", ["a_compiler", '{"rows": 2}'])
    assert child.main(lambda rows: {"twice": 2 * rows}) == 0
    assert capsys.readouterr().out == '{"twice": 4}\n'

    def refusing(rows):
        raise BadInput("two rows are none")

    assert child.main(refusing) == 2
    assert capsys.readouterr().err == "two rows are none\n"
