"""The build: what comes out, that it goes on where it stopped, that its ledger adds up, that nothing vanishes."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tejat.data.corpus import ledger
from tejat.data.corpus.build import build
from tejat.data.corpus.ledger import Index
from tejat.data.corpus.report import page, table
from tejat.data.corpus.writing import under_cap
from tejat.data.shards import Shards
from tejat.errors import BadInput

RECIPE = """
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tejat.data.cleaning.report import Report
from tejat.data.corpus.recipe import Corpus
from tejat.data.corpus.source import Source
from tejat.data.mixture import Stage
from tejat.data.shards import Item


def numbers(paths, dropped):
    for n in range(300):
        if n % 100 == 7:
            dropped.drop("numbers that end in 07", n)
            continue
        if n == 250:
            yield Item("text", {"text": "half a character: \\ud83d", "language": "en"})
        language = ("en", "de", "fr")[n % 3]
        yield Item("text", {"text": f"number {n} " * (1 + n % 3), "language": language, "group": f"g{n}"})


def doubles(paths, dropped):
    # Begun at all only when it must be built.
    with open(os.environ["TEJAT_TRACE"], "a") as trace:
        trace.write("doubles\\n")
    time.sleep(float(os.environ.get("TEJAT_SLOW", 0)))
    for n in range(0, 600, 2):
        yield Item("text", {"text": f"number {n} " * (1 + n % 3), "language": "en", "group": f"d{n}"})


def broken(paths, dropped):
    yield Item("text", {"text": "one", "language": "en"})
    raise OSError("the disk is on fire")


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


class Once:
    def __init__(self):
        self.report, self.known = Report("once"), set()

    def remember(self, records, heldout=False):
        self.known |= {record.fields["text"] for record in records}

    def __call__(self, records, source=""):
        for record in records:
            if record.fields["text"] not in self.known:
                self.known.add(record.fields["text"])
                yield record


def source(name, items, **more):
    return Source(name, items, (), "CC0-1.0", False, f"about {name}", 0.01, small=2_000, **more)


