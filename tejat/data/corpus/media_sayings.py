"""More synthetic speech: thousands of names and lines that `media_voices` has not, each said once, in a random voice.

What a model has heard written down once it writes down again, by whomever it is said; letters it learns of words alone.
So here no text is said twice, and there are as many as can be. eSpeak NG's library, of Debian's packages, speaks within
the process: a tenth of the time of its program.
"""

import ctypes
import io
import re
import wave
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from tejat.data.corpus import media_concepts, media_sound, media_voices, text_catalogs
from tejat.data.corpus.source import Dropped, Paths, by_group
from tejat.data.shards import Item
from tejat.errors import BadInput

TONES = (
    *(tone for tone in media_voices.TONES if tone not in media_voices.HELD_OUT_TONES),
    *("Andy", "Annie", "Alex", "Denis", "Gene", "Henrique", "Hugo", "Jacky", "Lee", "Mike", "Nguyen", "Storm"),
    *("adam", "anika", "antonio", "aunty", "belinda", "benjamin", "boris", "caleb", "david", "ed", "edward", "grandma"),
    *("grandpa", "gustave", "iven", "iven3", "john", "kaukovalta", "klatt", "klatt3", "linda", "marcelo", "max"),
    *("michel", "miguel", "norbert", "pablo", "paul", "pedro", "quincy", "rob", "robert", "sandro", "shelby", "steph"),
    *("travis", "victor", "zac"),
)
"""Voices: those of `media_voices` that training has, and others; the held-out ones are nowhere among them."""

ENGLISH, ELSEWHERE = 8_000, 750
"""Texts that are said in English, and in each other language."""

ACCENTS = ("en-us", "en-us", "en", "en-gb-scotland", "en-gb-x-rp", "en-029", "en-gb-x-gbclan")
"""Of English, by the names that the library knows."""

_CAMPAIGNS = ("did", "dm", "ei", "httt", "l", "low", "trow", "utbs")
CATALOGUES = ("iso-codes", *(f"wesnoth-1.16-{code}" for code in _CAMPAIGNS))
SHORTEST, LONGEST = 3, 70  # letters
SPEEDS, PITCHES = (110, 220), (15, 85)  # words a minute, and of eSpeak's 0 to 99


def sayings(paths: Paths, dropped: Dropped) -> Iterator[Item]:
    """Items of the kind "speech". Of what is held out elsewhere nothing is said: no concept, message, line or voice."""
    random = np.random.default_rng(zlib.crc32(b"sayings"))
    told, kept_out = _texts(paths)
    speak = Library(paths)
    for language in media_voices.LANGUAGES:
        known = {}
        for group, texts in told:
            text = texts.get(language, "")
            if _sayable(text) and _folded(text) not in kept_out:
                known.setdefault(_folded(text), (group, texts))
        chosen = [*known.values()]
        most = ENGLISH if language == "en" else ELSEWHERE
        for n in sorted(random.permutation(len(chosen))[:most].tolist()):
            group, texts = chosen[n]
            yield from _said(language, group, texts, speak, random, dropped)


def heldout(item: Item) -> bool:
    """Nothing is: what is held out elsewhere is left out, and measured with `media_voices`."""
    return False


