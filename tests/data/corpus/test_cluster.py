"""The same corpus by a real cluster of two workers under Ray, of which one is killed while it parses."""

import json
import os
import threading
import time
from pathlib import Path

import pytest

from tejat.data.corpus import ledger
from tejat.data.corpus.build import build
from tejat.errors import BadInput

RECIPE = '''
import os
import time
from dataclasses import dataclass, field
from pathlib import Path

from tejat.data.cleaning.duplicates import Exact
from tejat.data.cleaning.quality import Heuristics
from tejat.data.cleaning.report import Report
from tejat.data.corpus.recipe import Corpus
from tejat.data.corpus.source import Source
from tejat.data.shards import Item

HERE = Path({here!r})


@dataclass
class NoFives:
    report: Report = field(default_factory=lambda: Report("no fives"))

    def __call__(self, records, source=""):
        for record in records:
            self.report.see((source, "en"))
            if record.fields["text"].split()[1].endswith("5"):
                self.report.drop("ends in five", (source, "en"), record.fields["text"])
            else:
                yield record


def numbers(step):
    def items(paths, dropped):
        for n in range(0, 900, step):
            if n == 450 and (HERE / "slow").exists():
                begun(step)
            if n % 100 == 7:
                dropped.drop("numbers that end in 07", n)
                continue
            yield Item("text", {{"text": f"number {{n}} is what is said here", "language": "en", "group": f"g{{n}}"}})
    return items


def begun(step):
    """Says on which machine it is, the first time, and waits there."""
    import ray

    node = HERE / f"node-{{step}}"
    if not node.exists():
        node.write_text(ray.get_runtime_context().get_node_id())
        time.sleep(120)


def broken(paths, dropped):
    yield Item("text", {{"text": "one and two", "language": "en"}})
    raise OSError("the disk is on fire")


def source(name, items):
    return Source(name, items, (), "CC0-1.0", False, f"about {{name}}", 0.01)


SOURCES = [source(f"by-{{step}}", numbers(step)) for step in (1, 2, 3, 5)]
RECIPE = Corpus("try", [*SOURCES, source("broken", broken)], clean=[NoFives(), Heuristics()], across=[Exact()])
'''


def files(corpus: Path) -> dict[str, bytes]:
    """All of a corpus but its ledgers, which tell the seconds."""
    return {
        str(path.relative_to(corpus)): path.read_bytes()
        for path in sorted(corpus.rglob("*"))
        if path.is_file() and path.name not in ("ledger.json", "corpus.json")
    }


def told(corpus: Path) -> dict:
    sources = json.loads((corpus / "corpus.json").read_text())["sources"]
    return {name: {key: value for key, value in source.items() if key != "seconds"} for name, source in sources.items()}


@pytest.mark.slow
def test_a_cluster_that_loses_a_worker_builds_the_same_corpus(tmp_path):
    ray = pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    recipe = tmp_path / "recipe.py"
    recipe.write_text(RECIPE.format(here=str(tmp_path)))
    alone = build(recipe, tmp_path / "alone", workers=2)
    assert alone.failed == {"broken": "OSError: the disk is on fire"} and len(alone.built) == 4

    (tmp_path / "slow").touch()
    small = {"object_store_memory": 100 << 20, "include_dashboard": False}
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **small})
    nodes = [cluster.add_node(num_cpus=1, object_store_memory=100 << 20) for _ in range(2)]
    ray.init(cluster.address, log_to_driver=False, logging_level="ERROR")
    killed: list[str] = []

    def kill() -> None:
        """The machine of the second source, while that one waits in the middle."""
        while not (tmp_path / "node-2").exists():
            time.sleep(0.1)
        victim = next(node for node in nodes if node.node_id == (tmp_path / "node-2").read_text())
        killed.append(victim.node_id)
        cluster.remove_node(victim, allow_graceful=False)

    try:
        for step in (1, 3, 5):  # these do not wait
            (tmp_path / f"node-{step}").touch()
        watch = threading.Thread(target=kill, daemon=True)
        watch.start()
        together = build(recipe, tmp_path / "together", engine="ray")
        watch.join(timeout=30)
    finally:
        ray.shutdown()
        cluster.shutdown()
    assert killed == [(tmp_path / "node-2").read_text()]
    assert together.failed == alone.failed and together.built == alone.built
    assert files(tmp_path / "together") == files(tmp_path / "alone")
    assert told(tmp_path / "together") == told(tmp_path / "alone")
    assert list(ledger.faults(tmp_path / "together")) == []


@pytest.mark.slow
def test_without_a_cluster_ray_begins_one_here(tmp_path):
    pytest.importorskip("ray")
    (tmp_path / "recipe.py").write_text(RECIPE.format(here=str(tmp_path)))
    found = build(tmp_path / "recipe.py", tmp_path / "corpus", only=["by-2", "by-3"], engine="ray", workers=2)
    assert found.built == ["by-2", "by-3"] and list(ledger.faults(tmp_path / "corpus")) == []


def test_an_engine_that_is_not_there_is_told(tmp_path, monkeypatch):
    (tmp_path / "recipe.py").write_text(RECIPE.format(here=str(tmp_path)))
    with pytest.raises(BadInput, match="no engine 'spark'; there are local, ray"):
        build(tmp_path / "recipe.py", tmp_path / "corpus", engine="spark")
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(BadInput, match="pip install 'tejat\\[data,ray\\]'"):
        build(tmp_path / "recipe.py", tmp_path / "corpus", engine="ray")
    assert not (tmp_path / "corpus").exists()
