"""The corpus without a copyleft source: what is public domain, or under a licence that asks for credit at most.

pip install 'tejat[data]'
tejat data build recipes/corpus_permissive.py --out runs/corpus_permissive

Of the drawings two packs under CC-BY-SA are left out; they are held out of the whole corpus too, so that both train on
the same ones.
"""

import runpy
from dataclasses import replace
from pathlib import Path

from tejat.data import mixture
from tejat.data.corpus import media_sources

WHOLE = runpy.run_path(str(Path(__file__).with_name("corpus.py")))["RECIPE"]
SHARE_ALIKE = {"@iconify-json/openmoji", "@iconify-json/emojione-v1"}

CONCEPTS = replace(
    media_sources.CONCEPTS,
    packages=tuple(package for package in media_sources.CONCEPTS.packages if package.name not in SHARE_ALIKE),
    licence="Apache-2.0 AND MIT AND CC-BY-4.0 AND Unicode-3.0",
    copyleft=False,
)
SOURCES = tuple(
    CONCEPTS if source.name == CONCEPTS.name else source
    for source in WHOLE.sources
    if source.name == CONCEPTS.name or not source.copyleft
)

RECIPE = replace(
    WHOLE,
    name="corpus-permissive",
    sources=SOURCES,
    stages=mixture.within(WHOLE.stages, [source.name for source in SOURCES]),
)
