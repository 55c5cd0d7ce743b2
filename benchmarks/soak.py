"""A server at saturation for hours: clients that leave, that send rubbish, that want all it can do.

    nice -n 19 python benchmarks/soak.py --seconds 7200 --record soak.jsonl

Starts `tejat serve` with a model (default: `micro` before training) in a process of its own. More clients than it has
rows ask for text, pictures, JSON and candidates, of text, images and sound; a tenth go in the middle of an answer, a
tenth send what is no request. A line a minute; at the end one JSON object, and exit code 1 if a request was lost or got
a 5xx, or if the server did not end well.

SIGTERM and Ctrl-C end it early, with what was found so far. With --record the same command goes on where such a run,
or one that was killed, left off: for the seconds that are missing, with a server of its own, whose memory begins anew.
"""

import argparse
import base64
import collections
import http.client
import json
import math
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

from tejat import bundle
from tejat.infer.untrained import untrained
from tejat.parts import Audio, Image, to_png, to_wav

RUBBISH = [b"", b"{", b'{"contents": 3}', b"\0" * 100, b'{"contents": [{"parts": [{"text": "\\ud800"}]}]}']
SCHEMA = {"type": "OBJECT", "properties": {"name": {"type": "STRING"}, "age": {"type": "INTEGER"}}}
SPANS, T_OF_SIX = 8, 2.447
"""Of a soak's second half; and Student's t of the seven rates between them."""

CONFIGS: list[dict[str, Any]] = [
    {"maxOutputTokens": 12},
    {"maxOutputTokens": 40, "temperature": 1.0},
    {"maxOutputTokens": 60, "responseModalities": ["TEXT", "IMAGE"]},
    {"maxOutputTokens": 40, "responseMimeType": "application/json"},
    {"maxOutputTokens": 40, "responseMimeType": "application/json", "responseSchema": SCHEMA},
    {"maxOutputTokens": 20, "candidateCount": 2, "stopSequences": ["the"]},
    {"maxOutputTokens": 20, "responseLogprobs": True, "logprobs": 3},
]


def parts(chance: random.Random) -> list[dict[str, Any]]:
    """What a client says. Texts are always new; media come from a few, as those of a shared system prompt do."""
    words = " ".join(chance.choice(("star", "lion", "see", "what", "it", "is")) for _ in range(chance.randint(1, 90)))
    said: list[dict[str, Any]] = [{"text": words}]
    if chance.random() < 0.4:
        shade = np.full((16, 24 + 8 * chance.randrange(4), 3), chance.randrange(0, 256, 64), np.uint8)
        said.insert(0, _inline("image/png", to_png(Image(shade))))
    if chance.random() < 0.2:
        tone = np.sin(np.arange(8_000) * (0.05 + 0.05 * chance.randrange(4))).astype(np.float32) / 2
        said.insert(0, _inline("audio/wav", to_wav(Audio(tone))))
    return said


def _inline(kind: str, data: bytes) -> dict[str, Any]:
    return {"inlineData": {"mimeType": kind, "data": base64.b64encode(data).decode()}}


def one_request(port: int, model: str, chance: random.Random, leaving: float) -> str:
    """The code of an answer that came whole; "left" where the client left, "lost" where it got half or none."""
    leaves, rubbish = chance.random() < leaving, chance.random() < 0.1
    body = json.dumps({"contents": [{"parts": parts(chance)}], "generationConfig": chance.choice(CONFIGS)}).encode()
    method = chance.choice(("streamGenerateContent?alt=sse", "generateContent"))
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
    try:
        connection.request("POST", f"/v1/models/{model}:{method}", chance.choice(RUBBISH) if rubbish else body)
        if leaves:
            time.sleep(chance.random())
            return "left"
        answer = connection.getresponse()
        data = answer.read()
        if answer.status == 200:
            last = json.loads(data.strip().split(b"\n\n")[-1].removeprefix(b"data: "))
            candidates = last.get("candidates", [])
            return "200" if candidates and all("finishReason" in one for one in candidates) else "lost"
        told = json.loads(data)["error"]["code"]
        return str(answer.status) if told == answer.status else "lost"
    except (OSError, ValueError, KeyError, http.client.HTTPException):
        return "lost"
    finally:
        connection.close()


