"""The second half of the tour: `mini`, which comes with Tejat, is asked what the small model cannot answer."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tejat import media, sample
from tejat.bundle import find
from tejat.cli import default_model, exhibit
from tejat.data.presenting import charts, handwriting, moving, physics, plots
from tejat.data.presenting.panel import Panel, number
from tejat.errors import BadInput
from tejat.evals.answering import written
from tejat.parts import Audio, Image, Part, Text, Video

if TYPE_CHECKING:
    from PIL import Image as pillow

NAME = "mini"
HEADING = "mini, which comes with Tejat: 63M parameters in four bits"
DRAWN = ("mini-1.png", "mini-2.png")  # files of what it draws, in their order


class Question(NamedTuple):
    """What it is asked, and how a right answer ends; "" where that is for the eye."""

    prompt: Sequence[Part]
    expected: str


def directory() -> Path | None:
    """Where it lies; None where its weights have been left out."""
    try:
        return find(NAME)
    except BadInput:
        return None


def show(mini: Path, out: Path, seed: int) -> None:
    """Asks it one question of each kind, chosen by the seed, and prints the answers, right or wrong; what it draws is
    saved in `out`."""
    model, files = default_model.load(mini, None), iter(DRAWN)
    for prompt, expected in questions(seed):
        answer = model.generate(list(prompt), temperature=0.0)
        right = written(answer).strip().casefold().endswith(expected.casefold()) if expected else None
        exhibit.show(prompt, answer, expected, right)
        for part in answer:
            if isinstance(part, Image):
                file = out / next(files)
                media.write_png(part, file)
                print(f"{exhibit.INDENT}saved     {file}", flush=True)


def questions(seed: int) -> Iterator[Question]:
    """One of each kind, the same for the same seed: facts, sums, itself, pictures, writing, a chart, speech, a clip,
    and something to draw."""
    random = np.random.default_rng([seed, 7])

    def one(choices: Sequence):
        return choices[int(random.integers(len(choices)))]

    fact = one(sample.facts())
    yield Question([Text(f"What is the capital of {fact['country']}?")], fact["capital"])
    first, second = (int(n) for n in random.integers(10, 100, 2))
    yield Question([Text(f"What is {first} + {second}?")], str(first + second))
    yield Question([Text("Who are you?")], "")
    seen, style = one(sample.concepts()), one(sample.styles())
    picture = _on_white(sample.picture(style, seen.id))
    yield Question([picture, Text("What is this?")], seen.names["en"])
    yield Question([picture, Text("Was ist das?")], seen.names["de"])
    line = f"{one(sample.concepts()).names['en']} {int(random.integers(1_000))}"
    yield Question([Image(handwriting.page([line], random)), Text(physics.WORDS["read"]["en"][0])], line)
    yield _chart(random)
    heard = one(sample.spoken())
    sound: Audio = media.read_audio(sample.speech(one(sample.voices()), heard))
    yield Question([sound, Text("Write down what you hear.")], _name(heard))
    yield _clip(sample.picture(style, seen.id), seen.names["en"], random)
    yield Question([Text(f"Draw: {one(sample.concepts()).names['en']}.")], "")
    yield Question([Text("Zeichne einen roten Apfel.")], "")


def _chart(random: np.random.Generator) -> Question:
    months = ("Jan", "Mar", "May", "Jul", "Sep")
    rain = tuple(float(n) for n in random.integers(10, 100, len(months)))
    panel, chosen = Panel("Rain", "month", "mm", months, rain, "bar", numbers=True), int(random.integers(len(months)))
    asked = charts.WORDS["value"]["en"][0].format(label=months[chosen])
    return Question([Image(plots.drawn(panel, charts.PIXELS[0])), Text(asked)], number(rain[chosen]))


def _clip(drawing: "pillow.Image", name: str, random: np.random.Generator) -> Question:
    motions, asked = moving.WORDS["motions"]["en"], moving.WORDS["does"]["en"][0].format(name=name)
    kind = int(random.integers(4))  # to one of the four sides
    frames = moving.frames([moving.Mover(drawing, name, moving.KINDS[kind])], 6, random)
    times = tuple(round(moving.STEP * n, 3) for n in range(len(frames)))
    return Question([Video(frames, times), Text(asked)], motions[kind])


def _name(id: str) -> str:
    return next(concept.names["en"] for concept in sample.concepts() if concept.id == id)


def _on_white(drawing: "pillow.Image") -> Image:
    """A drawing with transparency, as a picture of 128 x 128."""
    from PIL import Image as pillow

    paper = pillow.new("RGBA", drawing.size, "white")
    paper.alpha_composite(drawing)
    return Image(np.asarray(paper.convert("RGB").resize((128, 128), pillow.Resampling.BICUBIC)))
