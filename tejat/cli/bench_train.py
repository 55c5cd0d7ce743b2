"""`tejat bench train`: tokens a second of a step of training, and the share of the device's peak that they are."""

import json
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from tejat.cli.options import parse
from tejat.errors import BadInput


@dataclass(frozen=True)
class BenchTrain:
    """Measure a step of training with random documents.

    Example: tejat bench train nano1 --tokens 4096 --rows 4
             tejat bench train nano1 --rows 8 --mesh fsdp=2
             tejat bench train nano1 --rows 4 --unrolled --ways
             tejat bench train mini --media --document 500 --rows 16 --profile trace
    """

    size: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="SIZE")]
    """A size of the family."""
    rows: int = 8
    tokens: int = 4_096
    """Of a row."""
    document: int = 0
    """Mean length of the documents packed into a row; 0: one fills it."""
    media: tyro.conf.FlagCreatePairsOff[bool] = False
    """Images and sounds among them; without, the decoder alone is trained."""
    steps: int = 10
    float32: tyro.conf.FlagCreatePairsOff[bool] = False
    """Compute in float32 instead of bfloat16."""
    keep: Literal["everything", "products", "inputs"] = "products"
    """Of each layer, for the backward pass; the rest is made again."""
    unrolled: tyro.conf.FlagCreatePairsOff[bool] = False
    """Layers one after the other instead of a scan: longer to compile, nothing to copy."""
    float8: tyro.conf.FlagCreatePairsOff[bool] = False
    """The decoder's products are of 8-bit floats."""
    deterministic: tyro.conf.FlagCreatePairsOff[bool] = False
    """Kernels that give the same bits in any process."""
    ways: tyro.conf.FlagCreatePairsOff[bool] = False
    """Measure it all: packed and not, fast, deterministic and in 8-bit floats, each in a process of its own."""
    compile_only: tyro.conf.FlagCreatePairsOff[bool] = False
    """Run nothing: where JAX_COMPILATION_CACHE_DIR is set, a later call finds the compiled step there."""
    mesh: str | None = None
    """Devices share the work, as in fsdp=2 or data=2,tensor=2; without, one of them does it."""
    profile: Path | None = None
    """A directory for a trace; the slowest kernels are told."""
    json: tyro.conf.FlagCreatePairsOff[bool] = False
    """Print one JSON object and nothing else."""


def main(arguments: list[str]) -> int:
    """Run `tejat bench train`. Raises BadInput for a size that is none, and for shapes that cannot be."""
    options = parse(BenchTrain, arguments, "tejat bench train")
    if options.ways:
        if options.compile_only:
            raise BadInput("--ways measures and --compile-only does not; give one of them")
        from tejat.cli import bench_ways

        return bench_ways.run(arguments, options.document or options.tokens // 6, options.json)
    if min(options.rows, options.tokens, options.steps) < 1 or options.document < 0:
        raise BadInput("--rows, --tokens and --steps are at least 1, and --document is no less than 0")

    # After the options are read: a wrong one is told without waiting for JAX.
    from tejat.model import family
    from tejat.model.passes import Pass
    from tejat.train import exact, speed
    from tejat.train import mesh as meshes

    if options.deterministic:
        exact.demand(Path(tempfile.mkdtemp()))

    mesh = meshes.chosen(options.mesh) if options.mesh else None
    config = family.preset(options.size)
    if options.tokens > config.context:
        raise BadInput(f"the context of {options.size} is {config.context:,} tokens; give --tokens no larger")
    if options.media and not options.document:
        raise BadInput("--media needs the length of documents, as in --document 500")
    if not options.media:
        config = speed.bare(config)
    shape = speed.Rows(options.rows, options.tokens, options.document, options.media)
    print(f"compiling {options.size}, {options.rows} rows of {options.tokens:,} …", file=sys.stderr, flush=True)
    found = speed.measure(
        config,
        shape,
        steps=options.steps,
        bfloat16=not options.float32,
        how=Pass(options.keep, options.unrolled, options.float8),
        profile=options.profile,
        mesh=mesh,
        compile_only=options.compile_only,
    )
    found = {"size": options.size, "peer": None, "peer_tokens_per_s": None, "ratio": None} | found
    if options.json:
        print(json.dumps(found))
        return 0
    if options.compile_only:
        print(
            f"{options.size}: compiled in {found['compile_s']:.0f} s; wants {found['temporary_gib']:.1f} GiB beside it"
        )
        return 0
    print(
        f"{options.size}: {found['tokens_per_s']:,.0f} tokens/s, {found['mfu']:.1%} of the peak of "
        f"{found['devices']} {found['device']}, "
        f"{found['step_s'] * 1e3:,.1f} ms a step (median {found['step_s_median'] * 1e3:,.1f}), "
        f"{found['memory_gib']:.1f} GiB, compiled in {found['compile_s']:.0f} s"
    )
    for name, milliseconds in found.get("kernels", ()):
        print(f"{milliseconds:9.2f} ms  {name}")
    return 0
