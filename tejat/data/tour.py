"""The sample as documents: what `micro` trains on in the tour, and what it is asked afterwards.

Pages, which waste no tokens on manners:

    album     drawings, moved about on coloured grounds, each with its name in English below it
    words     words in many voices, each written down
    clips     drawings, or ones that move by themselves, wandering, growing, spinning through three frames, each told

Dialogues of one question, from which it learns to answer: "caption", "spoken", "motion" ask what those pages tell, and

    draw      "Draw the cat.": the answer is its name and a picture
    dictate   a spoken word and "Draw it.": the same answer
    name      "What is the cat called in German?"
    fact      capitals, currencies, continents

And "prose", running text in ten languages, half of it English. Held out are a style of drawing, two voices, a sixth of
all pairs of a thing and a motion, and a twentieth of the prose (`sample.heldout`). Document number i is a function of i
and the seed alone.
"""

import functools
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, UInt8
from PIL import Image as pillow

from tejat import media, sample
from tejat.codecs.framing import Encoded, Framing
from tejat.parts import RATE, Audio, Document, Image, Part, Text, Turn, Video

MIXTURE = {
    "album": 0.17,
    "words": 0.10,
    "clips": 0.18,
    "caption": 0.08,
    "spoken": 0.06,
    "motion": 0.13,
    "draw": 0.17,
    "dictate": 0.015,
    "name": 0.02,
    "fact": 0.03,
    "prose": 0.045,
}
"""The share of each task in the documents."""

ALBUM, WORDS, CLIPS = 4, 2, 2
"""Pictures, sounds and clips on a page."""

MOTIONS = ("moves left", "moves right", "moves up", "moves down", "grows", "shrinks", "spins", "fades")
FRAMES, SIDE, STEP = 3, 64, 0.5  # frames of a clip, its sides in pixels, seconds between frames
STYLE = "noto"  # the style that the model learns to draw in: with two, every picture would be a mean of both

WHAT = {
    "en": "What is this?",
    "de": "Was ist das?",
    "fr": "Qu'est-ce que c'est ?",
    "es": "¿Qué es esto?",
    "it": "Che cos'è?",
    "pt": "O que é isto?",
    "ru": "Что это?",
    "ja": "これは何ですか？",
    "zh": "这是什么？",
    "ko": "이것은 무엇입니까?",
}
DRAW = {
    "en": "Draw the {}.",
    "de": "Zeichne: {}.",
    "fr": "Dessine : {}.",
    "es": "Dibuja: {}.",
    "it": "Disegna: {}.",
    "pt": "Desenhe: {}.",
    "ru": "Нарисуй: {}.",
    "ja": "{}を描いて。",
    "zh": "画：{}。",
    "ko": "{} 그려 줘.",
}
ASKED = ("Draw the {}.", "Show me the {}.", "Can you draw the {}?", "A picture of the {}, please.")
NAMES = {
    "en": "English",
    "de": "German",
    "fr": "French",
    "es": "Spanish",
    "it": "Italian",
    "pt": "Portuguese",
    "ru": "Russian",
    "ja": "Japanese",
    "zh": "Chinese",
    "ko": "Korean",
}
HEARD, SEEN = "What do you hear?", "What happens?"
FACTS = {
    "capital": "What is the capital of {}?",
    "currency": "How does one pay in {}?",
    "continent": "Where is {}?",
}


@dataclass(frozen=True)
class Example:
    """A prompt and the answer that training teaches or evaluation expects.

    A given answer is right if it ends with `scored`; `chance` is how often a guess among the task's answers would.
    """

    task: str
    prompt: tuple[Turn, ...]
    answer: tuple[Part, ...]
    scored: str
    chance: float

    def document(self) -> Document:
        return Document.from_turns((*self.prompt, Turn("model", self.answer)), self.task)


class Tour:
    """The endless stream of training documents, encoded for a model."""

    def __init__(self, framing: Framing, seed: int = 0):
        self.framing, self.seed = framing, seed
        self._tasks, self._shares = list(MIXTURE), np.asarray(list(MIXTURE.values()))

    def __call__(self, index: int) -> Encoded:
        return self.framing.encode(self.document(index))

    def document(self, index: int) -> Document:
        """Document number `index`."""
        random = np.random.default_rng([self.seed, index])
        task = random.choice(self._tasks, p=self._shares / self._shares.sum())
        return _MAKERS[task](random)


