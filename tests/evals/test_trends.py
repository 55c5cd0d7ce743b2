"""Trends: shares of the reference by hand, the plot, and the command."""

import json

import pytest

from tejat.cli.eval import main
from tejat.errors import BadInput
from tejat.evals import trends


def results(tmp_path, model: str, **values: float):
    """A results.json: words are suites, and `errors` is a task of which less is better."""
    rows = [
        {"suite": name.split("_")[0], "name": name, "value": value, "stderr": value / 10}
        | {"better": "lower" if "errors" in name else "higher"}
        for name, value in values.items()
    ]
    folder = tmp_path / model
    folder.mkdir()
    (folder / "results.json").write_text(json.dumps({"model": f"models/{model}", "tasks": rows}))
    return folder


@pytest.fixture
def two(tmp_path):
    return [
        results(tmp_path, "small", maths_a=0.2, maths_b=0.3, sound_errors=0.8),
        results(tmp_path, "large", maths_a=0.4, maths_b=0.4, sound_errors=0.4, more_c=0.1),
    ]


def test_by_hand(two) -> None:
    found = trends.relative([trends.read(path) for path in two], "large")
    assert [(p.capability, p.model, p.tasks) for p in found] == [
        *[("maths", "small", 2), ("maths", "large", 2), ("sound", "small", 1), ("sound", "large", 1)]
    ]
    assert [p.value for p in found] == pytest.approx([(0.5 + 0.75) / 2, 1, 0.5, 1])
    share = 2**0.5 / 10  # ten per cent on either side
    assert found[0].stderr == pytest.approx((0.5**2 + 0.75**2) ** 0.5 * share / 2) and found[1].stderr == 0


def test_results_of_one_name_are_called_as_their_folders(two, capsys, tmp_path) -> None:
    """Of one model in four bits and in sixteen."""
    for folder in two:
        told = json.loads((folder / "results.json").read_text())
        (folder / "results.json").write_text(json.dumps(told | {"model": "mini"}))
    out = str(tmp_path / "trends.png")
    assert main(["trends", *map(str, two), "--reference", "large", "--out", out]) == 0
    assert capsys.readouterr().out.startswith("maths, small: 0.625 ± 0.064 of large")


def test_the_command(two, tmp_path, capsys) -> None:
    out = tmp_path / "trends.png"
    assert main(["trends", *map(str, two), "--reference", "large", "--out", str(out)]) == 0
    assert out.read_bytes().startswith(b"\x89PNG")
    told = capsys.readouterr().out.splitlines()
    assert told[0] == "maths, small: 0.625 ± 0.064 of large" and told[-1] == f"{out} draws it"
    assert told[-2] == "left out 1 task: not all have been measured on it, or large has nought or what guessing reaches"


def test_seeds_of_a_model_are_one(tmp_path, capsys) -> None:
    """By hand: the mean, and what items and seeds leave open of it; a task that one seed lacks is left out."""
    seeds = [
        results(tmp_path, "small-0", maths_a=0.1, maths_b=0.3),
        results(tmp_path, "small-1", maths_a=0.3, sound_c=0.2),
        results(tmp_path, "large-24", maths_a=0.4, maths_b=0.4, sound_c=0.2),  # alone, whatever it ends in
    ]
    found = trends.of_seeds([trends.read(path) for path in seeds])
    assert [(one.model, one.seeds, [*one.tasks]) for one in found] == [
        ("small", 2, [("maths", "maths_a")]),
        ("large-24", 1, [("maths", "maths_a"), ("maths", "maths_b"), ("sound", "sound_c")]),
    ]
    row = found[0].tasks["maths", "maths_a"]
    assert row["value"] == pytest.approx(0.2)
    assert row["stderr"] == pytest.approx((0.02**2 + 0.02 / 2) ** 0.5)  # 0.01 and 0.03 of items; a variance of 0.02

    assert main(["trends", *map(str, seeds), "--out", str(tmp_path / "trends.png")]) == 0
    told = capsys.readouterr().out.splitlines()
    assert told[0] == "maths_a, small: 0.500 ± 0.260 of large-24"
    with pytest.raises(BadInput, match="2 seeds of one model"):
        main(["trends", *map(str, seeds[:2]), "--out", str(tmp_path / "trends.png")])
    whole = trends.read(results(tmp_path, "small", maths_a=0.4))
    assert len(trends.of_seeds([*map(trends.read, seeds), whole])) == 4  # is it a seed, too?


def test_of_one_suite_each_task_is_a_capability(tmp_path) -> None:
    found = [trends.read(results(tmp_path, name, maths_a=0.2, maths_b=b)) for name, b in (("x", 0.1), ("y", 0.2))]
    assert [(p.capability, p.value) for p in trends.relative(found, "y")] == [
        *[("maths_a", 1), ("maths_a", 1), ("maths_b", 0.5), ("maths_b", 1)]
    ]


def test_models_are_called_by_their_runs(tmp_path) -> None:
    """Training writes every model to a folder called "model"."""
    for name in ("x", "y"):
        folder = results(tmp_path, name, maths_a=0.2)
        file = folder / "results.json"
        file.write_text(file.read_text().replace(f"models/{name}", f"runs/{name}/model"))
    assert [trends.read(tmp_path / name).model for name in ("x", "y")] == ["x", "y"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["{0}"], "give the results of each"),
        (["{0}", "{0}"], "is not one of the results once"),
        (["{0}", "{1}", "--reference", "huge"], "'huge' is not one of the results once"),
        (["{0}", "none"], "none is no results.json"),
    ],
)
def test_bad_input(two, words, told) -> None:
    with pytest.raises(BadInput, match=told):
        main(["trends", *(word.format(*two) for word in words)])


def test_nothing_in_common(tmp_path) -> None:
    found = [trends.read(results(tmp_path, "a", one_x=0.5)), trends.read(results(tmp_path, "b", two_x=0.5))]
    with pytest.raises(BadInput, match="share no task"):
        trends.relative(found, "a")


def test_of_errors_nobody_may_have_none(tmp_path) -> None:
    perfect = results(tmp_path, "perfect", maths_a=0.2, sound_errors=0.0)
    other = results(tmp_path, "other", maths_a=0.4, sound_errors=0.4)
    found = trends.relative([trends.read(path) for path in (perfect, other)], "other")
    assert [(p.capability, p.model, p.value) for p in found] == [("maths_a", "perfect", 0.5), ("maths_a", "other", 1)]


def test_what_guessing_reaches_says_nothing_of_others(tmp_path) -> None:
    """One of four choices and no better is no capability that a smaller model could have a share of."""
    folders = [results(tmp_path, name, maths_a=value, maths_b=0.5) for name, value in (("x", 0.3), ("y", 0.25))]
    for folder, lucks in zip(folders, ((0.01, 0.4), (0.5, 0.01)), strict=True):
        told = json.loads((folder / "results.json").read_text())
        for row, luck in zip(told["tasks"], lucks, strict=True):
            row["luck"] = luck
        (folder / "results.json").write_text(json.dumps(told))
    found = [trends.read(folder) for folder in folders]
    assert {p.capability for p in trends.relative(found, "y")} == {"maths_b"}
    assert {p.capability for p in trends.relative(found, "x")} == {"maths_a"}


def test_a_row_without_a_number_is_no_result(tmp_path) -> None:
    folder = results(tmp_path, "odd", maths_a=0.2)
    told = json.loads((folder / "results.json").read_text())
    told["tasks"][0]["value"] = "much"
    (folder / "results.json").write_text(json.dumps(told))
    with pytest.raises(BadInput, match="maths_a has no number"):
        trends.read(folder)
