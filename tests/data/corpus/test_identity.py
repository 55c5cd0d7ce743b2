"""What is built again: what a change of code, lists, settings or packages touches, and nothing else."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tejat.data.cleaning import captions, language, learned_quality, private, quality, sounds
from tejat.data.corpus import identity, packages, reach, recipe
from tejat.data.corpus.build import build
from tejat.data.corpus.packages import Package, Pin
from tejat.data.corpus.source import Source
from tejat.data.shards import Item, Shards

STEPS = [language.Language(), quality.Heuristics(), captions.Captions(), sounds.Sounds()]
TEXT = "It was the best of times, it was the worst of times, and nobody knew which of them it was."

PARSERS = """
from tejat.data.shards import Item
TEXT = {text!r}

def pages(paths, dropped):
    for n in range(40):
        yield Item("text", {{"text": f"Page {{n}}. " + TEXT, "language": "en", "group": f"g{{n}}"}})

def pairs(paths, dropped):
    for n in range(40):
        yield Item("parallel", {{"texts": {{"en": f"one {{n}}", "de": f"eins {{n}}"}}, "group": f"g{{n}}"}})
"""
STEP = """
from tejat.data.cleaning import quality

class Rules(quality.Heuristics):
    def __call__(self, records, source=""):
        for record in super().__call__(records, source):
            if MENDED or record.kind != "text" or "Page 1" not in record.fields["text"]:
                yield record
"""
RECIPE = """
import runpy
from pathlib import Path
from tejat.data.cleaning import captions, language
from tejat.data.corpus.recipe import Corpus
from tejat.data.corpus.source import Source

made = {name: runpy.run_path(str(Path(__file__).with_name(name))) for name in ("parsers.py", "step.py")}
SOURCES = [Source(name, made["parsers.py"][name], (), "CC0-1.0", False, "made", 0.01) for name in ("pages", "pairs")]
RECIPE = Corpus("two", SOURCES, clean=[language.Language(), made["step.py"]["Rules"](), captions.Captions()])
"""


def items(paths, dropped):
    yield Item("text", {"text": TEXT})


def other(paths, dropped):
    yield Item("text", {"text": TEXT.upper()})


def source(items=items, **more) -> Source:
    return Source("s", items, (Package("npm", "p"),), "CC0-1.0", False, "about", 1, **more)


def of(source: Source, steps=STEPS, cap=None, limit=None) -> identity.Identity:
    return identity.identity(source, identity.step_codes((s.report.step, s) for s in steps), cap, limit)


def ledger(found: identity.Identity, looked=(), **more) -> dict:
    return {"identity": json.loads(json.dumps(found.told({name: name in looked for name in found.steps}))), **more}


def changed(found: identity.Identity, **steps: str) -> identity.Identity:
    return identity.Identity(found.items, {**found.steps, **{name.replace("_", " "): c for name, c in steps.items()}})


@pytest.mark.parametrize(
    "another",
    [
        lambda: of(source(other)),
        lambda: of(source(), cap=5),
        lambda: of(source(), limit=5),
        lambda: of(source(heldout=lambda item: True)),
        lambda: of(source(measure=lambda item: None)),
    ],
)
def test_another_manifest_or_parser_is_another_source(another):
    assert of(source()).differs(ledger(of(source()))) == ""
    assert another().differs(ledger(of(source()))) == "its manifest or its parser"


def test_only_a_step_that_looked_at_something_counts():
    built = ledger(of(source()), looked={"quality rules", "captions"})
    assert changed(of(source()), sounds="mended").differs(built) == ""
    assert changed(of(source()), language="mended").differs(built) == ""
    assert changed(of(source()), quality_rules="mended").differs(built) == "its cleaning: quality rules"
    # A step that goes had something to look at, or had not; one that is new might.
    assert of(source(), steps=[STEPS[1], STEPS[2]]).differs(built) == ""
    assert of(source(), steps=[STEPS[0], STEPS[2]]).differs(built) == "its cleaning: quality rules"
    assert of(source(), steps=[*STEPS, private.Private()]).differs(built) == "its cleaning: private data"
    assert of(source(), steps=[STEPS[2], STEPS[1]]).differs(built) == "its cleaning: the order of the steps"
    assert of(source()).differs({"identity": "0123456789abcdef"}) == "its manifest or its parser"  # of an older build


def test_settings_of_a_step_count():
    mild, strict = learned_quality.Quality(least=0.01), learned_quality.Quality(least=0.5)
    codes = [identity.step_codes([("q", step)]) for step in (mild, learned_quality.Quality(least=0.01), strict)]
    assert codes[0] == codes[1] != codes[2]


def test_another_content_of_a_package_counts():
    used = [{"kind": "npm", "name": "p", "version": "1.0", "sha256": "a", "files": 1, "bytes": 2}]
    built = ledger(of(source()), packages=used)

    def now(sha256):
        return lambda package: Pin("1.1", sha256, 1, 2)

    assert of(source()).differs(built, now("a")) == "" == of(source()).differs(built, lambda package: None)
    assert of(source()).differs(built, now("b")) == "the package npm:p 1.0, now 1.1"


def test_what_the_cache_would_give_is_told_without_a_network(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    home = packages.cache() / "deb" / "never-pinned"
    assert packages.current(Package("deb", "never-pinned")) is None
    for version, age in (("1", 10), ("2", 5)):
        (home / version).mkdir(parents=True)
        note = home / f"{version}.json"
        note.write_text(json.dumps({"version": version, "sha256": version, "files": 1, "bytes": 1}))
        os.utime(note, (1e9 - age, 1e9 - age))
    assert packages.current(Package("deb", "never-pinned")).version == "2"


def test_it_is_the_same_in_every_process():
    program = (
        "from tejat.data.corpus import identity, recipe\nfrom pathlib import Path\n"
        "c = recipe.read(Path('recipes/corpus.py'))\n"
        "print({n: (i.items, *i.steps.items()) for n, i in recipe.identities(c, c.sources, 'full', None).items()})"
    )
    root = Path(__file__).parents[3]
    seen = {
        subprocess.run(
            [sys.executable, "-c", program],
            env=os.environ | {"PYTHONHASHSEED": seed},
            cwd=root,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(seen) == 1
    corpus = recipe.read(root / "recipes/corpus.py")
    items = [found.items for found in recipe.identities(corpus, corpus.sources, "full", None).values()]
    assert len({*items}) == len(corpus.sources)


def test_a_mended_cleaning_rebuilds_what_it_changes_and_nothing_else(tmp_path):
    """Rules of prose are mended: pages are built again; pairs of lines, at which they never look, are kept."""

    def made(mended: bool):
        (tmp_path / "step.py").write_text(STEP.replace("MENDED", str(mended)))
        reach.forget()  # of another process it would be another file
        return build(tmp_path / "recipe.py", tmp_path / "corpus", workers=1)

    def pages():
        return sum(len(Shards(tmp_path / "corpus", "pages", split)) for split in ("train", "heldout"))

    (tmp_path / "recipe.py").write_text(RECIPE)
    (tmp_path / "parsers.py").write_text(PARSERS.format(text=TEXT))
    assert made(False).built == ["pages", "pairs"]
    before = {path: path.read_bytes() for path in (tmp_path / "corpus/pairs").iterdir()}
    assert pages() == 29
    assert made(False).kept == ["pages", "pairs"]
    again = made(True)
    assert again.stale == {"pages": "its cleaning: quality rules"}
    assert (again.built, again.kept) == (["pages"], ["pairs"])
    assert pages() == 40
    assert before == {path: path.read_bytes() for path in (tmp_path / "corpus/pairs").iterdir()}
