"""Pages of text for the corpus: paragraphs in light Markdown, in pieces that a row of training holds."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from tejat.data.corpus.source import Dropped
from tejat.data.shards import Item

PIECE = 8_000
"""Bytes of a piece at most, about 2,200 tokens. The pieces of a page follow each other, so that they can be joined."""


def pages(
    title: str,
    paragraphs: Sequence[str],
    language: str,
    group: str,
    dropped: Dropped,
    summary: str = "",
    least: int = 80,
) -> Iterator[Item]:
    """Items of one page, a piece each; none for a page with less text than `least` bytes.

    Args:
      title: of the page.
      paragraphs: below the title.
      language: BCP 47.
      group: what it is about, the same in all languages.
      dropped: counts it if it is too short.
      summary: a sentence or two that someone wrote of the page; "" if none did.
    """
    parts = pieces(paragraphs)
    if sum(len(part.encode()) for part in parts) < least:
        dropped.drop(f"pages with fewer than {least} bytes", f"{language} {group}")
        return
    for number, part in enumerate(parts):
        fields: dict[str, Any] = {"title": title, "text": part, "language": language, "group": group}
        if summary:
            fields["summary"] = summary
        if len(parts) > 1:
            fields["piece"] = [number, len(parts)]
        yield Item("page", fields)


class Repeated:
    """Takes out paragraphs that were there often already: notes on licences and translators, footers."""

    def __init__(self, dropped: Dropped, most: int = 3, least: int = 60):
        self._seen: Counter[int] = Counter()
        self._dropped, self._most, self._least = dropped, most, least

    def __call__(self, paragraphs: Sequence[str]) -> list[str]:
        kept = []
        for paragraph in paragraphs:
            if len(paragraph) >= self._least:
                mark = hash(paragraph)
                self._seen[mark] += 1
                if self._seen[mark] > self._most:
                    self._dropped.drop(f"paragraphs that were there {self._most} times", paragraph)
                    continue
            kept.append(paragraph)
        return kept


def pieces(paragraphs: Sequence[str], limit: int = PIECE) -> list[str]:
    """Paragraphs joined by blank lines, cut between them where they would pass the limit; a longer one is cut between
    lines, or, where a line is longer too, between characters."""
    found: list[list[str]] = [[]]
    size = 0
    for paragraph in paragraphs:
        for part in _cut(paragraph, limit):
            length = len(part.encode()) + 2
            if size + length > limit and found[-1]:
                found.append([])
                size = 0
            found[-1].append(part)
            size += length
    return ["\n\n".join(parts) for parts in found if parts]


def _cut(paragraph: str, limit: int) -> Iterator[str]:
    if len(paragraph.encode()) <= limit:
        if paragraph:
            yield paragraph
        return
    lines, size = [], 0
    for line in paragraph.split("\n"):
        if len(line.encode()) > limit and lines:  # what came before it goes before it
            yield "\n".join(lines)
            lines, size = [], 0
        while len(line.encode()) > limit:
            yield line[: limit // 4]
            line = line[limit // 4 :]
        size += len(line.encode()) + 1
        if size > limit and lines:
            yield "\n".join(lines)
            lines, size = [], len(line.encode()) + 1
        lines.append(line)
    yield "\n".join(lines)
