"""Speech: written down, translated, drawn, compared with a picture.

An item of the kind "speech" has the fields "text", "language", "texts" (what it says, by language) and "speaker", the
blob `speech.opus`, and sometimes a picture of what is named.
"""

import hashlib
from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float32

from tejat import media
from tejat.data.kept import Kept
from tejat.data.presenting import acoustics, edits, sprites
from tejat.data.presenting.wording import CALLED, LANGUAGES, asking, beside, language, one, worded, wordings
from tejat.data.shards import Item
from tejat.parts import RATE, Audio, Document, Image, Part, Text, Turn

PAGE = 3  # recordings on a page at most
CHANGED = 0.9  # the share of recordings that are heard as by others, elsewhere (`acoustics`)
BESIDE = 0.15  # of these, in other voices
JOINED, TOGETHER, NEAR = 0.3, 6.5, 40  # of transcripts, of several after each other; seconds of these at most; how near
KEPT = 64 << 20  # bytes of decoded sound that a process keeps
STEPS = 32_767  # from silence to the loudest

WORDS = wordings("speech")

TASKS = {"write": 0.56, "page": 0.12, "translate": 0.18, "draw": 0.06, "matches": 0.05, "which language": 0.03}
"""The share of each kind of document about a recording."""


def speech(items: Sequence[Item], k: int, random: np.random.Generator) -> Document:
    """Some document about recording k; what it has no material for becomes "write"."""
    names, shares = list(TASKS), np.array(list(TASKS.values()))
    return _MAKERS[names[int(random.choice(len(names), p=shares / shares.sum()))]](items, k, random)


def write(items: Sequence[Item], k: int, random: np.random.Generator) -> Document:
    """What is said, in the language in which it is; of several after each other, each on a line."""
    sound, text = transcribed(items, k, random)
    asked = asking(WORDS["write"], language(random), random)
    return _answered(beside(sound, asked, random), items[k], "write", text)


def page(items: Sequence[Item], k: int, random: np.random.Generator) -> Document:
    """A few recordings, each with its text below it; only the texts are learnt."""
    parts: list[Part] = [Text(worded(WORDS["page"], language(random), random))]
    for n in (k, *sprites.others(items, k, int(random.integers(1, PAGE)), random)):
        if items[n].kind == "speech":
            parts += [heard(items[n], random, items), Text(items[n].fields["text"])]
    learnt = [number > 0 and isinstance(part, Text) for number, part in enumerate(parts)]
    return Document(tuple(parts), tuple(learnt), (None,) * len(parts), "recordings")


def translate(items: Sequence[Item], k: int, random: np.random.Generator) -> Document:
    """What is said, in another language: half the time English where that is another."""
    fields = items[k].fields
    known = [tag for tag in fields["texts"] if tag != fields["language"] and tag in CALLED]
    if not known:
        return write(items, k, random)
    target = language(random, known, english=0.5)
    if target in LANGUAGES and random.random() < 0.6:
        asked = asking(WORDS["translate"], target, random)
    else:
        asked = f"Translate what you hear into {CALLED[target]}."
    return _answered(
        beside(heard(items[k], random, items), asked, random), items[k], "speech translation", fields["texts"][target]
    )


def draw(items: Sequence[Item], k: int, random: np.random.Generator) -> Document:
    """What is named, drawn below its name in the language of the request and in English."""
    picture, fields = _picture(items[k]), items[k].fields
    known = [tag for tag in LANGUAGES if tag in fields["texts"]]
    if picture is None or not known:
        return write(items, k, random)
    # Spoken in one language and asked about in the same, as far as there are wordings in it.
    own = fields["language"]
    asks = own if own in known and random.random() < 0.5 else language(random, known)
    asked = (heard(items[k], random, items), Text(asking(WORDS["draw"], asks, random)))
    said = edits.bilingual(fields["texts"][asks], fields["texts"].get("en", fields["texts"][asks]))
    answer = (Text(said), Image(sprites.picture(picture, None)))
    return Document.from_turns((Turn("user", asked), Turn("model", answer)), "dictated drawing")


