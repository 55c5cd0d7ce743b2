"""`tejat tokenizer`: trains the image tokenizer, and shows what it makes of pictures."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from tejat.errors import BadInput

if TYPE_CHECKING:
    from tejat.model.params import Tree
    from tejat.train.pictures import PictureRecipe

SHOWN = 8  # pictures of each kind on the sheet


@dataclass(frozen=True)
class Tokenizer:
    """Train a tokenizer: of pictures, so far.

    Example: tejat tokenizer picture train recipes/pictures_micro.py --set run.schedule.steps=500
    """

    kind: Annotated[Literal["text", "picture"], tyro.conf.Positional]
    """What it reads."""
    work: Annotated[Literal["train", "report"], tyro.conf.Positional]
    """What to do."""
    recipe: Annotated[Path, tyro.conf.Positional]
    """A Python file that defines RECIPE."""
    out: Path | None = None
    """Where picture.safetensors, log.jsonl and sheet.png go; runs/NAME, by the recipe's name, if not given."""
    set: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()
    """Another value for a field of the recipe; may be given again."""
    json: tyro.conf.FlagCreatePairsOff[bool] = False
    """Print one JSON object and nothing else."""


def main(arguments: list[str]) -> int:
    """Run `tejat tokenizer`.

    Raises:
      BadInput: for a recipe or a setting that cannot be used, and for what is not in this version.
    """
    options = tyro.cli(Tokenizer, args=arguments, prog="tejat tokenizer")
    if options.kind == "text" or options.work == "report":
        verb = f"`tejat tokenizer {options.kind} {options.work}`"
        raise BadInput(f"{verb} arrives with the data pipeline; it is not in this version.")

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

    params = pictures.train(chosen.config, chosen.drawings(), chosen.run, log, told)
    weights.write(directory / "picture.safetensors", params, "bfloat16")
    psnr = _sheet(chosen, params, directory / "sheet.png")
    if options.json:
        print(json.dumps({"name": chosen.name, "psnr": psnr, "directory": str(directory)}))
    else:
        for name, value in psnr.items():
            print(f"{name}: {value:.2f} dB")
        print(f"the tokenizer is {directory / 'picture.safetensors'}; {directory / 'sheet.png'} shows what it keeps")
    return 0


def _sheet(recipe: "PictureRecipe", params: "Tree", path: Path) -> dict[str, float]:
    """Writes pictures of training and pictures held out, each row over its reconstructions; mean PSNR of both in dB."""
    import numpy as np

    from tejat import media
    from tejat.codecs.image import fitted, resize
    from tejat.codecs.picture import PictureCodec
    from tejat.parts import Image
    from tejat.train import pictures

    codec, rows, found = PictureCodec(params, recipe.config), [], {}
    side, _ = fitted(96, 96, recipe.config.patch, recipe.config.budget)
    for name, drawings in (("training", recipe.drawings()), ("held out", recipe.heldout())):
        pixels = [pictures.on_white(drawing) for drawing in drawings]
        found[name] = pictures.psnr(params, recipe.config, pixels)
        shown = [resize(pixels[at], side, side) for at in np.linspace(0, len(pixels) - 1, SHOWN).astype(int)]
        rows += [np.concatenate(shown, 1), np.concatenate([codec.decode(codec.encode(p)) for p in shown], 1)]
    media.write_png(Image(np.concatenate(rows)), path)
    return found
