"""`tejat tokenizer picture report`: what image tokenizers keep of held-out pictures."""

import dataclasses
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tejat.cli.table import straight
from tejat.errors import BadInput

if TYPE_CHECKING:
    from tejat.cli.tokenizer import Tokenizer
    from tejat.codecs.picture import PictureCodec

PAGES = 48  # of English text that are read
_LETTERED = 600  # pages written to find so many


def report(options: "Tokenizer") -> int:
    """Writes report.json, report.md and sheet.png; prints the tables.

    Raises BadInput for weights, their configuration, or a corpus that is not there.
    """
    if options.pictures < 1:
        raise BadInput(f"--pictures {options.pictures} leaves nothing to report on; give at least 1")
    codecs = {"ours": read(options.recipe)}
    for given in options.against:
        name, equals, place = given.partition("=")
        if not (name and equals and place):
            raise BadInput(f"the tokenizer {given!r} cannot be read; write it as NAME=FILE")
        if name in codecs:
            raise BadInput(f"two tokenizers are called {name!r}; give each a name of its own")
        codecs[name] = read(Path(place))
    if not (options.corpus / "corpus.json").is_file():
        build = "tejat data build recipes/pictures_corpus.py --out runs/pictures_corpus"
        raise BadInput(f"there is no corpus {options.corpus}; build it with `{build}`, or name one with --corpus")

    from tejat.data import rasters
    from tejat.evals import legibility, picture_classifier, picture_report
    from tejat.parts import write_whole

    judge = picture_classifier.load(options.judge) if options.judge else None

    def told(line: str) -> None:
        print(f"tokenizer: {line}", file=sys.stderr, flush=True)

    told("preparing held-out pictures")
    subjects = picture_report.heldout(options.corpus, options.pictures)
    pages = []
    if legibility.tesseract():
        written = rasters.written(options.corpus, "heldout", _LETTERED, seed=2)
        pages = [page for page in written if page[1]["language"] == "en" and page[1]["text"]][:PAGES]
    found = picture_report.report(codecs, subjects, pages, min(picture_report.RIVALS, options.pictures), told, judge)
    directory = options.out or options.recipe.parent / "report"
    directory.mkdir(parents=True, exist_ok=True)
    table = picture_report.tables(found)
    write_whole(directory / "report.json", (json.dumps(found, indent=1) + "\n").encode())
    write_whole(directory / "report.md", (table + "\n").encode())
    picture_report.sheet(codecs, subjects, directory / "sheet.png")
    if options.json:
        print(json.dumps({**found, "directory": str(directory)}))
    else:
        print(f"{straight(table)}\n\n{directory / 'sheet.png'} shows it; {directory / 'report.json'} has the numbers")
    return 0


def read(path: Path) -> "PictureCodec":
    """A tokenizer by its weights; its shape is in run.json beside them, or in the config.json of a bundle.

    Raises BadInput where either is not there or they do not fit.
    """
    from tejat.codecs.picture import PictureCodec
    from tejat.model import picture, weights
    from tejat.model.picture import PictureConfig

    if path.is_dir():
        path = path / "picture.safetensors"
    found = _setting(path.parent)
    known = {field.name for field in dataclasses.fields(PictureConfig)}
    if not isinstance(found, dict) or not {*found} <= known:
        raise BadInput(
            f"nothing beside {path} tells its shape; keep the run.json of its training, or its bundle, with it"
        )
    config = PictureConfig(**found | {"levels": tuple(found["levels"])})
    return PictureCodec(weights.read(path, picture.params(config)), config)


def _setting(directory: Path) -> Any:
    for name, key in (("run.json", "config"), ("config.json", "picture")):
        try:
            return json.loads((directory / name).read_text())[key]
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return None
