"""`tejat serve`, as who runs it sees it."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tejat import bundle
from tejat.cli import main


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--host", "0.0.0.0"], "0.0.0.0 can be reached from other machines, which takes API keys"),
        (["--host", "example.org"], "takes API keys"),
        (["--host", "0.0.0.0", "--keys", "missing.json"], "missing.json cannot be read"),
        (["--add-key", "alice"], "--add-key needs the file"),
        (["--keys", "keys.json", "--add-key", "a b"], "'a b' cannot name a key"),
        (["--port", "65536"], "--port is 65536"),
        (["--packed", "--engine", "onnx"], "--packed is for JAX on one device, and --engine onnx is given"),
        (["--packed", "--mesh", "tensor=2"], "--packed is for JAX on one device, and --mesh is given"),
        (["--slots", "0"], "--slots is 0"),
        (["--model", "nowhere"], "there is no model 'nowhere'"),
    ],
)
def test_bad_input_is_one_sentence(tmp_path, monkeypatch, capsys, words: list[str], told: str) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["serve", *words]) == 2
    printed = capsys.readouterr()
    assert printed.out == "" and printed.err.count("\n") == 1 and told in printed.err
    assert list(tmp_path.iterdir()) == []


def test_a_key_is_printed_once(tmp_path, capsys) -> None:
    path = tmp_path / "keys.json"
    assert main(["serve", "--keys", str(path), "--add-key", "alice", "--requests-per-minute", "60"]) == 0
    key = capsys.readouterr().out.strip()
    (entry,) = json.loads(path.read_text())["keys"]
    assert entry["name"] == "alice" and entry["requests_per_minute"] == 60 and key not in path.read_text()


def test_only_what_is_in_few_bits_is_packed(tiny, tmp_path, capsys) -> None:
    bundle.save(tmp_path / "model", tiny)
    assert main(["serve", "--model", str(tmp_path / "model"), "--packed", "--port", "0"]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and "is not in four or eight bits; `tejat quantize` it first" in told


def test_help_has_examples(capsys) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["serve", "--help"])
    assert ended.value.code == 0
    assert "Example: tejat serve --model mini" in capsys.readouterr().out


def test_a_port_that_is_taken_is_told_before_a_model_is_read(tmp_path, tiny, capsys) -> None:
    bundle.save(tmp_path / "model", tiny)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["serve", "--model", str(tmp_path / "model"), "--port", str(port)]) == 2
    assert f"127.0.0.1:{port} cannot be listened at (Address already in use)" in capsys.readouterr().err


@pytest.mark.slow
def test_told_to_stop_it_finishes_what_it_began(tmp_path, tiny) -> None:
    """SIGTERM in the midst of a stream: the stream comes to its end, nothing new is taken, the exit code is 0."""
    bundle.save(tmp_path / "model", tiny)
    home = {"XDG_STATE_HOME": str(tmp_path / "state"), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    command = [sys.executable, "-m", "tejat", "serve", "--model", str(tmp_path / "model"), "--port", "0"]
    environment = {**os.environ, **home, "PYTHONPATH": str(Path(__file__).parents[2])}
    server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
    try:
        line = server.stderr.readline()
        assert line.startswith("tejat serves tiny at http://localhost:"), line
        port = int(line.split(":")[2].split("/")[0])
        log: list[str] = []
        reading = threading.Thread(target=lambda: log.extend(server.stderr))
        reading.start()
        body = {"contents": [{"parts": [{"text": "Hello"}]}], "generationConfig": {"maxOutputTokens": 450, "seed": 1}}
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        connection.request("POST", "/v1/models/tiny:streamGenerateContent?alt=sse", json.dumps(body))
        answer = connection.getresponse()
        events = [answer.readline()]
        server.send_signal(signal.SIGTERM)
        events += answer.read().split(b"\n\n")
        last = json.loads([event for event in events if event.strip()][-1].removeprefix(b"data: "))
        assert last["candidates"][0]["finishReason"] in ("STOP", "MAX_TOKENS")
        assert server.wait(30) == 0
        reading.join(10)
        assert not any("Traceback" in line for line in log)
        with pytest.raises(OSError):
            socket.create_connection(("127.0.0.1", port), timeout=5)
    finally:
        server.kill()
        server.wait()
