"""Handbooks as HTML: Debian's in many languages, PostgreSQL's and SQLite's in English."""

import gzip
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from lxml import etree

from tejat.data.corpus.language import tag
from tejat.data.corpus.markup import blocks, parsed_html, words
from tejat.data.corpus.prose import pages
from tejat.data.corpus.source import Dropped, Paths
from tejat.data.shards import Item

# Navigation, lists of contents, notes of the publisher.
_APART = (
    "//*[contains(concat(' ', @class, ' '), ' toc ') or contains(@class, 'nav') or contains(@class, 'footer')"
    " or contains(@class, 'sphinxsidebar') or contains(@class, 'related')"
    " or contains(@class, 'headerlink') or contains(@class, 'fancy-toc') or contains(@class, 'nosearch')"
    " or contains(@class, 'list-of') or contains(@class, 'legalnotice') or contains(@class, 'searchmenu')]"
)
_NUMBER = re.compile(
    r"^(?:(?:chapter|kapitel|chapitre|capítulo|capitolo|глава|appendix|第)\s*)?[\dA-Z]+(?:\.\d+)*\.?\s+", re.I
)


def handbook(paths: Paths, dropped: Dropped) -> Iterator[Item]:
    """The Debian administrator's handbook; a paragraph that is not translated is left out."""
    root = paths["debian-handbook"] / "usr/share/doc/debian-handbook/html"
    yield from _books("handbook", {tag(f.name): f for f in sorted(root.iterdir())}, dropped)


def installation(paths: Paths, dropped: Dropped) -> Iterator[Item]:
    """Debian's installation guide."""
    root = paths["installation-guide-amd64"] / "usr/share/doc/installation-guide-amd64"
    folders = {tag(f.name): f for f in sorted(root.iterdir()) if any(f.glob("*.html*"))}
    yield from _books("installation", folders, dropped)


def references(paths: Paths, dropped: Dropped) -> Iterator[Item]:
    """Debian's reference: all languages in one folder, `ch01.de.html`."""
    english: dict[str, frozenset[str]] = {}
    for package, path in sorted(paths.items(), key=lambda pair: not pair[0].endswith("-en")):
        language = tag(package.removeprefix("debian-reference-"))
        for file in sorted(path.glob("usr/share/debian-reference/*.html")):
            name = file.name.split(".")[0]
            if language == "en":
                english[name] = frozenset(_read(file)[1])
            known = frozenset() if language == "en" else english.get(name, frozenset())
            yield from _page(file, language, f"reference/{name}", known, dropped)


def developers(paths: Paths, dropped: Dropped) -> Iterator[Item]:
    """Debian's policy and its reference for developers."""
    for package, path in sorted(paths.items()):
        for file in sorted(path.glob("usr/share/**/*.html")):
            language = tag(package.rpartition("-")[2]) if package.count("-") == 2 else "en"
            if (
                file.is_file()
                and not file.is_symlink()
                and file.name not in ("search.html", "genindex.html", "policy-1.html")
            ):
                yield from _page(file, language, f"{package[:17]}/{file.name}", frozenset(), dropped)


def postgresql(paths: Paths, dropped: Dropped) -> Iterator[Item]:
    """PostgreSQL's documentation."""
    for file in sorted((paths["postgresql-doc-15"] / "usr/share/doc/postgresql-doc-15/html").glob("*.html")):
        if not file.name.startswith(("release", "bookindex", "biblio")):
            yield from _page(file, "en", f"postgresql/{file.name}", frozenset(), dropped)


def sqlite(paths: Paths, dropped: Dropped) -> Iterator[Item]:
    """SQLite's documentation, without its history of changes and its tables of requirements."""
    for file in sorted((paths["sqlite3-doc"] / "usr/share/doc/sqlite3").rglob("*.html")):
        if not re.match(r"(releaselog|changes|chronology|requirements|hlr|keyword|matrix|doclist|sitemap)", file.name):
            yield from _page(file, "en", f"sqlite/{file.name}", frozenset(), dropped, by_heading=False)


def _books(name: str, folders: Mapping[str, Path], dropped: Dropped) -> Iterator[Item]:
    """The same files in a folder for each language, of which "en" is the original."""
    english = {path.name: frozenset(_read(path)[1]) for path in _files(folders["en"])}
    for language, folder in folders.items():
        for path in _files(folder):
            known = frozenset() if language == "en" else english.get(path.name, frozenset())
            yield from _page(path, language, f"{name}/{path.name}", known, dropped)


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*.html*") if not path.is_symlink())


def _page(
    path: Path, language: str, group: str, english: Iterable[str], dropped: Dropped, by_heading: bool = True
) -> Iterator[Item]:
    title, paragraphs = _read(path, by_heading)
    kept = [p for p in paragraphs if p not in english or not re.search(r"[^\W\d]{2} [^\W\d]{2}", p)]
    if len(kept) < len(paragraphs):
        shown = next(p for p in paragraphs if p in english)
        dropped.drop("paragraphs not translated", f"{language}: {shown}", len(paragraphs) - len(kept))
    if english and len(kept) * 2 < len(paragraphs):
        dropped.drop("paragraphs of pages mostly not translated", f"{language} {path.name}", len(kept))
        return
    if not title:
        dropped.drop("pages without a title", f"{language} {path.name}")
        return
    yield from pages(title, kept, language, group, dropped, least=200)


def _read(path: Path, by_heading: bool = True) -> tuple[str, list[str]]:
    """(title, paragraphs) of a file, which may be compressed; the title is that of its first heading or of its head."""
    data = path.read_bytes()
    tree = parsed_html(gzip.decompress(data) if path.name.endswith(".gz") else data)
    if tree is None:
        return "", []
    heading = next(iter(tree.xpath("//h1|//h2")), None)
    title = words(heading) if heading is not None and by_heading else ""
    title = title or " ".join((tree.findtext(".//title") or "").split())
    for element in tree.xpath(_APART):
        if element.getparent() is not None:
            _remove(element)
    body = tree.find(".//div[@class='body']")
    body = tree.find("body") if body is None else body
    found = blocks(body) if body is not None else []
    title = _NUMBER.sub("", title.replace("¶", "")).strip()
    found = [p.replace("¶", "").rstrip() for p in found]
    return title, [p for p in found if _NUMBER.sub("", p.lstrip("# ")) != title]


def _remove(element: etree._Element) -> None:
    """Takes an element out and leaves what follows it."""
    parent, tail = element.getparent(), element.tail or ""
    before = element.getprevious()
    if before is not None:
        before.tail = (before.tail or "") + tail
    else:
        parent.text = (parent.text or "") + tail
    parent.remove(element)
