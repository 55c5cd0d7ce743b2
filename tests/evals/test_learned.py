"""A learned metric: what its command is given, and what is made of its answer or its failure.

`comet-score` is another environment's: here a program that takes what version 2.2 takes and writes what it writes.
"""

import stat
import sys
from pathlib import Path

import pytest

from tejat.errors import BadInput
from tejat.evals import languages_suite, learned
from tejat.evals.tasks import Item
from tejat.parts import Text, Turn

PROGRAM = """#!{python}
import argparse, json
p = argparse.ArgumentParser()
for name in ("-s", "-t", "-r", "--model", "--gpus", "--to_json"):
    p.add_argument(name)
p.add_argument("--quiet", action="store_true")
given = p.parse_args()
assert given.model == "some.ckpt", "no such model"
lines = [open(path, encoding="utf-8").read().splitlines() for path in (given.s, given.t, given.r)]
rows = [dict(src=s, mt=t, ref=r, COMET=float(t == r)) for s, t, r in zip(*lines, strict=True)]
json.dump({{given.t: rows}}, open(given.to_json, "w"))
"""


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "comet-score"
    path.write_text(PROGRAM.format(python=sys.executable))
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setenv(learned.MODEL, "some.ckpt")


def items() -> list[Item]:
    asked = (Turn("user", (Text("?"),)),)
    material = {"source": "ein\nSatz", "target": "en"}
    return [Item(f"{n}", f"{n}", asked, ("a sentence",), tags={"language": "de"}, material=material) for n in range(4)]


def test_answers_are_scored_line_by_line(command) -> None:
    told = languages_suite._together(items(), ["a sentence", "two\nlines", "", "a  sentence"])
    assert (told["COMET"].value, told["COMET"].n) == (0.5, 4) and "BLEU de" in told


def test_a_model_that_is_not_there_is_told(command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(learned.MODEL, "another")
    with pytest.raises(BadInput, match="comet-score failed with the model 'another' .*no such model"):
        learned.comet(["a"], ["b"], ["c"])
    assert languages_suite._together(items(), ["x"] * 4)["COMET"].startswith("not computed: comet-score failed")


def test_nothing_is_asked_where_it_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(learned.MODEL, raising=False)
    assert not learned.installed() and "COMET" not in languages_suite._together(items(), ["x"] * 4)