RECIPE = Corpus(
    "try", [source("numbers", numbers), source("doubles", doubles)], clean=[NoFives()], across=[Once()],
    stages=[Stage("only", 1e6, {"numbers": 1.0})],
)
BROKEN = source("broken", broken)
"""


@pytest.fixture(scope="module")
def work(tmp_path_factory) -> Path:
    work = tmp_path_factory.mktemp("work")
    (work / "recipe.py").write_text(RECIPE)
    os.environ["TEJAT_TRACE"] = str(work / "trace")
    return work


@pytest.fixture(scope="module")
def built(work):
    return build(work / "recipe.py", work / "corpus", workers=1)


def test_items_are_parsed_cleaned_and_split(work, built):
    found = {split: list(Shards(work / "corpus", "numbers", split)) for split in ("train", "heldout")}
    told = built.ledger["sources"]["numbers"]
    texts = [item.fields["text"] for split in found.values() for item in split]
    assert len(texts) == len({*texts}) == 297 - 30
    assert not any(text.split()[1].endswith("5") for text in texts)
    assert 0 < len(found["heldout"]) < 10
    assert told["read"] == 297 and told["parser"]["numbers that end in 07"] == {
        "count": 3,
        "examples": ["7", "107", "207"],
    }
    assert told["parser"]["items that no file can hold"]["count"] == 1
    listed = json.loads((work / "corpus/numbers/heldout.json").read_text())
    assert {item.fields["group"] for item in found["heldout"]} <= {*listed}
    assert not {item.fields["group"] for item in found["train"]} & {*listed}


def test_steps_across_sources_see_what_came_before(work, built):
    numbers = {i.fields["text"] for s in ("train", "heldout") for i in Shards(work / "corpus", "numbers", s)}
    doubles = {i.fields["text"] for s in ("train", "heldout") for i in Shards(work / "corpus", "doubles", s)}
    assert not numbers & doubles
    assert {step["step"]: step["dropped"] for step in built.ledger["sources"]["doubles"]["steps"]}["once"] > 100


def test_the_ledger_adds_up_and_says_when_it_does_not(work, built, tmp_path):
    assert list(ledger.faults(work / "corpus")) == []
    index = Index.load(work / "corpus", "numbers", "train")
    for row, item in enumerate(Shards(work / "corpus", "numbers", "train")):
        assert index.languages[index.language[row]] == item.fields["language"]
        assert index.bytes[row, 0] == len(item.fields["text"])
    shutil.copytree(work / "corpus", tmp_path / "changed")
    told = json.loads((tmp_path / "changed/corpus.json").read_text())
    told["sources"]["numbers"]["read"] += 1
    told["sources"]["doubles"]["splits"]["train"]["items"] -= 1
    (tmp_path / "changed/corpus.json").write_text(json.dumps(told))
    faults = "\n".join(ledger.faults(tmp_path / "changed"))
    assert "numbers: 298 items were read" in faults and "doubles: the train split" in faults and "total" in faults


def test_a_build_goes_on_where_it_stopped(work, built):
    """Whole sources are kept to the byte; one that is taken away is built again as it was, near-duplicates and all."""
    trace, path = work / "trace", work / "corpus/doubles/ledger.json"
    before = {p: p.read_bytes() for p in sorted((work / "corpus").rglob("*")) if p.is_file()}
    trace.unlink()
    again = build(work / "recipe.py", work / "corpus", workers=1)
    assert again.kept == ["numbers", "doubles"] and not trace.exists()
    path.unlink()
    again = build(work / "recipe.py", work / "corpus", workers=1)
    assert again.kept == ["numbers"] and again.built == ["doubles"] and trace.read_text() == "doubles\n"
    after = {p: p.read_bytes() for p in sorted((work / "corpus").rglob("*")) if p.is_file()}
    different = {p.name for p in before if before[p] != after.get(p)}
    assert different <= {"ledger.json", "corpus.json"}  # they tell the seconds
    assert list(ledger.faults(work / "corpus")) == []


def test_how_long_documents_are_is_told_anew_where_they_are_made_otherwise(work, built, tmp_path, monkeypatch):
    shutil.copytree(work / "corpus", tmp_path / "corpus")

    def told(name: str) -> dict:
        return json.loads((tmp_path / "corpus" / name / "ledger.json").read_text())

    before = told("numbers")
    assert build(work / "recipe.py", tmp_path / "corpus", workers=1).kept == ["numbers", "doubles"]
    assert told("numbers") == before
    monkeypatch.setattr("tejat.data.corpus.writing.presenting", lambda: "otherwise")
    monkeypatch.setattr("tejat.data.corpus.counting.tokens", lambda document, random: np.array([77.0, 0, 0, 0]))
    outcome = build(work / "recipe.py", tmp_path / "corpus", workers=1)
    assert outcome.kept == ["numbers", "doubles"] and outcome.built == []
    for split in ("train", "heldout"):
        assert outcome.ledger["sources"]["numbers"]["splits"][split]["document_tokens"] == 77.0
    assert list(ledger.faults(tmp_path / "corpus")) == []


def test_what_is_built_again_takes_the_place_of_the_old_once_it_is_whole(work, built, tmp_path):
    shutil.copytree(work / "corpus", tmp_path / "corpus")
    before = {path: path.read_bytes() for path in (tmp_path / "corpus/doubles").iterdir()}
    failing = (
        (work / "recipe.py")
        .read_text()
        .replace(
            "                self.known.add(",
            "                assert source != 'doubles' or '400' not in str(record)\n" + " " * 16 + "self.known.add(",
        )
    )
    (tmp_path / "recipe.py").write_text(failing)
    with pytest.raises(AssertionError):
        build(tmp_path / "recipe.py", tmp_path / "corpus", workers=1)
    assert before == {path: path.read_bytes() for path in (tmp_path / "corpus/doubles").iterdir()}
    assert list(ledger.faults(tmp_path / "corpus")) == [] and not [*(tmp_path / "corpus").glob(".*")]


def test_ctrl_c_keeps_what_is_whole(work, built, tmp_path):
    """The first source is whole, the second slow: the build stops at once, says so, and goes on when run again."""
    command = [
        sys.executable,
        "-m",
        "tejat",
        "data",
        "build",
        str(work / "recipe.py"),
        "--out",
        str(tmp_path / "corpus"),
    ]
    environment = os.environ | {"TEJAT_SLOW": "60"}
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment, start_new_session=True)
    deadline = time.monotonic() + 60
    while not (tmp_path / "corpus/corpus.json").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the whole group
    _, said = process.communicate(timeout=20)
    assert process.returncode == 130 and "1 sources are whole and kept" in said and "Traceback" not in said
    assert not (tmp_path / "corpus/.spool").exists()
    assert build(work / "recipe.py", tmp_path / "corpus", workers=1).kept == ["numbers"]


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGKILL])
def test_workers_end_with_the_build_however_it_ends(work, built, tmp_path, sent):
    """Told to end, it takes back what is half done; killed, it cannot, but its workers and what they run end too."""
    folder = tmp_path / "recipes"
    folder.mkdir()
    child = f"import subprocess\n    subprocess.run(['sleep', '61.{sent:03d}'])\n    yield from ()"
    (folder / "recipe.py").write_text(
        (work / "recipe.py").read_text().replace("    for n in range(300):", f"    {child}\n    for n in range(300):")
    )
    command = [sys.executable, "-m", "tejat", "data", "build", str(folder / "recipe.py"), "--out", str(tmp_path / "c")]
    process = subprocess.Popen([*command, "--workers", "2"], stderr=subprocess.PIPE, text=True)
    wanted = f"sleep\x0061.{sent:03d}\x00".encode()

    def running() -> list[Path]:
        found = [path for path in Path("/proc").glob("[0-9]*/cmdline") if _read(path) == wanted]
        return found

    _until(running, 60)
    workers = _children(process.pid)
    assert workers
    process.send_signal(sent)
    _, said = process.communicate(timeout=20)
    assert process.returncode == (143 if sent == signal.SIGTERM else -sent) and "Traceback" not in said
    _until(lambda: not running() and not any(Path(f"/proc/{worker}").exists() for worker in workers), 10)
    if sent == signal.SIGTERM:
        assert "0 sources are whole and kept" in said and not (tmp_path / "c/.spool").exists()


def _until(there, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not there():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.1)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # it has ended
        return b""


def _children(process: int) -> list[int]:
    return [int(pid) for path in Path(f"/proc/{process}/task").glob("*/children") for pid in _read(path).split()]


def test_a_source_that_fails_does_not_take_others_along(work, tmp_path):
    broken = (work / "recipe.py").read_text() + "RECIPE = Corpus('b', [BROKEN, source('numbers', numbers)])\n"
    (tmp_path / "recipe.py").write_text(broken)
    outcome = build(tmp_path / "recipe.py", tmp_path / "corpus", workers=1, size="small", limit=200)
    assert outcome.failed == {"broken": "OSError: the disk is on fire"}
    assert [*outcome.ledger["sources"]] == ["numbers"]
    assert outcome.ledger["sources"]["numbers"]["read"] == 200
    # --size small: below the cap, every language with about as much.
    train = outcome.ledger["sources"]["numbers"]["splits"]["train"]
    assert 1_500 < train["bytes"]["text"] <= 2_000
    sizes = [counts["bytes"] for counts in train["languages"].values()]
    assert len(sizes) == 3 and max(sizes) < 2 * min(sizes)
    assert list(ledger.faults(tmp_path / "corpus")) == []


def test_a_small_corpus_is_an_excerpt_of_a_whole_one(work, built, tmp_path):
    small = build(work / "recipe.py", tmp_path / "small", size="small", whole=work / "corpus")
    assert [*small.ledger["sources"]] == ["numbers", "doubles"] and list(ledger.faults(tmp_path / "small")) == []
    for name in ("numbers", "doubles"):
        for split in ("train", "heldout"):
            whole = [item.fields["text"] for item in Shards(work / "corpus", name, split)]
            part = [item.fields["text"] for item in Shards(tmp_path / "small", name, split)]
            assert bool(part) == bool(whole) and part == [text for text in whole if text in {*part}]
        assert small.ledger["sources"][name]["splits"]["train"]["bytes"]["text"] <= 2_000
        listed = [(d / name / "heldout.json").read_bytes() for d in (work / "corpus", tmp_path / "small")]
        assert listed[0] == listed[1]
    (tmp_path / "other.py").write_text((work / "recipe.py").read_text() + "RECIPE = Corpus('other', [BROKEN])\n")
    with pytest.raises(BadInput, match="is of the recipe 'try', this one is 'other'"):
        build(tmp_path / "other.py", tmp_path / "third", whole=work / "corpus")
    with pytest.raises(BadInput, match="excerpt of itself"):
        build(work / "recipe.py", work / "corpus", size="small", whole=work / "corpus")
    (tmp_path / "changed.py").write_text((work / "recipe.py").read_text().replace("number {n} ", "figure {n} "))
    with pytest.raises(BadInput, match=r"nothing of .* can be taken; numbers: .* another"):
        build(tmp_path / "changed.py", tmp_path / "fourth", size="small", whole=work / "corpus")
    assert not (tmp_path / "fourth").exists()


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(1, 50)), min_size=1, max_size=60), st.integers(1, 1500))
def test_a_cap_takes_from_the_largest_languages(rows, cap):
    languages, sizes = np.array(rows).T
    zeros = np.zeros((len(rows), 3))
    index = Index(tuple("abcde"), languages, np.ones(len(rows), int), zeros, np.column_stack([sizes, zeros]))
    order = np.random.default_rng(0).permutation(len(rows))
    keep = under_cap(index, order, cap)
    kept = np.bincount(languages, sizes * keep, 5)
    whole = np.bincount(languages, sizes, 5)
    assert kept.sum() <= cap or keep.all()
    assert keep.all() == (sizes.sum() <= cap)
    for cut in np.flatnonzero(kept < whole):
        assert kept[cut] + 50 >= kept[kept == whole].max(initial=0)  # no language that is whole is larger
        rows_of = np.flatnonzero(languages == cut)
        left, gone = order[rows_of][keep[rows_of]], order[rows_of][~keep[rows_of]]
        assert left.max(initial=-1) < gone.min()
    assert under_cap(index, order, None).all()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("RECIPE = None", "defines no RECIPE"),
        ("raise OSError('x')", "OSError: x"),
        ("RECIPE = Corpus('c', [BROKEN, BROKEN])", "two sources named 'broken'"),
        ("RECIPE = Corpus('c', [BROKEN], stages=[Stage('s', 1, {'other': 1})])", "weighs 'other'"),
        ("RECIPE = Corpus('c', [])", "no source"),
        ("RECIPE = Corpus('c', [BROKEN], clean=(3,))", "the step 3"),
        ("RECIPE = Corpus('c', [BROKEN], across=(duplicates.Exact,))", "the step <class"),
        ("RECIPE = Corpus('c', [replace(BROKEN, name='../evil')])", "'../evil'; give letters"),
        ("RECIPE = Corpus('c', [replace(BROKEN, cap=-4)])", "a cap of -4 bytes"),
        ("RECIPE = Corpus('c', [own.own('a', '.', 'MIT', held=3)])", "a share of 3 "),
    ],
)
def test_a_bad_recipe_is_refused_before_work(work, tmp_path, change, said):
    also = ("dataclasses import replace", "tejat.data.cleaning import duplicates", "tejat.data.corpus import own")
    lines = [(work / "recipe.py").read_text(), *(f"from {each}" for each in also), change]
    (tmp_path / "recipe.py").write_text("\n".join(lines))
    with pytest.raises(BadInput, match=said):
        build(tmp_path / "recipe.py", tmp_path / "corpus")
    assert not (tmp_path / "corpus").exists()


def test_the_report_tells_what_is_there_and_what_is_not(built):
    lines = table(built.ledger).splitlines()
    assert lines[1].split()[0] == "numbers" and lines[-1].split()[0] == "total"
    shown = page(built.ledger)
    assert "numbers that end in 07" in shown and "ends in" in shown and "about doubles" in shown
