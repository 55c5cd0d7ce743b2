"""A corpus of a few items of every source that the suites are made of, in the form that a build leaves."""

import io
import json
from pathlib import Path

import pytest

from tejat import sample
from tejat.data.shards import Item, Writer
from tejat.evals.ground import Ground

STYLE = "twemoji"
GO_TOGETHER = (
    "chicken",
    "egg",
    "carrot",
    "banana",
    "ship",
    "anchor",
    "snowman",
    "snowflake",
    "ghost",
    "jack-o-lantern",
)


def _concepts() -> list[Item]:
    """Things of the sample with their drawings, as the corpus has them; of some, drawings in styles never seen."""
    found = []
    every = sample.concepts()
    for n, concept in enumerate([*every[:24], *(one for one in every[24:] if one.names["en"] in GO_TOGETHER)]):
        drawing = io.BytesIO()
        sample.picture(STYLE, concept.id).save(drawing, "WEBP", lossless=True)
        fields = {"concept": concept.id, "names": dict(concept.names), "category": {"en": f"kind {n % 3}"}}
        styles = [("concept", (STYLE, "noto")), *([("style", ("emojione", "openmoji"))] if n < 6 else [])]
        for axis, names in styles:
            blobs = {f"{name}.webp": drawing.getvalue() for name in names}
            found.append(Item("concept", fields | {"axis": axis, "group": f"{concept.id}/{axis}"}, blobs))
    return found


def _sources() -> dict[str, list[Item]]:
    facts = []
    for relation, pairs in {
        "capital": [("France", "Paris"), ("Spain", "Madrid"), ("Italy", "Rome"), ("Peru", "Lima"), ("Chad", "Lomé")],
        "landlocked": [("Chad", "Yes"), ("France", "No"), ("Mali", "Yes"), ("Peru", "No")],
    }.items():
        for subject, answer in pairs:
            fields = {"relation": relation, "subject": {"en": subject}, "answer": answer, "asked": True}
            facts.append(Item("fact", fields | {"language": "en", "group": f"asked/{relation}/{subject}"}))
    facts.append(Item("fact", facts[3].fields | {"answer": "Cusco"}))  # of two answers either is right
    parallel = [
        Item("parallel", {"texts": {"en": f"We attack at dawn, number {n}.", "de": f"Wir greifen an, Nummer {n}."}})
        for n in range(6)
    ]
    for n, item in enumerate(parallel):
        item.fields["group"] = f"lines/{n}"
    pages = [
        Item(
            "page",
            {"title": f"Tool {n}", "text": f"Tool {n} reads files of kind {n}. " * 5, "summary": f"reads kind {n}"}
            | {"language": "en", "group": f"page/{n}", "piece": [0, 1]},
        )
        for n in range(6)
    ]
    proof = (
        "Theorem {0}. Of two.\nGiven: ph ; ( ph -> ps ) ; ( ps -> ch )\nStatement: ch\nProof:\n"
        "syl: ( ph -> ch )\nax-mp: ch"
    )
    theorems = [
        "Theorem syl. Syllogism.\nGiven: ( ph -> ps ) ; ( ps -> ch )\nStatement: ( ph -> ch )",
        "Theorem id. Identity.\nStatement: ( ph -> ph )",
        "Theorem biimpi. One way.\nGiven: ( ph <-> ps )\nStatement: ( ph -> ps )",
        "Theorem sylbi. Another.\nGiven: ( ph <-> ps ) ; ( ps -> ch )\nStatement: ( ph -> ch )\nProof:\n"
        "biimpi: ( ph -> ps )",
    ]
    text = "A passage of plain words that goes on for long enough to be one, and a little longer than that."
    charts = [
        Item(
            "chart",
            {"title": f"Table {n}", "x": "year", "y": "value", "labels": ["a", "b", "c", "d"], "shape": "categories"}
            | {"values": [float(10 + n), 20.0, 30.0 + n, 5.0 + n], "group": f"table/{n}"},
        )
        for n in range(6)
    ]
    meanings = [
        Item("meaning", {"words": [f"word{n}"], "part": "noun", "meaning": f"what {n} is", "above": [above]})
        for n, above in enumerate(["food fish", "igneous rock", "agaric", "fatty acid", "pea tree", "poet"])
    ]
    for n, item in enumerate(meanings):
        item.fields["group"] = f"wordnet/{n}"
    return {
        "world": facts,
        "wordnet": meanings,
        "wesnoth": parallel,
        "fillets": parallel[:1],
        "iso-names": parallel[:2],
        "place-names": parallel[2:3],
        "package-descriptions": pages,
        "manuals": pages,
        "linux-docs": pages,
        "metamath": [
            Item("text", {"text": t, "language": "zxx", "group": f"metamath/{t.split()[1].rstrip('.')}"})
            for t in (*theorems, *(proof.format(f"own{n}") for n in range(3)))
        ],
        "brown": [Item("text", {"text": f"{text} {n}", "language": "en", "group": f"brown/{n}"}) for n in range(5)],
        "charts": charts,
        "concepts": _concepts(),
    }


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The corpus's directory; every item is in both splits."""
    directory = tmp_path_factory.mktemp("corpora") / "small"
    sources = _sources()
    for name, items in sources.items():
        for split in ("train", "heldout"):
            with Writer(directory, name, split) as writer:
                for item in items:
                    writer.write(item)
    (directory / "corpus.json").write_text(json.dumps({"name": "small", "sources": {name: {} for name in sources}}))
    return directory


@pytest.fixture(scope="session")
def ground(corpus: Path) -> Ground:
    return Ground(corpus, most=12)
