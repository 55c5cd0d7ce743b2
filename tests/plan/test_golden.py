"""Plans that are kept: estimates of all sizes, and what compilers made of their steps.

    python tests/plan/test_golden.py estimates            write golden/estimates.json anew
    python tests/plan/test_golden.py ultra-2              compile one of PLANS and write its file anew

A golden plan of a compiled step has what the step is made of: bytes of a chip by part, exchanges by kind and network.
Tests of `make test-full` compile those that are kept again, where libtpu is installed; minutes each.
"""

import contextlib
import io
import json
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tejat.cli import plan as command

GOLDEN = Path(__file__).parent / "golden"

PLANS = {
    "nano1": ("nano1", "--topology", "v5e:16x16"),
    "nano2": ("nano2", "--topology", "v5e:16x16"),
    "pro": ("pro", "--topology", "v4:8x8x8"),
    "ultra-2": ("ultra", "--topology", "v4:16x16x16", "--slices", "2"),
    "ultra-4": ("ultra", "--topology", "v4:16x16x16", "--slices", "4"),
    "nano1-served": ("nano1", "--topology", "v5e:1x1", "--serve"),
    "pro-served": ("pro", "--topology", "v5e:16x16", "--serve"),
}
STAND_IN = ("micro", "--topology", "h200:2", "--mesh", "fsdp=2", "--tokens", "1024", "--context", "256", "--set")
STAND_IN += ("vision=None", "audio=None", "picture=None", "decoder.layers=2", "decoder.period=2")
"""A small step, compiled for processors that stand in for two GPUs."""

ESTIMATED = ("mesh", "hbm_gib_per_chip", "step_s", "mfu", "tokens_per_s", "dollars_per_million", "tensor", "rows")


def planned(*words: str) -> dict:
    with contextlib.redirect_stdout(io.StringIO()) as told:
        command.main([*words, "--json"])
    return json.loads(told.getvalue())


def estimates() -> dict:
    found = {}
    for name, words in PLANS.items():
        whole = planned(*words, "--estimate")
        found[name] = {key: whole[key] for key in ESTIMATED if key in whole}
    return found


def kept(name: str) -> dict:
    return json.loads((GOLDEN / f"{name}.json").read_text())


def of_a_compiler(whole: dict) -> dict:
    """What of a plan the compiler says, and not the clock."""
    steps = {"step": whole} if "exchanges" in whole else whole["steps"]
    memory = whole.get("memory_gib") or {name: step["bytes"] for name, step in steps.items()}
    exchanges = {
        f"{name}: {each['kind']} over {'network' if each['between_slices'] else 'links'}": [
            each["count"],
            each["bytes"],
        ]
        for name, step in steps.items()
        for each in step["exchanges"]
    }
    same = (
        "size",
        "topology",
        "devices",
        "context",
        "fits",
        "mesh",
        "tensor",
        "rows",
        "parameters",
        "hbm_gib_per_chip",
    )
    return {key: whole[key] for key in same if key in whole} | {"memory": memory, "exchanges": exchanges}


def near(found: dict, wanted: dict) -> None:
    """Other versions of the compiler differ by a little; another network by a lot."""
    assert found["hbm_gib_per_chip"] == pytest.approx(wanted["hbm_gib_per_chip"], rel=0.1)
    assert (found["parameters"], found["devices"], found["fits"]) == (
        wanted["parameters"],
        wanted["devices"],
        wanted["fits"],
    )
    for network in ("links", "network"):
        sent = [sum(n for over, (_, n) in each["exchanges"].items() if network in over) for each in (found, wanted)]
        assert sent[0] == pytest.approx(sent[1], rel=0.1), network


def test_estimates_are_those_that_are_kept():
    found, wanted = estimates(), kept("estimates")
    assert found.keys() == wanted.keys()
    for name, plan in wanted.items():
        assert found[name].pop("mesh", None) == plan.pop("mesh", None)
        assert found[name] == pytest.approx(plan, rel=1e-6), name


@pytest.mark.slow
def test_a_compiled_step_is_that_which_is_kept():
    near(of_a_compiler(planned(*STAND_IN)), kept("micro-2"))


@pytest.mark.slow
def test_the_step_of_another_network_is_not():
    wanted = kept("micro-2")
    other = of_a_compiler(planned(*STAND_IN, "decoder.mlp=768"))
    assert other["parameters"] == wanted["parameters"] + 3 * 2 * 128 * 384  # three matrices of two layers
    with pytest.raises(AssertionError):
        near(other, wanted)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in PLANS if (GOLDEN / f"{name}.json").is_file()])
def test_the_steps_of_the_family_are_those_that_are_kept(name):
    if find_spec("libtpu") is None:
        pytest.skip("libtpu is not installed")
    near(of_a_compiler(planned(*PLANS[name], "--limit", "3000")), kept(name))


if __name__ == "__main__":
    for wanted in sys.argv[1:]:
        words = {**PLANS, "micro-2": STAND_IN}.get(wanted)
        made = estimates() if words is None else of_a_compiler(planned(words[0], "--limit", "3000", *words[1:]))
        GOLDEN.mkdir(exist_ok=True)
        (GOLDEN / f"{wanted}.json").write_text(json.dumps(made, indent=1) + "\n")
