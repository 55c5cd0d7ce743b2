"""Who may come in, and what leaves, with routes that say little."""

import itertools
import socket
import threading
import time

import pytest
import uvicorn
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route, Router

from tejat.errors import BadInput
from tejat.serve import connection, keys
from tejat.serve.app import PAGE_POLICY, build
from tejat.serve.decoder import Decoder
from tejat.serve.edge import Edge, escaped, is_loopback
from tejat.serve.exchange import Server, caller
from tejat.serve.files import Store
from tejat.serve.hosting import Models
from tejat.serve.keys import Keys
from tejat.serve.limits import Limits
from tejat.serve.metrics import Metrics
from tejat.serve.problems import Problem


async def tell(request: Request) -> JSONResponse:
    what = request.query_params.get("raise")
    if what == "ours":
        raise BadInput("it is wrong; mend it")
    if what == "bug":
        raise RuntimeError("secret: the password is xyzzy\nforged line")
    if what == "problem":
        raise Problem("UNAVAILABLE", "come back later", headers={"Retry-After": "7"})
    return JSONResponse({"caller": caller(request).name})


ROUTES = Router(
    [Route(path, tell, methods=["GET", "POST"]) for path in ("/v1/models", "/v1/chat/completions", "/page")]
)


@pytest.fixture(scope="module")
def log() -> list[str]:
    return []


@pytest.fixture(scope="module")
def free(running, log):
    return running(Edge(ROUTES, None, Limits(), Metrics(), frozenset({"https://example.org"}), log.append))


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> tuple:
    path = tmp_path_factory.mktemp("keys") / "keys.json"
    return path, keys.add(path, "alice"), keys.add(path, "bob", requests_per_minute=2)


@pytest.fixture(scope="module")
def locked(running, made):
    return running(Edge(ROUTES, Keys(made[0]), Limits(), Metrics(), log=lambda line: None))


def test_without_keys_only_this_machine_by_its_own_names(free) -> None:
    for host in ("localhost", "localhost:8080", "LOCALHOST", "127.0.0.1:1", "[::1]:8080", "127.8.9.1"):
        assert free.get("/v1/models", Host=host).json == {"caller": "local"}
    for host in ("example.org", "localhost.example.org", "127.0.0.1.nip.io", "192.168.1.1", "", "[::2]"):
        reply = free.get("/v1/models", Host=host)
        assert (reply.code, reply.json["error"]["status"]) == (403, "PERMISSION_DENIED")


def test_pages_of_other_sites_are_not_answered(free) -> None:
    own = f"http://127.0.0.1:{free.port}"
    assert free.get("/v1/models", Origin=own).code == 200
    for origin in ("https://evil.example", "http://127.0.0.1:1", "null", "file://", "https://example.org.evil"):
        for method in ("GET", "POST", "OPTIONS"):
            reply = free.send(method, "/v1/models", b"", {"Origin": origin})
            assert reply.code == 403 and "access-control-allow-origin" not in reply.headers
    allowed = free.send("OPTIONS", "/v1/models", None, {"Origin": "https://example.org"})
    assert (allowed.code, allowed.headers["access-control-allow-origin"]) == (200, "https://example.org")
    assert free.get("/v1/models", Origin="https://example.org").headers["vary"] == "Origin"
    assert free.send("OPTIONS", "/v1/models").code == 405


def test_with_keys_every_way_of_sending_one(locked, made) -> None:
    _, alice, _ = made
    for headers in (
        {"x-goog-api-key": alice},
        {"Authorization": f"Bearer {alice}"},
        {"authorization": f"bearer {alice}"},
    ):
        assert locked.send("GET", "/v1/models", None, headers).json == {"caller": "alice"}
    assert locked.get(f"/v1/models?key={alice}").json == {"caller": "alice"}
    assert locked.get("/v1/models", Host="example.org", x_goog_api_key=alice).code == 200
    assert locked.get("/page").json == {"caller": ""}
    for headers in (
        {},
        {"x-goog-api-key": alice[:-1]},
        {"Authorization": f"Basic {alice}"},
        {"x-goog-api-key": "\xff"},
    ):
        for path in (
            "/v1/models",
            "/v1/chat/completions",
            "/metrics",
            "/tokenize",
            "/v1beta/files/x",
            "/upload/v1/files",
        ):
            reply = locked.send("GET", path, None, headers)
            assert reply.code == 401 and alice not in reply.body.decode()
            assert reply.headers["www-authenticate"] == "Bearer"
    reply = locked.get("/v1/chat/completions")
    assert reply.json["error"]["code"] == "invalid_api_key"  # in the dialect of the path


@pytest.mark.parametrize(
    "host", ["localhost/page?", "localhost/page#", "x/health?", "localhost/upload?upload_id=1&", "a@b/"]
)
def test_a_name_in_the_host_header_opens_nothing(locked, free, host: str) -> None:
    """Some libraries put the address of a request together from this header."""
    assert locked.get("/v1/models", Host=host).code == 401
    assert free.get("/v1/models", Host=host).code in (400, 403)


