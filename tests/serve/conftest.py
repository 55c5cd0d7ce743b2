"""A server in a thread, and a client that knows nothing of it but its address."""

import http.client
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from starlette.types import ASGIApp

from tejat import bundle
from tejat.infer.service import Service
from tejat.serve.app import build
from tejat.serve.decoder import Decoder
from tejat.serve.exchange import Server
from tejat.serve.files import Store
from tejat.serve.hosting import Hosted, Models
from tejat.serve.limits import Limits


@dataclass
class Reply:
    """An answer whose body has been read."""

    code: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def events(self) -> list[Any]:
        """The events of a stream, which must be in the only form that the official clients take."""
        lines = self.body.decode().split("\n\n")
        assert lines.pop() == ""
        assert all(line.startswith("data: ") and "\n" not in line for line in lines)
        return [json.loads(line[6:]) if line != "data: [DONE]" else None for line in lines]


class Client:
    """Sends one request a connection."""

    def __init__(self, port: int):
        self.port = port

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def send(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Reply:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        try:
            data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
            connection.request(method, path, data, headers or {})
            answer = connection.getresponse()
            return Reply(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def get(self, path: str, **headers: str) -> Reply:
        return self.send("GET", path, None, {k.replace("_", "-"): v for k, v in headers.items()})

    def post(self, path: str, body: Any, **headers: str) -> Reply:
        return self.send("POST", path, body, {k.replace("_", "-"): v for k, v in headers.items()})


@pytest.fixture(scope="session")
def running() -> Iterator[Callable[[ASGIApp], Client]]:
    """Starts an application on a port of its own; all are stopped at the end."""
    started: list[tuple[uvicorn.Server, threading.Thread]] = []

    def run(app: ASGIApp) -> Client:
        config = uvicorn.Config(app, port=0, log_level="error", access_log=False, ws="none", server_header=False)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        started.append((server, thread))
        while not server.started:
            assert thread.is_alive()
            thread.join(0.01)
        return Client(server.servers[0].sockets[0].getsockname()[1])

    yield run
    for server, _ in started:
        server.should_exit = True
    for _, thread in started:
        thread.join(10)


@pytest.fixture(scope="session")
def server(tiny, tmp_path_factory) -> Iterator[Server]:
    """A server of the smallest model, with limits that tests can reach."""
    service = Service(tiny, slots=4, queue=6)
    limits = Limits(body=1 << 20, text=20_000, body_seconds=5)
    store = Store(tmp_path_factory.mktemp("files"), limits)
    yield Server(Models([Hosted("micro", tiny, service)]), store, Decoder(), limits=limits)
    service.close(drain=False)


@pytest.fixture(scope="session")
def log() -> list[str]:
    """What `client`'s server has logged."""
    return []


@pytest.fixture(scope="session")
def client(server, running, log) -> Client:
    return running(build(server, log=log.append))


@dataclass(frozen=True)
class Served:
    """`tejat serve` in a process of its own."""

    pid: int
    port: int


@pytest.fixture(scope="module")
def served(tiny, tmp_path_factory) -> Iterator[Served]:
    """A server as a user starts it. Its log must be without failures, and it must end with 0 when told to stop."""
    directory = tmp_path_factory.mktemp("served")
    bundle.save(directory / "model", tiny)
    homes = {name: str(directory) for name in ("XDG_STATE_HOME", "XDG_CACHE_HOME")}
    environment = {**os.environ, **homes, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-m", "tejat", "serve", "--model", str(directory / "model"), "--port", "0"]
    with (directory / "log").open("w") as log:
        server = subprocess.Popen(command, stderr=log, env=environment)
    try:
        while not (line := (directory / "log").read_text().partition("\n")[0]):
            assert server.poll() is None
            time.sleep(0.2)
        yield Served(server.pid, int(line.split(" at ")[1].split("/ ")[0].rpartition(":")[2]))
        told = (directory / "log").read_text()
        assert "Traceback" not in told and " 500 " not in told
    finally:
        server.terminate()
        assert server.wait(60) == 0
