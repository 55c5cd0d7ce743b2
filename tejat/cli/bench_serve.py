"""`tejat bench serve`: how a server stands up to requests that come at a rate of their own, as its users see it."""

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from tejat.cli.options import parse
from tejat.errors import BadInput

STARTING = 600.0
"""Seconds that a server may take to start: on a busy machine, compiling takes minutes."""

HEAD = "requests/s  answered  refused  lost  5xx  tokens/s   first token, ms    each token, ms  longest pause"


@dataclass(frozen=True)
class BenchServe:
    """Measure a server under an open loop: below what it can do, at it, and at ten times as much.

    Example: tejat bench serve mini --rates 0.5 1 10
             tejat bench serve runs/demo/model --per-second 2 4 --leaving 0.1 --json
             tejat bench serve mini --peer http://localhost:8000 --peer-model exported
    """

    model: Annotated[tyro.conf.Positional[str | None], tyro.conf.arg(metavar="NAME|DIR")] = None
    """A directory, or a name; a size of the family that is not here is taken before its training."""
    rates: tuple[float, ...] = (0.5, 1.0, 10.0)
    """Arrivals, as multiples of what the server answers when nobody waits longer than for it."""
    per_second: tuple[float, ...] = ()
    """Arrivals a second, instead of --rates."""
    seconds: float = 30.0
    """Of each rate."""
    tokens: int = 64
    """Of an answer."""
    words: int = 60
    """Of a prompt, at most; the shortest has one."""
    leaving: float = 0.0
    """Share of readers who go in the middle of an answer."""
    slots: int = 8
    queue: int = 64
    wait: float = 1.0
    """As `tejat serve` has them."""
    peer: str | None = None
    """Address of another server, running, which speaks OpenAI's dialect: it gets the same requests."""
    peer_model: str = "default"
    """What the peer calls its model."""
    json: tyro.conf.FlagCreatePairsOff[bool] = False
    """Print one JSON object and nothing else."""


def main(arguments: list[str]) -> int:
    """Run `tejat bench serve`. Raises BadInput for a model that is none, and for numbers that cannot be."""
    options = parse(BenchServe, arguments, "tejat bench serve")
    if min(options.seconds, options.wait, *options.rates, *options.per_second) <= 0:
        raise BadInput("--seconds, --wait, --rates and --per-second are above 0")
    if min(options.tokens, options.words, options.slots, options.queue) < 1 or not 0 <= options.leaving <= 1:
        raise BadInput("--tokens, --words, --slots and --queue are at least 1, and --leaving is a share of 1")
    if not options.rates and not options.per_second:
        raise BadInput("there is no rate to measure at; give --rates or --per-second")

    # After the options are read: a wrong one is told without waiting for JAX.
    from tejat.serve.open_loop import Load, Target

    with tempfile.TemporaryDirectory() as place:
        directory, untrained = _model(options.model, Path(place))
        load = Load(_prompts(options.words), options.tokens, options.leaving)
        with _served(directory, options, Path(place)) as (address, pid, name):
            _tell(f"{name} is served; what can it do?")
            ours = Target(address, name, pid)
            peer = None if options.peer is None else Target(options.peer.rstrip("/"), options.peer_model)
            found = asyncio.run(_measured(ours, peer, load, options))
    found = {"model": name, "untrained": untrained, "cores": len(os.sched_getaffinity(0)), **found}
    if options.json:
        print(json.dumps(found))
    else:
        _show(found)
    return int(found["lost"] > 0 or found["http_5xx"] > 0)