def test_a_keys_limit_is_its_own(locked, made) -> None:
    _, alice, bob = made
    codes = [locked.get("/v1/models", x_goog_api_key=bob).code for _ in range(4)]
    assert codes == [200, 200, 429, 429]
    reply = locked.get("/v1/models", x_goog_api_key=bob)
    assert reply.json["error"]["status"] == "RESOURCE_EXHAUSTED" and 1 <= int(reply.headers["retry-after"]) <= 30
    assert locked.get("/v1/models", x_goog_api_key=alice).code == 200


def test_errors_tell_what_is_ours_to_tell(free, log) -> None:
    assert free.get("/v1/models?raise=ours").json["error"]["message"] == "it is wrong; mend it"
    problem = free.get("/v1/models?raise=problem")
    assert (problem.code, problem.headers["retry-after"]) == (503, "7")
    log.clear()
    bug = free.get("/v1/chat/completions?raise=bug")
    assert bug.code == 500 and "xyzzy" not in bug.body.decode() and bug.json["error"]["type"] == "server_error"
    told = [line for line in log if "xyzzy" in line]
    assert len(told) == 1 and "\n" not in told[0] and bug.headers["x-request-id"] in told[0]


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        (["GET /v1/models HTTP/1.1", "Host: localhost", "Content-Encoding: gzip"], 415),
        (["GET /v1/%00models HTTP/1.1", "Host: localhost"], 400),
        (["GET /v1/models%0a HTTP/1.1", "Host: localhost"], 400),
        (["GET /v1/../../etc/passwd HTTP/1.1", "Host: localhost"], 404),
        (["GET /..%2f..%2f..%2fetc/passwd HTTP/1.1", "Host: localhost"], 404),
        (["GARBAGE"], 400),
        (["GET http://evil.example/v1/models HTTP/1.1", "Host: evil.example"], 403),
    ],
)
def test_requests_as_no_client_writes_them(free, lines: list[str], code: int) -> None:
    with socket.create_connection(("127.0.0.1", free.port)) as plain:
        plain.sendall("\r\n".join([*lines, "Connection: close", "", ""]).encode())
        answer = b"".join(iter(lambda: plain.recv(4096), b""))
    assert int(answer.split(b" ")[1]) == code, answer[:300]
    assert b"root:" not in answer


def test_half_a_head_holds_no_socket(monkeypatch) -> None:
    monkeypatch.setattr(connection, "HEAD_SECONDS", 0.3)
    config = uvicorn.Config(
        ROUTES, port=0, http=connection.Connection, log_level="error", ws="none", timeout_keep_alive=1
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        thread.join(0.01)
    address = server.servers[0].sockets[0].getsockname()
    request = b"GET /page HTTP/1.1\r\nHost: localhost\r\n\r\n"
    for beginning, whole in ((b"", 0), (b"GET /page HT", 0), (request, 1), (request + b"GET /", 1)):
        with socket.create_connection(address) as waiting:
            began = time.monotonic()
            waiting.sendall(beginning)
            waiting.settimeout(20)
            answer = b"".join(iter(lambda waiting=waiting: waiting.recv(4096), b""))
            assert time.monotonic() - began < 15
            assert answer.count(b"HTTP/1.1 200") == whole
    server.should_exit = True
    thread.join(10)


def test_the_log_is_of_lines(free, log) -> None:
    log.clear()
    free.get("/v1/models?key=sesame")
    free.send("GET", "/page%0d%0aX%20200%201ms%1b%5b2J%c2%9b", None)
    assert len(log) == 2 and "sesame" not in log[0] and "local GET /v1/models 200 " in log[0]
    assert all(line.isascii() and line.isprintable() for line in log) and len(log[1].split(" ")) == len(
        log[0].split(" ")
    )


@pytest.mark.parametrize("text", ["a\nb", "\x1b[2J", "\u202eabc", "\\n", "é\x85", "\U0001f600"])
def test_escaped(text: str) -> None:
    told = escaped(text, 200)
    assert told.isascii() and told.isprintable()
    assert told.encode().decode("unicode_escape") == text


def test_loopback() -> None:
    assert all(is_loopback(host) for host in ("127.0.0.1", "127.1.2.3", "::1", "localhost"))
    assert not any(is_loopback(host) for host in ("0.0.0.0", "::", "10.0.0.1", "example.org", "", "127.0.0.1.nip.io"))


def test_the_playground_is_static_and_keeps_to_its_folder(running, tmp_path) -> None:
    server = Server(Models([]), Store(tmp_path, Limits()), Decoder())
    page = running(build(server, log=lambda line: None))
    reply = page.get("/")
    assert reply.code == 200 and reply.headers["content-type"].startswith("text/html")
    assert reply.headers["content-security-policy"] == PAGE_POLICY
    assert "unsafe" not in PAGE_POLICY and "default-src 'none'" in PAGE_POLICY
    assert page.get("/app.js").headers["content-type"].startswith("text/javascript")
    assert page.send("HEAD", "/").code == 200
    tries = ("..", "%2e%2e", "..%2f", "%2e%2e%2f", "....//", "..%5c", "%252e%252e%252f")
    for up, file in itertools.product(tries, ("exchange.py", "app.py", "etc/passwd")):
        for depth in (1, 2, 6):
            reply = page.get("/" + f"{up}/" * depth + file)
            assert reply.code in (400, 404) and b"import" not in reply.body and b"root:" not in reply.body
    assert page.get("/" + "a" * 5000).code == 404
    assert page.post("/app.js", b"").code == 404
