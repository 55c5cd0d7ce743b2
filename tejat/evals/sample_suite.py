"""The sample as tasks: a style of pictures never seen, voices never heard, things that never moved so, drawing.

Drawing and facts are about what was trained on: they measure what was learnt, not what carries over.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

from tejat import sample
from tejat.data import tour
from tejat.data.tour import Example
from tejat.evals import prose
from tejat.evals.answering import Answering, Depicting, Drawing, Ending
from tejat.evals.ground import Ground
from tejat.evals.neighbours import Neighbours
from tejat.evals.report import Gallery, Sample, Section
from tejat.evals.tasks import Item, Task
from tejat.parts import Text

SUITE = "sample"
WHETHER = 60  # questions that ask for a picture, and as many that do not


def tasks(ground: Ground) -> list[Task]:
    """Every task of the sample."""
    return [
        Answering(SUITE, "caption", partial(items, "caption")),
        Answering(SUITE, "spoken", partial(items, "spoken")),
        Ending(SUITE, "motion", partial(items, "motion")),
        Depicting(SUITE, "draw", partial(items, "draw"), drawings),
        Drawing(SUITE, "whether", whether, max_tokens=None),
        Answering(SUITE, "fact", partial(items, "fact")),
        *map(_prose, sample.languages()),
    ]


def sections(model: Any) -> list[Section]:
    """How the model goes on from the first third of the first held-out paragraph of each language."""
    beginnings = [_paragraphs(language)[0] for language in sample.languages()]
    beginnings = [text[: len(text) // 3].rstrip() for text in beginnings]
    samples = [
        Sample((Text(beginning),), parts, note=language, continues=True)
        for beginning, parts, language in zip(
            beginnings, prose.continuations(model, beginnings), sample.languages(), strict=True
        )
    ]
    text = "From the beginning of a paragraph that was held out, always the likeliest token."
    return [Section("Prose", [Gallery("Going on", samples, len(samples), text=text)])]


def items(task: str, most: int = 1_000) -> list[Item]:
    """The questions of `tour.heldout` as items."""
    return [_item(task, number, example) for number, example in enumerate(tour.heldout(task, most))]


def _item(task: str, number: int, example: Example) -> Item:
    """Items about one thing are a cluster: the two voices that say a word, the motions of an animal."""
    said = "".join(part.text for part in example.answer if isinstance(part, Text))
    thing = said.removesuffix(example.scored) or said
    return Item(f"{task}-{number:04d}", thing, example.prompt, (example.scored,), chance=example.chance)


def whether(each: int = WHETHER) -> list[Item]:
    """Requests for pictures, which have no answer in words, and questions about facts, in turns."""
    made = []
    for number, pair in enumerate(zip(tour.heldout("draw", each), tour.heldout("fact", each), strict=True)):
        for example, answers in zip(pair, ((), (pair[1].scored,)), strict=True):
            name = f"{'answer' if answers else 'draw'}-{number:03d}"
            made.append(Item(f"whether-{name}", name, example.prompt, answers, chance=0.5))
    return made


def drawings() -> Neighbours:
    """The pictures that training asks for, by the English names of what they show."""
    return Neighbours({c.names["en"]: tour.picture(tour.STYLE, c.id, None) for c in sample.concepts()})


def _prose(language: str) -> Task:
    name = f"prose-{language}"
    make = partial(prose.paragraphs, name, partial(_paragraphs, language))
    return prose.Continuing(SUITE, name, make, partial(sample.prose, language))


def _paragraphs(language: str) -> Sequence[str]:
    return sample.prose(language, heldout=True).splitlines()
