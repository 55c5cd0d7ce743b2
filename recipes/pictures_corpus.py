"""What the image tokenizer of `mini` is trained on: drawings, stamps, tables for charts, photographs and fonts.

pip install 'tejat[data]'
tejat data build recipes/pictures_corpus.py --out runs/pictures_corpus

Drawings, stamps and tables are those of recipes/corpus.py, with the same things, styles and data sets held out.
"""

from tejat.data.cleaning import pictures
from tejat.data.corpus import media_lettering, media_photographs, media_sources
from tejat.data.corpus.recipe import Corpus
from tejat.data.corpus.source import Source, debs, wheels

PHOTOGRAPHS = Source(
    "photographs",
    media_photographs.photographs,
    (
        *debs("stellarium-data", "plasma-workspace-wallpapers", "gnome-backgrounds", "mate-backgrounds"),
        *wheels("scikit-image"),
    ),
    "GPL-2.0-or-later AND LGPL-3.0-or-later AND CC-BY-SA-3.0 AND BSD-3-Clause",
    True,
    "Photographs of landscapes, things and the sky, cut to 192 x 192",
    12,
    heldout=media_photographs.heldout,
)
LETTERING = Source(
    "lettering",
    media_lettering.lettering,
    debs("fonts-noto-core", "fonts-liberation2", "fonts-wqy-microhei"),
    "OFL-1.1 AND GPL-3.0-with-font-exception",
    False,
    "Fonts, with the letters of ten languages",
    1,
    heldout=media_lettering.heldout,
)

RECIPE = Corpus(
    name="pictures_corpus",
    sources=(media_sources.CONCEPTS, media_sources.STAMPS, media_sources.CHARTS, PHOTOGRAPHS, LETTERING),
    clean=(pictures.Pictures(),),
    across=(pictures.NearPictures(),),
)
