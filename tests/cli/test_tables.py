"""`make tables`: its commands are ones that Tejat takes, and it passes over what is there and goes past what fails."""

import argparse
import dataclasses
import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tejat import bundle
from tejat.cli.eval import Eval
from tejat.cli.options import parse
from tejat.cli.train import Train
from tejat.cli.tune import Tune
from tejat.evals import suites
from tejat.posttrain.recipe import Tuning
from tejat.train import recipe

FILE = Path(__file__).parents[2] / "recipes" / "tables.py"


@pytest.fixture(scope="module")
def tables():
    spec = importlib.util.spec_from_file_location("tables_recipe", FILE)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


@pytest.fixture
def options(tmp_path):
    return argparse.Namespace(
        model="mini",
        corpus=tmp_path / "corpus",
        out=tmp_path,
        base=tmp_path / "base",
        after=None,
        seeds=2,
        updates=7,
        limit=20,
        set=["room.rows=2"],
        rest=True,
        masters=tmp_path / "masters",
    )


def words(step) -> list[str]:
    return list(step.command[step.command.index("tejat") + 1 :])


def named(chains) -> list[list[str]]:
    return [[step.name for step in chain] for chain in chains]


def measured(tables, options) -> list:
    """Its steps, in the order in which they are begun."""
    return [step for chains in tables.measured(options) for chain in chains for step in chain]


def test_training_is_asked_for_in_words_that_tejat_knows(tables, options):
    assert named(tables.behaved(options)) == [["without-0"], ["with-0"], ["without-1"], ["with-1"]]
    chains = tables.taught(options, ("reward", "more", "dpo", "grpo", "ppo"))
    assert named(chains) == [[f"{way}-{seed}"] for way in ("reward", "more", "dpo", "grpo", "ppo") for seed in (0, 1)]
    for step in sum([*tables.behaved(options), *chains], []):
        stage, *rest = words(step)
        asked = parse(*((Train, rest, "train") if stage == "train" else (Tune, rest, "tune")))
        kind = recipe.Recipe if stage == "train" else Tuning
        chosen = recipe.changed(recipe.read(asked.recipe, kind), list(asked.set))  # a setting that is none raises
        assert chosen.seed == int(step.name[-1])
        assert chosen.schedule.steps == (3 if step.name.startswith(("grpo", "ppo")) else 7)
        if stage == "tune":
            assert chosen.model == options.out / f"with-{chosen.seed}" / "model"
            # What ships is in four bits: all but the judge are left on that grid.
            assert (chosen.grid is None) == step.name.startswith("reward")
    assert recipe.changed(recipe.read(FILE.with_name("mini_behaviours.py")), ["room.rows=2"]).room.rows == 2


def test_from_a_model_that_has_the_behaviours_nothing_is_trained_before(tables, options):
    options.after = bundle.find("mini")
    (step,), _ = tables.taught(options, ("grpo",))
    assert tables.behaved(options) == [] and f"model={bundle.find('mini')}" in step.command
    assert options.out / "reward-0" / "curves.png" in step.needs  # nor does it begin without what it asks
    for name in ("base", *(f"{way}-{seed}/model" for way in tables.WAYS[2:] for seed in range(2))):
        place = options.out / name
        place.mkdir(parents=True, exist_ok=True)
        (place / "config.json").touch()
    *_, last = measured(tables, options)
    assert last.name == "post-training"
    assert last.command[2:5] == (str(options.base), str(bundle.find("mini")), str(options.out / "more-0" / "model"))


def test_what_measures_is_asked_for_in_words_that_tejat_knows(tables, options):
    asked = [parse(Eval, words(step)[1:], "eval") for step in measured(tables, options) if "eval" in step.command]
    assert {each.suite for each in asked} >= {"promised", "quick", "safety"}
    (rest,) = (each for each in asked if each.suite == "all" and not each.tasks)
    assert rest.against == str(options.masters)
    (skills,) = (each for each in asked if each.tasks)
    assert len(suites.tasks(skills.suite, skills.tasks)) == len(tables.SKILLS)  # a name that is none raises


def test_samples_are_drawn_of_what_was_measured(tables, options):
    steps = measured(tables, options)
    (drawn,) = (step for step in steps if step.name == "samples")
    folders = drawn.command[2 : drawn.command.index("--corpus")]
    assert {*folders} <= {str(step.made.parent) for step in steps[: steps.index(drawn)]}


