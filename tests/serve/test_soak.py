"""A server at saturation: clients that leave, that send rubbish, that ask for more than there is; nothing is lost.

SOAK_SECONDS=7200 pytest -m slow tests/serve/test_soak.py -s      two hours; by default one minute
"""

import base64
import collections
import http.client
import json
import os
import random
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from tejat.parts import Audio, Image, to_png, to_wav

pytestmark = pytest.mark.slow
SECONDS = float(os.environ.get("SOAK_SECONDS", "60"))
CLIENTS = 24  # on 8 rows
PNG = base64.b64encode(to_png(Image(np.zeros((16, 24, 3), np.uint8)))).decode()
WAV = base64.b64encode(to_wav(Audio(np.zeros(8_000, np.float32)))).decode()
PARTS = [
    {"text": "Hello"},
    {"text": "word " * 60},
    {"inlineData": {"mimeType": "image/png", "data": PNG}},
    {"inlineData": {"mimeType": "audio/wav", "data": WAV}},
]
CONFIGS = [
    {"maxOutputTokens": 12},
    {"maxOutputTokens": 40, "temperature": 1.0},
    {"maxOutputTokens": 60, "responseModalities": ["TEXT", "IMAGE"]},
    {"maxOutputTokens": 40, "responseMimeType": "application/json"},
    {"maxOutputTokens": 20, "candidateCount": 2, "stopSequences": ["the"]},
]
RUBBISH = [b"", b"{", b'{"contents": 3}', b"\0" * 100, b'{"contents": [{"parts": [{"text": "\\ud800"}]}]}']


def test_nothing_is_lost(served) -> None:
    found: collections.Counter[str] = collections.Counter()
    lock, until, began = threading.Lock(), time.monotonic() + SECONDS, time.monotonic()
    memory: list[tuple[float, float]] = []

    def client(number: int) -> None:
        chance = random.Random(number)
        while time.monotonic() < until:
            told = one_request(served.port, chance)
            with lock:
                found[told] += 1

    threads = [threading.Thread(target=client, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    while time.monotonic() < until:
        time.sleep(min(5.0, SECONDS / 12))
        memory.append((time.monotonic() - began, resident(served.pid)))
    for thread in threads:
        thread.join(120)
        assert not thread.is_alive(), "a request hangs"
    late = memory[len(memory) // 2 :]
    growth = np.polyfit([at for at, _ in late], [mb for _, mb in late], 1)[0] * SECONDS / 2
    print(f"\n{SECONDS:.0f} s, {dict(found)}, {memory[-1][1]:.0f} MB, {growth:+.1f} MB over the second half")
    assert not [name for name in found if name.startswith("5") or name == "lost"], found
    assert found["200"] and found["400"] and found["left"]
    began = time.monotonic()
    while not idle(served.port):
        assert time.monotonic() - began < 60, "rows are held by nobody"
        time.sleep(0.2)
    if SECONDS >= 600:  # before, caches fill
        assert growth < 5


def one_request(port: int, chance: random.Random) -> str:
    """The code of an answer that came whole; "left" where the client left, "lost" where it got half."""
    stream, leaves, rubbish = chance.random() < 0.5, chance.random() < 0.1, chance.random() < 0.1
    parts = chance.sample(PARTS, chance.randint(1, 2))
    body = json.dumps({"contents": [{"parts": parts}], "generationConfig": chance.choice(CONFIGS)}).encode()
    method = "streamGenerateContent?alt=sse" if stream else "generateContent"
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
    try:
        connection.request("POST", f"/v1/models/tiny:{method}", chance.choice(RUBBISH) if rubbish else body)
        if leaves:
            time.sleep(chance.random() * 0.3)
            return "left"
        answer = connection.getresponse()
        data = answer.read()
        if answer.status == 200:
            last = json.loads(data.strip().split(b"\n\n")[-1].removeprefix(b"data: "))
            whole = all("finishReason" in candidate for candidate in last.get("candidates", [{}]))
            return "200" if whole else "lost"
        assert json.loads(data)["error"]["code"] == answer.status
        return str(answer.status)
    except (OSError, http.client.HTTPException):
        return "lost"
    finally:
        connection.close()


def resident(pid: int) -> float:
    """MB."""
    (line,) = (line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def idle(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    connection.close()
    values = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    engine = [values[f'tejat_engine_{name}{{model="tiny"}}'] for name in ("waiting", "running")]
    return engine == ["0", "0"] and values["tejat_requests_open"] == "1"  # the one that asks
