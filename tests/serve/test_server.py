"""A whole server with a real engine, over HTTP: every rule of the two dialects that a client relies on."""

import base64
import concurrent.futures
import http.client
import json
import socket
import time
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tejat.infer.service import Service
from tejat.parts import Audio, Image, to_png, to_wav
from tejat.serve.app import build
from tejat.serve.decoder import Decoder
from tejat.serve.exchange import Server
from tejat.serve.files import Store
from tejat.serve.hosting import Hosted, Models
from tejat.serve.limits import Limits

PNG = to_png(Image(np.random.default_rng(0).integers(0, 256, (16, 24, 3), np.uint8)))
WAV = to_wav(Audio(np.zeros(8_000, np.float32)))
SHORT = {"maxOutputTokens": 8, "temperature": 0}


@pytest.fixture(scope="module")
def server(tiny, tmp_path_factory):
    service = Service(tiny, slots=4, queue=6)
    hosted = Hosted("micro", tiny, service)
    limits = Limits(body=1 << 20, text=20_000, body_seconds=5)
    store = Store(tmp_path_factory.mktemp("files"), limits)
    yield Server(Models([hosted]), store, Decoder(), limits=limits)
    service.close(drain=False)


@pytest.fixture(scope="module")
def log() -> list[str]:
    return []


@pytest.fixture(scope="module")
def client(server, running, log):
    return running(build(server, log=log.append))


def said(*parts: Any, **config: Any) -> dict[str, Any]:
    shown = [{"text": part} if isinstance(part, str) else part for part in parts]
    return {"contents": [{"role": "user", "parts": shown}], "generationConfig": {**SHORT, **config}}


def inline(mime: str, data: bytes) -> dict[str, Any]:
    return {"inline_data": {"mime_type": mime, "data": base64.urlsafe_b64encode(data).decode()}}


def generate(client, body: Any, method: str = "generateContent", version: str = "v1beta", **headers: str):
    return client.post(f"/{version}/models/gemini-2.5-flash:{method}", body, **headers)


# The Gemini dialect


def test_an_answer(client) -> None:
    for version in ("v1", "v1beta"):
        reply = generate(client, said("Hello"), version=version)
        assert reply.code == 200
        (candidate,) = reply.json["candidates"]
        assert candidate["content"]["role"] == "model" and candidate["index"] == 0
        assert candidate["finishReason"] == "MAX_TOKENS" and candidate["content"]["parts"][0]["text"]
        usage = reply.json["usageMetadata"]
        assert usage["candidatesTokenCount"] == 8
        assert usage["totalTokenCount"] == usage["promptTokenCount"] + 8
        assert usage["promptTokensDetails"] == [{"modality": "TEXT", "tokenCount": usage["promptTokenCount"]}]
        assert reply.json["modelVersion"] == "micro"  # whatever it was asked for as


def test_a_stream_is_the_answer(client) -> None:
    whole = generate(client, said("Hello", maxOutputTokens=20)).json
    reply = generate(client, said("Hello", maxOutputTokens=20), "streamGenerateContent?alt=sse")
    assert reply.code == 200 and reply.headers["content-type"].startswith("text/event-stream")
    candidates = [event["candidates"][0] for event in reply.events]
    text = "".join(part["text"] for candidate in candidates for part in candidate["content"]["parts"])
    assert text == whole["candidates"][0]["content"]["parts"][0]["text"]
    assert [c.get("finishReason") for c in candidates] == [None] * (len(candidates) - 1) + ["MAX_TOKENS"]
    last = reply.events[-1]["usageMetadata"]
    assert last["candidatesTokenCount"] == 20
    listed = generate(client, said("Hello", maxOutputTokens=20), "streamGenerateContent").json
    assert "".join(p["text"] for e in listed for p in e["candidates"][0]["content"]["parts"]) == text


def by_modality(usage: dict[str, Any]) -> dict[str, int]:
    return {detail["modality"]: detail["tokenCount"] for detail in usage["promptTokensDetails"]}


