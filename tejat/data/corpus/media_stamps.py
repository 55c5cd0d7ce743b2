"""Stamps of a drawing program: cut-out photographs and drawings, captioned in 78 languages and read aloud in eleven.

Two sources of one package: a stamp with its captions ("stamp"), and each reading with the stamp it is of ("speech").
"""

import functools
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from PIL import Image as pillow

from tejat.data import drawing
from tejat.data.corpus import media_concepts, media_sound
from tejat.data.corpus.language import tag
from tejat.data.corpus.source import Dropped, Paths
from tejat.data.shards import Item
from tejat.data.splits import by_checksum
from tejat.errors import BadInput

SIDE, SMALL = 192, 96  # pixels of a stamp, and of one beside its reading
SMALLEST = 40  # pixels of the longer side
HELD_OUT_SHARE = 0.10
TRANSLATED = (
    "en",
    "de",
    "fr",
    "es",
    "it",
    "pt",
    "nl",
    "pl",
    "ru",
    "ja",
    "zh",
    "ko",
    "ro",
    "ca",
    "bg",
    "be",
    "el",
    "da",
)
"""Languages whose captions go with a reading."""

_NOT_SAID = ("symbols/alphabet",)  # pictures of letters, captioned in every language with the English letter


@dataclass(frozen=True)
class Stamp:
    """A stamp: its path without the ending, its picture, and its captions by language."""

    path: Path
    group: str
    picture: Path
    captions: dict[str, str]
    concept: str | None  # where the English caption is a concept's name


def stamps(paths: Paths, dropped: Dropped) -> Iterator[Item]:
    """Items of the kind "stamp": "names" by language; one picture, `stamp.webp`."""
    for stamp in _read(paths, dropped):
        try:
            picture = _picture(stamp.picture, SIDE)
        except BadInput as error:
            dropped.drop("stamps that cannot be drawn", f"{stamp.group}: {error}")
            continue
        if picture is None:
            dropped.drop(f"stamps below {SMALLEST} pixels", stamp.group)
            continue
        yield Item("stamp", _fields(stamp) | {"names": stamp.captions}, dict([picture]))


def readings(paths: Paths, dropped: Dropped) -> Iterator[Item]:
    """Items of the kind "speech": a caption read by a person; blobs `speech.opus` and a small picture."""
    for stamp in _read(paths, Dropped()):
        texts = {language: stamp.captions[language] for language in TRANSLATED if language in stamp.captions}
        try:
            picture = _picture(stamp.picture, SMALL)
        except BadInput:
            picture = None  # told above
        for path in sorted(stamp.path.parent.glob(f"{stamp.path.name}_desc*.ogg")):
            name = path.stem.removeprefix(f"{stamp.path.name}_desc").removeprefix("_") or "en"
            language = _tag(name)
            text = stamp.captions.get(language)
            if text is None:
                dropped.drop("readings without a caption in their language", path.name)
                continue
            try:
                sound = media_sound.recording(path)
            except BadInput as error:
                dropped.drop("recordings that cannot be used", f"{path.name}: {error}")
                continue
            told = {"text": text, "language": language, "texts": texts, "speaker": f"tuxpaint/{language}"}
            blobs = {"speech.opus": media_sound.opus(sound)} | (dict([picture]) if picture else {})
            yield Item("speech", _fields(stamp) | told | {"seconds": round(sound.seconds, 2)}, blobs)


def heldout(item: Item) -> bool:
    """Is its stamp kept from training: a tenth of them, and those that are of a concept which is."""
    concept = item.fields.get("concept")
    return by_checksum("stamp", item.fields["group"], HELD_OUT_SHARE) or bool(
        concept and media_concepts.is_held_out(concept)
    )


def _fields(stamp: Stamp) -> dict:
    return {"group": stamp.group} | ({"concept": stamp.concept} if stamp.concept else {})


def _read(paths: Paths, dropped: Dropped) -> Iterator[Stamp]:
    root = paths["tuxpaint-stamps-default"] / "usr/share/tuxpaint/stamps"
    concepts = _concepts(paths["emojibase-data"]) if "emojibase-data" in paths else {}
    for text in sorted(root.rglob("*.txt")):
        base = text.with_suffix("")
        group = base.relative_to(root).as_posix()
        if group.startswith(_NOT_SAID):
            dropped.drop("stamps of letters", group)
            continue
        picture = next((base.with_suffix(end) for end in (".svg", ".png") if base.with_suffix(end).exists()), None)
        captions = _captions(text)
        if picture is None or "en" not in captions:
            dropped.drop("captions without a stamp, and stamps without a caption", group)
            continue
        yield Stamp(base, group, picture, captions, concepts.get(_plain(captions["en"])))


def _captions(file: Path) -> dict[str, str]:
    """By language: the first line is English, then LANGUAGE.utf8=TEXT, one a line; the first of a language stays."""
    lines = file.read_text("utf-8", "replace").splitlines()
    found = {"en": lines[0].strip()} if lines and lines[0].strip() else {}
    for line in lines[1:]:
        name, equals, caption = line.partition(".utf8=")
        if equals and caption.strip() and "@" not in name:
            found.setdefault(_tag(name.strip()), caption.strip())
    return found


def _tag(name: str) -> str:
    """The language as concepts have it."""
    return {"zh-CN": "zh", "zh-TW": "zh-hant", "pt-BR": "pt"}.get(tag(name), tag(name))


def _plain(caption: str) -> str:
    words = caption.lower().strip(" .!").split()
    return " ".join(words[1:] if words and words[0] in ("a", "an", "the") else words)


@functools.cache
def _concepts(package: Path) -> Mapping[str, str]:
    """Concepts by their English label in lower case."""
    entries = json.loads((package / "en/data.json").read_text("utf-8"))
    return {entry["label"].lower(): media_concepts.code(entry["hexcode"]) for entry in entries}


def _picture(path: Path, side: int) -> tuple[str, bytes] | None:
    """(name of the blob, a WebP file), no larger than it was drawn; None for what is too small to see."""
    data = path.read_bytes()
    if path.suffix == ".png":
        with pillow.open(io.BytesIO(data)) as picture:
            longest = max(picture.size)
        if longest < SMALLEST:
            return None
        side = min(side, longest)
    pixels = pillow.fromarray(drawing.rasterised(data, side))
    if pixels.getchannel("A").getbbox() is None:
        raise BadInput(f"{path.name} shows nothing")
    packed = io.BytesIO()
    pixels.save(packed, "WEBP", quality=85, method=4)
    return "stamp.webp", packed.getvalue()
