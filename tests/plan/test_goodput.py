"""Runs on chips that fail: the simulation beside closed forms, and what must help helps."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tejat.cli import plan as command
from tejat.errors import BadInput
from tejat.plan import goodput, goodput_measured
from tejat.plan.goodput import POLICIES, Costs, Faults
from tejat.train.surviving.faults import Kind
from tejat.train.surviving.outcomes import Outcome, Recovery

NEVER = float("inf")
COSTS = Costs(save=100, restore=200, copy=0.5, copy_restore=1)
DOWN = COSTS.notice + COSTS.reschedule + COSTS.begin + COSTS.restore


@settings(max_examples=15, deadline=None)
@given(st.floats(2_000, 200_000), st.floats(1, 300), st.floats(100, 20_000))
def test_checkpoints_alone_are_as_in_closed_form(between, save, cadence):
    known = replace(COSTS, save=save)
    days = min(500.0, 2_000 * between / goodput.DAY)  # some two thousand faults in each of 64 runs
    (found,) = goodput.simulate(Faults(between, NEVER), known, POLICIES[0], np.asarray([cadence]), days=days)
    assert found.goodput == pytest.approx(goodput.expected(cadence, save, DOWN, between), abs=0.01)
    assert found.goodput + sum(found.lost.values()) == pytest.approx(1)


@settings(max_examples=10, deadline=None)
@given(st.floats(5_000, 100_000), st.floats(5, 500))
def test_the_best_cadence_is_that_of_young_and_daly(between, save):
    known = replace(COSTS, save=save)
    cadences = np.geomspace(goodput.young(save, between) / 8, goodput.young(save, between) * 8, 41)
    curve = goodput.simulate(Faults(between, NEVER), known, POLICIES[0], cadences, days=200)
    best = max(found.goodput for found in curve)
    (rule,) = goodput.simulate(
        Faults(between, NEVER), known, POLICIES[0], np.asarray([goodput.daly(save, between)]), days=200
    )
    assert best - rule.goodput < 0.005


def test_the_picture_of_the_paper():
    """Two SuperPods, a model of 560 billion parameters: 85% with checkpoints alone, 97% with all that the paper did."""
    found = goodput.study(560e9, 8_192, 2, 6.25e9)
    shares = [each["goodput"] for each in found["policies"]]
    assert shares == sorted(shares)
    assert 0.82 < shares[0] < 0.88 and shares[-1] > 0.965
    assert found["simulated_alike"] == pytest.approx(found["closed_form"], abs=0.005)
    assert found == goodput.study(560e9, 8_192, 2, 6.25e9)  # chance comes from the seed alone


def test_more_chips_or_worse_ones_cost_more():
    shares = [goodput.study(560e9, chips, 2, 6.25e9)["policies"][0]["goodput"] for chips in (2_048, 8_192, 32_768)]
    assert shares == sorted(shares, reverse=True)
    worse = goodput.study(560e9, 8_192, 2, 6.25e9, hours=10_000)
    assert worse["policies"][0]["goodput"] < shares[1]


def test_the_command(capsys, tmp_path):
    words = ["nano1", "--topology", "v5e:16x16", "--estimate", "--goodput"]
    assert command.main([*words, "--json", "--chart", str(tmp_path / "chart.png")]) == 0
    found = json.loads(capsys.readouterr().out)["goodput"]
    assert found["chips"] == 256 and 0.9 < found["policies"][0]["goodput"] < 1
    assert (tmp_path / "chart.png").read_bytes()[:4] == b"\x89PNG"
    assert command.main(words) == 0
    assert re.search(r"\| and audits with replay +\| +9\d\.\d% ±", capsys.readouterr().out)
    for more, told in ((["--days", "0"], "--days 0 is no time"), (["--mtbf", "-3"], "--mtbf -3 is no time")):
        with pytest.raises(BadInput, match=told):
            command.main([*words, *more])
    with pytest.raises(BadInput, match="--chart is of --goodput"):
        command.main(["nano1", "--estimate", "--chart", "x.png"])


def test_llama_3_as_it_was_is_near_what_its_authors_report():
    """More than 90% of effective training time: 16,384 chips, 2 TB/s of storage (arXiv 2407.21783, section 3.3)."""
    state = 12 * 405e9
    known = replace(goodput.costs(405e9, 16_384, 1, 50e9), save=state / 2e12, restore=state / 2e12)
    faults = replace(Faults.of(16_384), corruption=NEVER)
    curve = goodput.simulate(faults, known, POLICIES[0], np.geomspace(60, 7_200, 17), days=54)
    assert max(found.goodput for found in curve) == pytest.approx(0.893, abs=0.005)


def test_costs_that_were_measured_take_the_place_of_assumptions(tmp_path, capsys):
    def outcome(kind: str, memory: bool, *seconds: float) -> str:
        recoveries = [Recovery(Kind(kind), memory, each) for each in seconds]
        return json.dumps(Outcome(0, [], [], recoveries, True, True).to_json()) + "\n"

    path = tmp_path / "chaos.jsonl"
    lines = [outcome("kill", True, 9.0, 11.0, 400.0), outcome("kill", False, 99.0), outcome("hang", True, 19.5)]
    path.write_text("".join(lines))
    found = goodput_measured.read(tmp_path)
    assert found == {"begin_warm": (11.0, 3), "notice": (8.5, 1)} == goodput_measured.read(path)
    assumed, known = (goodput.study(560e9, 8_192, 2, 6.25e9, measured=each) for each in (None, found))
    assert known["measured"]["begin_warm"] == {"seconds": 11.0, "of": 3} and assumed["measured"] == {}
    for before, after in zip(assumed["policies"], known["policies"], strict=True):
        assert after["goodput"] > before["goodput"]  # 60 s until a stop is noticed and 90 to begin were assumed
    words = ["nano1", "--topology", "v5e:16x16", "--estimate", "--goodput", "--measured", str(tmp_path)]
    assert command.main(words) == 0
    assert "begin_warm 11 s, the median of 3\nnotice 8.5 s, the median of 1\n" in capsys.readouterr().out
    for text, told in (("{}", "is no chaos.jsonl"), ("", "tells of no recovery"), (None, "cannot be read")):
        path.write_text(text) if text is not None else path.unlink()
        with pytest.raises(BadInput, match=told):
            goodput_measured.read(path)
