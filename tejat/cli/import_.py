"""`tejat import`: a checkpoint of another engine as a model of ours."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from tejat.cli.export import Progress


@dataclass(frozen=True)
class Import:
    """Read a Gemma 4 checkpoint: config.json, model.safetensors (one file or several with an index), tokenizer.

    Weights keep the type they are stored in.

    Example: tejat import huggingface gemma-4-checkpoint imported
    """

    format: Annotated[Literal["huggingface"], tyro.conf.Positional]
    """Whose format."""
    checkpoint: Annotated[Path, tyro.conf.Positional]
    """The directory of the checkpoint."""
    directory: Annotated[Path, tyro.conf.Positional]
    """A new directory, for the model."""
    json: tyro.conf.FlagCreatePairsOff[bool] = False
    """Print one JSON object and nothing else."""


def main(arguments: list[str]) -> int:
    """Run `tejat import`.

    Raises:
      BadInput: for a checkpoint or a directory that cannot be used.
    """
    options = tyro.cli(Import, args=arguments, prog="tejat import")

    # After the options are read: a wrong one is told without waiting for JAX.
    from tejat.export import huggingface

    done = huggingface.import_(options.checkpoint, options.directory, Progress("importing"))
    if options.json:
        told = {"directory": str(options.directory), "tensors": done.tensors, "bytes": done.bytes}
        print(json.dumps(told | {"unread": done.unread}))
        return 0
    print(f"{options.directory} holds {done.tensors} tensors, {done.bytes:,} bytes of weights")
    if done.unread:
        print(f"left out {len(done.unread)} tensors that no layer reads, {done.unread[0]} the first")
    return 0
