"""The same step of training here, in PyTorch and in transformers, one after the other on the same device.

    python benchmarks/peers.py                                        nano1 on one H200, 55 minutes at most
    python benchmarks/peers.py --rows 4 --skip transformers           ours and six of PyTorch, 28 at most
    python benchmarks/peers.py --document 680                         packed rows
    python benchmarks/peers.py --size micro --rows 1 --tokens 256     on a processor

The decoder alone, of one shape: bfloat16 with float32 masters, AdamW with clipping, the loss over the whole vocabulary.
Scores of the vocabulary are float32 here; in PyTorch a product of bfloat16 gives bfloat16, which is then widened, but
where "float32 scores" stands. Of PyTorch's configurations the fastest counts; each runs in a process of its own, and
one that runs out of memory or time says so.
"""

import json
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import tyro

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Options:
    """What to train, and for how long to wait."""

    size: str = "nano1"
    rows: tuple[int, ...] = (4, 8)
    """Of a batch; each is tried, and the fastest counts."""
    tokens: int = 4_096
    document: int = 0
    """Mean length of the documents packed into a row; 0: one fills it."""
    steps: int = 8
    limit: float = 150.0
    """Seconds for each configuration."""
    autotuned: float = 600.0
    """Seconds for PyTorch's autotuned one, which took more than 330 to compile."""
    skip: tuple[str, ...] = ()
    """Names of configurations to leave out."""
    json: tyro.conf.FlagCreatePairsOff[bool] = False


def main(options: Options) -> None:
    rows = []
    for name, command in commands(options):
        if any(name.startswith(skipped) for skipped in options.skip):
            continue
        print(f"{name} …", file=sys.stderr, flush=True)
        rows.append({"name": name} | run(command, options.autotuned if "autotuned" in name else options.limit))
        print(f"  {told(rows[-1])}", file=sys.stderr, flush=True)
    found = {"options": asdict(options), "rows": rows, "ratio": ratio(rows)}
    if options.json:
        print(json.dumps(found))
        return
    print(f"{options.size}, {options.tokens:,} tokens a row, documents of {options.document or 'one row'}\n")
    print("| what | tokens/s | ms a step | GiB |\n|---|---|---|---|")
    for row in rows:
        print(f"| {row['name']} | {told(row)} |")
    print(f"\nbest here / best of PyTorch: {found['ratio'] or '–'}")


def commands(options: Options):
    """(name, command) of every configuration."""
    shape = ["--tokens", options.tokens, "--document", options.document, "--steps", options.steps, "--json"]
    for rows in options.rows:
        ours = ["-m", "tejat", "bench", "train", options.size, "--rows", rows, *shape, "--unrolled"]
        yield f"tejat, {rows} rows", ours
        if rows == min(options.rows):  # more of them would not fit
            yield f"tejat, {rows} rows, nothing made again", [*ours, "--keep", "everything"]
    config, script = described(options.size), HERE / "peer_torch.py"
    base = {"tokens": options.tokens, "document": options.document, "steps": options.steps}
    base |= {"each": 4_096, "mode": None, "again": False, "wide": False}
    for rows in options.rows:
        plain = "flex" if options.document else "sdpa"
        for attention, more, told in (
            ("flex", {}, ""),
            *([] if options.document else [("sdpa", {}, ""), ("cudnn", {}, "")]),  # which would need whole masks
            (plain, {"wide": True}, ", float32 scores"),
            ("flex", {"again": True}, ", blocks again"),
            (plain, {"mode": "max-autotune-no-cudagraphs"}, ", autotuned"),
        ):
            how = base | {"rows": rows, "attention": attention} | more
            yield f"PyTorch, {rows} rows, {attention}{told}", [script, json.dumps(config), json.dumps(how)]
    if not options.document:  # it has no packed rows
        how = base | {"rows": min(options.rows), "attention": "transformers", "again": True}
        yield "transformers, Gemma 4", [script, json.dumps(config), json.dumps(how)]


def described(size: str) -> dict[str, Any]:
    """The decoder's shape, as PyTorch's file and transformers take it."""
    from tejat.export import settings
    from tejat.model import family
    from tejat.train.speed import bare

    config = bare(family.preset(size))
    shape = asdict(config.decoder) | {"attention_types": list(config.decoder.attention_types)}
    return shape | {"huggingface": settings.to_huggingface(config)["text_config"]}


def run(command: list[Any], limit: float) -> dict[str, Any]:
    """The JSON that a command prints last, or why there is none."""
    try:
        done = subprocess.run(
            [sys.executable, *map(str, command)], capture_output=True, text=True, timeout=limit, check=False
        )
    except subprocess.TimeoutExpired:
        return {"error": f"not done in {limit:.0f} s"}
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if "Error" in line or "error" in line] or ["failed"]
        return {"error": lines[-1].strip()[:160]}
    return json.loads(done.stdout.strip().splitlines()[-1])


def told(row: dict[str, Any]) -> str:
    if "error" in row:
        return f"{row['error']} | – | –"
    return f"{row['tokens_per_s']:,.0f} | {row['step_s'] * 1e3:,.1f} | {row['memory_gib']:.1f}"


def ratio(rows: list[dict[str, Any]]) -> float | None:
    """Tokens a second of the best here over those of the best of PyTorch."""
    best: dict[str, float] = {}
    for row in rows:
        kind = row["name"].split(",")[0]
        best[kind] = max(best.get(kind, 0.0), row.get("tokens_per_s", 0.0))
    ours, theirs = best.get("tejat", 0.0), best.get("PyTorch", 0.0)
    return round(ours / theirs, 3) if theirs else None


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
