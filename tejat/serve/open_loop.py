"""How a server stands up to requests that come whether or not it is ready for them (an open loop), as its users see it.

Requests arrive at random, at a rate that does not follow the answers, and stream from any server that speaks OpenAI's
dialect: ours, and its peers beside it. Some readers leave in the middle. What is lost is a request that was neither
answered nor refused: it must be none.
"""

import asyncio
import collections
import json
import os
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import numpy as np

PATIENCE = 120.0
"""Seconds after the last arrival until an answer without an end counts as lost."""


class Target(NamedTuple):
    """A server, the model to ask it for, and its process where that is on this machine."""

    address: str  # http://host:port, where /v1/chat/completions is
    model: str
    pid: int | None = None


@dataclass(frozen=True)
class Load:
    """What is asked for: prompts, taken at random, and answers of `tokens`. A share of `leaving` readers goes."""

    prompts: Sequence[str]
    tokens: int
    leaving: float = 0.0
    temperature: float = 0.7
    seed: int = 0


@dataclass
class _Seen:
    """What became of the requests."""

    ends: collections.Counter[str] = field(default_factory=collections.Counter)
    tokens: int = 0
    first: list[float] = field(default_factory=list)  # seconds to the first text
    each: list[float] = field(default_factory=list)  # seconds a token after it, a mean of each answer
    longest: list[float] = field(default_factory=list)  # the longest pause of each answer


async def capacity(target: Target, load: Load, readers: int, seconds: float) -> float:
    """Answers a second where `readers` ask for the next one as soon as they have one."""
    seen, random, until = _Seen(), np.random.default_rng(load.seed), time.monotonic() + seconds

    async def reader() -> None:
        while time.monotonic() < until:
            await _one(target, load, random, seen)

    begun = time.monotonic()
    await asyncio.gather(*(reader() for _ in range(readers)))
    return seen.ends["answered"] / (time.monotonic() - begun)


async def measure(
    target: Target, load: Load, *, rate: float, seconds: float, progress: Callable[[str], None] = lambda line: None
) -> dict[str, Any]:
    """Sends requests at `rate` a second for some seconds, and says what became of them.

    Returns {rate, requests, answered, refused, left, lost, http_4xx, http_5xx, tokens_per_s, ttft_ms_p50, ttft_ms_p99,
    token_ms_p50, token_ms_p99 (a mean of each answer), pause_ms_p99 (the longest of each answer), rss_mb,
    rss_slope_mb_per_h, seconds}.
    """
    random, seen, sent = np.random.default_rng(load.seed + 1), _Seen(), 0
    begun = at = told = time.monotonic()
    memory: list[tuple[float, float]] = []
    open_now: set[asyncio.Task[None]] = set()
    while (at := at + random.exponential(1 / rate)) < begun + seconds:
        await asyncio.sleep(max(0.0, at - time.monotonic()))
        task = asyncio.create_task(_one(target, load, random, seen))
        open_now.add(task)
        task.add_done_callback(open_now.discard)
        sent += 1
        if time.monotonic() - told > 5:
            told = time.monotonic()
            if (held := resident(target.pid)) is not None:
                memory.append((told - begun, held))
            progress(f"{told - begun:.0f} s: {sent} requests, {dict(seen.ends)}, {seen.tokens} tokens")
    if open_now:
        _, late = await asyncio.wait(open_now, timeout=PATIENCE)
        for task in late:
            task.cancel()
    took, ends = time.monotonic() - begun, seen.ends
    return {
        "rate": round(rate, 3),
        "requests": sent,
        "answered": ends["answered"],
        "refused": ends["429"],
        "left": ends["left"],
        "lost": sent - sum(count for name, count in ends.items() if name != "lost"),
        "http_4xx": sum(n for name, n in ends.items() if name.startswith("4") and name != "429"),
        "http_5xx": sum(n for name, n in ends.items() if name.startswith("5")),
        "tokens_per_s": round(seen.tokens / took, 1),
        **_percentiles("ttft_ms", seen.first, 50, 99),
        **_percentiles("token_ms", seen.each, 50, 99),
        **_percentiles("pause_ms", seen.longest, 99),
        "rss_mb": resident(target.pid),
        "rss_slope_mb_per_h": _slope(memory),
        "seconds": round(took, 1),
    }


