"""Corruption is found, the device that erred is named, and the run goes on to the very weights of an unharmed one."""

import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

from tejat.errors import BadInput
from tejat.train import mesh as meshes
from tejat.train.auditing import auditor
from tejat.train.auditing.digests import of_shards
from tejat.train.auditing.spikes import Spikes, seen

PROGRAM = Path(__file__).with_name("audited.py")


@pytest.fixture(scope="module")
def found() -> dict[str, dict]:
    done = subprocess.run(
        [sys.executable, str(PROGRAM)],
        capture_output=True,
        text=True,
        timeout=600,
        env={**os.environ, "XLA_FLAGS": "--xla_force_host_platform_device_count=8"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return {line["case"]: line for line in lines}


@pytest.mark.parametrize("case", ["clean", "clean, alone"])
def test_where_nothing_is_wrong_nothing_is_found(found, case):
    assert found[case]["verdicts"] == [] and found[case]["same"]


@pytest.mark.parametrize("case", ["a gradient, once", "an activation, once"])
def test_a_device_that_erred_once_is_named_and_the_run_goes_on_as_if_it_had_not(found, case):
    (verdict,) = found[case]["verdicts"]
    assert (verdict["verdict"], verdict["at"]) == ("transient", 1)
    assert verdict["device"] == found[case]["flip"]["device"]
    assert found[case]["same"]


@pytest.mark.parametrize("case", ["a transfer, once", "weights at rest", "moments at rest"])
def test_a_state_that_differs_between_copies_is_made_again(found, case):
    (verdict,) = found[case]["verdicts"]
    assert verdict["verdict"] == "transient"
    assert found[case]["same"]


@pytest.mark.parametrize("part", ["weights", "moments"])
def test_a_state_of_which_there_is_no_copy_is_compared_with_what_the_last_step_left(found, part):
    told = found[f"{part} that one device alone holds"]
    (verdict,) = told["verdicts"]
    struck = told["flip"]
    assert (verdict["verdict"], verdict["device"]) == ("transient", struck["device"])
    assert verdict["why"].startswith(f"the state that devices [{struck['device']}] hold changed at rest, after step ")
    assert verdict["why"].endswith(f" {struck['step'] - 1}") and told["same"]


def test_a_number_that_is_none_is_made_again(found):
    (verdict,) = found["a number that is none"]["verdicts"]
    assert verdict["verdict"] == "transient" and found["a number that is none"]["same"]


def test_a_device_that_errs_again_is_named_and_ends_the_process(found):
    (verdict,) = found["a bad device"]["verdicts"]
    assert (verdict["verdict"], verdict["device"]) == ("persistent", 4)
    assert found["a bad device"]["ended"]


def test_what_all_devices_agree_on_is_the_programs_or_the_datas_and_the_run_goes_on(found):
    told = found["of_bad_rows"]
    assert {verdict["verdict"] for verdict in told["verdicts"]} == {"bug_or_data"} and not told["ended"]
    first = told["verdicts"][0]
    assert first["why"] == "the text loss is nan; all devices agree on it"
    assert first["device"] is None and first["process"] is None


def test_a_step_on_which_no_two_placements_agree_ends_the_process_and_names_nobody(found):
    told = found["of_chance"]
    (verdict,) = told["verdicts"]
    assert told["ended"] and (verdict["verdict"], verdict["at"]) == ("persistent", 1)
    assert verdict["why"] == "step 1, made again, gives another state; no two placements agree"
    assert verdict["device"] is None and verdict["process"] is None
    said = str(auditor.Corrupted(auditor.Verdict(**verdict)))
    assert said.startswith("step 1 cannot be made: step 1, made again") and "try `tejat doctor --scan`" in said


def test_what_is_usual_is_learned_and_what_is_not_is_doubted():
    spikes = Spikes()

    def step(loss: float, norm: float) -> dict[str, float]:
        sums = {"text_loss": loss * 100, "text_count": 100, "picture_loss": 0, "picture_count": 0}
        return sums | {"gradient_norm": norm}

    usual = [step(5 + 0.01 * (n % 7), 1 + 0.1 * (n % 5)) for n in range(40)]
    assert spikes.doubt([step(float("nan"), 1)]) == "the text loss is nan"
    assert spikes.doubt([step(50, 100)]) is None  # nothing is usual yet
    spikes.learn(usual)
    assert spikes.doubt(usual) is None
    assert "the text loss jumps from 5.03 to 7" in spikes.doubt([step(7, 1.2)])
    assert "the gradient norm jumps from 1.2 to 40" in spikes.doubt([step(5, 40)])
    assert spikes.doubt([step(5, float("inf"))]) == "the gradient norm is inf"


def test_one_wrong_number_among_many_is_seen_where_the_norm_is_not_moved():
    """Of two shards; the second of two parameters has no part in some steps."""
    random = np.random.default_rng(0)

    def step(wrong: float | None = None, idle: bool = False) -> dict:
        a, b = random.standard_normal((2, 4, 1_000)).astype(np.float32), random.standard_normal((2, 30))
        if wrong is not None:
            a[1, 2, 7] = wrong
        norm = float(np.sqrt((a.astype(float) ** 2).sum() + 1e6))  # of many other parameters
        local = of_shards({"a": a, "b": (b * (not idle)).astype(np.float32)})
        return seen({"gradient_norm": norm, "local": local}, local, ["a", "b"])

    spikes = Spikes()
    spikes.learn([step(idle=n % 3 == 0) for n in range(60)])
    assert step()["largest gradients"].keys() == {"a", "b"} and "local" not in step()
    for _ in range(200):
        assert spikes.doubt([step()]) is None and spikes.doubt([step(idle=True)]) is None
    assert spikes.doubt([step(3.0)]) is None  # the largest of 8,000 is 4
    assert "the largest gradient of a jumps from 3.9" in spikes.doubt([step(), step(-60.0)])


def test_what_cannot_be_audited_is_told(tmp_path):
    from dataclasses import replace

    from tejat.train.tour import RECIPE

    audited = replace(RECIPE, audit_every=10)
    with pytest.raises(BadInput, match="audit_every needs several devices"):
        auditor.guards(audited, None, tmp_path)
    one = meshes.make({"fsdp": 1}, [jax.devices()[0]])
    with pytest.raises(BadInput, match="fsdp=2 or more"):
        auditor.guards(audited, one, tmp_path)
    assert auditor.guards(RECIPE, one, tmp_path) == []
