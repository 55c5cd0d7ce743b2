"""`tejat bench`: how fast this machine is at the parts of Tejat: making batches, training, serving, writing."""

import json
import math
import multiprocessing
import os
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

from tejat.cli.options import parse
from tejat.errors import BadInput

WORKS = ("train", "data", "serve", "decode")
_HELP = """usage: tejat bench data          packed tokens, pictures and near-duplicates a second, through real shards
       tejat bench train SIZE    a step of training with random documents
       tejat bench serve MODEL   a server under an open loop of requests
       tejat bench decode        one answer, beside llama.cpp where it is installed

Example: tejat bench data --json

`tejat bench WORK --help` tells the options of each."""

EVERY, LOOKS = 5.0, 60  # seconds between looks at the memory, of short soaks; looks of a long one


@dataclass(frozen=True)
class Data:
    """Measure how fast batches are made: packed tokens, pictures and near-duplicates a second, through real shards.

    Example: tejat bench data --json
    """

    workers: int = 2
    """Processes that make batches; 0: a thread of this one, whose CPU time is told too."""
    seconds: float = 10.0
    """How long each part is measured."""
    corpus: Path | None = None
    """A corpus made by `tejat data build`: each of its sources is measured, and its whole mixture."""
    minutes: float = 0.0
    """How long documents are packed on, of the corpus where one is given, while the memory of all processes is looked
    at."""
    json: tyro.conf.FlagCreatePairsOff[bool] = False
    """Print one JSON object and nothing else."""


def main(arguments: list[str]) -> int:
    """Run `tejat bench`.

    Raises:
      BadInput: for numbers that cannot be.
    """
    work, rest = (arguments[0], arguments[1:]) if arguments else ("", [])
    if work == "train":
        from tejat.cli import bench_train

        return bench_train.main(rest)
    if work == "serve":
        from tejat.cli import bench_serve

        return bench_serve.main(rest)
    if work == "decode":
        from tejat.cli import bench_decode

        return bench_decode.main(rest)
    if work == "data":
        return _data(parse(Data, rest, "tejat bench data"))
    if work in ("", "-h", "--help", "help"):
        print(_HELP)
        return 0
    raise BadInput(f"`tejat bench` does no {work!r}; it does {', '.join(WORKS)}")


def _data(options: Data) -> int:
    if options.workers < 0 or options.seconds <= 0 or options.minutes < 0:
        raise BadInput(
            "--workers, --seconds and --minutes are counts and times; give none below zero, and some seconds"
        )

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
        if options.corpus is not None:
            _tell(f"each source of {options.corpus}, {options.seconds:g} s …")
            found["sources_tokens_per_cpu_s"] = speed.sources_per_second(options.corpus, options.seconds)
            _tell(f"the mixture of {options.corpus}, {options.seconds:g} s …")
            mixture = speed.mixed(options.corpus)
            found |= speed.mixture_per_second(mixture, options.seconds, options.workers)
        if options.minutes:
            found |= _soak(directory, options)
    if options.json:
        print(json.dumps(found))
    else:
        _show(found)
    return 0


def _soak(directory: Path, options: Data) -> dict[str, Any]:
    """Memory of this process and its workers, looked at now and then while documents are packed."""
    from tejat.data import speed

    seconds = 60 * options.minutes
    every = max(EVERY, seconds / LOOKS)
    seen: list[float] = []
    times: list[float] = []
    begun = time.perf_counter()

    def look(batch) -> None:
        now = time.perf_counter() - begun
        if now >= len(seen) * every:
            times.append(now)
            ours = (os.getpid(), *(child.pid for child in multiprocessing.active_children()))
            seen.append(round(speed.resident(ours), 1))
            _tell(f"memory after {now / 60:.1f} minutes: {seen[-1]:,.1f} MB")

    if options.corpus is None:
        rate = speed.tokens_per_second(directory, seconds, options.workers, look)["tokens_per_s"]
    else:
        mixture = speed.mixed(options.corpus)
        rate = speed.mixture_per_second(mixture, seconds, options.workers, look)["mixture_tokens_per_s"]
    grows, sure = speed.slope(times, seen)
    return {
        "memory_mb": seen,
        "memory_minutes": [round(at / 60, 1) for at in times],
        "memory_slope_mb_per_h": grows,
        "memory_slope_within_mb_per_h": sure if math.isfinite(sure) else None,
        "soak_tokens_per_s": rate,
    }


def _show(found: dict[str, Any]) -> None:
    print(
        f"text      {found['tokens_per_s'] / 1e6:9.2f} M tokens/s in rows of 8,192, {found['positions_used']:.1%} used"
    )
    print(f"pictures  {found['images_per_s']:9,.0f} a second, 224 pixels, decoded and cut into patches")
    if found["dedup_documents_per_s"] is not None:
        print(f"doubles   {found['dedup_documents_per_s']:9,.0f} documents a second looked at for near-duplicates")
    for name, rate in sorted(found.get("sources_tokens_per_cpu_s", {}).items(), key=lambda pair: pair[1] or 0.0):
        told = "longer than a row" if rate is None else f"{rate / 1e3:9,.1f} k tokens in a CPU second of one thread"
        print(f"  {name:<24s} {told}")
    if "mixture_tokens_per_s" in found:
        print(f"mixture   {found['mixture_tokens_per_s'] / 1e6:9.2f} M tokens/s of all modalities in rows of 4,096")
    if memory := found.get("memory_mb"):
        grows = found["memory_slope_mb_per_h"]
        print(f"memory    {memory[0]:9,.0f} MB at first, {memory[-1]:,.0f} MB at last, {max(memory):,.0f} MB at most")
        sure = found["memory_slope_within_mb_per_h"]
        print(
            f"          {grows:+9,.1f} MB an hour once caches are full, "
            + (f"± {sure:,.1f}" if sure is not None else "too short to say")
        )


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
