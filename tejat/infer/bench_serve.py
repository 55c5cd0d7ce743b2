"""How a service stands up to requests that come whether or not it is ready for them (an open loop).

Requests arrive at random, at a rate that does not follow the answers. Some readers leave in the middle. What is lost is
a request that was taken and had no end: it must be none.
"""

import dataclasses
import gc
import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tejat.codecs.framing import Encoded
from tejat.infer.options import Options
from tejat.infer.service import Busy, Service

PATIENCE = 120.0
"""Seconds after the last arrival until an answer without an end counts as lost."""


@dataclass
class _Seen:
    """What became of the requests; one lock for all."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    refused: int = 0
    ended: int = 0
    left: int = 0  # readers who went away
    failed: int = 0
    tokens: int = 0
    first: list[float] = field(default_factory=list)  # seconds to the first token
    between: list[float] = field(default_factory=list)  # seconds between the pieces after it


def measure(
    service: Service,
    prompts: Sequence[Encoded],
    options: Options,
    *,
    rate: float,
    seconds: float,
    leaving: float = 0.0,
    seed: int = 0,
    progress: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Sends requests at `rate` a second for some seconds; a share of `leaving` readers goes after a few tokens.

    Prompts are taken at random, each with a seed of its own. Returns {requests, lost, refused, failed, tokens_per_s,
    ttft_ms_p50, ttft_ms_p99, itl_ms_p50, itl_ms_p99, rss_slope_mb_per_h, rss_mb, cached_tokens, compilations, cpu_s}.
    """
    random, seen, readers = np.random.default_rng(seed), _Seen(), []
    before, cpu, start = service.stats(), time.process_time(), time.monotonic()
    memory: list[tuple[float, float]] = []
    at, sent, told = start, 0, start
    while (at := at + random.exponential(1 / rate)) < start + seconds:
        time.sleep(max(0.0, at - time.monotonic()))
        prompt = prompts[random.integers(len(prompts))]
        leaves = int(random.integers(1, 8)) if random.random() < leaving else None
        wish = dataclasses.replace(options, seed=int(random.integers(2**31)))
        reader = threading.Thread(target=_read, args=(service, prompt, wish, leaves, seen), daemon=True)
        reader.start()
        readers.append(reader)
        sent += 1
        if time.monotonic() - told > 1:
            told = time.monotonic()
            readers = [reader for reader in readers if reader.is_alive()]
            memory.append((told - start, _resident()))
            progress(f"{told - start:.0f} s: {sent} requests, {seen.ended} answered, {seen.tokens} tokens")
    until = time.monotonic() + PATIENCE
    for reader in readers:
        reader.join(max(0.0, until - time.monotonic()))
    took, after = time.monotonic() - start, service.stats()
    with seen.lock:
        return {
            "requests": sent,
            "lost": sent - seen.refused - seen.ended - seen.left - seen.failed,
            "refused": seen.refused,
            "left": seen.left,
            "failed": seen.failed,
            "tokens_per_s": round(seen.tokens / took, 1),
            **_percentiles("ttft_ms", seen.first),
            **_percentiles("itl_ms", seen.between),
            "rss_slope_mb_per_h": _slope(memory),
            "rss_mb": round(_resident()),
            "cached_tokens": after.cached_tokens - before.cached_tokens,
            "compilations": after.compilations - before.compilations,
            "cpu_s": round(time.process_time() - cpu, 2),
            "seconds": round(took, 1),
        }


def _read(service: Service, prompt: Encoded, options: Options, leaves: int | None, seen: _Seen) -> None:
    begin = last = time.monotonic()
    first, between, tokens, end = None, [], 0, "failed"
    try:
        ticket = service.submit(prompt, options)
        for piece in ticket:
            now = time.monotonic()
            if first is None and len(piece.tokens):
                first = now - begin
            elif len(piece.tokens):
                between.append(now - last)
            last = now
            tokens += len(piece.tokens)
            if piece.finish_reason is not None:
                end = "left" if piece.finish_reason == "cancelled" else "ended"
            elif leaves is not None and tokens >= leaves:
                ticket.cancel()
    except Busy:
        end = "refused"
    except RuntimeError:
        end = "failed"
    with seen.lock:
        setattr(seen, end, getattr(seen, end) + 1)
        seen.tokens += tokens
        seen.first += [] if first is None else [first]
        seen.between += between


def _percentiles(name: str, seconds: Sequence[float]) -> dict[str, float | None]:
    if not seconds:
        return {f"{name}_p50": None, f"{name}_p99": None}
    half, most = np.percentile(seconds, [50, 99]) * 1e3
    return {f"{name}_p50": round(float(half), 1), f"{name}_p99": round(float(most), 1)}


def _slope(memory: Sequence[tuple[float, float]]) -> float | None:
    """MB an hour, of the second half: the first fills caches, and the allocator's."""
    half = memory[len(memory) // 2 :]
    if len(half) < 10:
        return None
    return round(float(np.polyfit(*zip(*half, strict=True), 1)[0]) * 3600, 1)


def _resident() -> float:
    """MB of this process in memory; where the system does not tell, what it had at most."""
    gc.collect()
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
    except OSError:
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