async def _one(target: Target, load: Load, random: np.random.Generator, seen: _Seen) -> None:
    """One request, its end counted under its HTTP code unless it was answered, or its reader left."""
    leaves = int(random.integers(1, 8)) if random.random() < load.leaving else None
    body = {
        "model": target.model,
        "messages": [{"role": "user", "content": load.prompts[int(random.integers(len(load.prompts)))]}],
        "max_tokens": load.tokens,
        "temperature": load.temperature,
        "seed": int(random.integers(2**31)),
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    begun = time.monotonic()
    times: list[float] = []
    end, tokens = "lost", 0
    try:
        async for event in _events(target, body):
            if isinstance(event, int):
                end = str(event)
                continue
            if any(choice.get("delta", {}).get("content") for choice in event.get("choices", [])):
                times.append(time.monotonic())
            if any(choice.get("finish_reason") for choice in event.get("choices", [])):
                end = "answered"
            tokens = (event.get("usage") or {}).get("completion_tokens", tokens)
            if leaves is not None and len(times) >= leaves:
                end = "left"
                break
    except (OSError, ValueError, EOFError):
        end = "lost"
    seen.ends["lost" if end == "200" else end] += 1
    seen.tokens += tokens
    if times:
        seen.first.append(times[0] - begun)
    if len(times) > 1 and tokens > 1:
        seen.each.append((times[-1] - times[0]) / (tokens - 1))
        seen.longest.append(float(np.diff(times).max()))


async def _events(target: Target, body: dict[str, Any]) -> AsyncIterator[int | dict[str, Any]]:
    """The HTTP code, then the events of a stream."""
    host, port = urlsplit(target.address).hostname, urlsplit(target.address).port
    data = json.dumps(body).encode()
    reader, writer = await asyncio.open_connection(host, port, limit=1 << 20)
    try:
        head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost:{port}\r\nContent-Type: application/json\r\n"
        writer.write(f"{head}Content-Length: {len(data)}\r\nConnection: close\r\n\r\n".encode() + data)
        await writer.drain()
        code = int((await reader.readline()).split()[1])
        yield code
        if code != 200:
            return
        while (await reader.readline()).strip():
            pass
        held = b""
        async for chunk in _chunks(reader):
            *whole, held = (held + chunk).split(b"\n\n")
            for event in whole:
                if event.startswith(b"data: ") and event != b"data: [DONE]":
                    yield json.loads(event[6:])
    finally:
        writer.close()


async def _chunks(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """A body in chunks (RFC 9112, 7.1)."""
    while size := int((await reader.readline()).split(b";")[0], 16):
        yield await reader.readexactly(size)
        await reader.readline()


def _percentiles(name: str, seconds: Sequence[float], *percents: int) -> dict[str, float | None]:
    return {f"{name}_p{p}": round(float(np.percentile(seconds, p)) * 1e3, 2) if seconds else None for p in percents}


def _slope(memory: Sequence[tuple[float, float]]) -> float | None:
    """MB an hour, of the second half of a run of minutes: in the first, caches fill, and the allocator's own."""
    half = memory[len(memory) // 2 :]
    if len(half) < 12:
        return None
    at, held = np.asarray(half).T
    return round(float(np.polyfit(at, held, 1)[0]) * 3600, 1)


def resident(pid: int | None) -> float | None:
    """MB of a process in memory; None where the system does not tell."""
    try:
        with open(f"/proc/{pid}/statm") as file:
            return round(int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6, 1)
    except OSError:
        return None
