"""`tejat tokenizer`: trains the image tokenizer, and shows what it makes of pictures; text in `text_tokenizer`."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
import tyro

from tejat.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tejat.model.params import Tree
    from tejat.train.pictures import Kind, PictureRecipe

SHOWN = 8  # pictures of each kind on the sheet
MEASURED = 256  # pictures of each kind that are measured


@dataclass(frozen=True)
class Tokenizer:
    """Train a tokenizer of text or of pictures; compare tokenizers of text.

    Example: tejat tokenizer text train recipes/tokenizer.py
    Example: tejat tokenizer text report recipes/tokenizer.py --against english=runs/tokenizer-english/tokenizer.model
    Example: tejat tokenizer picture train recipes/pictures_micro.py --set run.schedule.steps=500
    """

    kind: Annotated[Literal["text", "picture"], tyro.conf.Positional]
    """What it reads."""
    work: Annotated[Literal["train", "report"], tyro.conf.Positional]
    """What to do."""
    recipe: Annotated[Path, tyro.conf.Positional]
    """A Python file that defines RECIPE."""
    out: Path | None = None
    """Where the tokenizer and what belongs to it are; runs/NAME, by the recipe's name, if not given."""
    set: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()
    """Another value for a field of the recipe; may be given again."""
    against: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()
    """Of a report: another tokenizer as NAME=FILE, or NAME=FILE@SIZE to cut a public one to SIZE pieces; may be given
    again."""
    steps: int = 0
    """Of a report: also train a text-only micro for so many steps with each tokenizer, and tell its bits per byte."""
    seeds: int = 3
    """Models trained with each tokenizer."""
    json: tyro.conf.FlagCreatePairsOff[bool] = False
    """Print one JSON object and nothing else."""


def main(arguments: list[str]) -> int:
    """Run `tejat tokenizer`.

    Raises:
      BadInput: for a recipe or a setting that cannot be used, and for what is not in this version.
    """
    options = tyro.cli(Tokenizer, args=arguments, prog="tejat tokenizer")
    if options.kind == "text":
        from tejat.cli import text_tokenizer

        work = text_tokenizer.train if options.work == "train" else text_tokenizer.report
        return work(options)
    if options.work == "report":
        raise BadInput("`tejat tokenizer picture report` is not in this version; `picture train` shows what it keeps.")

    # After the options are read: a wrong one is told without waiting for JAX.
    from tejat.model import weights
    from tejat.train import pictures, recipe

    chosen = recipe.changed(recipe.read(options.recipe, pictures.PictureRecipe), list(options.set))
    directory = options.out or Path("runs", chosen.name)
    log = directory / "log.jsonl"
    if log.exists() or (directory / "picture.safetensors").exists():
        raise BadInput(f"{directory} holds an earlier training; choose another directory with --out")
    directory.mkdir(parents=True, exist_ok=True)

    def told(line: dict[str, Any]) -> None:
        steps, rate = chosen.run.schedule.steps, line["step"] / line["seconds"]
        left = f"{(steps - line['step']) / rate:.0f} s left"
        told = f"{line['step']}/{steps}, {left}, loss {line['loss']:.4f}, {line['psnr']:.2f} dB"
        print(f"training: {told}", file=sys.stderr, flush=True)

    kinds = chosen.kinds()
    params = pictures.train(chosen.config, kinds, chosen.run, log, told)
    weights.write(directory / "picture.safetensors", params, "bfloat16")
    _sheet(chosen, kinds, params, directory / "sheet.png")
    psnr = {
        kind.name: {
            name: pictures.measure(params, chosen.config, _spread(shown, min(MEASURED, len(shown))))._asdict()
            for name, shown in (("training", kind.training), ("held out", kind.heldout))
        }
        for kind in kinds
    }
    if options.json:
        print(json.dumps({"name": chosen.name, "psnr": psnr, "directory": str(directory)}))
    else:
        for kind, sides in psnr.items():
            for name, value in sides.items():
                print(f"{kind}, {name}: {value['whole']:.2f} dB, {value['inside']:.2f} dB inside")
        print(f"the tokenizer is {directory / 'picture.safetensors'}; {directory / 'sheet.png'} shows what it keeps")
    return 0


def _sheet(recipe: "PictureRecipe", kinds: "Sequence[Kind]", params: "Tree", path: Path) -> None:
    """Writes, of each kind, pictures of training and pictures held out, each row over its reconstructions."""
    from tejat import media
    from tejat.codecs.image import fitted, resize
    from tejat.codecs.picture import PictureCodec
    from tejat.parts import Image
    from tejat.train import pictures

    codec, rows = PictureCodec(params, recipe.config), []
    side, _ = fitted(96, 96, recipe.config.patch, recipe.config.budget)
    for kind in kinds:
        for drawings in (kind.training, kind.heldout):
            shown = [resize(pictures.on_white(drawing), side, side) for drawing in _spread(drawings, SHOWN)]
            rows += [np.concatenate(shown, 1), np.concatenate([codec.decode(codec.encode(p)) for p in shown], 1)]
    media.write_png(Image(np.concatenate(rows)), path)


def _spread(pictures: np.ndarray, count: int) -> np.ndarray:
    """`count` of the pictures at even distances; some of them twice where there are fewer."""
    return pictures[np.linspace(0, len(pictures) - 1, count).astype(int)]
