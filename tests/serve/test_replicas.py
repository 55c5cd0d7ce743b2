"""Two replicas behind a balancer that sends every request to the other one: uploads do not notice."""

import hashlib
import os
from base64 import b64decode

import pytest

from tejat.serve.app import build
from tejat.serve.decoder import Decoder
from tejat.serve.exchange import Server
from tejat.serve.files import Store
from tejat.serve.hosting import Models
from tejat.serve.limits import Limits

CHUNK = 8 << 20  # as the SDKs send it
START = {"X-Goog-Upload-Protocol": "resumable", "X-Goog-Upload-Command": "start"}


@pytest.fixture(scope="module")
def replicas(running, tmp_path_factory):
    shared = tmp_path_factory.mktemp("shared")
    servers = [Server(Models([]), Store(shared, Limits()), Decoder()) for _ in range(2)]
    return [running(build(server, log=lambda line: None)) for server in servers]


def test_an_upload_of_80_mb_alternates(replicas) -> None:
    data = os.urandom(1 << 20) * 80
    sizes = {"X-Goog-Upload-Header-Content-Length": str(len(data)), "X-Goog-Upload-Header-Content-Type": "video/mp4"}
    reply = replicas[0].send("POST", "/upload/v1beta/files", {"file": {"displayName": "film"}}, START | sizes)
    path = reply.headers["x-goog-upload-url"].removeprefix(replicas[0].base)
    offsets = [*range(0, len(data), CHUNK)]
    for number, offset in enumerate(offsets):
        last = offset == offsets[-1]
        headers = {
            "X-Goog-Upload-Command": "upload, finalize" if last else "upload",
            "X-Goog-Upload-Offset": str(offset),
        }
        for again in range(2 if number % 3 == 1 or last else 1):  # its answer was lost
            replica = replicas[(number + 1 + again) % 2]
            reply = replica.send("POST", path, data[offset : offset + CHUNK], headers)
            assert (reply.code, reply.headers["x-goog-upload-status"]) == (200, "final" if last else "active")
    file = reply.json["file"]
    assert b64decode(file["sha256Hash"]).decode() == hashlib.sha256(data).hexdigest()
    for replica in replicas:
        told = replica.get(f"/v1beta/{file['name']}").json
        assert told.pop("uri").endswith(file["name"])
        assert told == {key: value for key, value in file.items() if key != "uri"}
    assert replicas[0].send("DELETE", f"/v1beta/{file['name']}").code == 200
    assert replicas[1].get(f"/v1beta/{file['name']}").code == 404


def test_a_chunk_that_breaks_off_leaves_nothing(replicas) -> None:
    import http.client

    reply = replicas[0].send("POST", "/upload/v1/files", {}, START)
    path = reply.headers["x-goog-upload-url"].removeprefix(replicas[0].base)
    broken = http.client.HTTPConnection("127.0.0.1", replicas[0].port)
    broken.putrequest("POST", path)
    for name, value in {"X-Goog-Upload-Command": "upload, finalize", "Content-Length": "1000"}.items():
        broken.putheader(name, value)
    broken.endheaders(b"x" * 500)
    broken.close()
    whole = {"X-Goog-Upload-Command": "upload, finalize", "X-Goog-Upload-Offset": "0"}
    reply = replicas[1].send("POST", path, b"y" * 1000, whole)
    assert reply.json["file"]["sizeBytes"] == "1000"
    assert b64decode(reply.json["file"]["sha256Hash"]).decode() == hashlib.sha256(b"y" * 1000).hexdigest()


def test_cancelled(replicas) -> None:
    reply = replicas[0].send("POST", "/upload/v1/files", {}, START)
    path = reply.headers["x-goog-upload-url"].removeprefix(replicas[0].base)
    assert replicas[1].send("POST", path, b"", {"X-Goog-Upload-Command": "cancel"}).code == 200
    assert replicas[0].send("POST", path, b"x", {"X-Goog-Upload-Command": "upload"}).code == 404