def matches(items: Sequence[Item], k: int, random: np.random.Generator) -> Document:
    """Is the picture of what is said?"""
    right = random.random() < 0.5
    others = [] if right else sprites.others(items, k, 1, random)
    shown = items[others[0]] if others else items[k]
    picture = _picture(shown)
    if picture is None:
        return write(items, k, random)
    right = shown.fields["texts"].get("en") == items[k].fields["texts"].get("en")
    spoken = language(random)
    asked, yes, no = WORDS["matches"][spoken]
    seen = Image(sprites.picture(picture, random, one(sprites.SIDES, random)))
    return _answered([seen, heard(items[k], random, items), Text(asked)], items[k], "matches", yes if right else no)


def which_language(items: Sequence[Item], k: int, random: np.random.Generator) -> Document:
    """The language that is spoken, by its English name."""
    spoken = CALLED.get(items[k].fields["language"])
    if spoken is None:
        return write(items, k, random)
    asked = one(("Which language is this?", "What language is being spoken?"), random)
    return _answered(beside(heard(items[k], random, items), asked, random), items[k], "which language", spoken)


def transcribed(items: Sequence[Item], k: int, random: np.random.Generator) -> tuple[Audio, str]:
    """Recording k and what is said; with its share, short ones from near it after it, each with its line: whoever knows
    recordings by heart does not know these."""
    chosen, seconds = [items[k]], items[k].fields["seconds"]
    if random.random() < JOINED:
        for step in random.integers(-NEAR, NEAR + 1, int(random.integers(1, 5))).tolist():
            other = items[(k + step) % len(items)]
            if other.kind == "speech" and seconds + other.fields["seconds"] <= TOGETHER:
                chosen.append(other)
                seconds += other.fields["seconds"]
    if len(chosen) == 1:
        return heard(items[k], random, items), items[k].fields["text"]
    pieces = []
    for item in chosen:
        pieces += [_decoded(item.blobs["speech.opus"]), np.zeros(int(random.uniform(0.05, 0.4) * RATE), np.float32)]
    samples = np.concatenate(pieces[:-1])
    return Audio(acoustics.elsewhere(samples, random)), "\n".join(item.fields["text"] for item in chosen)


def heard(item: Item, random: np.random.Generator | None, items: Sequence[Item] = ()) -> Audio:
    """A recording as it is, or with `random` mostly as it would be heard elsewhere, before one of `items` at times."""
    samples = _decoded(item.blobs["speech.opus"])
    if random is None or random.random() >= CHANGED:
        return Audio(samples)
    behind = one(items, random) if len(items) and random.random() < BESIDE else None
    if behind is not None and behind.kind != "speech":
        behind = None
    return Audio(acoustics.elsewhere(samples, random, behind and _decoded(behind.blobs["speech.opus"])))


_MAKERS: dict[str, Callable[[Sequence[Item], int, np.random.Generator], Document]] = {
    "write": write,
    "page": page,
    "translate": translate,
    "draw": draw,
    "matches": matches,
    "which language": which_language,
}

_KEPT = Kept(KEPT, name="sound")


def _decoded(data: bytes) -> Float32[np.ndarray, " n"]:
    """Samples of a recording, in steps of 16 bits. The last are kept: a small source comes round many times."""
    key = hashlib.blake2b(data, digest_size=16).digest()
    steps = _KEPT.get(key)
    if steps is None:
        sound = media.read_audio(data)
        assert sound.rate == RATE
        steps = np.rint(sound.samples * STEPS).astype(np.int16)
        _KEPT.put(key, steps)
    return steps.astype(np.float32) / np.float32(STEPS)


def _picture(item: Item) -> bytes | None:
    return next((blob for name, blob in item.blobs.items() if name.endswith((".svg", ".webp"))), None)


def _answered(asked: Sequence[Part], item: Item, source: str, answer: str | None = None) -> Document:
    text = item.fields["text"] if answer is None else answer
    return Document.from_turns((Turn("user", tuple(asked)), Turn("model", (Text(text),))), source)
