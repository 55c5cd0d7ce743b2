"""Synthetic speech by eSpeak NG: names of things and lines of dialogue in many languages and voices.

The program comes from Debian's packages and runs where they were unpacked; nothing is installed.
"""

import os
import subprocess
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from tejat.data.corpus import media_concepts, media_dialogues, media_sound
from tejat.data.corpus.language import tag
from tejat.data.corpus.media_concepts import Concept
from tejat.data.corpus.source import Dropped, Paths
from tejat.data.corpus.text_dialogues import lines_of
from tejat.data.shards import Item
from tejat.errors import BadInput

LANGUAGES = {
    **{"en": "en-us", "de": "de", "fr": "fr", "es": "es", "it": "it", "pt": "pt-br", "nl": "nl", "pl": "pl"},
    **{"ru": "ru", "zh": "cmn", "ko": "ko", "uk": "uk", "cs": "cs", "sv": "sv", "da": "da", "nb": "nb", "fi": "fi"},
    **{"hu": "hu", "ro": "ro", "el": "el", "tr": "tr", "vi": "vi", "id": "id", "hi": "hi", "ca": "ca", "bg": "bg"},
    **{"hr": "hr", "sk": "sk", "lt": "lt", "et": "et", "lv": "lv", "sw": "sw", "af": "af", "fa": "fa", "ta": "ta"},
}
"""eSpeak's names of the languages that are spoken. Not Japanese: it spells most of what is written in kanji."""

TONES = ("", "m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8", "f1", "f2", "f3", "f4", "f5")
HELD_OUT_TONES = ("f4", "m6")
"""Voices, and those kept from training."""

ACCENTS = ("en-us", "en-gb", "en-gb-scotland", "en-gb-x-rp", "en-029", "en-gb-x-gbclan")  # of English

ENGLISH, ELSEWHERE = 2, 150  # readings of each name in English; names read in each other language
LINES = 300  # lines of dialogue in each language that has them
LETTERS = 90  # of a line at most


def voices(paths: Paths, dropped: Dropped) -> Iterator[Item]:
    """Items of the kind "speech"; of names, with a small drawing of the thing."""
    speak = Speaker(paths)
    random = np.random.default_rng(zlib.crc32(b"voices"))
    concepts = list(media_concepts.read(paths))
    for concept in concepts:
        for _ in range(ENGLISH):
            yield from _named(concept, "en", speak, random, dropped)
    for language in (language for language in LANGUAGES if language != "en"):
        known = [concept for concept in concepts if language in concept.names]
        for n in sorted(random.choice(len(known), min(ELSEWHERE, len(known)), replace=False)):
            yield from _named(known[n], language, speak, random, dropped)
    if "fillets-ng-data" in paths:
        yield from _lines(paths["fillets-ng-data"], speak, random, dropped)


def heldout(item: Item) -> bool:
    """Is its voice, its concept or its level kept from training?"""
    fields = item.fields
    if fields["speaker"].rpartition("+")[2] in HELD_OUT_TONES:
        return True
    if "concept" in fields:
        return media_concepts.is_held_out(fields["concept"])
    return media_dialogues.is_held_out(fields["level"])


class Speaker:
    """eSpeak NG where its packages were unpacked, or on the path. Raises BadInput where it is neither."""

    def __init__(self, paths: Paths):
        self._environment = dict(os.environ)
        self._command = ["espeak-ng"]
        if "espeak-ng" in paths:
            libraries = [path for name in PROGRAM if name in paths for path in paths[name].glob("usr/lib/*-linux-gnu*")]
            data = next((path for path in libraries if (path / "espeak-ng-data").exists()), None)
            self._environment["LD_LIBRARY_PATH"] = ":".join(map(str, libraries))
            self._command = [str(paths["espeak-ng"] / "usr/bin/espeak-ng"), *([f"--path={data}"] if data else [])]

    def __call__(self, text: str, voice: str, rate: int, pitch: int) -> bytes:
        """A WAV file of the text. Raises BadInput for what eSpeak cannot say."""
        options = ["-v", voice, "-s", str(rate), "-p", str(pitch), "--stdin", "--stdout"]
        try:
            done = subprocess.run(
                [*self._command, *options], input=text.encode(), capture_output=True, env=self._environment, timeout=30
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise BadInput(f"espeak-ng cannot be run ({error}); install it") from error
        if done.returncode or len(done.stdout) < 100:
            raise BadInput(f"espeak-ng cannot say {text[:40]!r} ({done.stderr.decode(errors='replace').strip()[:80]})")
        return done.stdout


PROGRAM = ("espeak-ng", "espeak-ng-data", "libespeak-ng1", "libpcaudio0", "libsonic0")
"""Debian's packages of the program."""


def _named(
    concept: Concept, language: str, speak: Speaker, random: np.random.Generator, dropped: Dropped
) -> Iterator[Item]:
    texts = {tag: name for tag, name in concept.names.items() if tag in LANGUAGES or tag == "ja"}
    fields = {"texts": texts, "concept": concept.id}
    blobs = {}
    for drawing in concept.drawings:
        if (
            drawing.style in ("noto", "twemoji")
            and drawing.format == "svg"
            and len(drawing.data) < media_concepts.HEAVY
        ):
            blobs["drawing.svg"] = drawing.data
            break
    yield from _said(concept.names[language], language, fields, blobs, speak, random, dropped)


def _lines(package: Path, speak: Speaker, random: np.random.Generator, dropped: Dropped) -> Iterator[Item]:
    """Lines of dialogue in each language, the same number of each, from all levels."""
    root = package / "usr/share/games/fillets-ng/script"
    told: list[tuple[str, dict[str, str]]] = []
    for level in sorted(path for path in root.iterdir() if path.is_dir()):
        lines: dict[str, dict[str, str]] = {}
        for file in sorted(level.glob("dialogs_*.lua")):
            for id, (_, text) in lines_of(file.read_text("utf-8", "replace")).items():
                lines.setdefault(id, {})[tag(file.stem.removeprefix("dialogs_"))] = text
        told += [(level.name, texts) for texts in lines.values()]
    for language in LANGUAGES:
        known = [(level, texts) for level, texts in told if len(texts.get(language, "")) in range(8, LETTERS)]
        for n in sorted(random.choice(len(known), min(LINES, len(known)), replace=False)) if known else ():
            level, texts = known[n]
            yield from _said(texts[language], language, {"texts": texts, "level": level}, {}, speak, random, dropped)


def _said(
    text: str, language: str, fields: dict, blobs: dict, speak: Speaker, random: np.random.Generator, dropped: Dropped
) -> Iterator[Item]:
    accent = _one(ACCENTS, random) if language == "en" else LANGUAGES[language]
    tone = _one(TONES, random)
    voice = f"{accent}+{tone}" if tone else accent
    try:
        sound = media_sound.recording(speak(text, voice, int(random.integers(130, 190)), int(random.integers(30, 70))))
    except BadInput as error:
        dropped.drop("what eSpeak NG does not say well", f"{language}: {text[:60]}: {error}")
        return
    told = {"text": text, "language": language, "speaker": f"espeak/{voice}", "seconds": round(sound.seconds, 2)}
    # What is said and the voice: both decide on which side of the split a reading is.
    told["group"] = f"{fields.get('concept') or fields['level']}+{tone}"
    yield Item("speech", told | fields, {"speech.opus": media_sound.opus(sound), **blobs})


def _one(things: Sequence[str], random: np.random.Generator) -> str:
    return things[int(random.integers(len(things)))]
