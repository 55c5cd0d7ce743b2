"""`tejat export`: a model in a format that other engines read."""

import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from tejat.errors import BadInput

if TYPE_CHECKING:
    from tejat.cli.import_ import Import
    from tejat.export.huggingface import Done


@dataclass(frozen=True)
class Export:
    """Write a model for other engines: Hugging Face, so far.

    The directory loads with `AutoModelForImageTextToText.from_pretrained`; weights keep the type they are stored in.

    Example: tejat export huggingface runs/demo/model exported
    """

    format: Annotated[Literal["huggingface", "onnx", "gguf"], tyro.conf.Positional]
    """Whose format."""
    model: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="NAME|DIR")]
    """The directory of a model, or the name of one that comes with Tejat."""
    directory: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="DIR")]
    """A new directory."""
    json: tyro.conf.FlagCreatePairsOff[bool] = False
    """Print one JSON object and nothing else."""


def main(arguments: list[str]) -> int:
    """Run `tejat export`.

    Raises:
      BadInput: for a model or a directory that cannot be used, and for what is not in this version.
    """
    options = tyro.cli(Export, args=arguments, prog="tejat export")
    if options.format != "huggingface":
        raise BadInput(f"`tejat export {options.format}` arrives with the other formats; it is not in this version.")

    # After the options are read: a wrong one is told without waiting for JAX.
    from tejat import bundle
    from tejat.export import huggingface

    report(huggingface.export(bundle.find(options.model), options.directory, Progress("exporting")), options)
    return 0


def report(done: "Done", options: "Export | Import") -> None:
    """What was written, as one line or as one JSON object."""
    if options.json:
        print(json.dumps({"directory": str(options.directory), **done._asdict()}))
        return
    print(f"{options.directory} holds {done.tensors} tensors, {done.bytes:,} bytes of weights")
    if done.unread:
        print(f"left out {len(done.unread)} tensors that no layer reads, {done.unread[0]} the first")


class Progress:
    """A line on standard error every two seconds, and none for what takes less."""

    def __init__(self, doing: str):
        self._doing = doing
        self._start = self._last = time.monotonic()

    def __call__(self, done: int, whole: int) -> None:
        now = time.monotonic()
        if now - self._last < 2 and done < whole or done == whole and self._last == self._start:
            return
        self._last = now
        rate = done / (now - self._start)
        told = f"{done / 1e6:,.0f} of {whole / 1e6:,.0f} MB, {rate / 1e6:,.0f} MB/s, {(whole - done) / rate:.0f} s left"
        print(f"{self._doing}: {told}", file=sys.stderr, flush=True)
