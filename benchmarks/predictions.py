"""Steps that the model of `tejat plan` was not fitted to: predicted, committed, and then run.

    python benchmarks/predictions.py --write     predictions.json, before anything is run
    python benchmarks/predictions.py             run all of them on this GPU, about six minutes, and tell the errors
    python benchmarks/predictions.py --only mini

The decoder alone, bfloat16, layers unrolled, as `tejat bench train` has it. The model's constants come from two steps
on one H100 (nano1, 4 rows of 4,096; mini, 16 rows), from attention's kernels alone, and from one on two (nano1, 8 rows,
data=2). Wanted: within 20%. Several devices are predicted too; `benchmarks/many_gpus.py` runs those.
"""

import json
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import tyro

PLACE = Path(__file__).with_suffix(".json")

SHAPES = (
    ("nano1", 1, 16_384, "products", 1),
    ("nano1", 1, 32_768, "inputs", 1),
    ("nano1", 8, 4_096, "inputs", 1),
    ("nano2", 2, 4_096, "inputs", 1),
    ("mini", 32, 4_096, "products", 1),
    ("nano1", 8, 4_096, "products", 2),
    ("nano1", 16, 4_096, "products", 4),
    ("nano1", 32, 4_096, "products", 8),
)
"""(size, rows, tokens, what layers keep, devices along fsdp)."""

CHIPS = {"H100": "h100", "H200": "h200"}
"""By a part of the device's name."""


@dataclass(frozen=True)
class Options:
    write: tyro.conf.FlagCreatePairsOff[bool] = False
    """Predict, and run nothing."""
    only: str = ""
    """Run those whose name has this."""
    limit: float = 150.0
    """Seconds for each."""


def main(options: Options) -> int:
    if options.write:
        PLACE.write_text(json.dumps(predicted(), indent=1) + "\n")
        return 0
    committed = json.loads(PLACE.read_text())
    print("| step | predicted, ms | measured, ms | error | tokens/s | MFU |\n|---|---|---|---|---|---|")
    worst = 0.0
    for size, rows, tokens, keep, devices in SHAPES:
        name = named(size, rows, tokens, keep, devices)
        if devices > 1 or options.only not in name:
            continue
        found = run(size, rows, tokens, keep, options.limit)
        if "error" in found:
            print(f"| {name} | – | {found['error']} | – | – | – |", flush=True)
            continue
        chip = next((chip for told, chip in CHIPS.items() if told in found["device"]), None)
        if chip is None:
            print(f"tejat: error: nothing is predicted for {found['device']}; there are {', '.join(CHIPS)}")
            return 2
        wanted = committed[f"{name} on {chip}"]["step_s"]
        error = wanted / found["step_s"] - 1
        worst = max(worst, abs(error))
        print(
            f"| {name} on {chip} | {wanted * 1e3:,.1f} | {found['step_s'] * 1e3:,.1f} | {error:+.1%} | "
            f"{found['tokens_per_s']:,.0f} | {found['mfu']:.1%} |",
            flush=True,
        )
    print(f"\nthe largest error is {worst:.1%}")
    return 0


def named(size: str, rows: int, tokens: int, keep: str, devices: int) -> str:
    over = f", fsdp={devices}" if devices > 1 else ""
    return f"{size}, {rows} x {tokens:,}, {keep} kept{over}"


def predicted() -> dict[str, Any]:
    """Seconds of a step, tokens a second and MFU of every shape on every chip."""
    from tejat.model import family
    from tejat.plan import search, topology
    from tejat.train.speed import bare

    found = {}
    for chip in CHIPS.values():
        for size, rows, tokens, keep, devices in SHAPES:
            config = replace(bare(family.preset(size)), context=tokens)
            where = topology.parse(f"{chip}:{devices}")
            mesh = {"slice": 1, "fsdp": devices, "sequence": 1, "tensor": 1}
            told = search.candidate(config, where, rows, keep, 0, 0, mesh, 1).estimate
            found[f"{named(size, rows, tokens, keep, devices)} on {chip}"] = {
                "step_s": round(told.step_s, 4),
                "tokens_per_s": round(told.tokens / told.step_s),
                "mfu": round(told.mfu, 3),
            }
    return found


def run(size: str, rows: int, tokens: int, keep: str, limit: float) -> dict[str, Any]:
    """What `tejat bench train` measures, or why it does not."""
    words = ["-m", "tejat", "bench", "train", size, "--rows", rows, "--tokens", tokens, "--keep", keep, "--unrolled"]
    words += ["--steps", 8, "--json"]
    try:
        done = subprocess.run(
            [sys.executable, *map(str, words)], capture_output=True, text=True, timeout=limit, check=False
        )
    except subprocess.TimeoutExpired:
        return {"error": f"not done in {limit:.0f} s"}
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if "rror" in line] or ["failed"]
        return {"error": lines[-1].strip()[:160]}
    return json.loads(done.stdout.strip().splitlines()[-1])


if __name__ == "__main__":
    sys.exit(main(tyro.cli(Options, description=__doc__)))
