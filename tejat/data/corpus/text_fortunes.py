"""Sayings, quotations and verses in many languages: the files of fortune(6)."""

import re
from collections.abc import Iterator

from tejat.data.corpus.language import tag
from tejat.data.corpus.source import Dropped, Paths
from tejat.data.shards import Item

_LANGUAGE = {
    "fortunes": "en",
    "fortunes-min": "en",
    "fortunes-bofh-excuses": "en",
    "fortunes-br": "pt-BR",
    "fortunes-debian-hints": "en",
}
# Meant to offend, in another language than the package's, or drawn with characters.
_LEFT_OUT = {
    "off",
    "sex",
    "men-women",
    "ethnic",
    "racistas",
    "asciiart",
    "ascii-art",
    "translations",
    "drugs",
    "politics",
}
_LEFT_OUT |= {"translate-me", "misogynist", "misandry", "black-humor", "atheism", "hphobia", "vulgarity", "privates"}


def fortunes(paths: Paths, dropped: Dropped) -> Iterator[Item]:
    """One item a saying."""
    for package, path in paths.items():
        for file in sorted(path.glob("usr/share/games/fortunes/**/*")):
            name = file.name.split(".")[0]
            if not file.is_file() or file.is_symlink() or file.suffix in (".dat", ".u8"):
                continue
            if _LEFT_OUT & {name, *(part for part in file.parts)}:
                dropped.drop("files meant to offend, or no prose", f"{package}: {file.name}")
                continue
            folder = file.parent.name
            language = tag(folder) if 2 <= len(folder) <= 5 and package.endswith("hints") else _LANGUAGE.get(package)
            language = language or tag(package.rpartition("-")[2])
            try:
                text = file.read_text("utf-8")
            except UnicodeDecodeError:
                dropped.drop("files that are not UTF-8", f"{package}: {file.name}")
                continue
            for number, saying in enumerate(text.split("\n%\n")):
                saying = re.sub(r"\x1b\[[\d;]*m|\x08", "", saying.strip("%\n ")).expandtabs(8)
                if len(saying) < 20:
                    dropped.drop("sayings below 20 characters", saying)
                    continue
                group = f"fortunes/{package}/{name}/{number // 10}"
                yield Item("text", {"text": saying, "language": language, "group": group})
