"""Fonts, to write pages of text with: of Debian's packages, cut down to the letters that are written with them.

Whole fonts are held out, for what a page looks like depends on its font more than on what it says.
"""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tejat import sample
from tejat.data.corpus.source import Dropped, Paths
from tejat.data.shards import Item

_NOTO, _LIBERATION = "usr/share/fonts/truetype/noto", "usr/share/fonts/truetype/liberation2"
EUROPEAN = ("en", "de", "fr", "es", "it", "pt", "ru")
"""Languages of one set of fonts: their letters are Latin and Cyrillic."""


@dataclass(frozen=True)
class Font:
    """A file of a package, the languages it is for, and whether it is kept from training."""

    package: str
    path: str
    languages: Sequence[str]
    heldout: bool = False

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2].partition(".")[0]


FONTS = (
    *(
        Font("fonts-noto-core", f"{_NOTO}/Noto{family}-{cut}.ttf", EUROPEAN, (family, cut) == ("Serif", "Italic"))
        for family in ("Sans", "Serif", "SansDisplay", "SerifDisplay")
        for cut in ("Regular", "Bold", "Italic", "BoldItalic")
    ),
    *(
        Font("fonts-liberation2", f"{_LIBERATION}/Liberation{family}-{cut}.ttf", EUROPEAN, family == "Sans")
        for family in ("Sans", "Serif", "Mono")
        for cut in ("Regular", "Bold", "Italic", "BoldItalic")
    ),
    Font("fonts-wqy-microhei", "usr/share/fonts/truetype/wqy/wqy-microhei.ttc", ("ja", "ko", "zh")),
)


def lettering(paths: Paths, dropped: Dropped) -> Iterator[Item]:
    """Items of the kind "font": "group" (its name), "languages"; `font.ttf`, with the letters of the sample's prose."""
    for font in FONTS:
        path = paths[font.package] / font.path if font.package in paths else None
        if path is None or not path.exists():
            dropped.drop("fonts that are not in their package", font.name)
            continue
        fields = {"group": font.name, "languages": list(font.languages)}
        yield Item("font", fields, {"font.ttf": _cut(path.read_bytes(), letters(font.languages))})


def letters(languages: Sequence[str]) -> str:
    """All that is written in these languages: letters of the sample's prose, figures, signs."""
    prose = "".join(sample.prose(language, apart) for language in languages for apart in (False, True))
    return "".join(sorted({*prose, *map(chr, range(0x20, 0x7F))} - {"\n"}))


def heldout(item: Item) -> bool:
    """Is the font kept from training?"""
    return item.fields["group"] in {font.name for font in FONTS if font.heldout}


def _cut(data: bytes, letters: str) -> bytes:
    from fontTools import subset
    from fontTools.ttLib import TTFont

    options = subset.Options(layout_features=["kern", "liga", "mark"], hinting=False, notdef_outline=True)
    font = TTFont(io.BytesIO(data), fontNumber=0)
    cutter = subset.Subsetter(options)
    cutter.populate(text=letters)
    cutter.subset(font)
    packed = io.BytesIO()
    font.save(packed)
    return packed.getvalue()
