"""What a server does with garbage, with too much, with clients that leave; and what it tells of itself."""

import concurrent.futures
import contextlib
import http.client
import json
import socket
import time

from asking import generate, said
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st


def test_garbage_is_refused(client) -> None:
    """Whatever the bytes, the answer is a 4xx, or an answer, and the server goes on."""
    paths = [
        *(f"/v1beta/models/micro:{method}" for method in ("generateContent", "countTokens", "embedContent")),
        *("/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/images/generations", "/tokenize"),
        *("/v1/audio/transcriptions", "/upload/v1/files", "/detokenize", "/v1beta/models/micro:batchEmbedContents"),
    ]
    names = ["contents", "parts", "text", "role", "messages", "content", "prompt", "input", "tokens", "model", "n"]
    value = st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | st.just("micro"),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(names), inner, max_size=4),
        max_leaves=8,
    )
    bodies = st.binary(max_size=60) | value.map(lambda v: json.dumps(v).encode())

    @settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(st.sampled_from(paths), bodies, st.text(st.characters(max_codepoint=255), max_size=5))
    def refused(path: str, body: bytes, key: str) -> None:
        reply = client.send("POST", path, body)
        assert reply.code in (200, 400, 404, 413), reply.body
        if reply.code != 200:
            assert reply.json["error"]["message"]

    refused()


def test_headers_of_every_answer(client) -> None:
    for reply in (client.get("/health"), client.get("/nothing"), generate(client, {}), client.get("/v1/models")):
        assert "default-src 'none'" in reply.headers["content-security-policy"]
        assert reply.headers["x-content-type-options"] == "nosniff" and reply.headers["x-frame-options"] == "DENY"
        assert len(reply.headers["x-request-id"]) == 16
        assert "server" not in reply.headers and "access-control-allow-origin" not in reply.headers


def test_bodies_have_a_size_and_a_time(client, server) -> None:
    assert client.post("/v1/chat/completions", b" " * (server.limits.body + 1)).code == 413
    connection = socket.create_connection(("127.0.0.1", client.port))
    connection.sendall(b"POST /tokenize HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    told = b""
    with contextlib.suppress(ConnectionError):  # closed before all of it was sent, as the answer says too
        for _ in range(100):
            connection.sendall(chunk)
            with contextlib.suppress(BlockingIOError):  # nothing is told yet
                told = connection.recv(12, socket.MSG_DONTWAIT | socket.MSG_PEEK)
            if told:
                break
        else:
            connection.settimeout(10)
            told = connection.recv(12)
        assert told == b"HTTP/1.1 413"
    connection.close()
    began = time.monotonic()
    while server.bodies.held:  # the server may have yet to see that the client has gone
        assert time.monotonic() - began < 10
        time.sleep(0.02)


def test_a_client_that_leaves_frees_its_rows(client, server) -> None:
    """Of two requests for 4 x 400 tokens each, most are never written."""
    service = server.models.all[0].service
    before = service.stats().answer_tokens
    for method in ("generateContent", "streamGenerateContent?alt=sse"):
        connection = http.client.HTTPConnection("127.0.0.1", client.port)
        body = json.dumps(said("Hello", maxOutputTokens=400, candidateCount=4))
        connection.request("POST", f"/v1/models/micro:{method}", body)
        while service.stats().answer_tokens == before:
            time.sleep(0.005)
        connection.close()
        began = time.monotonic()
        while service.stats().running or service.stats().waiting:
            assert time.monotonic() - began < 10
            time.sleep(0.02)
        assert service.stats().answer_tokens - before < 800
        before = service.stats().answer_tokens


def test_too_much_at_once_is_429_and_nothing_is_lost(client) -> None:
    with concurrent.futures.ThreadPoolExecutor(24) as pool:
        replies = [*pool.map(lambda _: generate(client, said("Hello", maxOutputTokens=100)), range(24))]
    codes = [reply.code for reply in replies]
    assert set(codes) == {200, 429} and codes.count(200) >= 10  # 4 rows and 6 that wait
    refused = next(reply for reply in replies if reply.code == 429)
    assert refused.json["error"]["status"] == "RESOURCE_EXHAUSTED" and "waiting" in refused.json["error"]["message"]
    answers = [reply.json["candidates"][0]["content"]["parts"] for reply in replies if reply.code == 200]
    assert all(answer == answers[0] for answer in answers)


def test_deadlines(client) -> None:
    for method in ("generateContent", "streamGenerateContent?alt=sse"):
        reply = generate(client, said("Hello", maxOutputTokens=450), method, x_server_timeout="0.05")
        error = reply.events[-1]["error"] if reply.code == 200 else reply.json["error"]
        assert (error["code"], error["status"]) == (504, "DEADLINE_EXCEEDED")
    assert generate(client, said("Hello"), x_server_timeout="soon").code == 400


def test_numbers_and_health(client) -> None:
    assert client.get("/health").json == {"status": "ok"}
    assert client.get("/ready").json == {"status": "ready"}
    client.get("/v1/models")
    text = client.get("/metrics").body.decode()
    for line in ('tejat_requests_total{code="200",route="models"}', 'tejat_engine_running{model="micro"}'):
        assert line in text
    names = {line.split("{")[0].split(" ")[0] for line in text.splitlines() if not line.startswith("#")}
    assert all(name.startswith("tejat_") for name in names)


def test_the_log_holds_no_prompts_no_keys_and_no_second_lines(client, log) -> None:
    log.clear()
    secret = "sesame opens"
    generate(client, said(secret))
    client.post(f"/v1beta/models/micro:countTokens?key={secret.split()[0]}", said(secret))
    client.get("/a%0Ab%1b%5B31mc%E2%80%AE")
    time.sleep(0.1)
    assert len(log) == 3
    assert not any(part in line for line in log for part in ("sesame", "opens", "\n", "\x1b", "\u202e"))
    assert "/v1beta/models/micro:countTokens 200" in log[1]
