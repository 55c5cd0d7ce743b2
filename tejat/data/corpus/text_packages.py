"""What Debian says of its packages: a line and a longer text each, in many languages."""

import re
from collections.abc import Iterator

from tejat.data.corpus.language import tag
from tejat.data.corpus.prose import Repeated
from tejat.data.corpus.source import Dropped, Paths
from tejat.data.shards import Item

_LEAST = 150  # characters of the longer text
_PARTS = re.compile(r"-(?:dev|doc|dbg|data|common|bin|dbgsym|examples|tests|utils)$")


def descriptions(paths: Paths, dropped: Dropped) -> Iterator[Item]:
    """Pages whose summary is the line."""
    for language, path in paths.items():
        fresh = Repeated(dropped, most=1, least=80)
        for entry in (path / f"Translation-{language}").read_text("utf-8", "replace").split("\n\n"):
            package = re.match(r"Package: (\S+)", entry)
            body = re.search(rf"^Description-{language}: (.*)\n((?: .*\n?)+)", entry, re.MULTILINE)
            if not package or not body:
                if entry.strip():
                    dropped.drop("entries without a longer text", entry)
                continue
            text = "\n\n".join(fresh(_paragraphs(body[2])))
            if len(text) < _LEAST:
                dropped.drop(f"entries with fewer than {_LEAST} characters that are new", f"{language}: {package[1]}")
                continue
            group = f"package/{_PARTS.sub('', package[1])}"
            fields = {"title": package[1], "text": text, "summary": body[1].strip(), "language": tag(language)}
            yield Item("package", fields | {"group": group})


def _paragraphs(text: str) -> list[str]:
    """Paragraphs are parted by a line " ."; lines that begin with two blanks or more are to stay lines."""
    found: list[str] = [""]
    for line in text.splitlines():
        line = line[1:]
        if line.strip() == ".":
            found.append("")
        elif line.startswith(" ") or re.match(r"[-*•] ", line):
            found[-1] += ("\n" if found[-1] else "") + line.rstrip()
        else:
            found[-1] += (" " if found[-1] else "") + line.strip()
    return [part for part in found if part.strip()]
