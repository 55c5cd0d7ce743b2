"""Catalogues of gettext (.mo): messages with their translations, in as many languages as there are."""

import gettext
import re
from collections.abc import Iterator
from pathlib import Path

from tejat.data.corpus.language import NAMES, tag
from tejat.data.corpus.source import Dropped, Paths
from tejat.data.shards import Item

_LEAST_LANGUAGES = 3


def names(paths: Paths, dropped: Dropped) -> Iterator[Item]:
    """Names of countries, languages, currencies and scripts: iso-codes."""
    domains = ("iso_3166-1", "iso_639-2", "iso_4217", "iso_15924", "iso_3166-2", "iso_639-3")
    yield from _domains(paths["iso-codes"], "iso-codes", domains, dropped, least=12)


def places(paths: Paths, dropped: Dropped) -> Iterator[Item]:
    """Names of regions and capitals: KGeography."""
    yield from _domains(paths["kgeography-data"], "kgeography", ("kgeography",), dropped, least=8)


def tales(paths: Paths, dropped: Dropped) -> Iterator[Item]:
    """The tales and dialogues of the Battle for Wesnoth, and its descriptions of creatures."""
    for package, path in paths.items():
        files = sorted({file.stem for file in path.glob("usr/share/games/wesnoth/*/locale/*/LC_MESSAGES/*.mo")})
        yield from _domains(path, f"wesnoth/{package}", files, dropped)


def _domains(path: Path, source: str, domains, dropped: Dropped, least: int = _LEAST_LANGUAGES) -> Iterator[Item]:
    seen: set[str] = set()
    for domain in domains:
        messages: dict[str, dict[str, str]] = {}
        for file in sorted(path.glob(f"usr/share/**/LC_MESSAGES/{domain}.mo")):
            language = tag(file.parent.parent.name)
            if language not in NAMES or language == "en":
                dropped.drop("catalogues of languages without an English name here", f"{domain}: {language}")
                continue
            for english, text in _read(file):
                if text != english:
                    messages.setdefault(english, {}).setdefault(language, text)
        for english, texts in messages.items():
            if english in seen:
                continue
            seen.add(english)
            if len(texts) < least:
                dropped.drop(f"messages in fewer than {least} languages", english)
            elif not re.search(r"[^\W\d_]{2}", english):
                dropped.drop("messages without words", english)
            else:
                group = f"{source}/{domain}/{english[:60]}"
                yield Item("parallel", {"texts": {"en": english, **dict(sorted(texts.items()))}, "group": group})


def _read(file: Path) -> Iterator[tuple[str, str]]:
    with file.open("rb") as stream:
        try:
            catalogue = gettext.GNUTranslations(stream)._catalog
        except (OSError, UnicodeDecodeError, ValueError):
            return
    for key, text in catalogue.items():
        english = key[0] if isinstance(key, tuple) else key
        if english and (not isinstance(key, tuple) or key[1] == 0):
            yield _plain(english), _plain(text)


def _plain(text: str) -> str:
    """Without what programs need: the context of a message, marks of keys, and markup."""
    text = text.rpartition("\x04")[2]
    text = re.sub(r"^[a-z_ ]{2,20}\^", "", text)
    return re.sub(r"<[^<>\n]{1,60}>", "", text).strip()
