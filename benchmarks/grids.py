"""Four bits by nearest scales and by fitted ones, and what each part of the decoder costs by itself.

    python benchmarks/grids.py runs/masters/reading runs/corpus        gradients are compiled: not a matter of minutes

Short documents of the corpus are fitted to, and as many held-out ones measured on. "matrices" are those of the layers
and of the towers; the tied table, which is also what scores what comes next, is taken apart into text and codes.
"""

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro

from tejat import bundle
from tejat.bundle import Bundle
from tejat.cli.quantize import documents
from tejat.errors import explained
from tejat.export import quantize


@dataclass(frozen=True)
class Options:
    """Which model, and documents of which corpus."""

    model: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="NAME|DIR")]
    """In 16 or 32 bits."""
    corpus: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="CORPUS")]
    """A built corpus."""
    documents: int = 32
    """To fit to, and to measure on; at most 256."""


def main(options: Options) -> int:
    before = bundle.load(bundle.find(options.model))
    fitted_to, measured_on = (some[: options.documents] for some in documents(str(options.corpus), before.framing))
    for method in ("nearest", "fitted"):
        begun = time.monotonic()
        made = quantize.whole(quantize.quantize(before, quantize.Plan(4, 4, 4, method), fitted_to))
        print(f"{method}: {time.monotonic() - begun:.0f} s", flush=True)
        for part, after in parts(before, made):
            cost = quantize.cost(before, after, measured_on)
            print(
                f"{method}, in four bits {part}: {cost.bits:.4f} -> {cost.bits_after:.4f} bits a token, divergence "
                f"{cost.divergence:.4f}, the likeliest id stays in {cost.agreement:.1%} of {cost.targets:,}",
                flush=True,
            )
    return 0


def parts(before: Bundle, made: Bundle) -> Iterator[tuple[str, Bundle]]:
    """(what is on the grid, the model whose rest is as it was)."""
    text = before.config.text_vocabulary
    whole, rounded = (np.asarray(model.params["decoder"]["embedding"], np.float32) for model in (before, made))

    def with_table(model: Bundle, table: np.ndarray) -> Bundle:
        return replace(model, params=model.params | {"decoder": model.params["decoder"] | {"embedding": table}})

    yield "all", made
    yield "matrices", with_table(made, whole)
    yield "rows of text", with_table(before, np.concatenate([rounded[:text], whole[text:]]))
    yield "rows of codes", with_table(before, np.concatenate([whole[:text], rounded[text:]]))


if __name__ == "__main__":
    with explained():
        sys.exit(main(tyro.cli(Options, description=__doc__)))
