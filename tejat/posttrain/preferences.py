"""Preferences: two answers to a prompt, of which one is better; as JSON lines.

    {"prompt": "What is the capital of Peru?", "chosen": "Lima.", "rejected": "Cuzco.", "behaviour": "closed-book"}
    {"prompt": {"messages": […]}, "chosen": [{"image": {"file": …}}], "rejected": […], "margin": 1.0, "source": "ana"}

A prompt is words, messages, or interleaved parts with roles (`tejat.data.sources.interleaved`), and ends with a user's
turn; an answer is words or a list of parts. `margin` says how much better the one is, 0 if not told. A pair that ties
or lacks a side is none: such lines are counted and listed, and no training begins on them.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tejat.data.sources import interleaved
from tejat.errors import BadInput
from tejat.parts import Document, Part, Text, Turn, to_json, write_whole
from tejat.posttrain import questions
from tejat.posttrain.lines import Lines, is_number

_KEYS = {"prompt", "chosen", "rejected", "margin", "behaviour", "source"}


class NoPreference(BadInput):
    """A line that is no pair; `kind` says in which way."""

    def __init__(self, kind: str, message: str):
        super().__init__(message)
        self.kind = kind


@dataclass(frozen=True)
class Pair:
    """`chosen` is the better answer to `prompt`, by `margin`. `behaviour` says what the pair is about."""

    prompt: tuple[Turn, ...]
    chosen: tuple[Part, ...]
    rejected: tuple[Part, ...]
    margin: float = 0.0
    behaviour: str = "helpful"
    source: str = ""

    def documents(self) -> tuple[Document, Document]:
        """The dialogue with the one answer and with the other, which alone are to be predicted."""
        return self._answered(self.chosen), self._answered(self.rejected)

    def _answered(self, answer: tuple[Part, ...]) -> Document:
        whole = Document.from_turns((*self.prompt, Turn("model", answer)), self.source)
        before = len(whole.parts) - len(answer)
        return Document(whole.parts, (False,) * before + (True,) * len(answer), whole.roles, whole.source)


def read(path: Path) -> Lines[Pair]:
    """The pairs of a file, with what of it is none. Raises BadInput for a file that cannot be read or has no pair."""
    return Lines(path, pair)


def needed(path: Path) -> Lines[Pair]:
    """`read`, where every line must be a pair. Raises BadInput that counts those that are not and tells the first."""
    found = read(path)
    found.needed("preferences")
    return found


def pair(record: Any, folder: str, name: str) -> Pair:
    """The pair of a line. Raises NoPreference, saying why, for one that is none."""
    if not isinstance(record, Mapping):
        raise NoPreference("that are no objects", f"it is a JSON {type(record).__name__}")
    if strange := sorted(record.keys() - _KEYS):
        raise NoPreference("with unknown keys", f'it has an unknown "{strange[0]}"')
    sides = []
    for side in ("chosen", "rejected"):
        if not record.get(side):
            raise NoPreference("that lack a side", f'it lacks "{side}"')
        sides.append(_answer(record[side], side, folder, name))
    margin = record.get("margin", 0.0)
    if not is_number(margin) or margin < 0:
        raise NoPreference("with a wrong margin", f'its "margin" is {str(margin)[:20]}; give a number from 0 on')
    if _bare(sides[0]) == _bare(sides[1]):
        raise NoPreference("that tie", '"chosen" and "rejected" are the same')
    told = {key: record.get(key, usual) for key, usual in (("behaviour", "helpful"), ("source", name))}
    if wrong := [key for key, value in told.items() if not isinstance(value, str)]:
        raise NoPreference("with a wrong field", f'its "{wrong[0]}" is not text')
    try:
        prompt = questions.turns(record.get("prompt"), folder, name)
    except BadInput as error:
        raise NoPreference("without a prompt", str(error)) from error
    return Pair(prompt, sides[0], sides[1], float(margin), **told)


def write(path: Path, pairs: Iterable[Pair], media: Path | None = None) -> int:
    """Writes JSON lines that `read` reads, and how many they are. Media go into files of the directory `media`,
    which must be that of `path`, or inline."""
    lines = []
    for each in pairs:
        record = {
            "prompt": {
                "parts": [to_json(part, media) for turn in each.prompt for part in turn.parts],
                "roles": [turn.role for turn in each.prompt for _ in turn.parts],
            },
            "chosen": [to_json(part, media) for part in each.chosen],
            "rejected": [to_json(part, media) for part in each.rejected],
            "margin": each.margin,
            "behaviour": each.behaviour,
            "source": each.source,
        }
        lines.append(json.dumps(record, ensure_ascii=False) + "\n")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, "".join(lines).encode())
    return len(lines)


def fingerprint(pair: Pair) -> bytes:
    """The same for two pairs of one prompt and the same two answers, whichever of these is chosen."""
    sides = sorted(json.dumps([to_json(part) for part in side]) for side in (pair.chosen, pair.rejected))
    prompt = [to_json(turn) for turn in pair.prompt]
    return hashlib.sha256(json.dumps([prompt, *sides]).encode()).digest()


def _bare(answer: tuple[Part, ...]) -> tuple[Part, ...]:
    """Without white space about its words, in which no preference lies."""
    return tuple(Text(part.text.strip()) if isinstance(part, Text) else part for part in answer)


def _answer(value: Any, side: str, folder: str, name: str) -> tuple[Part, ...]:
    if isinstance(value, str):
        parts: tuple[Part, ...] = (Text(value),)
    elif isinstance(value, list):
        try:
            parts = interleaved.document({"parts": value}, folder, name).parts
        except BadInput as error:
            raise NoPreference("with a damaged answer", f'"{side}": {error}') from error
    else:
        raise NoPreference("with a damaged answer", f'"{side}" is neither words nor a list of parts')
    if all(isinstance(part, Text) and not part.text.strip() for part in parts):
        raise NoPreference("that lack a side", f'"{side}" is empty')
    return parts
