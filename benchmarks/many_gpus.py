"""The same step on one GPU and on several of one host: tokens a second, efficiency, and whether the losses are equal.

    python benchmarks/many_gpus.py                                   nano1 on two GPUs, some minutes
    python benchmarks/many_gpus.py --devices 8 --rows 4
    python benchmarks/many_gpus.py --size micro --rows 1 --tokens 256 --long 512 --virtual     on a processor

Each mesh gets as many rows a device as one GPU has, but for `sequence` and `tensor`, which share the rows of one.
Efficiency is tokens a second a device over those of one GPU in the same call. Losses, of the first two steps and the
last, are to be compared at the rows of one GPU, where all meshes train the same batch. One process drives all devices.
"foretold" is what the model of `tejat plan` says of the same step, nothing of it fitted to several devices, against
what was measured.
"""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any, Literal

import tyro

KEYS = ("tokens_per_s", "mfu", "step_s", "memory_gib", "losses", "compile_s", "device")


@dataclass(frozen=True)
class Options:
    """Which step, and on how many devices."""

    size: str = "nano1"
    devices: int = 2
    rows: int = 4
    """On one GPU."""
    tokens: int = 4_096
    long: int = 32_768
    """Of the long rows that are cut along the sequence; 0: none."""
    keep: Literal["everything", "products", "inputs"] = "products"
    """Of each layer, for the backward pass."""
    only: tuple[str, ...] = ()
    """Names of cases begin so, as in `one` and `fsdp`; all of them if not given."""
    ahead: tyro.conf.FlagCreatePairsOff[bool] = False
    """Compile all cases side by side first, for JAX_COMPILATION_CACHE_DIR: quick where there are many processors."""
    steps: int = 8
    limit: float = 200.0
    """Seconds for each."""
    virtual: tyro.conf.FlagCreatePairsOff[bool] = False
    """Devices that a processor pretends to have."""
    json: tyro.conf.FlagCreatePairsOff[bool] = False


def main(options: Options) -> None:
    found, chosen = [], [case for case in cases(options) if case[0].startswith(options.only or "")]
    if not chosen:
        raise SystemExit(f"no case begins so; there are {'; '.join(case[0] for case in cases(options))}")
    if options.ahead:
        if not os.environ.get("JAX_COMPILATION_CACHE_DIR"):
            raise SystemExit("--ahead keeps what it compiles in JAX_COMPILATION_CACHE_DIR; set it to a directory")
        print(f"compiling {len(chosen)} …", file=sys.stderr, flush=True)
        with ThreadPoolExecutor(len(chosen)) as pool:
            for case, made in zip(chosen, pool.map(lambda case: run(options, *case[1:4], True), chosen), strict=True):
                print(f"  {case[0]}: {made}", file=sys.stderr, flush=True)
    for name, mesh, rows, tokens, devices in chosen:
        print(f"{name} …", file=sys.stderr, flush=True)
        made = run(options, mesh, rows, tokens)
        told_before = foretold(options, mesh, rows, tokens, devices, made.get("device", ""))
        found.append({"name": name, "rows": rows, "tokens": tokens, "devices": devices, "foretold": told_before} | made)
        print(f"  {told(found[-1], found)}", file=sys.stderr, flush=True)
    if options.json:
        print(json.dumps({"options": asdict(options), "rows": found}))
        return
    print("| what | tokens/s | foretold | MFU | efficiency | GiB a device | losses |\n|---|---|---|---|---|---|---|")
    for row in found:
        print(f"| {row['name']} | {told(row, found)} |")


def cases(options: Options):
    """(name, mesh, rows, tokens, devices) of each."""
    n, rows, tokens = options.devices, options.rows, options.tokens
    yield f"one, {rows} rows of {tokens:,}", None, rows, tokens, 1
    for axis in ("data", "fsdp"):
        yield f"{axis}={n}, {n * rows} rows", f"{axis}={n}", n * rows, tokens, n
    for axis in ("data", "fsdp", "tensor", "sequence"):
        if axis in ("tensor", "sequence") or rows % n == 0:
            yield f"{axis}={n}, the same {rows} rows", f"{axis}={n}", rows, tokens, n
    if options.long:
        yield f"one, a row of {options.long:,}", None, 1, options.long, 1
        yield f"sequence={n}, a row of {options.long:,}", f"sequence={n}", 1, options.long, n


def run(options: Options, mesh: str | None, rows: int, tokens: int, ahead: bool = False) -> dict[str, Any]:
    """What `tejat bench train` tells, or why it does not. `ahead`: it only compiles."""
    words = [
        "-m",
        "tejat",
        "bench",
        "train",
        options.size,
        "--rows",
        rows,
        "--tokens",
        tokens,
        "--steps",
        options.steps,
        "--keep",
        options.keep,
    ]
    words += ["--json", "--unrolled", *(["--mesh", mesh] if mesh else []), *(["--float32"] if options.virtual else [])]
    words += ["--compile-only"] * ahead
    env = dict(os.environ)
    if ahead:  # a process takes no more of a device than it needs, which is little
        env |= {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
    if options.virtual:
        env |= {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": f"--xla_force_host_platform_device_count={options.devices}"}
    try:
        done = subprocess.run(
            [sys.executable, *map(str, words)],
            capture_output=True,
            text=True,
            timeout=options.limit,
            env=env,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return {"error": f"not done in {options.limit:.0f} s"}
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if "rror" in line] or ["failed"]
        return {"error": lines[-1].strip()[:160]}
    made = json.loads(done.stdout.strip().splitlines()[-1])
    return {key: made[key] for key in KEYS if key in made}


def foretold(options: Options, mesh: str | None, rows: int, tokens: int, devices: int, device: str) -> float | None:
    """Tokens a second by the model of `tejat plan`, where it knows the device."""
    from dataclasses import replace

    from tejat.model import family
    from tejat.plan import search, topology
    from tejat.train import mesh as meshes
    from tejat.train.speed import bare

    chip = next((chip for told, chip in (("H100", "h100"), ("H200", "h200")) if told in device), None)
    if chip is None:
        return None
    config = replace(bare(family.preset(options.size)), context=tokens)
    shape = {"slice": 1, "data": 1, "fsdp": 1, "sequence": 1, "tensor": 1} | meshes.parse(mesh)
    where = topology.parse(f"{chip}:{devices}")
    made = search.candidate(config, where, rows, options.keep, 0, 0, shape, 1).estimate
    return made.tokens / made.step_s


def told(row: dict[str, Any], rows: list[dict[str, Any]]) -> str:
    if "error" in row:
        return f"{row['error']} | – | – | – | – | –"
    one = next((r for r in rows if r["devices"] == 1 and r["tokens"] == row["tokens"] and "error" not in r), None)
    share = f"{row['tokens_per_s'] / row['devices'] / one['tokens_per_s']:.1%}" if one else "–"
    losses = ", ".join(f"{loss:.5f}" for loss in row["losses"])
    before = f"{row['foretold'] / row['tokens_per_s'] - 1:+.0%}" if row["foretold"] else "–"
    return f"{row['tokens_per_s']:,.0f} | {before} | {row['mfu']:.1%} | {share} | {row['memory_gib']:.1f} | {losses}"


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