def test_the_table_of_post_training_waits_for_its_models(tables, options):
    assert "post-training" not in [step.name for step in measured(tables, options)]
    for way in tables.WAYS:
        for seed in range(2):
            place = options.out / f"{way}-{seed}" / "model"
            place.mkdir(parents=True)
            (place / "config.json").touch()
    first, second = tables.measured(options)
    assert named(second) == [["samples"], ["post-training"]] and "grpo-1/model" in " ".join(second[1][0].command)
    # Each model is asked in a chain of its own before, where the table looks for its answers.
    asked = {step.name: step for (step,) in first if step.name.startswith("ask-")}
    assert asked.keys() == {f"ask-{way}-{seed}" for way in tables.WAYS for seed in range(2)}
    place = second[1][0].made.parent
    for name, step in asked.items():
        assert step.made == place / name.removeprefix("ask-") / "asked.json" and step.command[-1] == "--ask"
        assert step.command[step.command.index("--out") + 1] == str(place) and step.command[2] in second[1][0].command


def test_the_table_is_made_of_the_ways_that_are_whole(tables, options):
    for name in ("without-0", "without-1", "with-0", "with-1", "more-0", "grpo-0", "grpo-1"):
        place = options.out / name / "model"
        place.mkdir(parents=True)
        (place / "config.json").touch()
    assert tables.there(options) == ["without", "with", "grpo"]
    options.base.mkdir()
    (options.base / "config.json").touch()
    *_, last = steps = measured(tables, options)
    asked = last.command[2 : last.command.index("--corpus")]
    ways = "without-0", "without-1", "with-0", "with-1", "grpo-0", "grpo-1"
    assert asked == (*(f"{options.out}/{way}/model" for way in ways), str(options.base))
    costs = [words(step)[1:6] for step in steps if step.name.startswith("cost-")]
    assert costs == [
        [f"{options.out}/with-{seed}/model", "--suite", "quick", "--against", f"{options.out}/without-{seed}/model"]
        for seed in range(2)
    ]


def test_a_run_that_was_stopped_goes_on(tables, options):
    """Its model is there, as far as it came."""
    (options.out / "with-0" / "model").mkdir(parents=True)
    for name in ("run.json", "model/config.json"):
        (options.out / "with-0" / name).touch()
    steps = {step.name: step for chain in tables.behaved(options) for step in chain}
    assert [name for name, step in steps.items() if "--resume" in step.command] == ["with-0"]
    assert not steps["with-0"].done(options.out)
    assert tables.taught(options, ("more",))[0][0].needs[0] == steps["with-0"].made  # and nothing begins with it
    steps["with-0"].made.touch()
    assert steps["with-0"].done(options.out)


def test_what_was_asked_otherwise_is_not_done(tables, tmp_path):
    step = writes(tables, tmp_path / "made")
    assert tables.run([step], tmp_path) == [] and step.done(tmp_path)
    other = dataclasses.replace(step, command=(*step.command[:2], f"{step.command[2]}  # other"))
    assert not other.done(tmp_path)
    assert dataclasses.replace(step, command=(*step.command, "--resume")).done(tmp_path)


def test_what_begins_with_what_is_not_there_is_told(tables, tmp_path, capsys):
    step = dataclasses.replace(writes(tables, tmp_path / "made"), needs=(tmp_path / "before",))
    assert tables.run([step], tmp_path) == ["made"] and not (tmp_path / "made").exists()
    assert "made: begins with what has not been made" in capsys.readouterr().err


