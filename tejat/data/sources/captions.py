"""Words that lie beside media: `cat.jpg` with `cat.txt`, or all of them in one file of the folder.

Known are, in this order: a line of `metadata.jsonl` (Hugging Face: "file_name", and "text", "caption" …) or of
`metadata.csv` ("file_name,text" with a head, or LJ Speech's "id|text|normalised" without); a line "ID WORDS" of a
`*.trans.txt` (LibriSpeech); a file of the same name that ends in .txt, .caption, .lab, .srt or .vtt.
"""

import csv
import io
import json
import re
from collections.abc import Callable, Iterator

from tejat.data.corpus.source import Dropped
from tejat.data.sources import files, interleaved
from tejat.errors import BadInput
from tejat.parts import Document, Part

BESIDE = (".txt", ".caption", ".lab", ".srt", ".vtt")
_TABLE, _BESIDE = 1 << 30, 1 << 20  # bytes of a table of words, and of one caption
_NO_SPEECH = re.compile(r"^(\d+|WEBVTT.*|NOTE.*|.*-->.*)$")


def captioned(
    path: str, suffixes: tuple[str, ...], decode: Callable[..., Part], dropped: Dropped
) -> Iterator[Document]:
    """A document for each medium of a folder that has words. Raises BadInput for a folder without such media."""
    folder, told = "", {}
    some = False
    for name in files.walk(path, suffixes):
        some = True
        if (here := files.folder_of(name)) != folder:
            folder, told = here, _told(here, dropped)
        try:
            words = told.get(files.name(name)) or told.get(files.name(files.stem(name))) or _beside(name)
            if words is None:
                dropped.drop("media without a caption", name)
                continue
            yield interleaved.captioned(decode(files.medium(name), name=name), words, name)
        except BadInput as error:
            dropped.drop("media that cannot be used", error)
    if not some:
        raise BadInput(f"{path} holds no file that ends in {', '.join(suffixes[:4])} …; give another path or format")


def _told(folder: str, dropped: Dropped) -> dict[str, str]:
    """Words by the names, or the names without suffix, of a folder's files."""
    found: dict[str, str] = {}
    try:
        for name in files.entries(folder):
            last = files.name(name).lower()
            if last.endswith(".trans.txt"):
                lines = (line.partition(" ") for line in _text(name).splitlines())
                found |= {id: words for id, _, words in lines if words}
            elif last == "metadata.csv":
                found |= _table(_text(name))
            elif last == "metadata.jsonl":
                records = (json.loads(line) for line in _text(name).splitlines() if line.strip())
                found |= {r["file_name"]: words for r in records if (words := interleaved.caption(r))}
    except (BadInput, ValueError, KeyError, TypeError, csv.Error) as error:
        dropped.drop("tables of captions that cannot be read", f"{folder}: {error}")
    return found


def _table(text: str) -> dict[str, str]:
    head = text.partition("\n")[0].strip()
    if "file_name" not in head:
        rows = csv.reader(io.StringIO(text), delimiter="|" if "|" in head else ",", quoting=csv.QUOTE_NONE)
        return {row[0]: row[-1] for row in rows if len(row) > 1}
    return {row["file_name"]: words for row in csv.DictReader(io.StringIO(text)) if (words := interleaved.caption(row))}


def _beside(name: str) -> str | None:
    for suffix in BESIDE:
        path = files.stem(name) + suffix
        if files.is_file(path):
            text = _text(path, _BESIDE)
            if suffix in (".srt", ".vtt"):
                text = " ".join(line for line in text.splitlines() if line.strip() and not _NO_SPEECH.match(line))
            return text
    return None


def _text(path: str, limit: int = _TABLE) -> str:
    try:
        return files.content(path, limit).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadInput(f"{path} is not UTF-8 at byte {error.start}; convert it") from error
