"""The Gemini dialect over HTTP: every rule of it that a client relies on."""

import base64
import json
from typing import Any

import numpy as np
import pytest
from asking import PNG, WAV, generate, inline, said


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
    assert [[*part] for part in only["content"]["parts"]] == [["inlineData"]] and only["finishReason"] == "STOP"
    without = generate(client, said("Draw", maxOutputTokens=60)).json["candidates"][0]["content"]["parts"]
    assert all("text" in part for part in without)


def size_of(reply, place: int = 0) -> tuple[int, int]:
    (blob,) = [p["inlineData"] for p in reply.json["candidates"][place]["content"]["parts"] if "inlineData" in p]
    data = base64.b64decode(blob["data"])
    width, height = (int.from_bytes(data[at : at + 4], "big") for at in (16, 20))
    return width, height


def test_pictures_have_the_size_that_was_asked_for(client) -> None:
    for config, size in (
        ({"imageSize": "96x64"}, (96, 64)),
        ({"imageSize": "1K"}, (1024, 1024)),
        ({"imageSize": "512px", "aspectRatio": "16:9"}, (682, 384)),
        ({"aspectRatio": "16:9", "guidanceScale": 3.0, "topK": 5, "temperature": 1}, (80, 48)),
    ):
        asked = said("Draw", maxOutputTokens=100, seed=1, responseModalities=["IMAGE"], imageConfig=config)
        assert size_of(generate(client, asked)) == size, config


def test_the_best_of_several_comes(client) -> None:
    """Some of those that are drawn without, each with its seed; what all of them took is counted. Not in a stream."""
    asked = said("Draw", maxOutputTokens=100, seed=3, responseModalities=["IMAGE"], imageConfig={"bestOf": 3})
    reply = generate(client, asked).json
    (best,) = reply["candidates"]
    asked["generationConfig"] |= {"imageConfig": {}, "candidateCount": 3}
    every = generate(client, asked).json
    assert best["content"] in [one["content"] for one in every["candidates"]] and best["index"] == 0
    assert reply["usageMetadata"]["candidatesTokenCount"] == every["usageMetadata"]["candidatesTokenCount"]
    asked["generationConfig"] |= {"imageConfig": {"bestOf": 4}}
    refused = generate(client, asked, "streamGenerateContent?alt=sse")
    assert refused.code == 400 and "do not stream it" in refused.json["error"]["message"]


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


def drawn(**config):
    """A request for a picture."""
    return said("a", responseModalities=["IMAGE", "TEXT"], imageConfig=config)


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
    "an aspect": drawn(aspectRatio="0:1"),
    "a size": drawn(imageSize="huge"),
    "no size at all": drawn(imageSize="0x64"),
    "too much of one": drawn(imageSize="10000x10000"),
    "too large a name": drawn(imageSize="4K"),
    "two shapes": drawn(imageSize="96x64", aspectRatio="1:1"),
    "guidance": drawn(guidanceScale=0),
    "heat of codes": drawn(temperature="hot"),
    "the best of too many": drawn(bestOf=99),
    "the best of nothing": said("a", imageConfig={"bestOf": 2}),
    "a wish of pictures": drawn(sharpness=1),
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
