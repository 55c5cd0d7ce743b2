"""`tejat bench`: how fast this machine is at the parts of Tejat; so far, at making batches of documents."""

import json
import multiprocessing
import os
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from tejat.errors import BadInput

EVERY = 5.0  # seconds between looks at the memory


@dataclass(frozen=True)
class Bench:
    """Measure speed. `data`: packed text tokens, pictures and near-duplicates a second, through real shards.

    Example: tejat bench data --json
    """

    target: Annotated[Literal["train", "data", "serve", "decode"], tyro.conf.Positional]
    """What is measured."""
    workers: int = 2
    """Processes that make batches; 0: a thread of this one, whose CPU time is told too."""
    seconds: float = 10.0
    """How long each part is measured."""
    soak: float = 0.0
    """Minutes for which text is packed on, while the memory of all processes is looked at."""
    json: tyro.conf.FlagCreatePairsOff[bool] = False
    """Print one JSON object and nothing else."""


def main(arguments: list[str]) -> int:
    """Run `tejat bench`.

    Raises:
      BadInput: for a target that is not in this version, and for numbers that cannot be.
    """
    if arguments[:1] == ["train"]:
        from tejat.cli import bench_train

        return bench_train.main(arguments[1:])
    if (words := [word for word in arguments if not word.startswith("-")]) and words[0] in ("serve", "decode"):
        raise BadInput(f"`tejat bench {words[0]}` arrives later; this version has `tejat bench data` and `train`.")
    options = tyro.cli(Bench, args=arguments, prog="tejat bench")
    if options.workers < 0 or options.seconds <= 0 or options.soak < 0:
        raise BadInput("--workers, --seconds and --soak are counts and times; give none below zero, and some seconds")

    # After the options are read: a wrong one is told without waiting for JAX.
    from tejat.data import speed

    found: dict[str, Any] = {"workers": options.workers, "cores": len(os.sched_getaffinity(0))}
    with tempfile.TemporaryDirectory() as place:
        directory = Path(place)
        _tell("writing shards of the sample …")
        speed.prepare(directory)
        _tell(f"text, {options.seconds:g} s …")
        found |= speed.tokens_per_second(directory, options.seconds, options.workers)
        _tell(f"pictures, {options.seconds:g} s …")
        found |= speed.images_per_second(directory, options.seconds, options.workers)
        _tell(f"near-duplicates, {options.seconds:g} s …")
        try:
            found |= speed.duplicates_per_second(options.seconds)
        except BadInput as error:
            _tell(str(error))
            found["dedup_documents_per_s"] = None
        if options.soak:
            found["memory_mb"] = _soak(directory, options)
    if options.json:
        print(json.dumps(found))
    else:
        _show(found)
    return 0


def _soak(directory: Path, options: Bench) -> list[float]:
    """Memory of this process and its workers, looked at every EVERY seconds while text is packed."""
    from tejat.data import speed

    seen: list[float] = []
    due = time.perf_counter()

    def look(batch) -> None:
        nonlocal due
        if time.perf_counter() >= due:
            due = time.perf_counter() + EVERY
            ours = (os.getpid(), *(child.pid for child in multiprocessing.active_children()))
            seen.append(round(speed.resident(ours), 1))
            _tell(f"memory after {len(seen) * EVERY - EVERY:.0f} s: {seen[-1]:,.1f} MB")

    speed.tokens_per_second(directory, 60 * options.soak, options.workers, look)
    return seen


def _show(found: dict[str, Any]) -> None:
    print(
        f"text      {found['tokens_per_s'] / 1e6:9.2f} M tokens/s in rows of 8,192, {found['positions_used']:.1%} used"
    )
    print(f"pictures  {found['images_per_s']:9,.0f} a second, 224 pixels, decoded and cut into patches")
    if found["dedup_documents_per_s"] is not None:
        print(f"doubles   {found['dedup_documents_per_s']:9,.0f} documents a second looked at for near-duplicates")
    if memory := found.get("memory_mb"):
        print(f"memory    {memory[0]:9,.0f} MB at first, {memory[-1]:,.0f} MB at last, {max(memory):,.0f} MB at most")


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
