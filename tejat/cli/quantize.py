"""`tejat quantize`: a model whose matrices have four or eight bits a number, and what that costs it."""

import functools
import json
import sys
import time
from dataclasses import asdict, dataclass
from itertools import count as numbers
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from tejat.cli.options import parse
from tejat.errors import BadInput
from tejat.export.appearing import appearing, check

if TYPE_CHECKING:
    from tejat.codecs.framing import Encoded, Framing

CALIBRATED, MEASURED = 64, 64
"""Documents that scales are fitted to, and others that the cost is measured on."""

SECONDS = 10.0
"""Between two lines that tell how far it is."""

OF_A_CORPUS, LONGEST = 4, 512
"""Of a corpus four times as many, for it has many kinds of them; those of more tokens than this are passed over."""


@dataclass(frozen=True)
class Quantize:
    """Write a model in four or eight bits: blocks of 32 numbers with a scale, the grid of Q4_0 and Q8_0.

    The model that is written computes as any other; its files are a quarter of those in 16 bits. What it costs is told:
    bits of a token, and the divergence from the model as it was, over documents that no scale was fitted to.

    Example: tejat quantize runs/demo/model runs/demo/model-q4
             tejat quantize mini mini-q8 --bits 8 --method nearest
    """

    model: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="NAME|DIR")]
    """The directory of a model, or the name of one that comes with Tejat."""
    directory: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="OUT")]
    """A new directory."""
    bits: Literal[4, 8] = 4
    """Of the matrices of the decoder and the towers."""
    embedding: Literal[4, 8] = 8
    """Of the tied table of text and codes."""
    pictures: Literal[4, 8] = 8
    """Of the matrices that draw pictures from codes; those that encode pictures keep eight."""
    method: Literal["nearest", "fitted"] = "fitted"
    """Scales by each block's largest number, or those by which the loss of documents changes least."""
    documents: str | None = None
    """What to fit and to measure with: a built corpus, which is measured on what it holds out, or any format that
    `tejat data inspect` reads; the bundled sample without it."""
    json: tyro.conf.FlagCreatePairsOff[bool] = False
    """Print one JSON object and nothing else."""


def main(arguments: list[str]) -> int:
    """Run `tejat quantize`. Raises BadInput for a model, directory or documents that cannot be used."""
    options = parse(Quantize, arguments, "tejat quantize")
    check(options.directory)

    # After the options are read: a wrong one is told without waiting for JAX.
    from tejat import bundle
    from tejat.export import quantize

    before = bundle.load(bundle.find(options.model))
    fitted_to, measured_on = documents(options.documents, before.framing)
    plan = quantize.Plan(options.bits, options.embedding, options.pictures, options.method)
    print(f"{options.model}: {len(fitted_to)} documents to fit to, {len(measured_on)} to measure on …", file=sys.stderr)
    told = _Told()
    after = quantize.quantize(before, plan, fitted_to, told)
    cost = quantize.cost(before, quantize.whole(after), measured_on, told)
    with appearing(options.directory) as fresh:
        bundle.save(fresh, after, "float16")
    found: dict[str, Any] = {
        "directory": str(options.directory),
        "bytes": quantize.size(after),
        "bytes_before": quantize.size(before),
        **asdict(plan),
        **asdict(cost),
    }
    if options.json:
        print(json.dumps(found))
        return 0
    print(
        f"{found['bytes'] / 1e6:.1f} MB ({found['bytes_before'] / 1e6:.1f} MB in 16 bits); a token takes "
        f"{cost.bits_after:.4f} bits ({cost.bits:.4f}), divergence {cost.divergence:.4f} bits, the likeliest id stays "
        f"in {cost.agreement:.1%} of {cost.targets:,}"
    )
    print(f"the model is {options.directory}")
    return 0


class _Told:
    """Says how far it is, each time that so many seconds have gone."""

    def __init__(self) -> None:
        self._said = time.monotonic()

    def __call__(self, what: str, done: int, of: int) -> None:
        if time.monotonic() - self._said >= SECONDS:
            self._said = time.monotonic()
            print(f"{what}: {done} of {of}", file=sys.stderr, flush=True)


def documents(path: str | None, framing: "Framing") -> tuple[list["Encoded"], list["Encoded"]]:
    """(some to fit to, others to measure on). Raises BadInput where there are fewer than two."""
    if path is None:
        from tejat.data.tour import Tour

        stream = Tour(framing, seed=1)
        return [stream(i) for i in range(CALIBRATED)], [stream(i) for i in range(CALIBRATED, CALIBRATED + MEASURED)]
    if (Path(path) / "corpus.json").is_file():
        of_corpus = functools.partial(_of_corpus, Path(path), framing)
        return of_corpus("train", OF_A_CORPUS * CALIBRATED), of_corpus("heldout", OF_A_CORPUS * MEASURED)
    from tejat.data import sources

    found = [framing.encode(document) for document in islice(sources.read(path), CALIBRATED + MEASURED)]
    if len(found) < 2:
        raise BadInput(f"{path} has {len(found)} documents; give two at least, to fit to and to measure on")
    half = min(CALIBRATED, len(found) // 2)
    return found[:half], found[half:]


def _of_corpus(directory: Path, framing: "Framing", split: str, count: int) -> list["Encoded"]:
    """The first documents of its first stage's mixture that are not too long."""
    from tejat.data.corpus import ledger
    from tejat.data.mixture import Documents, Mixture, Stage, within

    told = ledger.read(directory)
    stages = within([Stage(**told["stages"][0])], told["sources"])
    documents = Documents(Mixture(directory, stages, stages[0].tokens, split=split), framing)
    return list(islice((found for found in map(documents, numbers()) if len(found) <= LONGEST), count))
