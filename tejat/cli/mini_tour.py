"""The second half of the tour: `mini`, which comes with Tejat, is asked what the small model cannot answer."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tejat import media
from tejat.bundle import find
from tejat.cli import default_model, exhibit
from tejat.cli.mini_questions import KINDS, Question, questions
from tejat.errors import BadInput
from tejat.evals.answering import written
from tejat.evals.report import Gallery, Sample
from tejat.parts import Image, Part, Text

if TYPE_CHECKING:
    from tejat.api import Model

NAME = "mini"
HEADING = "mini, which comes with Tejat: 63M parameters in four bits"
ABSENT = "It is not asked here: its weights (tejat/weights/mini) were left out of this installation."
OPENING = (
    "One question of each kind that it is meant to answer, chosen by the seed; nothing is selected by its answers. "
    "What has no mark is for the eye."
)
DRAWN = ("mini-1.png", "mini-2.png")  # files of what it draws, in their order


def directory() -> Path | None:
    """Where it lies; None where its weights have been left out."""
    try:
        return find(NAME)
    except BadInput:
        return None


def show(mini: Path, out: Path, seed: int) -> list[Gallery]:
    """Asks it the questions of each kind that the seed chooses and prints the answers, right or wrong; what it draws is
    saved in `out`. Returns the same for the report."""
    model, files, galleries = default_model.load(mini, None), iter(DRAWN), []
    for about, kinds in KINDS.items():
        samples: list[Sample] = []
        print(f"\n{about}")
        for kind in kinds:
            asked = questions(kind, seed)
            note = kind + (f", {model.count(list(asked[0].prompt))['total']:,} tokens" if asked[0].shown else "")
            print(f"{exhibit.INDENT}{'task':<9} {note}", flush=True)
            for n, question in enumerate(asked):
                # Several questions of a kind are about one picture, which is shown once.
                shown = question.shown or question.prompt[bool(n) :]
                found = _answered(model, question, shown, note)
                samples.append(found)
                exhibit.show(found.prompt, found.answer, found.expected, found.right)
                drawn = [part for part in found.answer if isinstance(part, Image)]
                for picture, name in zip(drawn, files, strict=False):
                    media.write_png(picture, out / name)
                    print(f"{exhibit.INDENT}saved     {out / name}", flush=True)
        marks = [found.right for found in samples]
        galleries.append(Gallery(about, samples, len(samples), None if None in marks else sum(map(bool, marks))))
    return galleries


def _answered(model: "Model", question: Question, shown: Sequence[Part], note: str) -> Sample:
    """The answer to a question. Where words are asked for, a picture is wrong."""
    answer = tuple(model.generate(list(question.prompt), temperature=0.0))
    right = question.judged(written(answer))
    if right is not None:
        right = right and all(isinstance(part, Text) for part in answer)
    return Sample(tuple(shown), answer, question.expected, right, note=note)