class Library:
    """eSpeak NG within this process, of its unpacked packages. Raises BadInput where they are not there."""

    def __init__(self, paths: Paths):
        homes = [paths[name] for name in media_voices.PROGRAM if name in paths]
        folders = [folder for home in homes for folder in home.glob("usr/lib/*-linux-gnu*")]
        try:
            data = next(folder for folder in folders if (folder / "espeak-ng-data").exists())
            for name in ("libsonic.so.0", "libpcaudio.so.0"):
                ctypes.CDLL(_found(folders, name), mode=ctypes.RTLD_GLOBAL)
            self._library = ctypes.CDLL(_found(folders, "libespeak-ng.so.1"))
        except (StopIteration, OSError) as error:
            raise BadInput(f"the library of espeak-ng cannot be loaded ({error}); fetch its packages again") from error
        self._heard: list[np.ndarray] = []
        self._callback = _CALLBACK(self._hear)  # the library keeps no reference
        self.rate = self._library.espeak_Initialize(_SYNCHRONOUS, 0, str(data).encode(), _NO_EXIT)
        if self.rate <= 0:
            raise BadInput(f"espeak-ng finds no voices in {data}; fetch its packages again")
        self._library.espeak_SetSynthCallback(self._callback)

    def __call__(self, text: str, voice: str, rate: int, pitch: int) -> bytes:
        """A WAV file of the text. Raises BadInput for a voice that is not there, and where nothing is said."""
        library, data = self._library, text.encode()
        if library.espeak_SetVoiceByName(voice.encode()):
            raise BadInput(f"espeak-ng has no voice {voice!r}")
        library.espeak_SetParameter(_RATE, rate, 0)
        library.espeak_SetParameter(_PITCH, pitch, 0)
        self._heard.clear()
        failed = library.espeak_Synth(data, len(data) + 1, 0, 0, 0, _UTF8, None, None)
        if failed or not self._heard:
            raise BadInput(f"espeak-ng cannot say {text[:40]!r}")
        packed = io.BytesIO()
        with wave.open(packed, "wb") as file:
            file.setparams((1, 2, self.rate, 0, "NONE", ""))
            file.writeframes(np.concatenate(self._heard).tobytes())
        return packed.getvalue()

    def _hear(self, samples, count, events) -> int:
        if samples and count > 0:
            self._heard.append(np.ctypeslib.as_array(samples, (count,)).copy())
        return 0  # go on


def _texts(paths: Paths) -> tuple[list[tuple[str, dict[str, str]]], set[str]]:
    """(group, what it says by language) of all that may be said; and, folded, the names of what is held out."""
    told, kept_out = [], set()
    for concept in media_concepts.read(paths):
        if media_concepts.is_held_out(concept.id):
            kept_out |= {_folded(name) for name in concept.names.values()}
        else:
            told.append((concept.id, concept.names))
    for name in CATALOGUES:
        if name not in paths:
            continue
        only = {name: paths[name]}
        items = text_catalogs.names(only, Dropped()) if name == "iso-codes" else text_catalogs.tales(only, Dropped())
        for item in items:
            if not by_group(item):
                texts = {_TAGS.get(key, key): text for key, text in item.fields["texts"].items()}
                told.append((item.fields["group"], texts))
    return told, kept_out


def _said(
    language: str, group: str, texts: dict[str, str], speak: Library, random: np.random.Generator, dropped: Dropped
) -> Iterator[Item]:
    accent = media_voices.LANGUAGES[language] if language != "en" else _one(ACCENTS, random)
    tone, text = _one(TONES, random), texts[language]
    voice = f"{accent}+{tone}" if tone else accent
    try:
        sound = media_sound.recording(speak(text, voice, int(random.integers(*SPEEDS)), int(random.integers(*PITCHES))))
    except BadInput as error:
        dropped.drop("what eSpeak NG does not say well", f"{language}: {text[:60]}: {error}")
        return
    known = {key: said for key, said in texts.items() if key in media_voices.LANGUAGES or key == "ja"}
    fields = {"text": text, "language": language, "texts": known, "speaker": f"espeak/{voice}"}
    fields |= {"seconds": round(sound.seconds, 2), "group": f"{group}+{tone}"}
    yield Item("speech", fields, {"speech.opus": media_sound.opus(sound)})


def _sayable(text: str) -> bool:
    """Words alone, on one line: how numbers and signs are said, letters do not tell."""
    return SHORTEST <= len(text) <= LONGEST and _WORDS.fullmatch(text) is not None


def _folded(text: str) -> str:
    return " ".join(re.findall(r"[^\W\d_]+", text.casefold()))


def _found(folders: Sequence[Path], name: str) -> str:
    return str(next(folder / name for folder in folders if (folder / name).exists()))


def _one(things: Sequence[str], random: np.random.Generator) -> str:
    return things[int(random.integers(len(things)))]


_TAGS = {"zh-CN": "zh", "pt-BR": "pt"}
_WORDS = re.compile(r"(?:[^\W\d_]|[\u0300-\u036f\u0900-\u0dff]|[ ,.!?'’…:;-])+")

_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)
_SYNCHRONOUS, _NO_EXIT, _RATE, _PITCH, _UTF8 = 2, 0x8000, 1, 3, 1  # as in espeak-ng/speak_lib.h
