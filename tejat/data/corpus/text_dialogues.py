"""The dialogues of Fish Fillets, a game, in 15 languages, line by line."""

import re
from collections.abc import Iterator

from tejat.data.corpus.language import tag
from tejat.data.corpus.source import Dropped, Paths
from tejat.data.shards import Item

_ID = re.compile(r'dialogId\("([^"]+)",\s*"([^"]*)",\s*"((?:[^"\\]|\\.)*)"\)')
_TEXT = re.compile(r'dialogStr\("((?:[^"\\]|\\.)*)"\)')
_SPEAKERS = {"font_small": "small fish", "font_big": "big fish"}


def fillets(paths: Paths, dropped: Dropped) -> Iterator[Item]:
    """Two kinds: a line in all its languages ("parallel"), and the script of a level in one language ("text")."""
    root = paths["fillets-ng-data"] / "usr/share/games/fillets-ng/script"
    for level in sorted(path for path in root.iterdir() if path.is_dir()):
        lines: dict[str, dict[str, str]] = {}
        speakers: dict[str, str] = {}
        for file in sorted(level.glob("dialogs_*.lua")):
            language = tag(file.stem.removeprefix("dialogs_"))
            found = lines_of(file.read_text("utf-8", "replace"))
            for id, (speaker, text) in found.items():
                lines.setdefault(id, {})[language] = text
                speakers[id] = _SPEAKERS.get(speaker, speaker.removeprefix("font_").replace("_", " "))
            script = "\n".join(f"{speakers[id]}: {text}" for id, (_, text) in found.items())
            if len(script) < 100:
                dropped.drop("scripts below 100 characters", f"{level.name} ({language})")
                continue
            yield Item("text", {"text": script, "language": language, "group": f"fillets/{level.name}"})
        for texts in lines.values():
            if len(texts) > 1:
                yield Item("parallel", {"texts": texts, "group": f"fillets/{level.name}"})


def lines_of(source: str) -> dict[str, tuple[str, str]]:
    """Speaker and text by id; a translation stands below the English line, which is the text where there is none."""
    found = {}
    parts = list(_ID.finditer(source))
    for part, after in zip(parts, [*parts[1:], None], strict=False):
        own = _TEXT.search(source, part.end(), after.start() if after else len(source))
        text = re.sub(r"\\(.)", r"\1", own[1] if own else part[3]).strip()
        if text:
            found[part[1]] = part[2], text
    return found