def test_media_are_seen_heard_and_counted(client) -> None:
    body = said("What?", inline("image/png", PNG), inline("application/octet-stream", WAV))
    details = by_modality(generate(client, body).json["usageMetadata"])
    assert set(details) == {"TEXT", "IMAGE", "AUDIO"}
    counted = generate(client, {"contents": body["contents"]}, "countTokens").json
    assert by_modality(counted) == details
    assert counted["totalTokens"] == sum(details.values())
    low, high = (
        generate(client, said(inline("image/png", PNG), mediaResolution=f"MEDIA_RESOLUTION_{size}")).json
        for size in ("LOW", "HIGH")
    )
    assert low["usageMetadata"]["promptTokenCount"] < high["usageMetadata"]["promptTokenCount"]


def test_pictures_come_where_they_are_asked_for(client) -> None:
    wanted = said("Draw", maxOutputTokens=100, responseModalities=["TEXT", "IMAGE"], imageConfig={"aspectRatio": "2:1"})
    reply = generate(client, wanted)
    parts = reply.json["candidates"][0]["content"]["parts"]
    blobs = [part["inlineData"] for part in parts if "inlineData" in part]
    assert blobs and all(blob["mimeType"] == "image/png" for blob in blobs)
    data = base64.b64decode(blobs[0]["data"])
    width, height = (int.from_bytes(data[at : at + 4], "big") for at in (16, 20))
    assert 1.7 < width / height < 2.3
    again = said("More", maxOutputTokens=4)
    again["contents"] = [wanted["contents"][0], {"role": "model", "parts": parts[:2]}, again["contents"][0]]
    assert generate(client, again).code == 200
    only = generate(client, said("Draw", maxOutputTokens=100, responseModalities=["IMAGE"])).json["candidates"][0]
    assert "inlineData" in only["content"]["parts"][0]
    without = generate(client, said("Draw", maxOutputTokens=60)).json["candidates"][0]["content"]["parts"]
    assert all("text" in part for part in without)


def test_json_and_choices(client) -> None:
    schema = {
        "type": "OBJECT",
        "properties": {"b": {"type": "INTEGER", "maximum": 9, "minimum": 0}, "a": {"enum": ["x", "y"]}},
        "required": ["a", "b"],
        "propertyOrdering": ["b", "a"],
    }
    made = said("Give", maxOutputTokens=60, responseMimeType="application/json", responseSchema=schema)
    reply = generate(client, made).json["candidates"][0]
    value = json.loads(reply["content"]["parts"][0]["text"])
    assert list(value) == ["b", "a"] and value["a"] in "xy" and reply["finishReason"] == "STOP"
    choices = ["up (a)", "down.b"]
    made = said("Give", responseMimeType="text/x.enum", responseSchema={"type": "STRING", "enum": choices})
    assert generate(client, made).json["candidates"][0]["content"]["parts"][0]["text"] in choices
    free = {"type": "object", "properties": {"some_key": {"const": 1}}, "required": ["some_key"]}
    free["additionalProperties"] = False
    made = said("Give", maxOutputTokens=60, responseMimeType="application/json", responseJsonSchema=free)
    text = generate(client, made).json["candidates"][0]["content"]["parts"][0]["text"]
    assert json.loads(text)["some_key"] == 1


def test_candidates_seeds_stops_and_logprobs(client) -> None:
    wild = {"temperature": 1.0, "seed": 7, "maxOutputTokens": 12}
    first, again = (generate(client, said("Hello", **wild, candidateCount=3)).json["candidates"] for _ in range(2))
    texts = [candidate["content"]["parts"][0]["text"] for candidate in first]
    assert [c["index"] for c in first] == [0, 1, 2] and len(set(texts)) > 1
    assert texts == [candidate["content"]["parts"][0]["text"] for candidate in again]
    stream = generate(client, said("Hello", **wild, candidateCount=3), "streamGenerateContent?alt=sse").events
    for number, text in enumerate(texts):
        mine = [e["candidates"][0] for e in stream if e["candidates"][0]["index"] == number]
        assert "".join(p["text"] for c in mine for p in c["content"]["parts"]) == text
    stop = texts[0][3:6]
    cut = generate(client, said("Hello", **wild, stop_sequences=[stop])).json["candidates"][0]
    assert cut["content"]["parts"][0]["text"] == texts[0][: texts[0].index(stop)] and cut["finishReason"] == "STOP"
    told = generate(client, said("Hello", responseLogprobs=True, logprobs=2)).json["candidates"][0]
    chosen, top = (told["logprobsResult"][name] for name in ("chosenCandidates", "topCandidates"))
    assert len(chosen) == len(top) == 8 and all(len(t["candidates"]) == 2 for t in top)
    assert [c["tokenId"] for c in chosen] == [t["candidates"][0]["tokenId"] for t in top]  # temperature 0
    assert told["avgLogprobs"] == pytest.approx(sum(c["logProbability"] for c in chosen) / 8)


