"""Documentation in reStructuredText: Python's and Linux's."""

import gzip
import re
from collections.abc import Iterator

from tejat.data.corpus.language import tag
from tejat.data.corpus.prose import pages
from tejat.data.corpus.source import Dropped, Paths
from tejat.data.shards import Item

_UNSEEN = re.compile(
    r"^\.\. (?:index|module|moduleauthor|sectionauthor|toctree|highlight|testsetup|testcleanup|currentmodule|_|include"
    r"|SPDX|kernel-doc|only|raw|\|)|^\.\. [^:\n]*$|^\.\.$|^:(?:orphan|tocdepth)"
)


def python(paths: Paths, dropped: Dropped) -> Iterator[Item]:
    """Python's documentation."""
    root = paths["python3.11-doc"] / "usr/share/doc/python3.11/html/_sources"
    for path in sorted(root.rglob("*.rst.txt")):
        yield from _page(path.read_text(), "en", f"python/{path.relative_to(root).as_posix()}", dropped)


def linux(paths: Paths, dropped: Dropped) -> Iterator[Item]:
    """The documentation of Linux, with its translations."""
    root = next(iter(sorted((next(iter(paths.values())) / "usr/share/doc").glob("*/Documentation"))))
    for path in sorted(root.rglob("*.rst*")):  # beside it lies the same in HTML, with sources again
        if path.is_symlink():
            continue
        data = path.read_bytes()
        text = (gzip.decompress(data) if path.name.endswith(".gz") else data).decode(errors="replace")
        name = path.relative_to(root).as_posix().removesuffix(".gz")
        language = "en"
        if name.startswith("translations/") and name.count("/") > 1:
            _, folder, name = name.split("/", 2)
            language = tag(folder)
        yield from _page(text, language, f"linux/{name}", dropped)


def _page(source: str, language: str, group: str, dropped: Dropped) -> Iterator[Item]:
    title, paragraphs = text(source)
    if not title:
        dropped.drop("pages without a title", group)
        return
    yield from pages(title, paragraphs, language, group, dropped, least=300)


def text(source: str) -> tuple[str, list[str]]:
    """(title, paragraphs). Headings are marked by #, roles are undone, what is not shown to readers is left out; code,
    lists, tables and definitions stay as they are written."""
    title, found, levels = "", [], []
    for block in re.split(r"\n\s*\n", source.expandtabs(8)):
        lines = [line.rstrip() for line in block.strip("\n").split("\n")]
        if not lines or _UNSEEN.match(lines[0]):
            continue
        if _is_rule(lines[0]) and len(lines) >= 3 and _is_rule(lines[2]):
            lines = [lines[1], lines[2], *lines[3:]]
        if len(lines) >= 2 and _is_rule(lines[1]) and not lines[0].startswith(" "):
            mark, heading = lines[1][0], _plain(lines[0])
            if mark not in levels:
                levels.append(mark)
            if title:
                found.append(f"{'#' * max(levels.index(mark), 1)} {heading}")
            else:
                title = heading
            lines = lines[2:]
        elif len(lines) == 1 and _is_rule(lines[0]):
            continue
        if lines and any(lines):
            found.append(_plain("\n".join(lines)))
    return title, [part for part in found if part]


def _is_rule(line: str) -> bool:
    return len(line) >= 3 and len(set(line)) == 1 and line[0] in "=-~^*#\"+.'`_:"


def _plain(text: str) -> str:
    """Without roles and targets: :mod:`json` is `json`, `text <address>`_ is text."""
    text = re.sub(r":[a-zA-Z:+-]+:`([^`<]*?)\s*<[^`>]*>`", r"\1", text)
    text = re.sub(r":[a-zA-Z:+-]+:`[!~]?([^`]*)`", r"`\1`", text)
    text = re.sub(r"`([^`<]+?)\s*<[^`>]+>`__?", r"\1", text)
    text = re.sub(r"``([^`]+)``", r"`\1`", text)
    return re.sub(r"^\.\. (note|warning|seealso|versionadded|versionchanged|deprecated)::", r"\1:", text, flags=re.M)
