"""Help of desktop programs in many languages: GNOME's (Mallard) and LibreOffice's (HTML)."""

from collections.abc import Iterator
from pathlib import Path

from lxml import etree

from tejat.data.corpus.language import tag
from tejat.data.corpus.markup import blocks, parsed_html, words
from tejat.data.corpus.prose import pages
from tejat.data.corpus.source import Dropped, Paths
from tejat.data.shards import Item

_MALLARD = "{http://projectmallard.org/1.0/}"


def gnome(paths: Paths, dropped: Dropped) -> Iterator[Item]:
    """Pages of the handbooks of GNOME: title, the one-sentence description, and the text."""
    root = paths["gnome-user-docs"] / "usr/share/help"
    english = {
        path.relative_to(root / "C").as_posix(): set(_mallard(path)[2]) for path in sorted(root.glob("C/*/*.page"))
    }
    for folder in sorted(root.iterdir()):
        language = tag(folder.name)
        for path in sorted(folder.glob("*/*.page")):
            name = path.relative_to(folder).as_posix()
            title, summary, paragraphs = _mallard(path)
            if language != "en":
                told = [p for p in paragraphs if p not in english.get(name, ())]
                dropped.drop("paragraphs not translated", f"{language}: {paragraphs[:1]}", len(paragraphs) - len(told))
                if len(told) * 2 < len(paragraphs):
                    dropped.drop("paragraphs of pages mostly not translated", f"{language} {name}", len(told))
                    continue
                paragraphs = told
            yield from pages(title, paragraphs, language, f"gnome/{name}", dropped, summary)


def _mallard(path: Path) -> tuple[str, str, list[str]]:
    """(title, description, paragraphs) of a page."""
    root = etree.parse(path, etree.XMLParser(resolve_entities=False, no_network=True, recover=True)).getroot()
    title, summary = root.find(f"{_MALLARD}title"), root.find(f"{_MALLARD}info/{_MALLARD}desc")
    found: list[str] = []

    def walk(element: etree._Element, mark: str, level: int) -> None:
        for number, child in enumerate(element, 1):
            tag = child.tag.removeprefix(_MALLARD) if isinstance(child.tag, str) else ""
            text = ""
            if tag == "title":
                text = "#" * level + " " + words(child) if element is not root else ""
            elif tag == "p":
                text, mark = mark + words(child), ""
            elif tag in ("code", "screen"):
                text = "\n".join(f"    {line}".rstrip() for line in "".join(child.itertext()).strip("\n").split("\n"))
            elif tag == "item":
                walk(child, f"{number}. " if element.tag == f"{_MALLARD}steps" else "- ", level)
            elif tag not in ("", "info", "media", "links", "comment"):
                walk(child, mark, level + (tag == "section"))
            if text.strip():
                found.append(text)

    walk(root, "", 1)
    return (
        words(title) if title is not None else path.stem,
        words(summary) if summary is not None else "",
        found,
    )


def libreoffice(paths: Paths, dropped: Dropped) -> Iterator[Item]:
    """Pages of LibreOffice's help. Left out: what is not translated, and what another page of the language embeds."""
    english = {
        (path.relative_to(root).as_posix(), id): text
        for root in [_help(paths["libreoffice-help-en-us"], "en-US")]
        for path in sorted(root.rglob("*.html"))
        for id, text in _identified(path)
    }
    for package, path in paths.items():
        root = next(iter(sorted(path.glob("usr/share/libreoffice/help/*/text"))), None)
        if root is None:
            dropped.drop("packages without pages", package)
            continue
        language = tag(root.parent.name)
        seen: set[str] = set()
        for page in sorted(root.rglob("*.html")):
            yield from _page(page, page.relative_to(root).as_posix(), language, english, seen, dropped)


def _help(path: Path, language: str) -> Path:
    return path / "usr/share/libreoffice/help" / language / "text"


def _identified(path: Path) -> Iterator[tuple[str, str]]:
    tree = parsed_html(path.read_bytes())
    for element in tree.iter("p", "h1", "h2", "h3", "h4", "h5", "h6", "pre") if tree is not None else ():
        if id := element.get("id"):
            yield id, words(element)


def _page(path: Path, name: str, language: str, english: dict, seen: set[str], dropped: Dropped) -> Iterator[Item]:
    tree = parsed_html(path.read_bytes())
    area = tree.find(".//div[@id='DisplayArea']") if tree is not None else None
    title = tree.findtext(".//title") if tree is not None else None
    if area is None or not title:
        dropped.drop("pages without text", f"{language} {name}")
        return

    def keep(element: etree._Element, text: str) -> bool:
        id = element.get("id")
        if not id:
            return True
        if (
            not language.startswith("en")
            and any(c.isalpha() for c in text)
            and english.get((name, id)) == words(element)
        ):
            dropped.drop("paragraphs not translated", f"{language} {name}: {text}")
            return False
        if f"{id} {text}" in seen:
            dropped.drop("paragraphs embedded before", f"{language} {name}: {text}")
            return False
        seen.add(f"{id} {text}")
        return True

    found = blocks(area, keep)
    title = " ".join(title.split())
    if found and found[0] == f"# {title}":
        found = found[1:]
    # A page with nothing but headings and what leads to others.
    if sum(len(p) for p in found if not p.startswith("#")) < 60:
        dropped.drop("pages with hardly any text of their own", f"{language} {name}")
        return
    yield from pages(title, found, language, f"libreoffice/{name}", dropped)
