"""The sample that comes with Tejat: real pictures, clips, speech, prose and facts, in four megabytes.

About 170 concepts, each named in ten languages and drawn in three styles; most of the animals move in a clip; 64 words
are spoken by 16 voices. LICENSES.md beside this file names every source; recipes/sample.py makes all of it.
The style, the voices and the paragraphs that `heldout()` names are for evaluation: train on nothing of them.
"""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True, slots=True)
class Concept:
    """A thing: `id` is its emoji's code point in hexadecimal, `group` its kind, `names` its name in each language."""

    id: str
    group: str
    names: dict[str, str]


class Fact(TypedDict):
    """A country, in English, and its name in each language."""

    country: str
    capital: str
    currency: str
    continent: str
    names: dict[str, str]


class HeldOut(TypedDict):
    """What is kept from training: styles of pictures, voices, and the seed of the motions to be evaluated."""

    styles: list[str]
    voices: list[str]
    motions_seed: int


def root() -> Path:
    """The folder of the sample."""
    return Path(__file__).resolve().parent


@cache
def concepts() -> tuple[Concept, ...]:
    """All concepts; no two share a name in any language."""
    return tuple(Concept(**each) for each in json.loads(_read("concepts.json")))


def styles() -> tuple[str, ...]:
    """The styles that every concept is drawn in."""
    return tuple(sorted(path.name for path in (root() / "pictures").iterdir()))


def picture(style: str, id: str) -> "Image":
    """A concept drawn in a style: RGBA, 96 x 96, transparent around the thing. Raises KeyError."""
    from PIL import Image

    with Image.open(_file("pictures", style, f"{id}.webp")) as image:
        return image.convert("RGBA")


def clips() -> tuple[str, ...]:
    """The ids of the concepts that have a clip."""
    return _stems("clips")


def clip(id: str) -> "list[tuple[Image, int]]":
    """A moving concept: 8 frames, RGBA, 64 x 64, each with the milliseconds that it is shown. Raises KeyError."""
    from PIL import Image

    frames = []
    with Image.open(_file("clips", f"{id}.webp")) as image:
        for index in range(getattr(image, "n_frames", 1)):
            image.seek(index)
            frame = image.convert("RGBA")  # decodes, and only then is the duration known
            frames.append((frame, int(image.info["duration"])))
    return frames


def voices() -> tuple[str, ...]:
    """The voices, each of which says every spoken word."""
    return tuple(sorted(path.name for path in (root() / "speech").iterdir()))


def spoken() -> tuple[str, ...]:
    """The ids of the concepts whose English names are spoken."""
    return _stems("speech", voices()[0])


def speech(voice: str, id: str) -> bytes:
    """The English name of a concept said by a voice: Opus in Ogg, mono, made at 16 kHz. Raises KeyError."""
    return _file("speech", voice, f"{id}.ogg").read_bytes()


def languages() -> tuple[str, ...]:
    """The languages that there is prose in; the names of concepts and countries come in the same ones."""
    return _stems("text")


def prose(language: str, heldout: bool = False) -> str:
    """Running text, one paragraph a line: the training part, or the twentieth that is kept from it. Raises KeyError."""
    return _file("text", *(["heldout"] if heldout else []), f"{language}.txt").read_text(encoding="utf-8")


@cache
def facts() -> tuple[Fact, ...]:
    """The members and observer states of the United Nations, with capital, currency and continent."""
    return tuple(json.loads(line) for line in _read("facts.jsonl").splitlines())


def heldout() -> HeldOut:
    """What to keep from training."""
    return json.loads(_read("heldout.json"))


def _read(name: str) -> str:
    path = root() / name
    if not path.is_file():
        raise FileNotFoundError(f"the sample has no {name}; install tejat again, or make it with recipes/sample.py")
    return path.read_text(encoding="utf-8")


def _file(*parts: str) -> Path:
    """A file of the sample; a KeyError names what there is instead."""
    folder = root()
    for part in parts:
        if "/" in part or not (folder / part).exists():
            here = folder.relative_to(root()).as_posix()
            known = ", ".join(sorted(path.stem for path in folder.iterdir() if path.name != "heldout")[:12])
            raise KeyError(f"the sample has no {Path(part).stem!r} in {here}; it has {known} …")
        folder /= part
    return folder


def _stems(*folder: str) -> tuple[str, ...]:
    """The names, without their endings, of the files in a folder."""
    return tuple(sorted(path.stem for path in _file(*folder).iterdir() if path.is_file()))
