"""The OpenAI dialect over HTTP, and the routes that let lm-eval measure a server."""

import base64
import io
import json

import numpy as np
from asking import PNG, WAV
from PIL import Image as pillow


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


def test_a_picture_among_ids_is_refused_unless_the_answer_draws_it(client) -> None:
    """Its codes are no ids of text: half of one would be gone on with as words."""
    marks = "<bos>", "<|picture>", "<|row|>"
    *begun, row = (client.post("/tokenize", {"prompt": mark}).json["tokens"][0] for mark in marks)
    body = {"model": "micro", "max_tokens": 80, "temperature": 0}
    for ids in ([*begun, row], [*begun, begun[1]], [*begun, 5000]):
        refused = client.post("/v1/completions", body | {"prompt": ids})
        assert refused.code == 400 and "\n" not in refused.json["error"]["message"], ids
    assert client.post("/v1/completions", body | {"prompt": begun}).code == 200


def test_a_size_beyond_all_bounds_in_words_gives_a_picture_within_them(client) -> None:
    asked = "Draw a cat, 10000x10000 pixels, and one of 0x0."
    body = {"model": "micro", "messages": [{"role": "user", "content": asked}], "max_tokens": 120, "seed": 3}
    reply = client.post("/v1/chat/completions", body)
    assert reply.code == 200 and reply.json["choices"][0]["finish_reason"] in ("stop", "length")
    drawn = client.post("/v1/images/generations", {"prompt": asked, "n": 1, "seed": 3})
    data = base64.b64decode(drawn.json["data"][0]["b64_json"])
    assert drawn.code == 200 and pillow.open(io.BytesIO(data)).size <= (1024, 1024)


def test_images(client) -> None:
    """One picture for each n, whether the model would have drawn or not."""
    body = {"model": "gpt-image-1", "prompt": "A cat", "n": 2, "size": "1536x1024", "seed": 1}
    reply = client.post("/v1/images/generations", body)
    data = [base64.b64decode(one["b64_json"]) for one in reply.json["data"]]
    assert len(data) == 2 and all(one.startswith(b"\x89PNG") for one in data)
    assert {one[16:24] for one in data} == {(1536).to_bytes(4, "big") + (1024).to_bytes(4, "big")}
    tokens = 2 * (6 * (9 + 1) + 4 - 1)  # rows of codes and their ends, marks and sides; the first mark was the prompt's
    assert reply.json["usage"]["output_tokens"] == tokens
    url = client.post("/v1/images/generations", {"prompt": "A cat", "response_format": "url"}).json["data"][0]["url"]
    assert url.startswith("data:image/png;base64,iVBOR")
    sizes = []
    for kind, quality in (("jpeg", 100), ("jpeg", 10), ("webp", 10)):
        wish = {"prompt": "A cat", "seed": 1, "size": "96x64", "output_format": kind, "output_compression": quality}
        reply = client.post("/v1/images/generations", wish).json
        data = base64.b64decode(reply["data"][0]["b64_json"])
        made = pillow.open(io.BytesIO(data))
        assert (made.format.lower(), made.size, reply["output_format"]) == (kind, (96, 64), kind)
        sizes.append(len(data))
    assert sizes[1] < sizes[0]
    shapes = {"size": "big"}, {"size": "0x9"}, {"size": "10000x10000"}
    files = {"output_format": "gif"}, {"output_compression": 101}, {"background": "transparent"}
    for wrong in ({"prompt": ""}, {"n": 0}, {"n": 2, "best_of": 1}, *shapes, *files):
        reply = client.post("/v1/images/generations", {"prompt": "a"} | wrong)
        assert reply.code == 400 and "\n" not in reply.json["error"]["message"], wrong
    wishes = {"guidance_scale": 2, "temperature": 0.5, "top_k": 9, "best_of": 3, "size": "40x30"}
    data = client.post("/v1/images/generations", {"prompt": "a", "n": 2} | wishes).json["data"]
    assert [base64.b64decode(one["b64_json"])[16:24] for one in data] == [b"\0\0\0\x28\0\0\0\x1e"] * 2


def test_pictures_of_a_dialogue_are_as_they_were_asked_for(client) -> None:
    body = {"model": "micro", "messages": [{"role": "user", "content": "Draw"}], "modalities": ["image"]}
    config = {"image_config": {"aspect_ratio": "2:1", "guidance_scale": 2, "best_of": 2}}
    reply = client.post("/v1/chat/completions", body | config).json
    (image,) = reply["choices"][0]["message"]["images"]
    data = base64.b64decode(image["image_url"]["url"].partition(",")[2])
    assert data[16:24] == (88).to_bytes(4, "big") + (40).to_bytes(4, "big")
    for wrong in ({"image_config": {"image_size": "0x1"}}, config | {"stream": True}):
        assert client.post("/v1/chat/completions", body | wrong).code == 400
    text = {"model": "micro", "prompt": "a", "image_config": {}}
    assert client.post("/v1/completions", text).code == 400


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