def heldout(task: str, most: int = 1_000) -> list[Example]:
    """Questions about what training never saw: "caption", "spoken", "motion"; or about what it did: "draw", "fact".

    A prompt to draw has the answer of a picture; `most` bounds their number. The same every time.
    """
    random = np.random.default_rng([sample.heldout()["motions_seed"], zlib.crc32(task.encode())])
    match task:
        case "caption":
            found = [
                _caption(c, "en", picture(style, c.id, None)) for style in _apart("styles") for c in sample.concepts()
            ]
        case "spoken":
            found = [_spoken(id, sound(voice, id)) for voice in _apart("voices") for id in sample.spoken()]
        case "motion":
            pairs = [(c.id, m) for c in sample.concepts() for m in MOTIONS if motion_held_out(c.id, m)]
            found = [_motion(id, m, random) for id, m in random.permutation(pairs)]
        case "draw":
            found = [_draw(c, ASKED[k % len(ASKED)]) for k, c in enumerate(sample.concepts())]
        case "fact":
            found = [_fact(fact, about) for about in FACTS for fact in sample.facts()]
        case _:
            raise KeyError(f"the tour holds nothing out of {task!r}; it has caption, spoken, motion, draw and fact")
    if len(found) > most:
        found = [found[k] for k in sorted(random.choice(len(found), most, replace=False))]
    return found


def motion_held_out(id: str, motion: str) -> bool:
    """Is this pair kept from training?"""
    return zlib.crc32(f"{sample.heldout()['motions_seed']}/{id}/{motion}".encode()) % 6 == 0


def lines() -> list[str]:
    """Text to train the tokenizer on: the prose, and every prompt and answer of the tour."""
    found = [line for language in sample.languages() for line in sample.prose(language).splitlines()]
    names = [name for concept in sample.concepts() for name in concept.names.values()]
    marks = [
        *WHAT.values(),
        *ASKED,
        *DRAW.values(),
        *MOTIONS,
        "user\n",
        "model\n",
        SEEN,
        HEARD,
    ]
    facts = [FACTS[about].format(fact["country"]) + " " + fact[about] for about in FACTS for fact in sample.facts()]
    return [*found, *names * 4, *facts, *marks * 40]


def picture(style: str, id: str, random: np.random.Generator | None) -> Image:
    """A drawing on white as it is, or with `random`, scaled, shifted and mirrored on some light ground."""
    drawing = _drawing(style, id)
    if random is None:
        return Image(_laid([(drawing, 0, 0)], (255, 255, 255), 96))
    side = int(random.integers(84, 98))
    if random.random() < 0.5:
        drawing = drawing.transpose(pillow.Transpose.FLIP_LEFT_RIGHT)
    at = random.integers(-3, 96 - side + 4, 2)
    return Image(_laid([(drawing.resize((side, side)), *at)], _ground(random), 96))


def sound(voice: str, id: str, random: np.random.Generator | None = None) -> Audio:
    """A spoken word as it is, or with `random`, up to a tenth faster or slower, louder or softer, in a little noise."""
    samples = _speech(voice, id)
    if random is not None:
        speed = random.uniform(0.9, 1.1)
        at = np.arange(0, len(samples) - 1, speed)
        noise = random.normal(0, 10 ** random.uniform(-4, -2.3), len(at))
        samples = np.clip(np.interp(at, np.arange(len(samples)), samples) * random.uniform(0.4, 1.2) + noise, -1, 1)
    return Audio(samples.astype(np.float32))