def test_of_rounds_what_can_be_made_is_made(tables, tmp_path, monkeypatch, capsys):
    """A seed whose model failed does without; the other goes on, and what is asked of --after must be one."""
    (tmp_path / "corpus.json").touch()
    (tmp_path / "config.json").touch()
    bad, good = writes(tables, tmp_path / "with-0", "raise SystemExit(3)"), writes(tables, tmp_path / "with-1")
    after = [
        [dataclasses.replace(writes(tables, tmp_path / f"more-{n}"), needs=(tmp_path / f"with-{n}",))] for n in "01"
    ]
    monkeypatch.setattr(tables, "pairs", lambda _: writes(tables, tmp_path / "pairs"))
    monkeypatch.setattr(tables, "judges", lambda _: [[writes(tables, tmp_path / "judge")]])
    monkeypatch.setattr(tables, "behaved", lambda _: [[bad], [good]])
    monkeypatch.setattr(tables, "taught", lambda _, ways: after if "more" in ways else [])
    monkeypatch.setattr(tables, "measured", lambda _: [])
    given = ["tables.py", "--train", "--corpus", str(tmp_path), "--base", str(tmp_path), "--out", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", given)
    assert tables.main() == 1 and (tmp_path / "more-1").is_file() and not (tmp_path / "more-0").exists()
    assert (tmp_path / "judge").is_file()
    assert "not done: with-0, more-0" in capsys.readouterr().err
    for wrong, told in (
        (["--after", str(tmp_path / "none")], "--after: "),
        (["--after", "mini", "--set", "a=1"], "--set"),
        (["--masters", str(tmp_path)], "--rest"),
    ):
        monkeypatch.setattr(sys, "argv", [*given, *wrong])
        with pytest.raises(SystemExit) as ended:
            tables.main()
        assert ended.value.code == 2 and told in capsys.readouterr().err


MEETING = (
    "import time; pathlib.Path({0!r}).touch(); [time.sleep(0.05) for _ in range(400) if not os.path.exists({1!r})]; "
    "assert os.path.exists({1!r})"
)


def writes(tables, path: Path, code: str = "pass"):
    """A step that leaves which GPU it was given."""
    gpu = "os.environ.get('CUDA_VISIBLE_DEVICES', '')"
    told = f"import os, pathlib; {code}; pathlib.Path({str(path)!r}).write_text({gpu})"
    return tables.Step(path.name, (sys.executable, "-c", told), path)


def test_what_is_there_is_passed_over_and_a_failure_ends_its_chain_alone(tables, tmp_path, capsys):
    (tmp_path / "there").write_text("as it was")
    one = [writes(tables, tmp_path / "there"), writes(tables, tmp_path / "bad", "raise SystemExit('no room')")]
    one.append(writes(tables, tmp_path / "never"))
    # Each waits until the other has begun, which two that must share one GPU would do in vain.
    here, other = str(tmp_path / "a-began"), str(tmp_path / "b-began")
    two = [writes(tables, tmp_path / "a", MEETING.format(here, other)), *one]
    three = [writes(tables, tmp_path / "b", MEETING.format(other, here))]
    assert tables.side_by_side([two, three], tmp_path, gpus=2) == ["bad"]
    assert (tmp_path / "there").read_text() == "as it was" and not (tmp_path / "never").exists()
    assert {(tmp_path / name).read_text() for name in "ab"} == {"0", "1"}
    assert "ended with code 1: no room" in capsys.readouterr().err


def test_two_share_one_gpu_and_take_what_they_need(tables, tmp_path):
    """Each waits until the other has begun."""
    code = f"{MEETING}; assert os.environ['XLA_PYTHON_CLIENT_PREALLOCATE'] == 'false'"
    here, other = str(tmp_path / "a-began"), str(tmp_path / "b-began")
    chains = [[writes(tables, tmp_path / "a", code.format(here, other))]]
    chains.append([writes(tables, tmp_path / "b", code.format(other, here))])
    assert tables.side_by_side(chains, tmp_path, gpus=1, share=2) == []


def test_without_a_corpus_it_says_so(tmp_path):
    done = subprocess.run([sys.executable, FILE, "--corpus", tmp_path], capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "is no corpus; make one by `tejat data build" in done.stderr


def test_the_judge_is_made_when_asked_for_and_nothing_else_is_trained(tmp_path):
    command = [sys.executable, FILE, "--judge", "--show", "--out", tmp_path / "out"]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert [line.split(":")[0] for line in told.splitlines()][:3] == ["judge", "judge_peer", "promised"]


def test_show_tells_and_does_nothing(tmp_path):
    command = [sys.executable, FILE, "--train", "--show", "--out", tmp_path / "out"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "grpo-2: " in done.stdout and "quick: " in done.stdout and not (tmp_path / "out").exists()


def test_the_card_has_every_aim_once_and_every_task(tables, tmp_path):
    """Of an aim that two suites measured, the one of more items stands there."""

    def told(suite: str, n: int, reached: bool) -> str:
        found = {"value": 0.5, "low": 0.4, "high": 0.6, "n": n}
        aim = {"what": "names", "aim": 0.72, "is": "at least", "reached": reached, **found}
        task = {"name": "name", "metric": "exact match", "chance": 0.25, "baseline": None, "blanked": {"value": 0.0}}
        task["text_only"] = {"value": 0.125}
        lacking = {"what": "speech", "aim": 0.2, "is": "at most", "reached": None}
        return json.dumps(
            {
                "command": f"tejat eval mini --suite {suite}",
                "hardware": "two cores",
                "promises": [aim, lacking],
                "tasks": [task | found, task | {"name": "few", "value": 0.5, "low": None, "high": None, "n": 1}],
                "not_run": [{"name": "speak", "reason": "there is no sound"}],
            }
        )

    assert tables.card(tmp_path) == ""
    for suite, n, reached in (("quick", 128, True), ("promised", 300, False)):
        (tmp_path / suite).mkdir()
        (tmp_path / suite / "results.json").write_text(told(suite, n, reached))
    lines = tables.card(tmp_path).splitlines()
    assert lines[2] == "| names | 0.500 (0.400 – 0.600), n 300 | at least 0.72 | no |" and lines[3] == ""
    assert "| quick: name | exact match | 0.500 (0.400 – 0.600), n 128 | 0.250 |  | 0.000 | 0.125 |" in lines
    assert "| quick: few | exact match | 0.500, n 1 | 0.250 |  | 0.000 | 0.125 |" in lines
    assert sum("not run: there is no sound" in line for line in lines) == 2
