"""`tejat bench decode`: tokens a second of one answer, and the share of the memory's speed that they are."""

import json
import sys
from dataclasses import dataclass
from typing import Annotated, Literal

import tyro

from tejat.cli.options import parse
from tejat.errors import BadInput


@dataclass(frozen=True)
class BenchDecode:
    """Measure how fast a size of the family writes one answer, with random weights, or a model with its own; beside
    llama.cpp on the same weights where llama-cpp-python is installed.

    Example: tejat bench decode --engine onnx --size mini --bits 4
             tejat bench decode --model mini
    """

    engine: Literal["jax", "onnx"] = "onnx"
    """What computes."""
    size: str = "mini"
    """A size of the family."""
    model: Annotated[str | None, tyro.conf.arg(metavar="NAME|DIR")] = None
    """Instead of a size: a model that comes with Tejat, or a directory, of which the decoder is measured."""
    bits: Literal[4, 8, 16, 32] | None = None
    """Of the matrices; ONNX Runtime has 4, 8 and 32. Default: 4, or those that --model has."""
    tokens: int = 128
    """Of an answer."""
    json: tyro.conf.FlagCreatePairsOff[bool] = False
    """Print one JSON object and nothing else."""


def main(arguments: list[str]) -> int:
    """Run `tejat bench decode`. Raises BadInput for what the engine does not have."""
    options = parse(BenchDecode, arguments, "tejat bench decode")
    if not 16 <= options.tokens <= 4_096:
        raise BadInput(f"--tokens is {options.tokens}; give 16 to 4,096")

    # After the options are read: a wrong one is told without waiting for JAX.
    from tejat import bundle
    from tejat.infer import speed

    def told(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    of = options.size if options.model is None else bundle.find(options.model)
    found = speed.measure(of, options.engine, options.bits, options.tokens, told)
    if options.json:
        print(json.dumps(found))
        return 0
    reads = f"{found['cores']} cores" if found["device"] == "cpu" else f"one {found['device']} can"
    print(
        f"{found['size']} on {found['engine']} in {found['bits']} bits: {found['tokens_per_s']:,.1f} tokens/s, "
        f"{found['bandwidth_fraction']:.0%} of {found['bandwidth_bytes_per_s'] / 1e9:.1f} GB/s that {reads} "
        f"read; a step reads {found['bytes_read'] / 1e6:,.1f} MB"
    )
    if found["peer"] is not None:
        print(f"{found['peer']} on the same weights: {found['peer_tokens_per_s']:,.1f} tokens/s; {found['ratio']:.2f}x")
    return 0