def clip(id: str, motion: str, random: np.random.Generator) -> Video:
    """A drawing that moves over a light ground, in one of the styles for training or as its own animation."""
    sprites = _sprites(id, random)
    ground = _ground(random)
    small, large = random.uniform(24, 30), random.uniform(38, 46)  # sides of a wanderer, and of what stays
    aside = random.uniform(-6, 6)
    turn = random.uniform(50, 80) * random.choice([-1, 1])
    frames = []
    for k in range(FRAMES):
        done = k / (FRAMES - 1)
        side, x, y, angle, opacity = large, aside, aside, 0.0, 1.0  # x and y of its middle from the clip's
        match motion.split():
            case ["moves", way]:
                side = small
                right, down = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}[way]
                along = (SIDE - small) * (done - 0.5)  # from edge to edge
                x, y = (along * right, y) if right else (x, along * down)
            case ["grows"]:
                side = 12 + 46 * done
            case ["shrinks"]:
                side = 58 - 46 * done
            case ["spins"]:
                angle = turn * k
            case ["fades"]:
                opacity = 1 - done
        sprite = sprites[k].resize((round(side), round(side)))
        if angle:
            sprite = sprite.rotate(angle, pillow.Resampling.BILINEAR)
        if opacity < 1:
            sprite.putalpha(sprite.getchannel("A").point(lambda a, o=opacity: int(a * o)))
        corner = (SIDE - side) / 2
        frames.append(_laid([(sprite, round(corner + x), round(corner + y))], ground, SIDE))
    return Video(np.stack(frames), tuple(round(STEP * k, 3) for k in range(FRAMES)))


def _user(*parts: Part) -> tuple[Turn, ...]:
    return (Turn("user", parts),)


def _caption(concept: sample.Concept, language: str, shown: Image) -> Example:
    name = concept.names[language]
    return Example("caption", _user(shown, Text(WHAT[language])), (Text(name),), name, 1 / len(sample.concepts()))


def _spoken(id: str, heard: Audio) -> Example:
    name = _by_id()[id].names["en"]
    return Example("spoken", _user(heard, Text(HEARD)), (Text(name),), name, 1 / len(sample.spoken()))


def _motion(id: str, motion: str, random: np.random.Generator) -> Example:
    name = _by_id()[id].names["en"]
    shown = clip(id, motion, random)
    return Example("motion", _user(shown, Text(SEEN)), (Text(f"The {name} {motion}"),), motion, 1 / len(MOTIONS))


def _draw(concept: sample.Concept, asked: str, language: str = "en") -> Example:
    name = concept.names[language]
    drawn = (Text(concept.names["en"]), picture(STYLE, concept.id, None))
    return Example("draw", _user(Text(asked.format(name))), drawn, name, 1 / len(sample.concepts()))


def _fact(fact: sample.Fact, about: str) -> Example:
    answer = fact[about]
    same = sum(other[about] == answer for other in sample.facts())
    prompt = _user(Text(FACTS[about].format(fact["country"])))
    return Example("fact", prompt, (Text(answer),), answer, same / len(sample.facts()))


def _some_caption(random: np.random.Generator, language: str) -> Example:
    concept = _one(sample.concepts(), random)
    return _caption(concept, language, picture(_one(_styles(), random), concept.id, random))


def _some_spoken(random: np.random.Generator) -> Example:
    id = _one(sample.spoken(), random)
    return _spoken(id, sound(_one(_voices(), random), id, random))


def _some_motion(random: np.random.Generator) -> Example:
    while True:
        id, motion = _one(sample.concepts(), random).id, _one(MOTIONS, random)
        if not motion_held_out(id, motion):
            return _motion(id, motion, random)


def _page(examples: Sequence[Example], task: str) -> Document:
    """The examples' common question as a heading, then each medium and its answer; only answers are learnt."""
    question = examples[0].prompt[0].parts[-1]
    parts = [question, *(part for e in examples for part in (e.prompt[0].parts[0], *e.answer))]
    loss = [False, *(learnt for _ in examples for learnt in (False, True))]
    return Document(tuple(parts), tuple(loss), (None,) * len(parts), task)


def _make_album(random: np.random.Generator) -> Document:
    return _page([_some_caption(random, "en") for _ in range(ALBUM)], "album")


def _make_words(random: np.random.Generator) -> Document:
    return _page([_some_spoken(random) for _ in range(WORDS)], "words")


def _make_clips(random: np.random.Generator) -> Document:
    return _page([_some_motion(random) for _ in range(CLIPS)], "clips")


def _make_caption(random: np.random.Generator) -> Document:
    return _some_caption(random, _language(random)).document()


def _make_spoken(random: np.random.Generator) -> Document:
    return _some_spoken(random).document()


def _make_motion(random: np.random.Generator) -> Document:
    return _some_motion(random).document()


def _make_draw(random: np.random.Generator) -> Document:
    concept, language = _one(sample.concepts(), random), _language(random)
    return _draw(concept, _one(ASKED, random) if language == "en" else DRAW[language], language).document()


