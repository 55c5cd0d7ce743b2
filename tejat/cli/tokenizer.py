"""`tejat tokenizer`: trains the image tokenizer, and shows what it makes of pictures; text in `text_tokenizer`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from tejat.cli.options import only_with, parse

_OF = {
    "text train": ("out", "set", "json"),
    "text report": ("out", "set", "against", "steps", "seeds", "json"),
    "picture train": ("out", "set", "judge", "resume", "begin", "seconds", "json"),
    "picture report": ("out", "against", "corpus", "pictures", "judge", "json"),
}
"""The options that each work knows."""


@dataclass(frozen=True)
class Tokenizer:
    """Train a tokenizer of text or of pictures; compare tokenizers of text.

    Example: tejat tokenizer text train recipes/tokenizer.py
             tejat tokenizer text report recipes/tokenizer.py --against english=runs/tokenizer-english/tokenizer.model
             tejat tokenizer picture train recipes/pictures_micro.py --set run.schedule.steps=500
             tejat tokenizer picture train recipes/pictures_mini.py --seconds 540 --resume
             tejat tokenizer picture report runs/pictures-mini/picture.safetensors --against old=old/picture.safetensors
    """

    kind: Annotated[Literal["text", "picture"], tyro.conf.Positional]
    """What it reads."""
    work: Annotated[Literal["train", "report"], tyro.conf.Positional]
    """What to do."""
    recipe: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RECIPE|WEIGHTS")]
    """A Python file that defines RECIPE; for a report on a picture tokenizer, its weights (picture.safetensors)."""
    out: Path | None = None
    """Where the tokenizer and what belongs to it are; runs/NAME, by the recipe's name, if not given."""
    set: Annotated[tuple[str, ...], tyro.conf.UseAppendAction, tyro.conf.arg(metavar="FIELD=VALUE")] = ()
    """Another value for a field of the recipe; may be given again."""
    against: Annotated[tuple[str, ...], tyro.conf.UseAppendAction, tyro.conf.arg(metavar="NAME=FILE")] = ()
    """Of a report: another tokenizer as NAME=FILE, or NAME=FILE@SIZE to cut a public one to SIZE pieces; may be given
    again."""
    corpus: Path = Path("runs/pictures_corpus")
    """Of a report on a picture tokenizer: the corpus whose held-out pictures it is tried on."""
    pictures: int = 128
    """Of such a report: the most pictures of each kind."""
    judge: Path | None = None
    """The directory of a classifier (recipes/judge.py): of such a report, to compare pictures in its features; of a
    training with run.perceptual, whose features are used."""
    steps: int = 0
    """Of a report: also train a text-only micro for so many steps with each tokenizer, and tell its bits per byte."""
    seeds: int = 3
    """Models trained with each tokenizer."""
    resume: tyro.conf.FlagCreatePairsOff[bool] = False
    """Of a picture tokenizer: go on with the training that is in the directory."""
    begin: Path | None = None
    """Of a picture tokenizer: weights to begin with rather than random ones, with the whole schedule before them."""
    seconds: float | None = None
    """Of a picture tokenizer: stop training after so many seconds, counted from the start of the command, and save;
    `--resume` goes on."""
    json: tyro.conf.FlagCreatePairsOff[bool] = False
    """Print one JSON object and nothing else."""


def main(arguments: list[str]) -> int:
    """Run `tejat tokenizer`.

    Raises:
      BadInput: for a recipe or a setting that cannot be used, and for what is not in this version.
    """
    options = parse(Tokenizer, arguments, "tejat tokenizer")
    work = f"{options.kind} {options.work}"
    for name in {name for names in _OF.values() for name in names} - {*_OF[work]}:
        of = next(other for other, names in _OF.items() if name in names)
        only_with(f"`tejat tokenizer {of}`", options, name)
    if options.kind == "text":
        from tejat.cli import text_tokenizer

        work = text_tokenizer.train if options.work == "train" else text_tokenizer.report
        return work(options)
    if options.work == "report":
        from tejat.cli import picture_report

        return picture_report.report(options)
    from tejat.cli import picture_tokenizer

    return picture_tokenizer.train(options)
