"""`tejat family`: the sizes, what each one weighs and what it costs."""

import json
import sys
from dataclasses import asdict, dataclass
from typing import Any

import tyro

from tejat.cli import table
from tejat.cli.options import parse


@dataclass(frozen=True)
class Family:
    """List the sizes: parameters, memory, arithmetic.

    Parameters are those of the decoder with its text embedding; picture codes, towers and the image tokenizer are
    counted apart; the whole is all of them. The cache is of one sequence of 32,768 positions in bfloat16. FLOPs per
    token are those of training, in documents as long as the context. Heads are those of queries / of keys.

    Example: tejat family --json
    """

    json: tyro.conf.FlagCreatePairsOff[bool] = False
    """Print one JSON list and nothing else."""


def main(arguments: list[str]) -> int:
    """Run `tejat family`."""
    options = parse(Family, arguments, "tejat family")

    # After the options are read: a wrong one is told without waiting for JAX.
    from tejat.model import family

    members = [describe(name) for name in family.FAMILY]
    if options.json:
        print(json.dumps(members))
    else:
        _show(members)
    return 0


def describe(name: str) -> dict[str, Any]:
    """One member as `--json` prints it: counts are of numbers, sizes in bytes."""
    from tejat.model import family, sizes

    config = family.preset(name)
    shape, parts = config.decoder, sizes.parts(config)
    return {
        "name": name,
        "parameters": parts.decoder,
        "kv_bytes_32k": sizes.cache_bytes(shape),
        "flops_per_token": sizes.training_flops(config),
        "bytes_bf16": sizes.weight_bytes(config, bits=16),
        "bytes_int4": sizes.weight_bytes(config, bits=4),
        "layers": shape.layers,
        "width": shape.width,
        "heads": shape.heads,
        "key_heads": shape.key_heads,
        "head_width": shape.head_width,
        "mlp": shape.mlp,
        "window": shape.window,
        "context": config.context,
        "text_vocabulary": config.text_vocabulary,
        "codes": shape.vocabulary - config.text_vocabulary,
        "other_parameters": {part: size for part, size in asdict(parts).items() if part != "decoder"},
        "whole_parameters": parts.whole,
        "active_parameters": sizes.active(shape) - parts.codes,
    }


def _tables(members: list[dict[str, Any]]) -> list[list[tuple[str, ...]]]:
    """Two tables of at most 80 columns, headers first: shapes, then weights and costs."""
    shapes = [("size", "parameters", "layers", "width", "heads", "MLP", "window", "text ids", "codes")]
    costs = [("size", "bf16", "4 bits", "KV at 32k", "per token", "vision", "audio", "pictures", "whole")]
    for m in members:
        wide = (f"{m[key]:,}" for key in ("mlp", "window", "text_vocabulary", "codes"))
        heads = f"{m['heads']} / {m['key_heads']}"
        shapes.append((m["name"], table.short(m["parameters"]), str(m["layers"]), f"{m['width']:,}", heads, *wide))
        costs.append(
            (
                m["name"],
                *(table.short(m[key], "B") for key in ("bytes_bf16", "bytes_int4", "kv_bytes_32k")),
                table.short(m["flops_per_token"], "FLOP"),
                *(table.short(m["other_parameters"][part]) for part in ("vision", "audio", "picture")),
                table.short(m["whole_parameters"]),
            )
        )
    return [shapes, costs]


def _show(members: list[dict[str, Any]]) -> None:
    """Tables in a terminal, aligned lines elsewhere."""
    if sys.stdout.isatty():
        for header, *rows in _tables(members):
            table.aligned(header, rows)
        return
    for number, rows in enumerate(_tables(members)):
        print("\n" * (number > 0), end="")
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for name, *cells in rows:
            rest = (cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=True))
            print("  ".join([name.ljust(widths[0]), *rest]))