def test_vectors(client) -> None:
    one = generate(client, {"content": {"parts": [{"text": "Hello"}]}}, "embedContent").json["embedding"]["values"]
    assert np.linalg.norm(one) == pytest.approx(1, abs=1e-5)
    requests = [{"model": "models/micro", "content": {"parts": [{"text": "Hello"}]}, "output_dimensionality": 4}]
    short = generate(client, {"requests": requests}, "batchEmbedContents").json["embeddings"]
    assert np.allclose(short[0]["values"], np.asarray(one[:4]) / np.linalg.norm(one[:4]), atol=1e-4)


BAD = {
    "nothing": {},
    "no list": {"contents": 3},
    "no parts": {"contents": [{"role": "user", "parts": []}]},
    "a role": {"contents": [{"role": "king", "parts": [{"text": "a"}]}]},
    "the model speaks last": {"contents": [{"role": "model", "parts": [{"text": "a"}]}]},
    "two in one part": {"contents": [{"parts": [{"text": "a", "inlineData": {"mimeType": "image/png"}}]}]},
    "no base64": {"contents": [{"parts": [{"inlineData": {"mimeType": "image/png", "data": "%%%"}}]}]},
    "no image": {"contents": [{"parts": [{"inlineData": {"mimeType": "image/png", "data": "AAAA"}}]}]},
    "a PDF": {"contents": [{"parts": [{"inlineData": {"mimeType": "application/pdf", "data": "AAAA"}}]}]},
    "a web page": {"contents": [{"parts": [{"fileData": {"fileUri": "https://example.org/a.png"}}]}]},
    "a local file": {"contents": [{"parts": [{"fileData": {"fileUri": "file:///etc/passwd"}}]}]},
    "a path": {"contents": [{"parts": [{"fileData": {"fileUri": "files/../../etc/passwd"}}]}]},
    "a bucket": {"contents": [{"parts": [{"fileData": {"fileUri": "gs://a/b"}}]}]},
    "unknown": said("a") | {"wish": 1},
    "unknown within": said("a", wish=1),
    "heat": said("a", temperature=-1),
    "heat as text": said("a", temperature="hot"),
    "too many": said("a", candidateCount=99),
    "no tokens": said("a", maxOutputTokens=0),
    "too long": said("word " * 3000),
    "far too long": said("w" * 30_000),
    "a schema": said("a", responseMimeType="application/json", responseSchema={"type": "THING"}),
    "a schema that is none": said("a", responseMimeType="application/json", responseJsonSchema={"type": 3}),
    "an empty choice": said("a", responseMimeType="text/x.enum", responseSchema={"type": "STRING"}),
    "speech": said("a", responseModalities=["AUDIO"]),
    "an aspect": said("a", responseModalities=["IMAGE", "TEXT"], imageConfig={"aspectRatio": "0:1"}),
    "stops": said("a", stopSequences=[""]),
    "a cache": said("a") | {"cachedContent": "cachedContents/1"},
    "search": said("a") | {"tools": [{"googleSearch": {}}]},
    "alternatives": said("a", responseLogprobs=True, logprobs=1000),
    "a clip": {"contents": [{"parts": [{"text": "a", "videoMetadata": {"startOffset": "1", "fps": 1}}]}]},
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_400_in_one_sentence(client, name: str) -> None:
    for method in ("generateContent", "streamGenerateContent?alt=sse"):
        reply = generate(client, BAD[name], method)
        error = reply.json["error"]
        assert (reply.code, error["code"], error["status"]) == (400, 400, "INVALID_ARGUMENT")
        assert error["message"] and "\n" not in error["message"] and len(error["message"]) < 500
        assert "Traceback" not in error["message"] and ".py" not in error["message"]


def test_other_errors_speak_the_dialect(client) -> None:
    for path, code, status in (
        ("/v1beta/models/nothing:generateContent", 404, "NOT_FOUND"),
        ("/v1beta/models/micro:dance", 404, "NOT_FOUND"),
        ("/v1beta/models/micro", 404, "NOT_FOUND"),
        ("/v1beta/nothing", 404, "NOT_FOUND"),
        ("/v1beta/models", 405, "INVALID_ARGUMENT"),
    ):
        reply = client.post(path, said("a"))
        assert (reply.code, reply.json["error"]["status"]) == (code, status), path
    reply = client.post("/v1/chat/completions", {"model": "nothing", "messages": [{"role": "user", "content": "a"}]})
    assert reply.code == 404 and reply.json["error"]["type"] == "not_found_error"


def test_models_of_both_dialects(client) -> None:
    both = client.get("/v1/models").json
    assert [m["id"] for m in both["data"]] == ["micro"] and [m["name"] for m in both["models"]] == ["models/micro"]
    assert "models" not in client.get("/v1/models", authorization="Bearer x").json
    assert "data" not in client.get("/v1/models", x_goog_api_key="x").json
    assert "data" not in client.get("/v1beta/models").json and "data" not in client.get("/v1/models?key=x").json
    one = client.get("/v1beta/models/micro").json
    assert one["inputTokenLimit"] == 512 and "generateContent" in one["supportedGenerationMethods"]
    assert client.get("/v1/models/micro", authorization="Bearer x").json["object"] == "model"


# Files


def test_an_upload_and_its_use(client) -> None:
    start = {"X-Goog-Upload-Protocol": "resumable", "X-Goog-Upload-Command": "start"}
    sizes = {"X-Goog-Upload-Header-Content-Length": str(len(PNG)), "X-Goog-Upload-Header-Content-Type": "image/png"}
    reply = client.send("POST", "/upload/v1beta/files", {"file": {"display_name": "a"}}, start | sizes)
    assert (reply.code, reply.headers["x-goog-upload-status"]) == (200, "active")
    address = reply.headers["x-goog-upload-url"].removeprefix(client.base)
    half = {"X-Goog-Upload-Command": "upload", "X-Goog-Upload-Offset": "0"}
    for _ in range(2):
        reply = client.send("POST", address, PNG[:50], half)
        assert (reply.code, reply.headers["x-goog-upload-status"]) == (200, "active")
    asked = client.send("POST", address, b"", {"X-Goog-Upload-Command": "query"})
    assert asked.headers["x-goog-upload-size-received"] == "50"
    last = {"X-Goog-Upload-Command": "upload, finalize", "X-Goog-Upload-Offset": "50"}
    for _ in range(2):
        reply = client.send("POST", address, PNG[50:], last)
        assert (reply.code, reply.headers["x-goog-upload-status"]) == (200, "final")
    file = reply.json["file"]
    assert (file["state"], file["mimeType"], file["sizeBytes"]) == ("ACTIVE", "image/png", str(len(PNG)))
    assert client.get(f"/v1beta/{file['name']}").json == file
    assert file in client.get("/v1beta/files").json["files"]
    for uri in (file["uri"], file["name"]):
        body = said({"file_data": {"file_uri": uri, "mime_type": "image/png"}}, "What?")
        seen = generate(client, body).json["usageMetadata"]
        assert seen == generate(client, said(inline("image/png", PNG), "What?")).json["usageMetadata"] | {
            k: v for k, v in seen.items() if k == "cachedContentTokenCount"
        }
    assert client.send("DELETE", f"/v1beta/{file['name']}").code == 200
    assert client.get(f"/v1beta/{file['name']}").code == generate(client, body).code == 404


def test_uploads_that_cannot_be(client) -> None:
    start = {"X-Goog-Upload-Protocol": "resumable", "X-Goog-Upload-Command": "start"}
    for body, headers, told in (
        ({}, {}, "X-Goog-Upload-Protocol must be resumable"),
        ({}, start | {"X-Goog-Upload-Header-Content-Length": "0"}, "1 to"),
        ({}, start | {"X-Goog-Upload-Header-Content-Length": "x"}, "whole number"),
        ({"file": {"name": "files/../x"}}, start, "names no file"),
        ({"file": {"mimeType": "a"}}, start, "MIME type"),
    ):
        reply = client.send("POST", "/upload/v1/files", body, headers)
        assert reply.code == 400 and told in reply.json["error"]["message"]
    for id in ("x", "..%2f..", "a" * 32, "%00"):
        assert client.post(f"/upload/v1/files?upload_id={id}", b"x", X_Goog_Upload_Command="upload").code == 404


# The OpenAI dialect


def test_chat(client) -> None:
    url = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"
    content = [
        {"type": "text", "text": "What?"},
        {"type": "image_url", "image_url": {"url": url, "detail": "low"}},
        {"type": "input_audio", "input_audio": {"data": base64.b64encode(WAV).decode(), "format": "wav"}},
    ]
    messages = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": content}]
    body = {"model": "gpt-4o", "messages": messages, "max_tokens": 8, "temperature": 0, "logprobs": True}
    reply = client.post("/v1/chat/completions", body).json
    (choice,) = reply["choices"]
    assert (choice["message"]["role"], choice["finish_reason"], reply["model"]) == ("assistant", "length", "micro")
    assert len(choice["logprobs"]["content"]) == reply["usage"]["completion_tokens"] == 8
    assert reply["usage"]["prompt_tokens_details"]["audio_tokens"] > 10
    stream = body | {"stream": True, "stream_options": {"include_usage": True}}
    *events, usage, done = client.post("/v1/chat/completions", stream).events
    assert done is None and usage["choices"] == [] and usage["usage"]["completion_tokens"] == 8
    deltas = [event["choices"][0]["delta"] for event in events]
    assert "".join(delta.get("content", "") for delta in deltas) == choice["message"]["content"]
    assert [d.get("role") for d in deltas] == ["assistant"] + [None] * (len(deltas) - 1)
    remote = {"type": "image_url", "image_url": {"url": "http://169.254.169.254/latest/meta-data"}}
    reply = client.post("/v1/chat/completions", body | {"messages": [{"role": "user", "content": [remote]}]})
    assert reply.code == 400 and "fetches nothing" in reply.json["error"]["message"]


def test_chat_in_json(client) -> None:
    schema = {"type": "object", "properties": {"n": {"const": 5}}, "required": ["n"], "additionalProperties": False}
    form = {"type": "json_schema", "json_schema": {"name": "n", "strict": True, "schema": schema}}
    body = {"model": "micro", "messages": [{"role": "user", "content": "Five"}], "response_format": form}
    reply = client.post("/v1/chat/completions", body | {"max_completion_tokens": 40}).json
    assert json.loads(reply["choices"][0]["message"]["content"]) == {"n": 5}


def test_completions_score_prompts(client, tiny) -> None:
    """What lm-eval reads: log-probabilities of a prompt's own tokens, and whether each was the likeliest."""
    ids = client.post("/tokenize", {"prompt": "One two three", "add_special_tokens": False}).json["tokens"]
    assert ids == tiny.vocabulary.encode("One two three")
    body = {
        "model": "micro",
        "prompt": [ids],
        "echo": True,
        "logprobs": 1,
        "max_tokens": 1,
        "seed": 1,
        "temperature": 0,
    }
    choice = client.post("/v1/completions", body).json["choices"][0]
    told = choice["logprobs"]
    assert len(told["token_logprobs"]) == len(ids) + 1 == len(told["tokens"]) == len(told["top_logprobs"])
    for own, best in zip(told["token_logprobs"], told["top_logprobs"], strict=True):
        assert max(best.values()) >= own
    assert choice["text"].startswith("One two three")
    only = client.post("/v1/completions", body | {"max_tokens": 0}).json["choices"][0]["logprobs"]
    assert only["token_logprobs"] == told["token_logprobs"][:-1]
    assert client.post("/detokenize", {"tokens": ids}).json == {"prompt": "One two three"}
    assert client.post("/tokenize", {"prompt": "<eos>"}).json["tokens"] == [1]
    assert client.get("/tokenizer_info").json["eos_token"] == "<eos>"


def test_completions_continue(client) -> None:
    body = {"model": "micro", "prompt": ["One", "Two"], "max_tokens": 6, "temperature": 0}
    reply = client.post("/v1/completions", body).json
    assert [c["index"] for c in reply["choices"]] == [0, 1] and reply["usage"]["completion_tokens"] == 12
    events = client.post("/v1/completions", body | {"prompt": "One", "stream": True}).events
    assert events.pop() is None
    assert "".join(e["choices"][0]["text"] for e in events) == reply["choices"][0]["text"]
    many = client.post("/v1/completions", body | {"prompt": ["One"] * 30, "max_tokens": 1})
    assert many.code == 200 and len(many.json["choices"]) == 30  # more than the queue holds


def test_images(client) -> None:
    """One picture for each n, whether the model would have drawn or not."""
    body = {"model": "gpt-image-1", "prompt": "A cat", "n": 2, "size": "1536x1024", "seed": 1}
    reply = client.post("/v1/images/generations", body)
    data = [base64.b64decode(one["b64_json"]) for one in reply.json["data"]]
    assert len(data) == 2 and all(one.startswith(b"\x89PNG") for one in data)
    assert {one[16:24] for one in data} == {(9 * 8).to_bytes(4, "big") + (6 * 8).to_bytes(4, "big")}
    tokens = 2 * (6 * (9 + 1) + 4 - 1)  # rows of codes and their ends, marks and sides; the first mark was the prompt's
    assert reply.json["usage"]["output_tokens"] == tokens
    url = client.post("/v1/images/generations", {"prompt": "A cat", "response_format": "url"}).json["data"][0]["url"]
    assert url.startswith("data:image/png;base64,iVBOR")
    for wrong in ({"prompt": ""}, {"n": 0}, {"size": "big"}, {"size": "0x9"}):
        assert client.post("/v1/images/generations", {"prompt": "a"} | wrong).code == 400


def test_embeddings_as_numbers_and_packed(client) -> None:
    body = {"model": "text-embedding-3-small", "input": ["Hello"]}
    plain = client.post("/v1/embeddings", body).json["data"][0]["embedding"]
    packed = client.post("/v1/embeddings", body | {"encoding_format": "base64"}).json["data"][0]["embedding"]
    assert np.allclose(np.frombuffer(base64.b64decode(packed), "<f4"), plain, atol=1e-6)


def test_transcriptions(client) -> None:
    boundary = "x-x"
    fields = [("model", b"whisper-1"), ("response_format", b"verbose_json"), ('file"; filename="a.wav', WAV)]
    body = b"".join(
        b'--%s\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n' % (boundary.encode(), name.encode(), data)
        for name, data in fields
    )
    kind = f"multipart/form-data; boundary={boundary}"
    reply = client.post("/v1/audio/transcriptions", body + b"--x-x--\r\n", Content_Type=kind)
    assert reply.code == 200 and reply.json["duration"] == 0.5 and isinstance(reply.json["text"], str)
    for broken in (body, b"", b"--x-x--\r\n", body[:40] + b"\r\n--x-x--"):
        assert client.post("/v1/audio/transcriptions", broken, Content_Type=kind).code == 400


# Trust


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
    with pytest.raises(OSError):
        for _ in range(100):
            connection.sendall(chunk)
            if connection.recv(12, socket.MSG_DONTWAIT | socket.MSG_PEEK) == b"HTTP/1.1 413":
                raise OSError
    connection.close()
    assert server.bodies.held == 0


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
