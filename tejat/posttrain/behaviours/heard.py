"""Recordings as the source: what is said, whether a word is said, what is not; and sounds without a word."""

import re
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32

from tejat.data.presenting.speech import heard
from tejat.data.presenting.wording import LANGUAGES, beside, one
from tejat.data.shards import Item
from tejat.parts import RATE, Audio, Document, Text, Turn
from tejat.posttrain.behaviours import invented, passages
from tejat.posttrain.behaviours.invented import Names
from tejat.posttrain.behaviours.wording import ask, say

LONGEST = 6.0  # seconds of a recording
_TRIES = 8
_WORD = re.compile(r"[^\W\d_]{4,}|[぀-ヿ一-鿿가-힣]{2,}")


def document(items: Sequence[Item], random: np.random.Generator, names: Names) -> Document | None:
    """A recording and a question on it; None where no short one was found."""
    found = _some(items, random)
    if found is None:
        return None
    item, language = found
    use = one(("hear", "hear", "said", "said", "heard_asked"), random)
    if use == "heard_asked" or random.random() < 0.3:
        of = one(invented.kinds(), random)
        name = invented.thing(of, language, random, names)
        question = passages.question(one(invented.attributes(of), random), name, language, random)
        asked, answer = ask("heard_asked", language, random, q=question), say("silent_sound", language, random)
    elif use == "hear":
        asked, answer = ask("hear", language, random), item.fields["text"]
    else:
        mine, other = _WORD.findall(item.fields["text"]), _some(items, random, language)
        words = [w for w in _WORD.findall(other[0].fields["text"]) if w not in mine] if other else []
        present = bool(mine) and (not words or random.random() < 0.5)
        if not mine and not words:
            return None
        asked = ask("said", language, random, w=one(mine if present else words, random))
        answer = say("yes" if present else "no", language, random, q=item.fields["text"])
    sound = heard(item, random)
    if use == "hear" and random.random() < 0.5:
        sound, answer = wordless(random), say("unheard", language, random)
    turns = (Turn("user", beside(sound, asked, random)), Turn("model", (Text(answer),)))
    return Document.from_turns(turns, "behaviours")


def wordless(random: np.random.Generator) -> Audio:
    """Half a second to three seconds of noise, a hum, clicks or near silence."""
    count = int(RATE * random.uniform(0.5, 3.0))
    time = np.arange(count, dtype=np.float32) / RATE
    quiet = random.standard_normal(count, np.float32) * np.float32(10 ** random.uniform(-4, -2.5))
    way = one(("silence", "noise", "hum", "clicks"), random)
    sound: Float32[np.ndarray, " n"] = quiet
    if way == "noise":
        width = int(random.integers(1, 12))
        rough = np.convolve(
            random.standard_normal(count + width - 1, np.float32), np.ones(width, np.float32) / width, "valid"
        )
        sound = rough * np.float32(random.uniform(0.05, 0.3))
    elif way == "hum":
        pitch = random.uniform(50, 900)
        sound = quiet + np.sin(2 * np.pi * pitch * time).astype(np.float32) * np.float32(random.uniform(0.05, 0.4))
    elif way == "clicks":
        sound = quiet.copy()
        sound[:: int(random.integers(800, 6_000))] = random.uniform(0.2, 0.9)
    return Audio(np.clip(sound, -1, 1).astype(np.float32))


def _some(items: Sequence[Item], random: np.random.Generator, language: str | None = None) -> tuple[Item, str] | None:
    for _ in range(_TRIES):
        item = items[int(random.integers(len(items)))]
        tag = item.fields["language"].partition("-")[0]
        fit = item.kind == "speech" and item.fields.get("seconds", 0) <= LONGEST
        if fit and tag in LANGUAGES and (language is None or tag == language):
            return item, tag
    return None
