"""`tejat tokenizer picture train`: trains the image tokenizer, goes on with a training, and shows what it keeps."""

import json
import math
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tejat.errors import BadInput

if TYPE_CHECKING:
    from tejat.cli.tokenizer import Tokenizer
    from tejat.model.params import Tree
    from tejat.train.pictures import Kind, PictureRecipe

SHOWN = 8  # pictures of each kind on the sheet
MEASURED = 256  # pictures of each kind that are measured


def train(options: "Tokenizer") -> int:
    """Trains to the end or for the seconds given; writes weights and a sheet, and tells the PSNR by kind.

    Raises BadInput for a recipe or a directory that cannot be used.
    """
    begun = time.monotonic()
    # After the options are read: a wrong one is told without waiting for JAX.
    from tejat.evals import picture_classifier
    from tejat.model import picture, weights
    from tejat.parts import write_whole
    from tejat.train import identity, picture_state, pictures, recipe
    from tejat.train.picture_features import Judge

    chosen = recipe.changed(recipe.read(options.recipe, pictures.PictureRecipe), list(options.set))
    directory = options.out or Path("runs", chosen.name)
    if options.seconds is not None and options.seconds <= 0:
        raise BadInput(f"--seconds {options.seconds:g} leaves no time to train; give more, or leave it out")
    if chosen.run.perceptual and not options.judge:
        raise BadInput("run.perceptual needs a judge; name its directory with --judge")
    if options.judge and not chosen.run.perceptual:
        raise BadInput("--judge is for run.perceptual, which is 0; set it, or leave --judge out")
    known = (directory / identity.NAME).exists()
    if not known and any((directory / name).exists() for name in ("log.jsonl", "picture.safetensors")):
        raise BadInput(f"{directory} holds an earlier training; choose another directory with --out")
    if known and not options.resume:
        raise BadInput(f"{directory} holds an earlier training; go on with it with --resume, or choose another --out")
    # Read before the pictures are made: weights that do not fit are told at once.
    begin = weights.read(options.begin, picture.params(chosen.config)) if options.begin else None
    judge = Judge(*picture_classifier.load(options.judge)[:2]) if options.judge else None
    kinds = chosen.kinds()
    found = pictures.identity(chosen, kinds, options.begin, judge)
    if known:
        identity.check(directory, found)
    else:
        directory.mkdir(parents=True, exist_ok=True)
        write_whole(directory / identity.NAME, (json.dumps(found, indent=1) + "\n").encode())
    steps, step = chosen.run.schedule.steps, picture_state.step_of(directory)
    if step:
        print(f"going on after step {step} of {steps}", file=sys.stderr, flush=True)

    def told(line: dict[str, Any]) -> None:
        rate = line["steps_per_second"]
        left = f"{rate:.1f} steps a second, {(steps - line['step']) / rate:.0f} s left"
        print(
            f"training: {line['step']}/{steps}, {left}, loss {line['loss']:.4f}, {line['psnr']:.2f} dB", file=sys.stderr
        )

    until = begun + (options.seconds or math.inf)
    params, step = pictures.train(chosen.config, kinds, chosen.run, directory, told, until, begin, judge)
    path = directory / "picture.safetensors"
    weights.write(path, pictures.stored(params, chosen.config, chosen.run), chosen.stored)
    # What is measured and shown is what is on disk.
    params = weights.read(path, picture.params(chosen.config))
    _sheet(chosen, kinds, params, directory / "sheet.png")
    psnr = {
        kind.name: {
            name: pictures.measure(params, chosen.config, _spread(shown, min(MEASURED, len(shown))))._asdict()
            for name, shown in (("training", kind.training), ("held out", kind.heldout))
        }
        for kind in kinds
    }
    result = {"name": chosen.name, "step": step, "steps": steps, "psnr": psnr, "directory": str(directory)}
    write_whole(directory / "result.json", (json.dumps(result, indent=1) + "\n").encode())
    if options.json:
        print(json.dumps(result))
        return 0
    for kind, sides in psnr.items():
        for name, value in sides.items():
            print(f"{kind}, {name}: {value['whole']:.2f} dB, {value['inside']:.2f} dB inside")
    if step < steps:
        print(f"stopped after step {step} of {steps}; --resume goes on")
    print(f"the tokenizer is {path}; {directory / 'sheet.png'} shows what it keeps")
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