def memory(pid: int) -> dict[str, float]:
    """MB of a process in memory, all and what it allocated; its threads and open files."""
    lines = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return {
        "rss_mb": int(lines["VmRSS"].split()[0]) / 1024,
        "allocated_mb": int(lines["RssAnon"].split()[0]) / 1024,
        "threads": int(lines["Threads"]),
        "files": len(os.listdir(f"/proc/{pid}/fd")),
    }


def metrics(port: int) -> dict[str, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
    finally:
        connection.close()
    return dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))


def cached(port: int, model: str) -> float:
    """MB of beginnings of prompts, which fill up to their bound."""
    return float(metrics(port)[f'tejat_engine_cached_bytes{{model="{model}"}}']) / 1e6


def idle(port: int, model: str) -> bool:
    """Is nobody's answer being written or waited for?"""
    values = metrics(port)
    engine = [values[f'tejat_engine_{name}{{model="{model}"}}'] for name in ("waiting", "running")]
    return engine == ["0", "0"] and values["tejat_requests_open"] == "1"  # the one that asks


class Before:
    """What earlier runs of the same soak found, in a file of one JSON line a minute: {run, seconds, found}."""

    def __init__(self, record: Path | None):
        self.record, self.found, last = record, collections.Counter[str](), dict[int, Any]()
        for line in record.read_text().splitlines() if record is not None and record.exists() else ():
            kept = json.loads(line)
            last[kept["run"]] = kept
        for kept in last.values():
            self.found.update(kept["found"])
        self.runs, self.seconds = len(last), sum(kept["seconds"] for kept in last.values())

    def keep(self, seconds: float, found: collections.Counter[str]) -> None:
        """What this run has found until now."""
        if self.record is not None:
            line = {"run": self.runs, "seconds": round(seconds, 1), "found": dict(found)}
            with self.record.open("a") as file:
                file.write(json.dumps(line) + "\n")


