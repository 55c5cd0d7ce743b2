"""`tejat serve`, as who runs it sees it."""

import base64
import contextlib
import http.client
import io
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image as pillow

import tejat
from tejat import bundle
from tejat.cli import main
from tejat.export import quantize
from tejat.infer import onnx_files


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


def test_without_an_accelerator_four_bits_are_served_by_their_own_engine(tmp_path, tiny) -> None:
    """All of it in four bits, as `mini` is shipped: nobody names an engine, and text and a picture come."""
    blocks = quantize.quantize(tiny, quantize.Plan(4, 4, 4, method="nearest"))
    bundle.save(tmp_path / "model", blocks, "float16")
    with serving(tmp_path) as (server, port, told):
        (folder,) = (tmp_path / "cache" / "tejat" / "onnx").iterdir()
        assert told == [f"tejat: writing {tmp_path / 'model'} for ONNX Runtime, this once, to {folder} …"]
        assert onnx_files.check(folder)["weights"] == "4 bits"

        def parts(**config) -> list[dict]:
            body = {"contents": [{"parts": [{"text": "Hello"}]}], "generationConfig": config}
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            connection.request("POST", "/v1/models/tiny:generateContent", json.dumps(body))
            return json.loads(connection.getresponse().read())["candidates"][0]["content"]["parts"]

        # Scored to the last bit as by ONNX Runtime, whose activations have eight bits: not what JAX would say.
        answer = tejat.load(folder, engine="onnx").answer("Hello", max_tokens=12, pictures=False)
        assert parts(maxOutputTokens=12, temperature=0) == [{"text": answer.text}] and answer.text
        (picture,) = parts(maxOutputTokens=100, temperature=0, responseModalities=["IMAGE"])
        drawn = pillow.open(io.BytesIO(base64.b64decode(picture["inlineData"]["data"])))
        assert drawn.format == "PNG" and min(drawn.size) >= tiny.config.picture.patch
        server.send_signal(signal.SIGTERM)
        assert server.wait(30) == 0


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[tuple[subprocess.Popen, int, list[str]]]:
    """(`tejat serve` of the model in `folder`, its port, what it said before it listened)."""
    home = {"XDG_STATE_HOME": str(folder / "state"), "XDG_CACHE_HOME": str(folder / "cache")}
    command = [sys.executable, "-m", "tejat", "serve", "--model", str(folder / "model"), "--port", "0"]
    environment = {**os.environ, **home, "PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as server:
        try:
            lines = [server.stderr.readline()]
            while lines[-1] and not lines[-1].startswith("tejat serves"):
                lines.append(server.stderr.readline())
            *told, line = (line.rstrip("\n") for line in lines)
            assert line.startswith("tejat serves tiny at http://localhost:"), lines
            yield server, int(line.split(":")[2].split("/")[0]), told
        finally:
            server.kill()


@pytest.mark.slow
def test_told_to_stop_it_finishes_what_it_began(tmp_path, tiny) -> None:
    """SIGTERM in the midst of a stream: the stream comes to its end, nothing new is taken, the exit code is 0."""
    bundle.save(tmp_path / "model", tiny)
    with serving(tmp_path) as (server, port, _):
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
