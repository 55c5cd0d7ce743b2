"""A law that is known comes out of runs that follow it, and what is planned by it."""

import json
import runpy
from pathlib import Path

import numpy as np
import pytest

from tejat.cli import plan
from tejat.errors import BadInput
from tejat.plan import scaling
from tejat.plan.scaling import Law, Run

TRUE = Law(1.4, 180.0, 900.0, 0.34, 0.37)


def runs(noise: float = 0.0) -> list[Run]:
    random = np.random.default_rng(0)
    return [
        Run(n, d, TRUE.loss(n, d) * float(np.exp(noise * random.standard_normal())))
        for n in (2e6, 5e6, 15e6)
        for d in (25e6, 50e6, 100e6, 200e6)
    ]


def test_the_law_of_runs_that_follow_one():
    found = scaling.fit(runs())
    assert found.loss(60e6, 400e6) == pytest.approx(TRUE.loss(60e6, 400e6), rel=0.01)
    for n, d in ((2e6, 25e6), (15e6, 200e6)):
        assert found.loss(n, d) == pytest.approx(TRUE.loss(n, d), rel=1e-3)


def test_a_prediction_has_a_band_that_holds_the_truth():
    loss, low, high = scaling.predicted(runs(0.002), 60e6, 100e6, draws=4)
    assert low <= loss <= high and low < TRUE.loss(60e6, 100e6) * 1.01 and high > TRUE.loss(60e6, 100e6) * 0.99
    assert high - low < 0.2 * loss


def test_the_best_size_for_a_budget_is_better_than_its_neighbours():
    n, d = TRUE.best(1e19)
    assert 6 * n * d == pytest.approx(1e19) and TRUE.tokens_for(n) == pytest.approx(d)
    for factor in (0.7, 1.4):
        assert TRUE.loss(n * factor, d / factor) > TRUE.loss(n, d)


def test_the_rule_of_rates():
    def loss(n, peak):
        return 3 + (np.log(peak) - np.log(0.5 * n**-0.3)) ** 2

    peaks = [(n, peak, loss(n, peak)) for n in (4e6, 15e6) for peak in (2e-3, 4e-3, 8e-3)]
    assert scaling.rate(peaks) == pytest.approx((0.5, -0.3), rel=1e-3)


def test_what_tells_no_law(tmp_path):
    with pytest.raises(BadInput, match="two sizes"):
        scaling.fit([run for run in runs() if run.parameters == 2e6])
    with pytest.raises(BadInput, match="three"):
        scaling.rate([(1.0, 1.0, 1.0)])
    (tmp_path / "ladder.json").write_text(json.dumps([{"name": "a"}]))
    with pytest.raises(BadInput, match="recipes/ladder.py"):
        scaling.read(tmp_path / "ladder.json")


COMMITTED = Path(__file__).parents[2] / "benchmarks" / "foretold.json"


def test_the_law_that_is_committed_says_how_long_a_run_is(capsys):
    law = scaling.law(COMMITTED)
    assert law == Law(**json.loads(COMMITTED.read_text())["text: text"]["law"])
    found = []
    for more in ([], ["--law", str(COMMITTED)]):
        assert plan.main(["mini", "--topology", "h200:1", "--estimate", "--json", *more]) == 0
        found.append(json.loads(capsys.readouterr().out)["run"])
    plain, foretold = found
    n = foretold["parameters"]
    assert plain["tokens"] == 20 * n and plain["loss"] is None
    assert foretold["tokens"] == law.tokens_for(n) and foretold["loss"] == law.loss(n, law.tokens_for(n))
    assert foretold["days"] / plain["days"] == pytest.approx(foretold["tokens"] / plain["tokens"])


def test_the_law_of_a_ladder_is_fitted_to_its_runs(tmp_path):
    told = [
        {"name": f"{'4m' if r.parameters < 3e6 else '15m'}-{at}", "parameters": r.parameters, "tokens": r.tokens}
        | {"heldout": {"text: text": r.loss}}
        for at, r in enumerate(runs())
    ]
    place = tmp_path / "ladder.json"
    place.write_text(json.dumps(told))
    assert scaling.law(place) == scaling.fit(runs())


@pytest.mark.parametrize("told", ["{", "{}", '{"text: text": {"law": {"floor": 1}}}'])
def test_a_file_without_a_law(tmp_path, told):
    (tmp_path / "foretold.json").write_text(told)
    with pytest.raises(BadInput, match=r"has no law of the loss 'text: text'.*give benchmarks/foretold.json"):
        scaling.law(tmp_path / "foretold.json")


@pytest.mark.slow
def test_mini_is_foretold_from_the_ladder(tmp_path, capsys):
    """`python recipes/ladder.py tell`, of runs that follow a law."""
    recipe = runpy.run_path(str(Path(__file__).parents[2] / "recipes" / "ladder.py"))
    options = recipe["Options"]("tell", out=tmp_path)
    told = []
    for rung in recipe["small"](options):
        n, d = (1.4e7 if "15m" in rung.name else 3.5e6), rung.schedule.steps * 0.97 * 32 * 4_096
        # Twice or half the rate of a size costs as much.
        worse = 0.02 * np.log2(rung.schedule.peak / (4e-3 if n < 1e7 else 3e-3)) ** 2
        loss = TRUE.loss(n, d) + float(worse)
        told.append({"name": rung.name, "parameters": n, "tokens": d, "steps": rung.schedule.steps})
        told[-1] |= {"peak": rung.schedule.peak, "heldout": dict.fromkeys(recipe["LOSSES"], loss)}
    (tmp_path / "ladder.json").write_text(json.dumps(told))
    recipe["tell"](options)
    found = json.loads(capsys.readouterr().out)
    assert found == json.loads((tmp_path / "foretold.json").read_text())
    assert found["rates"]["mini"] < 3e-3 and found["rates"]["mini_took"] == 2e-3
    for loss in recipe["LOSSES"]:
        mini = found[loss]["mini"]
        assert mini["low"] <= mini["loss"] <= mini["high"] and 1.4 < mini["loss"] < min(
            each["heldout"][loss] for each in told
        )


def test_sizes_are_drawn_beside_the_largest(tmp_path, capsys):
    """`python recipes/ladder.py draw`: a bar for each of three sizes and each kind of loss."""
    from PIL import Image

    recipe = runpy.run_path(str(Path(__file__).parents[2] / "recipes" / "ladder.py"))
    sizes = {"mini-4m": (4e6, 4.0), "mini-15m": (1.4e7, 3.5), "mini": (4.4e7, 3.0)}
    told = [
        {
            "name": name,
            "size": name,
            "parameters": n,
            "tokens": 1,
            "steps": 576,
            "heldout": dict.fromkeys(recipe["CAPABILITIES"], loss),
        }
        for name, (n, loss) in sizes.items()
    ]
    (tmp_path / "ladder.json").write_text(json.dumps(told))
    recipe["draw"](recipe["Options"]("draw", out=tmp_path))
    pixels = np.asarray(Image.open(capsys.readouterr().out.strip()).convert("RGB"))
    # Of one colour each; bars of 0.5 nats more are shorter by e^0.5.
    areas = [
        (pixels == colour).all(-1).sum() for colour in ((0x9E, 0xCA, 0xE1), (0x42, 0x92, 0xC6), (0x08, 0x45, 0x94))
    ]
    assert areas[1] / areas[2] == pytest.approx(np.exp(-0.5), abs=0.06)
    assert areas[0] / areas[2] == pytest.approx(np.exp(-1.0), abs=0.06)
