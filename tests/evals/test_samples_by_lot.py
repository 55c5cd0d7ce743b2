"""Samples of the model card: by lot, whatever the order of the answers, wrong ones among them, in lines of Markdown."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest

from tejat.errors import BadInput
from tejat.evals import reasoning_suite
from tejat.evals.ground import Ground

FILE = Path(__file__).parents[2] / "recipes" / "samples.py"


@pytest.fixture(scope="module")
def samples():
    spec = importlib.util.spec_from_file_location("samples_recipe", FILE)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Answers to where things are: every third one is wrong; and the bits of a text, which are no answer."""
    (task,) = (task for task in reasoning_suite.tasks(Ground(tmp_path)) if task.name == "state")
    found = [
        {
            **{"id": item.id, "control": "", "score": float(n % 3 > 0), "weight": 1.0},
            **{"answer": [{"text": item.answers[0] if n % 3 else "no | place"}], "acceptable": list(item.answers)},
        }
        for n, item in enumerate(task.items()[:30])
    ]
    (tmp_path / "samples").mkdir()
    write(tmp_path, "reasoning.state", found)
    write(tmp_path, "prose.code", [{"id": "a", "control": "", "answer": [], "acceptable": ["b"], "score": 9.0}])
    rows = [
        {"suite": "reasoning", "name": "state", "kind": "proportion", "better": "higher"},
        {"suite": "prose", "name": "code", "kind": "ratio", "better": "lower"},
    ]
    (tmp_path / "results.json").write_text(json.dumps({"suite": "reasoning", "tasks": rows}))
    return tmp_path


def write(run: Path, name: str, found: list) -> None:
    lines = [json.dumps({"fingerprint": "0"}), *map(json.dumps, found)]
    (run / "samples" / f"{name}.jsonl").write_text("\n".join(lines) + "\n")


def told(samples, run: Path, **more) -> list[str]:
    return list(samples.lines(run, samples.Options((run,), corpus=run, **more)))


def test_the_seed_decides_and_nobody_else(samples, run: Path) -> None:
    found = told(samples, run, each=12)
    path = run / "samples" / "reasoning.state.jsonl"
    first, *rest = path.read_text().splitlines()
    path.write_text("\n".join([first, *reversed(rest)]) + "\n")
    assert told(samples, run, each=12) == found != told(samples, run, each=12, seed=1)
    right = [line for line in found if line.endswith("| ✓ |")]
    assert len(found) == 12 and 0 < len(right) < 12
    assert all(line.startswith("| state | The ") and "Where is the" in line for line in found)
    assert any("| no \\| place |" in line for line in found)
    assert told(samples, run, tasks=("prose.code",)) == []


def test_another_model_stands_beside(samples, run: Path, tmp_path_factory, capsys) -> None:
    """Answers to the same items, whatever their order; an item that the other was not asked is left out."""
    other = tmp_path_factory.mktemp("other")
    (other / "samples").mkdir()
    _, *lines = (run / "samples" / "reasoning.state.jsonl").read_text().splitlines()
    found = [json.loads(line) | {"answer": [{"text": "elsewhere"}], "score": 0.0} for line in lines[:4]]
    write(other, "reasoning.state", found[::-1])
    assert samples.main(samples.Options((run,), each=12, corpus=run, beside=other)) == 0
    head, _, *beside = capsys.readouterr().out.splitlines()
    assert head == "| task | asked | answered | due | answered | due |" and len(beside) == 4
    assert sum(" | ✓ | elsewhere | " in line for line in beside) == 2  # of four every third is wrong
    assert sum("| no \\| place | " in line for line in beside) == 2


def test_items_are_made_as_the_suite_made_them(samples, run: Path, monkeypatch) -> None:
    """Of "quick", of fewer things: choices, and with them what is due, are others then."""
    made, rows = [], json.loads((run / "results.json").read_text())["tasks"]
    real = samples.suites.tasks
    monkeypatch.setattr(samples.suites, "tasks", lambda *asked: made.append(asked[2]) or real(*asked))
    for told_, most in (({"suite": "quick"}, 128), ({"suite": "all", "limit": 700}, 700), ({"suite": "maths"}, 1_000)):
        (run / "results.json").write_text(json.dumps(told_ | {"tasks": rows}))
        told(samples, run)
        assert made.pop() == Ground(run, most=most)


def test_what_is_due_is_told_as_it_is_counted(samples) -> None:
    def due(kind: str, better: str, score: float, *acceptable: str) -> str:
        return samples.due({"score": score, "weight": 9.0, "acceptable": acceptable}, {"kind": kind, "better": better})

    assert due("ratio", "lower", 0.0, "lamp") == due("mean", "higher", 1.0, "lamp") == "✓"
    assert due("ratio", "lower", 4.0, "lamp") == "lamp (4 of 9 wrong)"
    assert due("mean", "higher", 0.25, "lamp") == "lamp (0.25)" and due("proportion", "higher", 0.0) == "✗"
    assert samples.cell("a\n\n b`*") == "a ⏎ b\\`\\*" and len(samples.cell("x" * 500)) <= samples.LONGEST + 3


def test_other_answers_than_the_corpus_has_are_refused(samples, run: Path) -> None:
    path = run / "samples" / "reasoning.state.jsonl"
    path.write_text(path.read_text().replace('"acceptable": ["', '"acceptable": ["not '))
    with pytest.raises(BadInput, match="has answers to another reasoning.state"):
        told(samples, run)
    (run / "results.json").unlink()
    with pytest.raises(BadInput, match="is no folder of `tejat eval`"):
        told(samples, run)
