"""`tejat import`: a checkpoint of another engine as a model of ours."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from tejat.cli.export import Progress, report
from tejat.cli.options import parse


@dataclass(frozen=True)
class Import:
    """Read a Gemma 4 checkpoint: config.json, model.safetensors (one file or several with an index), tokenizer.

    Weights keep the type they are stored in.

    Example: tejat import huggingface gemma-4-checkpoint imported
    """

    format: Annotated[Literal["huggingface"], tyro.conf.Positional]
    """Whose format."""
    checkpoint: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="DIR")]
    """The directory of the checkpoint."""
    directory: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="OUT")]
    """A new directory, for the model."""
    json: tyro.conf.FlagCreatePairsOff[bool] = False
    """Print one JSON object and nothing else."""


def main(arguments: list[str]) -> int:
    """Run `tejat import`.

    Raises:
      BadInput: for a checkpoint or a directory that cannot be used.
    """
    options = parse(Import, arguments, "tejat import")

    # After the options are read: a wrong one is told without waiting for JAX.
    from tejat.export import huggingface

    report(huggingface.import_(options.checkpoint, options.directory, Progress("importing")), options)
    return 0
