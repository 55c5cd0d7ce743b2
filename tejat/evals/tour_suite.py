"""The sample's tasks as the tour asks them: the senses in full, a random part of the rest, in about a minute.

Most of that minute is compiling. Every batch has more than half of `BATCH` items and every answer a bound, so that one
decoding loop, compiled once, serves all tasks.
"""

from functools import partial
from typing import Any

from tejat import sample
from tejat.evals import prose
from tejat.evals.answering import Answering, Depicting, Drawing, Ending
from tejat.evals.ground import Ground
from tejat.evals.report import Gallery, Sample, Section
from tejat.evals.sample_suite import drawings, items, whether
from tejat.evals.tasks import Task
from tejat.parts import Text

SUITE = "tour"
BATCH = 64
DRAWN = 160  # tokens of an answer with a picture; one of 64 codes takes about 85
MOTIONS, PICTURES, FACTS, WHETHER = 256, 64, 64, 32
READ, SHORT, WRITTEN = 60, 20, 32  # characters of a paragraph to go on from, of dense scripts; tokens written


def tasks(ground: Ground) -> list[Task]:
    """The senses, then what was taught: facts, drawing, and whether to draw."""
    made: list[Task] = [
        Answering(SUITE, "caption", partial(items, "caption")),
        Answering(SUITE, "spoken", partial(items, "spoken")),
        Ending(SUITE, "motion", partial(items, "motion", MOTIONS)),
        Answering(SUITE, "fact", partial(items, "fact", FACTS)),
        Depicting(SUITE, "draw", partial(items, "draw", PICTURES), drawings, max_tokens=DRAWN),
        Drawing(SUITE, "whether", partial(whether, WHETHER), max_tokens=DRAWN),
    ]
    for task in made:
        task.batch = BATCH
    return made


def sections(model: Any) -> list[Section]:
    """How the model goes on from held-out paragraphs."""
    return [Section("Prose", [continued(model, 0)])]


def continued(model: Any, number: int) -> Gallery:
    """How the model goes on from the beginning of a held-out paragraph in each language, English first.

    `number` chooses the paragraphs, round and round.
    """
    languages = sorted(sample.languages(), key=lambda language: language != "en")
    beginnings = [_beginning(language, number) for language in languages]
    written = prose.continuations(model, beginnings, WRITTEN)
    samples = [
        Sample((Text(text),), parts, note=language, continues=True)
        for text, parts, language in zip(beginnings, written, languages, strict=True)
    ]
    text = "From the beginning of a paragraph that was held out, always the likeliest token."
    return Gallery("Going on", samples, len(samples), text=text)


def _beginning(language: str, number: int) -> str:
    paragraphs = sample.prose(language, heldout=True).splitlines()
    text = paragraphs[number % len(paragraphs)][: SHORT if language in ("ja", "ko", "zh") else READ]
    return text.rsplit(" ", 1)[0]
