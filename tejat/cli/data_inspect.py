"""`tejat data inspect`: documents as training would see them, in the terminal or as a page."""

import itertools
import json
import sys
import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from tejat.cli.options import parse
from tejat.errors import BadInput

if TYPE_CHECKING:
    from tejat.codecs.framing import Framing
    from tejat.data.sources import Reading
    from tejat.model.picture import PictureConfig
    from tejat.parts import Document, Part

LONGEST = 700  # characters of a text in the terminal


@dataclass(frozen=True)
class Inspect:
    """Look at documents: their parts, what of them is learnt, and the tokens that they take.

    SOURCE is a file, a folder, a URL, hf:NAME, or the directory of a corpus, of whose sources it takes documents in
    turn. A filled dot marks what the model learns to predict.

    Example: tejat data inspect pictures/ --limit 20 --html page.html
    """

    source: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="SOURCE")]
    """Where the documents are."""
    format: str | None = None
    """Their format, where names do not tell it: jsonl, webdataset, images … (a wrong one is answered by a list)."""
    limit: int = 10
    """Documents shown."""
    skip: int = 0
    """Documents passed over before them."""
    model: str | None = None
    """The model, or the directory of one, whose tokens are counted; one that is here, if not given."""
    tokenizer: Path | None = None
    """A text tokenizer (SentencePiece) instead of the model's, for media of the size `mini`."""
    html: Path | None = None
    """Write a page with pictures and players to this file."""
    json: tyro.conf.FlagCreatePairsOff[bool] = False
    """Print one JSON object and nothing else."""


@dataclass(frozen=True)
class Shown:
    """A document with its number in the source, its tokens by modality, and those of each part; None: not counted."""

    number: int
    document: "Document"
    tokens: dict[str, int] | None
    part_tokens: Sequence[int] | None

    @property
    def total(self) -> int | None:
        return None if self.tokens is None else sum(self.tokens.values())


def main(arguments: list[str]) -> int:
    """Run `tejat data inspect`.

    Raises:
      BadInput: for a source, a format, a model or a number that cannot be used.
    """
    options = parse(Inspect, arguments, "tejat data inspect")
    if options.limit < 1 or options.skip < 0:
        raise BadInput("--limit is a count from 1 and --skip one from 0; give such")

    # After the options are read: a wrong one is told without waiting for JAX.
    from tejat.cli import data_page
    from tejat.data import sources
    from tejat.parts import write_whole

    readings = [sources.read(path, options.format) for path in _sources(options.source)]
    framing, counted_by, why = _framing(options)
    shown = []
    for number, document in itertools.islice(_in_turn(readings), options.skip, options.skip + options.limit):
        shown.append(_shown(number, document, framing))
        if not options.json:
            _tell(shown[-1])
    if not shown:
        told = "; ".join(f"{count:,} {reason}" for reason, count in _dropped(readings).items())
        raise BadInput(
            f"{options.source} has no document {options.skip + 1}{told and ': ' + told}; give another source"
        )
    facts = {
        "source": options.source,
        "format": readings[0].format,
        "documents shown": f"{options.skip + 1:,} to {options.skip + len(shown):,}",
        "tokens counted by": counted_by or f"nothing: {why}",
    }
    if options.html is not None:
        options.html.parent.mkdir(parents=True, exist_ok=True)
        page = data_page.render(f"Documents of {options.source}", facts, shown, _left_out(readings))
        write_whole(options.html, page.encode())
    if options.json:
        print(json.dumps(_as_json(options, readings, shown), ensure_ascii=False))
    else:
        _tell_all(facts, shown, readings, options.html)
    return 0


def kind(part: "Part") -> str:
    """ "text", "image", "audio" or "video"."""
    return type(part).__name__.lower()


