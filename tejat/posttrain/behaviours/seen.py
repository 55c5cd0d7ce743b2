"""Pictures as the source: a few lines with facts of things that were made up, or a sign; some cannot be read.

Blur and noise alone say nothing: what can still be read is blurred a little too.
"""

import textwrap

import numpy as np
from jaxtyping import UInt8
from PIL import Image as pillow
from PIL import ImageFilter

from tejat.data.presenting import handwriting
from tejat.data.presenting.wording import one
from tejat.parts import Document, Image
from tejat.posttrain.behaviours import invented, passages
from tejat.posttrain.behaviours.invented import Names
from tejat.posttrain.behaviours.wording import Exchange, ask, dialogue, say

LANGUAGES = ("en", "de", "fr", "es", "it", "pt", "nl", "pl", "ru")
"""Those whose letters the fonts have."""

ILLEGIBLE = 0.35  # of the signs
UNTOLD = 0.25  # of the signs that name something are asked what they do not say of it
SIGNS = 0.55  # of the pictures
WIDTH = 30  # letters in a line
_SMALL, _LARGE = 16, 26


def document(language: str, random: np.random.Generator, names: Names) -> Document:
    """A picture with one to three questions on it."""
    return _signs(language, random, names) if random.random() < SIGNS else _lines(language, random, names)


def _signs(language: str, random: np.random.Generator, names: Names) -> Document:
    """One to four signs, one after the other; what a sign does not say is asked, now and then, of what it names."""
    exchanges = []
    for _ in range(int(random.integers(1, 5))):
        lines, size = _written(language, random, names), int(random.integers(_SMALL, _LARGE + 1))
        picture = handwriting.printed(lines, random, size)
        if random.random() < ILLEGIBLE:
            shown, answer, kind = spoilt(picture, size, random), say("illegible", language, random), "illegible"
        else:
            shown, answer, kind = _weathered(picture, size, random), " ".join(lines), "read"
        exchanges.append(Exchange(ask("sign", language, random), answer, kind, (Image(shown),)))
        if kind == "read" and len(lines) == 1 and random.random() < UNTOLD:
            asked = passages.question(one(invented.attributes("place"), random), lines[0], language, random)
            exchanges.append(Exchange(asked, say("silent_picture", language, random), "silent"))
    return dialogue(exchanges)


def _lines(language: str, random: np.random.Generator, names: Names) -> Document:
    made = passages.passage(language, random, names, most=2, rows=random.random() < 0.4)
    made = made._replace(told=made.told[:4])
    kept = {each.subject for each in made.told}
    made = made._replace(subjects=[s for s in made.subjects if s in kept])
    lines = [line for each in made.told for line in textwrap.wrap(each.sentence, WIDTH)]
    if random.random() < 0.25:
        size = int(random.integers(15, 22))
        picture = handwriting.page(lines, random, size)
    else:
        size = int(random.integers(15, 22))
        picture = handwriting.printed(lines, random, size)
    shown = (Image(_weathered(picture, size, random)),)
    exchanges = passages.questions(made, language, random, names, "silent_picture", most=3)
    if random.random() < 0.2:
        answer = say("illegible", language, random)
        shown = (Image(spoilt(picture, size, random)),)
        exchanges = [each._replace(answer=answer, kind="illegible") for each in exchanges[:1]]
    return dialogue([exchanges[0]._replace(shown=shown), *exchanges[1:]])


def _written(language: str, random: np.random.Generator, names: Names) -> list[str]:
    """One or two short lines, as on signs and labels."""
    of = one(("place", "place", "org", "product", "event", "person"), random)
    name = invented.thing(of, language, random, names).removeprefix("the ")
    if random.random() < 0.35:
        return [invented.label(random)]
    if random.random() < 0.4:
        return [name]
    kind = one(("time", "money", "code", "phone", "digits", "year", "city"), random)
    return [name, invented.value(kind, language, random, names)]


def spoilt(picture: UInt8[np.ndarray, "H W 3"], size: int, random: np.random.Generator) -> UInt8[np.ndarray, "H W 3"]:
    """The picture so blurred, coarse, noisy or painted over that letters of `size` pixels are gone."""
    way = one(("blurred", "coarse", "noisy", "covered"), random)
    image = pillow.fromarray(picture)
    if way == "blurred":
        return np.asarray(image.filter(ImageFilter.GaussianBlur(size * random.uniform(0.42, 0.9))))
    if way == "coarse":
        step = size * random.uniform(0.6, 1.0)
        small = image.resize(
            (max(2, round(image.width / step)), max(2, round(image.height / step))), pillow.Resampling.BOX
        )
        return np.asarray(small.resize(image.size, one((pillow.Resampling.NEAREST, pillow.Resampling.BICUBIC), random)))
    if way == "noisy":
        faint = 0.06 * (picture.astype(np.float32) - 128)
        return np.clip(128 + faint + random.normal(0, 70, picture.shape), 0, 255).astype(np.uint8)
    covered = picture.copy()
    # From a little left of the letters to their end, in strokes as high as a line.
    colour = np.array([int(c) for c in random.integers(0, 256, 3)], np.uint8)
    step = max(3, size // 3)
    for top in range(handwriting.MARGIN - 4, picture.shape[0] - 2, step):
        left, right = int(random.integers(0, 8)), picture.shape[1] - int(random.integers(0, 8))
        covered[top : top + step, left:right] = colour
    return covered


def _weathered(
    picture: UInt8[np.ndarray, "H W 3"], size: int, random: np.random.Generator
) -> UInt8[np.ndarray, "H W 3"]:
    """The picture as it is, or a little blurred or noisy."""
    drawn = random.random()
    if drawn < 0.6:
        return picture
    if drawn < 0.8:
        blur = ImageFilter.GaussianBlur(size * random.uniform(0.02, 0.06))
        return np.asarray(pillow.fromarray(picture).filter(blur))
    return np.clip(picture + random.normal(0, random.uniform(4, 16), picture.shape), 0, 255).astype(np.uint8)
