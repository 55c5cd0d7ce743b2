"""The corpus without a copyleft source: what is public domain, or under a licence that asks for credit at most.

pip install 'tejat[data]'
tejat data build recipes/corpus_permissive.py --out runs/corpus_permissive

Of the drawings two packs under CC-BY-SA are left out; they are held out of the whole corpus too, so that both train on
the same ones. Of the synthetic voices the lines of a game under the GPL are left out, and the names of things stay.
"""

import runpy
from dataclasses import replace
from pathlib import Path

from tejat.data import mixture
from tejat.data.corpus import media_sources

WHOLE = runpy.run_path(str(Path(__file__).with_name("corpus.py")))["RECIPE"]
SHARE_ALIKE = {"@iconify-json/openmoji", "@iconify-json/emojione-v1"}

UNCLEAR = {"brown"}  # it says "redistribution permitted", and of what is made from it nothing

CONCEPTS = replace(
    media_sources.CONCEPTS,
    packages=tuple(package for package in media_sources.CONCEPTS.packages if package.name not in SHARE_ALIKE),
    licence="Apache-2.0 AND MIT AND CC-BY-4.0 AND Unicode-3.0",
    copyleft=False,
)
VOICES = replace(
    media_sources.VOICES,
    packages=tuple(package for package in media_sources.VOICES.packages if package.name != "fillets-ng-data"),
    licence="MIT AND Unicode-3.0",  # of what is said; the program that says it is GPL, its sound is not
    copyleft=False,
    about="Names of things in 35 languages, by a synthetic voice",
)
CHANGED = {source.name: source for source in (CONCEPTS, VOICES)}
SOURCES = tuple(
    CHANGED.get(source.name, source)
    for source in WHOLE.sources
    if source.name in CHANGED or not (source.copyleft or source.name in UNCLEAR)
)

RECIPE = replace(
    WHOLE,
    name="corpus-permissive",
    sources=SOURCES,
    stages=mixture.within(WHOLE.stages, [source.name for source in SOURCES]),
)