def measured(part: "Part") -> str:
    """The extent of a part in its own unit."""
    from tejat.parts import Audio, Image, Text

    match part:
        case Text(text):
            return f"{len(text):,} characters"
        case Image(pixels):
            return f"{pixels.shape[1]} × {pixels.shape[0]}"
        case Audio():
            return f"{part.seconds:.1f} s"
        case _:
            sound = " with sound" if part.audio is not None else ""
            height, width = part.frames.shape[1:3]
            return f"{part.seconds:.1f} s, {len(part.times)} frames of {width} × {height}{sound}"


def counted(tokens: int) -> str:
    return f"{tokens:,} token{'s' if tokens != 1 else ''}"


def _sources(source: str) -> list[str]:
    """The source, or all of a corpus."""
    folder = Path(source)
    if not (folder / "corpus.json").is_file():
        return [source]
    found = sorted({str(path.parent) for path in folder.glob("*/*.array_record")})
    if not found:
        raise BadInput(f"the corpus {source} holds no source yet; build it by `tejat data build`")
    return found


def _in_turn(readings: "Sequence[Reading]") -> "Iterator[tuple[int, Document]]":
    """Documents, numbered from 1, one of each reading in turn until all are at their ends."""
    rows = itertools.zip_longest(*readings)
    return enumerate((document for row in rows for document in row if document is not None), 1)


def _framing(options: Inspect) -> "tuple[Framing | None, str, str]":
    """(what counts, its name, or why there is none)."""
    from tejat import bundle
    from tejat.cli import default_model
    from tejat.codecs.framing import Framing
    from tejat.codecs.vocabulary import Vocabulary
    from tejat.model import family

    if options.tokenizer is not None:
        config, tokenizer, told = family.preset("mini"), options.tokenizer, f"{options.tokenizer}, media as for mini"
    else:
        try:
            directory = default_model.directory(options.model)
        except BadInput as error:
            if options.model is not None:
                raise
            return None, "", str(error)
        config, told = bundle.read_config(directory / "config.json"), str(directory)
        tokenizer = directory / "tokenizer.model"
    if not tokenizer.is_file():
        raise BadInput(f"there is no tokenizer {tokenizer}; give a file such as tokenizer.model")
    vocabulary = Vocabulary.load(tokenizer, config.picture.codes if config.picture else 0)
    return Framing(config, vocabulary, _Sized(config.picture) if config.picture else None), told, ""


