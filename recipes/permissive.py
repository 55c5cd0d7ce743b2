"""What doing without copyleft costs, at 15M parameters: the same model on the whole corpus, and on the permissive one.

tejat data build recipes/corpus_permissive.py --out runs/corpus_permissive
python recipes/permissive.py whole        all sources
python recipes/permissive.py permissive   those without copyleft, in their proportions to each other

Three seeds of each on the same batches, in runs/permissive/ARM/ladder.json: as many tokens, and items of a source that
both have come in one order. Both corpora hold out by the same rules, and both arms are measured on what either holds
out ("whole: text: text", "permissive: media: image_text" and so on), in nats a token. Of the 9,801 drawings that the
permissive corpus trains on 16 are not in the whole one, which drops what is nearly a picture that it holds out.
"""

import math
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

import tyro

from tejat.data.corpus import ledger
from tejat.errors import BadInput, explained
from tejat.train import arms, ladder, recipe
from tejat.train.ladder import Rung

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Options:
    arm: Annotated[Literal["whole", "permissive"], tyro.conf.Positional]
    out: Path = Path("runs/permissive")
    corpus: Path = Path("runs/corpus")
    permissive: Path = Path("runs/corpus_permissive")
    pictures: Path = Path("runs/pictures-mini/picture.safetensors")
    tokens: float = 73.2e6
    """576 steps of 32 rows, as the longest of the ladder."""
    seeds: tuple[int, ...] = (0, 1, 2)
    rows: int = 32
    workers: int | None = None
    kept: Path | None = None
    """Where all processes of a machine keep what they rasterise and decode."""
    held: int = 4
    """Batches of what is held out, of each kind."""


def main(options: Options) -> int:
    if options.rows < 1 or not 0 < options.tokens < math.inf:
        raise BadInput(f"--rows {options.rows} of --tokens {options.tokens:g} are no run; give numbers above 0")
    corpora = {"whole": options.corpus, "permissive": options.permissive}
    refuse(corpora)
    base = recipe.read(HERE / "mini_15m.py")
    # Without copyleft two fifths are drawings: in the room of the other arms their rows would hold 5% less.
    room = replace(base.room, rows=options.rows, patches=4_096, codes=2_048)
    steps = round(options.tokens / (0.97 * room.rows * room.tokens))
    if steps < 2 or not options.seeds or options.held < 1:
        told = f"--tokens {options.tokens:g} are {steps} steps; give more than one"
        raise BadInput(f"{told}, and at least one of --seeds and of --held")
    base = replace(
        base,
        room=room,
        documents=arms.only("all"),
        corpus=corpora[options.arm],
        pictures=options.pictures,
        schedule=replace(base.schedule, steps=steps, warmup=min(200, max(1, steps // 10))),
        workers=base.workers if options.workers is None else options.workers,
        kept=options.kept,
    )
    rungs = [
        Rung(f"{options.arm}-{seed}", base.config, base.schedule, seed, replace(base.how, unrolled=False))
        for seed in options.seeds
    ]

    def unseen(framing, base):
        """Of both corpora, whichever is trained on."""
        return {
            f"{name}: {kind}": arms.only(kind, split="heldout")(framing, replace(base, corpus=corpus))
            for name, corpus in corpora.items()
            for kind in ("text", "media")
        }

    ladder.climb(base, rungs, options.out / options.arm, heldout=unseen, batches=options.held)
    return 0


def refuse(corpora: dict[str, Path]) -> None:
    """Raises BadInput for a corpus that is not there, and for a permissive one with copyleft by its own ledger."""
    for name, option in (("whole", "corpus"), ("permissive", "permissive")):
        if not (corpora[name] / "corpus.json").is_file():
            raise BadInput(f"there is no corpus in {corpora[name]}; name the {name} one by --{option}")
    sources = ledger.read(corpora["permissive"])["sources"]
    if shared := sorted(source for source, told in sources.items() if told["copyleft"]):
        told = f"the corpus in {corpora['permissive']} has copyleft, {', '.join(shared)}"
        raise BadInput(f"{told}; build one with `tejat data build recipes/corpus_permissive.py`")


if __name__ == "__main__":
    with explained():
        sys.exit(main(tyro.cli(Options, description=__doc__)))