async def _measured(ours: Any, peer: Any, load: Any, options: BenchServe) -> dict[str, Any]:
    from tejat.serve.open_loop import capacity, measure

    await capacity(ours, load, options.slots, min(5.0, options.seconds))  # what is compiled late is compiled now
    most = await capacity(ours, load, options.slots, options.seconds)
    _tell(f"{most:.2f} answers a second")
    rates = options.per_second or tuple(rate * most for rate in options.rates)
    runs: list[dict[str, Any]] = []
    beside: list[dict[str, Any]] = []
    for rate in rates:
        for target, kept in ((ours, runs), (peer, beside)):
            if target is not None:
                _tell(f"{target.address}: {rate:.2f} requests a second, {options.seconds:g} s …")
                kept.append(await measure(target, load, rate=rate, seconds=options.seconds, progress=_tell))
    best = max(runs, key=lambda run: run["tokens_per_s"])
    counted = "requests", "answered", "refused", "lost", "http_5xx"
    found: dict[str, Any] = {name: sum(run[name] for run in runs) for name in counted}
    found |= {"capacity_per_s": round(most, 3), "tokens_per_s": best["tokens_per_s"]}
    found |= {name: runs[0][name] for name in ("ttft_ms_p50", "ttft_ms_p99")}
    found |= {"rss_slope_mb_per_h": runs[-1]["rss_slope_mb_per_h"], "runs": runs}
    if beside:
        theirs = max(run["tokens_per_s"] for run in beside)
        found |= {
            "peer": options.peer,
            "peer_runs": beside,
            "ratio": round(best["tokens_per_s"] / max(theirs, 1e-9), 2),
        }
    return found


def _model(name: str | None, place: Path) -> tuple[Path, bool]:
    """(where a model lies, whether it was made just now). Raises BadInput where there is none."""
    from tejat.cli import default_model

    try:
        return default_model.directory(name), False
    except BadInput:
        from tejat import bundle
        from tejat.infer.untrained import untrained
        from tejat.model.family import FAMILY

        if name not in FAMILY:
            raise
        _tell(f"{name} is not here; its shape with random weights is measured …")
        bundle.save(place / "model", untrained(name))
        return place / "model", True


def _prompts(words: int) -> list[str]:
    """Beginnings of the sample's English prose, short ones oftener than long ones."""
    import numpy as np

    from tejat import sample

    random, text = np.random.default_rng(0), sample.prose("en").split()
    lengths = np.exp(random.uniform(0, np.log(words), 200)).astype(int) if words > 1 else np.ones(200, int)
    starts = random.integers(0, max(1, len(text) - words), 200)
    return [" ".join(text[at : at + length]) for at, length in zip(starts, lengths, strict=True)]


@contextlib.contextmanager
def _served(model: Path, options: BenchServe, place: Path) -> Iterator[tuple[str, int, str]]:
    """`tejat serve` in a process of its own: (its address, its id, the model's name). Raises BadInput as it does."""
    flags = {"model": model, "port": 0, "slots": options.slots, "queue": options.queue, "wait": options.wait}
    words = [word for flag, value in flags.items() for word in (f"--{flag}", str(value))]
    environment = {**os.environ, "XDG_STATE_HOME": str(place)}
    log = place / "log"
    with log.open("w") as file:
        server = subprocess.Popen([sys.executable, "-m", "tejat", "serve", *words], stderr=file, env=environment)
    try:
        until = time.monotonic() + STARTING
        while " at http" not in (line := log.read_text().partition("\n")[0]):
            if server.poll() is not None or time.monotonic() > until:
                raise BadInput(f"`tejat serve {' '.join(words)}` does not start: {line or 'it says nothing'}")
            time.sleep(0.1)
        port = line.split(" at ")[1].split("/ ")[0].rpartition(":")[2]
        yield f"http://127.0.0.1:{port}", server.pid, line.split("tejat serves ")[1].split(" at ")[0]
    finally:
        server.terminate()
        server.wait(60)


def _show(found: dict[str, Any]) -> None:
    print(f"{found['model']}: {found['capacity_per_s']:.2f} answers a second, {found['cores']} cores")
    for title, runs in (("", found["runs"]), (found.get("peer"), found.get("peer_runs", ()))):
        if not runs:
            continue
        print(
            title
            or "requests/s  answered  refused  lost  5xx  tokens/s   first token, ms   each token, ms  longest pause"
        )
        for run in runs:
            first, each = (
                f"{run[f'{name}_p50'] or 0:8,.0f} {run[f'{name}_p99'] or 0:8,.0f}" for name in ("ttft_ms", "token_ms")
            )
            counts = f"{run['answered']:9,d} {run['refused']:8,d} {run['lost']:5d} {run['http_5xx']:4d}"
            pause = run["pause_ms_p99"] or 0
            print(f"{run['rate']:10.2f} {counts} {run['tokens_per_s']:9,.0f} {first} {each} {pause:14,.0f}")
    print("Of times: the median, and what 99 in 100 stay below.")


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
