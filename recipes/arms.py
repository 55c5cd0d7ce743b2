"""Against peers at equal cost, at 15M parameters: what multimodality costs text, and whether a tower beats codes.

python recipes/arms.py multimodal   text, images, sounds, clips and drawings, as `mini` takes them
python recipes/arms.py text         text alone, its sources in their proportions
python recipes/arms.py codes        images and frames are read as codes of the image tokenizer, without a vision tower

Three seeds of each on the same batches, in runs/arms/ARM/ladder.json; losses of what is held out, in nats a token, of
documents of text alone ("text: text") and of those that show something ("media: image_text" and so on). On one H100,
with twelve processes for the batches, all three seeds of an arm take 20 to 22 minutes; docs/MINI.md has what they gave.
"""

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

import tyro

from tejat.data.packing import Room
from tejat.errors import BadInput, explained
from tejat.train import arms, ladder, recipe
from tejat.train.ladder import Rung

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Options:
    arm: Annotated[Literal["multimodal", "text", "codes"], tyro.conf.Positional]
    out: Path = Path("runs/arms")
    corpus: Path = Path("runs/corpus")
    pictures: Path = Path("runs/pictures-mini/picture.safetensors")
    tokens: float = 0.4e9
    seeds: tuple[int, ...] = (0, 1, 2)
    rows: int = 32
    workers: int | None = None
    kept: Path | None = None
    """Where all processes of a machine keep what they rasterise and decode."""
    held: int = 4
    """Batches of what is held out, of each kind."""


def main(options: Options) -> int:
    base = recipe.read(HERE / "mini_15m.py")
    room = replace(base.room, rows=options.rows, codes=1_024)
    config, documents, framing = base.config, arms.only("all"), _as_it_is
    if options.arm == "text":
        # The picture codes stay in the vocabulary, unused: the decoder is the same.
        config = replace(config, vision=None, audio=None, picture=None)
        room, documents = Room(room.rows, room.tokens, room.tokens, 0, 0, 0), arms.only("text")
    elif options.arm == "codes":
        config, room, framing = replace(config, vision=None), arms.codes_room(room), arms.ReadAsCodes.of
    steps = round(options.tokens / (0.97 * room.rows * room.tokens))
    if steps < 2 or not options.seeds:
        raise BadInput(f"--tokens {options.tokens:g} are {steps} steps; give more, and at least one of --seeds")
    base = replace(
        base,
        config=config,
        room=room,
        documents=documents,
        corpus=options.corpus,
        pictures=options.pictures if config.picture else None,
        schedule=replace(base.schedule, steps=steps, warmup=min(200, max(1, steps // 10))),
        workers=base.workers if options.workers is None else options.workers,
        kept=options.kept,
    )
    rungs = [
        Rung(f"{options.arm}-{seed}", config, base.schedule, seed, replace(base.how, unrolled=False), keep=seed == 0)
        for seed in options.seeds
    ]

    def unseen(framing, base):
        kinds = ("text",) if options.arm == "text" else ("text", "media")
        return {kind: arms.only(kind, split="heldout")(framing, base) for kind in kinds}

    place = options.out / options.arm
    ladder.climb(base, rungs, place, heldout=unseen, batches=options.held, framing=framing)
    return 0


def _as_it_is(framing):
    return framing


if __name__ == "__main__":
    with explained():
        sys.exit(main(tyro.cli(Options, description=__doc__)))
