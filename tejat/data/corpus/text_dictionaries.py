"""Dictionaries: WordNet's synsets, and those of dict.org (GCIDE, FOLDOC, the Jargon File, FreeDict)."""

import functools
import gzip
import re
import string
from collections.abc import Iterator
from pathlib import Path

from tejat.data.corpus.language import tag
from tejat.data.corpus.source import Dropped, Paths
from tejat.data.shards import Item

ENTRIES_BYTES = 2_000  # of entries that follow each other on one page

_PARTS = {"n": "noun", "v": "verb", "a": "adjective", "s": "adjective", "r": "adverb"}
_ISO = {
    **{"ara": "ar", "bre": "br", "bul": "bg", "ces": "cs", "cym": "cy", "dan": "da", "deu": "de", "ell": "el"},
    **{"eng": "en", "epo": "eo", "fin": "fi", "fra": "fr", "gle": "ga", "hin": "hi", "hrv": "hr", "hun": "hu"},
    **{"ind": "id", "ita": "it", "jpn": "ja", "lat": "la", "lit": "lt", "nld": "nl", "nor": "nb", "pol": "pl"},
    **{"por": "pt", "rus": "ru", "spa": "es", "srp": "sr", "swe": "sv", "swh": "sw", "tur": "tr", "afr": "af"},
}


def wordnet(paths: Paths, dropped: Dropped) -> Iterator[Item]:
    """Synsets: words, part of speech, gloss, examples, and the words of what each is a kind of (wndb(5WN))."""
    folder = paths["wordnet-base"] / "usr/share/wordnet"
    for name in ("noun", "verb", "adj", "adv"):
        synsets = {}
        for line in (folder / f"data.{name}").read_text().splitlines():
            if line.startswith("  "):
                continue
            data, _, gloss = line.partition(" | ")
            offset, _, kind, count, *rest = data.split()
            words = [re.sub(r"\([a-z]+\)$", "", w).replace("_", " ") for w in rest[: 2 * int(count, 16) : 2]]
            pointers = rest[2 * int(count, 16) + 1 :]
            parents = [pointers[i + 1] for i, mark in enumerate(pointers) if mark in ("@", "@i")]
            examples = re.findall(r'"([^"]+)"', gloss)
            meaning = re.split(r';\s*"|^\s*"', gloss, maxsplit=1)[0].strip().rstrip(";")
            synsets[offset] = words, _PARTS[kind], meaning, examples, parents
        for offset, (words, part, meaning, examples, parents) in synsets.items():
            if not meaning:
                dropped.drop("synsets without a gloss", words[0])
                continue
            fields = {"words": words, "part": part, "meaning": meaning, "language": "en"}
            if examples:
                fields["examples"] = examples
            if above := [synsets[p][0][0] for p in parents if p in synsets]:
                fields["above"] = above
            yield Item("meaning", fields | {"group": f"wordnet/{name}/{offset}"})


def gcide(paths: Paths, dropped: Dropped) -> Iterator[Item]:
    """The Collaborative International Dictionary of English, its marks of sources and hyphenation taken out."""
    for entries in _pages(_entries(paths["dict-gcide"], dropped)):
        text = re.sub(r"\n?\s*\[(?:1913 Webster|WordNet[^\]]*|PJC|Webster[^\]]*)[^\]]*\]", "", "\n\n".join(entries))
        text = re.sub(r"\s*\\[^\\\n]*\\", "", text)
        yield _page(re.sub(r"[{}]", "", text), "en", f"gcide/{entries[0].split(chr(10))[0][:30]}")


def computing(paths: Paths, dropped: Dropped) -> Iterator[Item]:
    """Dictionaries of computing: the Free On-line one and the Jargon File."""
    for package, path in paths.items():
        for entries in _pages(_entries(path, dropped)):
            text = re.sub(r"[{}]", "", "\n\n".join(entries))
            yield _page(text, "en", f"{package}/{entries[0].split(chr(10))[0][:30]}")


def freedict(paths: Paths, dropped: Dropped) -> Iterator[Item]:
    """Bilingual dictionaries: pages of entries with their two languages, without pronunciation and cross-references."""
    for package, path in paths.items():
        source, target = (_ISO[code] for code in package.split("-")[2:])
        for number, entries in enumerate(_pages(_translated(_entries(path, dropped), dropped))):
            text = "\n\n".join(entries)
            text = re.sub(r" /[^/\n]+/", "", text)
            text = re.sub(r"\n +(?:see|Synonyms?|Antonyms?):[^\n]*", "", text)
            text = re.sub(r"\n{3,}", "\n\n", re.sub(r"[{}]", "", text))
            yield Item(
                "dictionary",
                {"text": text, "from": source, "language": target, "group": f"freedict/{package}/{number // 20}"},
            )


def _page(text: str, language: str, group: str) -> Item:
    return Item("text", {"text": text, "language": tag(language), "group": group})


def _entries(path: Path, dropped: Dropped) -> Iterator[str]:
    """The entries of a dictionary of dictd in the order of its text. Its index, "headword TAB offset TAB length" in
    digits of base 64, says where each stands: how they look differs from one to the other."""
    file = next(iter(sorted(path.glob("usr/share/dictd/*.dict.dz"))))
    data = gzip.decompress(file.read_bytes())
    index = file.with_name(file.name.replace(".dict.dz", ".index")).read_text("utf-8", "replace")
    places: dict[tuple[int, int], str] = {}
    for line in index.splitlines():
        head, offset, length, *_ = line.split("\t")
        places.setdefault((_number(offset), _number(length)), head)
    for (begin, length), head in sorted(places.items()):
        lines = data[begin : begin + length].decode("utf-8", "replace").split("\n")
        entry = "\n".join(line.rstrip() for line in lines).strip("\n")
        if head.startswith(("00database", "00-database")):
            dropped.drop("entries on the database itself", entry)
        elif entry:
            yield entry


def _number(digits: str) -> int:
    return functools.reduce(lambda value, digit: 64 * value + _DIGITS[digit], digits, 0)


_DIGITS = {digit: value for value, digit in enumerate(string.ascii_uppercase + string.ascii_lowercase + "0123456789+/")}


def _translated(entries: Iterator[str], dropped: Dropped) -> Iterator[str]:
    for entry in entries:
        if "\n" in entry:
            yield entry
        else:
            dropped.drop("words without a translation", entry)


def _pages(entries: Iterator[str]) -> Iterator[list[str]]:
    page: list[str] = []
    size = 0
    for entry in entries:
        page.append(entry)
        size += len(entry.encode())
        if size >= ENTRIES_BYTES:
            yield page
            page, size = [], 0
    if page:
        yield page
