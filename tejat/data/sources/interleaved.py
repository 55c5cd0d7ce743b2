"""The interleaved format, and what else a JSON record may be: one mapping from keys to a document (docs/DATA.md).

    {"parts": [{"text": "A cat:"}, {"image": {"file": "cat.jpg"}}], "loss": [true, false], "source": "album"}
    {"messages": [{"role": "user", "content": "Hello!"}, {"role": "assistant", "content": "Good day."}]}
    {"text": "Once upon a time …"}
    {"image": …, "caption": "a cat"}      {"audio": …, "transcript": "good day"}      {"video": …, "caption": …}

The first is ours; its `to_json` form is read too. The others are common elsewhere.
"""

import base64
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tejat import media
from tejat.data.sources import files
from tejat.errors import BadInput
from tejat.parts import RATE, Audio, Document, Image, Part, Text, Turn, Video, from_json, to_wav

TEXTS = ("text", "content")
CAPTIONS = ("caption", "text", "transcript", "transcription", "sentence", "label_text")
ROLES = {"system": "system", "developer": "system", "user": "user", "human": "user"} | dict.fromkeys(
    ("model", "assistant", "gpt"), "model"
)
_READERS: dict[str, Callable[..., Part]] = {
    "image": media.read_image,
    "audio": media.read_audio,
    "video": media.read_video,
}


def document(record: Any, folder: str, source: str = "") -> Document:
    """The document of a record. `folder` is where files that it names lie; `source` is told where it names none.

    Raises BadInput, saying why, for a record that is no document.
    """
    match record:
        case {"parts": list(parts), **rest}:
            return _interleaved(parts, rest, folder, source)
        case {"messages": list(messages)} | {"conversations": list(messages)}:
            return _dialogue(messages, folder, _named(record, source))
        case Mapping():
            return _fields(record, folder, _named(record, source))
    raise BadInput(f"it is a JSON {type(record).__name__}, not an object")


def caption(record: Mapping[str, Any]) -> str | None:
    """The words about a medium."""
    return _first(record, CAPTIONS)


def captioned(shown: Part, words: str, source: str) -> Document:
    """A medium and its words, which alone are learnt. Raises BadInput where there are no words."""
    if not words.strip():
        raise BadInput(f"the caption of {source} is empty")
    return Document((shown, Text(words.strip())), (False, True), (None, None), source)


def medium(kind: str, value: Any, folder: str) -> Part:
    """An image, a sound or a clip: {"file": path} below the folder, {"data": base64}, {"bytes": …}, an array, a path.

    Raises BadInput for anything else, and as `tejat.media` does.
    """
    match value:
        case {"times": list()}:
            return _part_from_json({kind: value}, folder)
        case {"data": str(data)}:
            try:
                return _READERS[kind](base64.b64decode(data, validate=True), name=f"the {kind}")
            except ValueError as error:
                if isinstance(error, BadInput):
                    raise
                raise BadInput(f"the data of the {kind} are not base64 ({error})") from error
        case {"file": str(name)} | str(name):
            return _READERS[kind](files.medium(files.join(folder, name)), name=name)
        case {"array": samples, "sampling_rate": int(rate)} if kind == "audio":
            return _sound(np.asarray(samples, np.float32), rate)
        case {"bytes": bytes(data)} | bytes(data):
            return _READERS[kind](data, name=f"the {kind}")
        case {"bytes": None, "path": str(name)}:
            return _READERS[kind](files.medium(files.join(folder, name)), name=name)
    if kind == "image" and hasattr(value, "convert"):  # Pillow's, as Hugging Face gives them
        return Image(np.asarray(value.convert("RGB")))
    raise BadInput(f'the {kind} is of type {type(value).__name__}; give {{"file": …}} or {{"data": base64}}')


def _interleaved(parts: list, rest: Mapping[str, Any], folder: str, source: str) -> Document:
    if not parts:
        raise BadInput("it has no parts")
    found = tuple(_part(part, number, folder) for number, part in enumerate(parts, 1))
    roles = rest.get("roles") or [None] * len(found)
    if not isinstance(roles, list) or not all(role is None or role in ROLES for role in roles):
        raise BadInput(f'"roles" is {roles!r}; give a list of {", ".join(sorted({*ROLES.values()}))} or null')
    roles = [role and ROLES[role] for role in roles]
    loss = rest.get("loss")
    if loss is None:
        loss = [role in (None, "model") for role in roles]
    elif isinstance(loss, bool):
        loss = [loss] * len(found)
    elif not isinstance(loss, list) or not all(isinstance(flag, bool) for flag in loss):
        raise BadInput('"loss" is not true, false or a list of them')
    return Document(found, tuple(loss), tuple(roles), _named(rest, source))


def _part(value: Any, number: int, folder: str) -> Part:
    try:
        match value:
            case str(text) | {"text": str(text)}:
                return Text(text)
            case {"image": found}:
                return medium("image", found, folder)
            case {"audio": found}:
                return medium("audio", found, folder)
            case {"video": found}:
                return medium("video", found, folder)
    except BadInput as error:
        raise BadInput(f"part {number}: {error}") from error
    raise BadInput(f"part {number} is neither text, image, audio nor video")


def _part_from_json(value: dict, folder: str) -> Part:
    """A clip as `tejat.parts.to_json` writes it: its frames' exact times stand beside it."""
    part = from_json(value, None if files.is_url(folder) else Path(folder))
    assert isinstance(part, Video)
    return part


def _dialogue(messages: list, folder: str, source: str) -> Document:
    turns = []
    for number, message in enumerate(messages, 1):
        match message:
            case {"role": role, "content": content} | {"from": role, "value": content} if role in ROLES:
                parts = [content] if isinstance(content, str) else content
                if not isinstance(parts, list):
                    raise BadInput(f"message {number} has no content")
                turns.append(Turn(ROLES[role], tuple(_part(part, k, folder) for k, part in enumerate(parts, 1))))
            case _:
                raise BadInput(f'message {number} lacks a "content" or has a role that is none of {", ".join(ROLES)}')
    if not turns:
        raise BadInput("it has no messages")
    return Document.from_turns(turns, source)


def _fields(record: Mapping[str, Any], folder: str, source: str) -> Document:
    for kind in _READERS:
        if record.get(kind) is not None:
            if (words := caption(record)) is None:
                raise BadInput(f"its {kind} has no caption")
            return captioned(medium(kind, record[kind], folder), words, source)
    text = _first(record, TEXTS)
    if text is None:
        raise BadInput(f"it has none of the keys parts, messages, {', '.join((*TEXTS, *_READERS))}")
    if not text.strip():
        raise BadInput("its text is empty")
    return Document.of([Text(text)], source=source)


def _first(record: Mapping[str, Any], keys: Sequence[str]) -> str | None:
    return next((record[key] for key in keys if isinstance(record.get(key), str)), None)


def _named(record: Mapping[str, Any], source: str) -> str:
    return record["source"] if isinstance(record.get("source"), str) else source


def _sound(samples: np.ndarray, rate: int) -> Audio:
    """Samples as a library decoded them, at our rate."""
    sound = Audio(np.clip(samples.mean(axis=0) if samples.ndim == 2 else samples, -1, 1), rate)
    if rate == RATE:
        return sound
    return media.read_audio(to_wav(sound), name="the audio")