def _make_dictate(random: np.random.Generator) -> Document:
    id = _one(sample.spoken(), random)
    heard = sound(_one(_voices(), random), id, random)
    answer = _draw(_by_id()[id], ASKED[0]).answer
    return Document.from_turns((*_user(heard, Text("Draw it.")), Turn("model", answer)), "dictate")


def _make_name(random: np.random.Generator) -> Document:
    concept, language = _one(sample.concepts(), random), _one([*NAMES][1:], random)
    asked = f"What is the {concept.names['en']} called in {NAMES[language]}?"
    return Document.from_turns((*_user(Text(asked)), Turn("model", (Text(concept.names[language]),))), "name")


def _make_fact(random: np.random.Generator) -> Document:
    return _fact(_one(sample.facts(), random), _one([*FACTS], random)).document()


def _make_prose(random: np.random.Generator) -> Document:
    language = "en" if random.random() < 0.5 else _one(sample.languages(), random)
    text = _one(_paragraphs(language), random)
    start = text.find(" ", int(random.integers(0, max(len(text) - 160, 1)))) + 1
    # Cut by bytes: a character of Chinese is worth three letters, in tokens too.
    short = text[start:].encode()[:180].decode(errors="ignore")
    return Document.of([Text(short)], source="prose")


_MAKERS: dict[str, Callable[[np.random.Generator], Document]] = {
    "album": _make_album,
    "words": _make_words,
    "clips": _make_clips,
    "caption": _make_caption,
    "spoken": _make_spoken,
    "motion": _make_motion,
    "draw": _make_draw,
    "dictate": _make_dictate,
    "name": _make_name,
    "fact": _make_fact,
    "prose": _make_prose,
}


def _one(things: Sequence, random: np.random.Generator):
    return things[int(random.integers(len(things)))]


def _language(random: np.random.Generator) -> str:
    """English nine times in ten."""
    return "en" if random.random() < 0.9 else _one([*WHAT][1:], random)


def _ground(random: np.random.Generator) -> tuple[int, int, int]:
    return (255, 255, 255) if random.random() < 0.5 else tuple(int(v) for v in random.integers(190, 256, 3))


def _laid(sprites: list, ground: tuple[int, int, int], side: int) -> UInt8[np.ndarray, "S S 3"]:
    """Sprites pasted at (left, top) onto a ground."""
    canvas = pillow.new("RGB", (side, side), ground)
    for sprite, left, top in sprites:
        canvas.paste(sprite, (int(left), int(top)), sprite)
    return np.asarray(canvas)


def _apart(kind: str) -> list[str]:
    return sample.heldout()[kind]


@functools.cache
def _styles() -> tuple[str, ...]:
    return tuple(style for style in sample.styles() if style not in _apart("styles"))


@functools.cache
def _voices() -> tuple[str, ...]:
    return tuple(voice for voice in sample.voices() if voice not in _apart("voices"))


@functools.cache
def _by_id() -> dict[str, sample.Concept]:
    return {concept.id: concept for concept in sample.concepts()}


@functools.cache
def _paragraphs(language: str) -> list[str]:
    return sample.prose(language).splitlines()


@functools.cache
def _drawing(style: str, id: str) -> pillow.Image:
    return sample.picture(style, id)


@functools.cache
def _moving(id: str) -> tuple[pillow.Image, ...] | None:
    """Frames of a thing's own animation, spread evenly; None if it has none."""
    if id not in sample.clips():
        return None
    frames = [frame for frame, _ in sample.clip(id)]
    return tuple(frames[k * len(frames) // FRAMES] for k in range(FRAMES))


def _sprites(id: str, random: np.random.Generator) -> Sequence[pillow.Image]:
    """One drawing for each frame, cropped to the thing."""
    choices = [*_styles(), "moving"]
    choice = choices[int(random.integers(len(choices)))]
    return (_moving(id) if choice == "moving" else None) or [_drawing(_one(_styles(), random), id)] * FRAMES


@functools.cache
def _speech(voice: str, id: str) -> Float32[np.ndarray, " n"]:
    heard = media.read_audio(sample.speech(voice, id))
    assert heard.rate == RATE
    return heard.samples
