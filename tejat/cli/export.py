"""`tejat export`: a model in a format that other engines read."""

import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from tejat.errors import BadInput


@dataclass(frozen=True)
class Export:
    """Write a model for other engines: Hugging Face, so far.

    The directory loads with `AutoModelForImageTextToText.from_pretrained`; weights keep the type they are stored in.

    Example: tejat export huggingface runs/demo/model exported
    """

    format: Annotated[Literal["huggingface", "onnx", "gguf"], tyro.conf.Positional]
    """Whose format."""
    model: Annotated[str, tyro.conf.Positional]
    """The directory of a model, or the name of one that comes with Tejat."""
    directory: Annotated[Path, tyro.conf.Positional]
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

    done = huggingface.export(bundle.find(options.model), options.directory, Progress("exporting"))
    if options.json:
        print(json.dumps({"directory": str(options.directory), "tensors": done.tensors, "bytes": done.bytes}))
    else:
        print(f"{options.directory} holds {done.tensors} tensors, {done.bytes:,} bytes of weights")
    return 0


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