class _Sized:
    """Stands for the image tokenizer where only the number of codes matters, which its weights do not change."""

    def __init__(self, config: "PictureConfig"):
        self._config = config

    def encode(self, pixels):
        import numpy as np

        from tejat.codecs.image import fitted
        from tejat.codecs.vocabulary import LARGEST_SIDE

        patch, longest = self._config.patch, min(LARGEST_SIDE, self._config.table)
        height, width = fitted(*pixels.shape[:2], patch, self._config.budget, longest)
        return np.zeros((height // patch, width // patch), np.int32)


def _shown(number: int, document: "Document", framing: "Framing | None") -> Shown:
    import numpy as np

    from tejat.codecs.framing import Modality
    from tejat.parts import Document

    if framing is None:
        return Shown(number, document, None, None)
    try:
        modality = framing.encode(document).modality
        drawn = [flag or role == "model" for flag, role in zip(document.loss, document.roles, strict=True)]
        # Each alone, without the marks of a beginning and an end.
        alone = [Document.of([part], loss=flag) for part, flag in zip(document.parts, drawn, strict=True)]
        parts = [len(framing.encode(one)) - 2 for one in alone]
    except BadInput:  # a model that lacks a sense
        return Shown(number, document, None, None)
    counts = np.bincount(modality, minlength=len(Modality))
    return Shown(number, document, {m.name.lower(): int(counts[m]) for m in Modality if counts[m]}, parts)


def _tell(shown: Shown) -> None:
    from tejat.cli import exhibit, picture_in_terminal
    from tejat.parts import Audio, Image, Text, Video

    document = shown.document
    tokens = "" if shown.total is None else f" · {counted(shown.total)}"
    print(f"{_bold(f'{shown.number}')}  {exhibit.clean(document.source) or 'unnamed'}{tokens}")
    for k, (part, learnt, role) in enumerate(zip(document.parts, document.loss, document.roles, strict=True)):
        count = "" if shown.part_tokens is None else f" · {counted(shown.part_tokens[k])}"
        print(f"  {'●' if learnt else '○'} {role + ': ' if role else ''}{kind(part)}, {measured(part)}{count}")
        match part:
            case Text(text):
                cut = text if len(text) <= LONGEST else text[:LONGEST] + " …"
                for line in cut.strip("\n").split("\n"):
                    for piece in textwrap.wrap(_printable(line), 96, replace_whitespace=False) or [""]:
                        print(f"      {piece}")
            case Image(pixels):
                _picture(picture_in_terminal, pixels)
            case Audio():
                print(f"      {exhibit.waveform(part, 64)}")
            case Video(frames):
                row = [frames[i] for i in sorted({0, len(frames) // 2, len(frames) - 1})]
                _picture(picture_in_terminal, exhibit.side_by_side(row, max(1, frames.shape[2] // 16)))
    print()


def _picture(terminal, pixels) -> None:
    if terminal.shown():
        print(textwrap.indent(terminal.render(pixels, min(48, pixels.shape[1])), "      "))


def _tell_all(facts: dict[str, str], shown: Sequence[Shown], readings: "Sequence[Reading]", page: Path | None) -> None:
    totals = _totals(shown)
    if totals:
        print(f"{sum(totals.values()):,} tokens here: {', '.join(f'{n:,} {name}' for name, n in totals.items())}")
    print(f"tokens counted by {facts['tokens counted by']}")
    for reason, (count, examples) in _left_out(readings).items():
        print(f"left out so far: {count:,} {reason}, as {examples[0] if examples else '…'}")
    if page is not None:
        print(f"the page is {page}")


def _totals(shown: Sequence[Shown]) -> dict[str, int]:
    totals: Counter[str] = Counter()
    for one in shown:
        totals.update(one.tokens or {})
    return dict(totals)


def _dropped(readings: "Sequence[Reading]") -> Counter[str]:
    total: Counter[str] = Counter()
    for reading in readings:
        total.update(reading.dropped.counts)
    return total


def _left_out(readings: "Sequence[Reading]") -> dict[str, tuple[int, list[str]]]:
    """(count, examples) by reason."""
    examples = {
        reason: [example for reading in readings for example in reading.dropped.examples.get(reason, [])]
        for reason in _dropped(readings)
    }
    return {reason: (count, examples[reason][:5]) for reason, count in _dropped(readings).items()}


def _as_json(options: Inspect, readings: "Sequence[Reading]", shown: Sequence[Shown]) -> dict[str, Any]:
    from tejat.parts import Text

    documents = []
    for one in shown:
        parts = [
            {"kind": kind(part), "extent": measured(part), "learnt": learnt, "role": role}
            | ({"text": part.text} if isinstance(part, Text) else {})
            | ({} if one.part_tokens is None else {"tokens": one.part_tokens[k]})
            for k, (part, learnt, role) in enumerate(
                zip(one.document.parts, one.document.loss, one.document.roles, strict=True)
            )
        ]
        told = {"number": one.number, "source": one.document.source, "parts": parts, "tokens": one.tokens}
        documents.append(told)
    left = {reason: {"count": n, "examples": examples} for reason, (n, examples) in _left_out(readings).items()}
    return {"source": options.source, "format": readings[0].format, "documents": documents, "left_out": left}


def _printable(line: str) -> str:
    """Without what a terminal would obey; the indent stays."""
    return "".join(c if c.isprintable() else "\ufffd" for c in line.expandtabs(4))


def _bold(text: str) -> str:
    return f"\x1b[1m{text}\x1b[0m" if sys.stdout.isatty() else text