def slope(seen: list[tuple[float, dict[str, float]]], name: str) -> tuple[float, float] | None:
    """MB an hour and half of its 95% interval, over the second half: in the first, caches fill, the allocator's too.

    From the means of eight spans: memory goes by steps and stays, so that hundreds of samples say little more.
    """
    late = seen[len(seen) // 2 :]
    if len(late) < 2 * SPANS:
        return None
    spans = np.array_split(np.asarray([(at / 3600, values[name]) for at, values in late]), SPANS)
    hours, means = np.transpose([span.mean(axis=0) for span in spans])
    rates = np.diff(means) / np.diff(hours)
    half = T_OF_SIX * float(rates.std(ddof=1)) / math.sqrt(len(rates))
    return round(float(rates.mean()), 2), round(half, 2)


def _slopes(seen: list[tuple[float, dict[str, float]]], *names: str) -> dict[str, float | None]:
    found: dict[str, float | None] = {}
    for name in names:
        told, half = slope(seen, name) or (None, None)
        short = name.removesuffix("_mb")
        found |= {f"{short}_slope_mb_per_h": told, f"{short}_slope_half_interval": half}
    return found


def soak(
    pid: int, port: int, model: str, seconds: float, clients: int, leaving: float, over: threading.Event, before: Before
) -> dict[str, Any]:
    """Asks for `seconds` or until it is `over`, waits until nothing is open, and says what became of the requests."""
    found: collections.Counter[str] = collections.Counter()
    lock, began = threading.Lock(), time.monotonic()
    seen: list[tuple[float, dict[str, float]]] = []

    def client(number: int) -> None:
        chance = random.Random(f"{before.runs} {number}")
        while time.monotonic() < began + seconds and not over.is_set():
            told = one_request(port, model, chance, leaving)
            if told == "429":
                time.sleep(0.5)
            with lock:
                found[told] += 1

    threads = [threading.Thread(target=client, args=(number,), daemon=True) for number in range(clients)]
    for thread in threads:
        thread.start()
    told = began
    while (now := time.monotonic()) < began + seconds and not over.is_set():
        seen.append((now - began, memory(pid) | {"cached_mb": cached(port, model)}))
        if now - told >= 60:
            told = now
            numbers = " ".join(f"{name} {value:.1f}" for name, value in seen[-1][1].items())
            print(f"{now - began:.0f} s: {dict(sorted(found.items()))}; {numbers}", file=sys.stderr, flush=True)
            before.keep(now - began, found)
        over.wait(min(10.0, seconds / 20))
    asked, hanging = time.monotonic() - began, 0
    for thread in threads:
        thread.join(max(0.0, began + asked + 300 - time.monotonic()))
        hanging += thread.is_alive()
    found["lost"] += hanging
    before.keep(asked, found)
    found.update(before.found)
    patience = time.monotonic() + 60
    while not (free := idle(port, model)) and time.monotonic() < patience:
        time.sleep(0.2)
    return {
        "seconds": round(asked + before.seconds),
        "runs": before.runs + 1,
        "requests": sum(found.values()),
        "lost": found["lost"],
        "http_5xx": sum(count for name, count in found.items() if name.startswith("5")),
        "left": found["left"],
        "answers": {name: count for name, count in sorted(found.items()) if name.isdigit()},
        "rows_held_by_nobody": not free,
        "last_run_seconds": round(asked),
        **_slopes(seen, "rss_mb", "allocated_mb", "cached_mb"),
        "memory": {"first": seen[0][1], "half": seen[len(seen) // 2][1], "last": seen[-1][1]},
    }


def main() -> int:
    parser = argparse.ArgumentParser(description="A server at saturation for hours.")
    parser.add_argument("--seconds", type=float, default=7200)
    parser.add_argument("--model", type=Path, help="a directory; default: `micro` before training")
    parser.add_argument("--clients", type=int, default=24, help="on 8 rows")
    parser.add_argument("--leaving", type=float, default=0.1, help="share of clients who go in the middle")
    parser.add_argument("--record", type=Path, help="a file by which the same command goes on after an interruption")
    options = parser.parse_args()
    before, over = Before(options.record), threading.Event()
    if (left := options.seconds - before.seconds) <= 0:
        sys.exit(
            f"{options.record} holds {before.seconds:.0f} s already; ask for more --seconds or begin another --record"
        )
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: over.set())
    with tempfile.TemporaryDirectory() as place:
        directory = Path(place)
        model = options.model or directory / "model"
        if options.model is None:
            bundle.save(model, untrained("micro"))
        name = bundle.load(model).config.name
        homes = {variable: place for variable in ("XDG_STATE_HOME", "XDG_CACHE_HOME")}
        environment = {**os.environ, **homes, "PYTHONPATH": str(Path(__file__).parents[1])}
        command = [sys.executable, "-m", "tejat", "serve", "--model", str(model), "--port", "0"]
        log = directory / "log"
        with log.open("w") as file:
            # A group of its own: Ctrl-C is for the clients, who stop first.
            server = subprocess.Popen(command, stderr=file, env=environment, process_group=0)
        try:
            while not (listens := re.search(r" at http://\S+:(\d+)/ after", log.read_text())):
                if server.poll() is not None:
                    sys.exit(f"the server did not start: {log.read_text()[-500:]}")
                time.sleep(0.2)
            port = int(listens[1])
            found = soak(server.pid, port, name, left, options.clients, options.leaving, over, before)
        finally:
            server.terminate()
            code = server.wait(600)  # on a busy machine even to end takes a while
        found |= {"exit_code": code, "tracebacks": log.read_text().count("Traceback")}
    print(json.dumps(found))
    bad = ("lost", "http_5xx", "rows_held_by_nobody", "exit_code", "tracebacks")
    return int(any(found[name] for name in bad))


if __name__ == "__main__":
    sys.exit(main())
