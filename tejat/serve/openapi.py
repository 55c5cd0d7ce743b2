"""What the server takes and gives, as an OpenAPI 3.1 document: for people, generators of clients, and fuzzers.

Requests are described as they are read (`gemini.Reader`, `openai`); answers by their outer form alone.
"""

from collections.abc import Sequence
from typing import Any

import tejat

Schema = dict[str, Any]


def document(models: Sequence[str]) -> Schema:
    """The document, served at /openapi.json; `models` are the names of those hosted."""
    paths: dict[str, Any] = {}
    for version in ("v1", "v1beta"):
        paths |= _gemini(f"/{version}", version, models)
    paths |= {
        "/v1/chat/completions": {"post": _call("chat", _CHAT)},
        "/v1/completions": {"post": _call("complete", _COMPLETION)},
        "/v1/embeddings": {"post": _call("embed", _EMBEDDINGS)},
        "/v1/images/generations": {"post": _call("draw", _IMAGES)},
        "/v1/audio/transcriptions": {"post": _call("transcribe", _TRANSCRIPTION, "multipart/form-data")},
        "/tokenizer_info": {"get": _call("tokenizerInfo")},
        "/tokenize": {"post": _call("tokenize", _TOKENIZE)},
        "/detokenize": {"post": _call("detokenize", _DETOKENIZE)},
        "/health": {"get": _call("health")},
        "/ready": {"get": _call("ready")},
        "/metrics": {"get": _call("metrics", gives="text/plain")},
    }
    schemes = {
        "key": {"type": "apiKey", "in": "header", "name": "x-goog-api-key"},
        "bearer": {"type": "http", "scheme": "bearer"},
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": "Tejat", "version": tejat.__version__},
        "paths": paths,
        "components": {"securitySchemes": schemes},
        "security": [{}, {"key": []}, {"bearer": []}],
    }


def _gemini(prefix: str, version: str, models: Sequence[str]) -> dict[str, Any]:
    model, file = _path("model", {"enum": [*models]}), _path("file", {"type": "string", "minLength": 1})
    pages = [_query("pageSize", {"type": "integer", "minimum": 1, "maximum": 100}), _query("pageToken", _TEXT)]
    events = [_query("alt", {"enum": ["sse", "json"]})]

    def method(name: str, body: Schema, more: list[Schema] | None = None) -> Schema:
        call = _call(f"{version}_{name}", body)
        return {"post": {**call, "parameters": [model, *(more or [])]}}

    stream = method("streamGenerateContent", _GENERATE, events)
    stream["post"]["responses"]["200"] = _answer("text/event-stream", "application/json")
    return {
        f"{prefix}/models": {"get": {**_call(f"{version}_listModels"), "parameters": pages}},
        f"{prefix}/models/{{model}}": {"get": {**_call(f"{version}_getModel"), "parameters": [model]}},
        f"{prefix}/models/{{model}}:generateContent": method("generateContent", _GENERATE),
        f"{prefix}/models/{{model}}:streamGenerateContent": stream,
        f"{prefix}/models/{{model}}:countTokens": method("countTokens", _GENERATE),
        f"{prefix}/models/{{model}}:embedContent": method("embedContent", _EMBED),
        f"{prefix}/models/{{model}}:batchEmbedContents": method("batchEmbedContents", _BATCH),
        f"{prefix}/files": {"get": {**_call(f"{version}_listFiles"), "parameters": pages}},
        f"{prefix}/files/{{file}}": {
            "get": {**_call(f"{version}_getFile"), "parameters": [file]},
            "delete": {**_call(f"{version}_deleteFile"), "parameters": [file]},
        },
        f"/upload/{version}/files": {"post": {**_call(f"{version}_upload", _UPLOAD), "parameters": _UPLOAD_HEADERS}},
    }


def _call(name: str, body: Schema | None = None, takes: str = "application/json", gives: str = "") -> Schema:
    answers = {"200": _answer(gives or "application/json")}
    for code, told in _ERRORS.items():
        answers[str(code)] = {**_answer("application/json"), "description": told}
    call: Schema = {"operationId": name, "responses": answers}
    if body is not None:
        call["requestBody"] = {"required": True, "content": {takes: {"schema": body}}}
    return call


def _answer(*kinds: str) -> Schema:
    return {"description": "The answer.", "content": {kind: {"schema": {}} for kind in kinds}}


def _path(name: str, schema: Schema) -> Schema:
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _query(name: str, schema: Schema) -> Schema:
    return {"name": name, "in": "query", "schema": schema}


def _header(name: str, schema: Schema) -> Schema:
    return {"name": name, "in": "header", "schema": schema}


def _object(required: str = "", **properties: Schema) -> Schema:
    """An object with these properties and no others; `required` names some of them."""
    made: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    return made | ({"required": required.split()} if required else {})


def _list(items: Schema, least: int = 0) -> Schema:
    return {"type": "array", "items": items, "minItems": least}


_ERRORS = {
    400: "The request cannot be used; the message says why.",
    401: "An API key is needed.",
    403: "Not from there.",
    404: "There is no such thing.",
    405: "Not by that method.",
    409: "There is one already.",
    413: "Too large.",
    429: "Too much at once.",
    504: "It took longer than was allowed.",
}
_TEXT: Schema = {"type": "string"}
_MODEL: Schema = {"type": "string", "pattern": "^gpt-[a-z0-9]{1,9}$"}  # names of other makers' models reach the first
_FLAG: Schema = {"type": "boolean"}
_WHOLE: Schema = {"type": "integer"}
_COUNT: Schema = {"type": "integer", "minimum": 1, "maximum": 8}
_HEAT: Schema = {"type": "number", "minimum": 0, "maximum": 100}
_GUIDANCE: Schema = {"type": "number", "minimum": 1, "maximum": 20}
_SHARE: Schema = {"type": "number", "minimum": 0, "maximum": 1}
_PENALTY: Schema = {"type": "number", "minimum": -2, "maximum": 2}
_ANY: Schema = {"type": "object"}
_STOPS = {**_list({"type": "string", "minLength": 1, "maxLength": 512}), "maxItems": 16}

_BLOB = _object("mimeType data", mimeType=_TEXT, data=_TEXT)
_PART: Schema = {
    "oneOf": [
        _object("text", text=_TEXT, thought=_FLAG),
        _object("inlineData", inlineData=_BLOB, videoMetadata=_object(fps=_HEAT, startOffset=_TEXT, endOffset=_TEXT)),
        _object("fileData", fileData=_object("fileUri", fileUri=_TEXT, mimeType=_TEXT)),
    ]
}
_CONTENT = _object("parts", role={"enum": ["user", "model"]}, parts=_list(_PART, 1))
_CONFIG = _object(
    temperature=_HEAT,
    topP=_SHARE,
    topK=_WHOLE,
    candidateCount=_COUNT,
    maxOutputTokens=_WHOLE,
    stopSequences=_STOPS,
    seed=_WHOLE,
    presencePenalty=_PENALTY,
    frequencyPenalty=_PENALTY,
    responseLogprobs=_FLAG,
    logprobs={"type": "integer", "minimum": 0, "maximum": 20},
    responseMimeType={"enum": ["text/plain", "application/json", "text/x.enum"]},
    responseSchema=_ANY,
    responseJsonSchema=_ANY,
    responseModalities=_list({"enum": ["TEXT", "IMAGE"]}),
    mediaResolution={"enum": [f"MEDIA_RESOLUTION_{size}" for size in ("LOW", "MEDIUM", "HIGH")]},
    imageConfig=_object(
        aspectRatio=_TEXT, imageSize=_TEXT, guidanceScale=_GUIDANCE, temperature=_HEAT, topK=_WHOLE, bestOf=_COUNT
    ),
    thinkingConfig=_ANY,
)
_GENERATE = _object(
    "contents",
    contents=_list(_CONTENT, 1),
    systemInstruction=_CONTENT,
    generationConfig=_CONFIG,
    safetySettings=_list(_object(category=_TEXT, threshold=_TEXT)),
    tools=_list(
        _object(functionDeclarations=_list({"type": "object", "properties": {"name": _TEXT}, "required": ["name"]}))
    ),
)
_EMBED = _object("content", content=_CONTENT, outputDimensionality=_WHOLE, taskType=_TEXT, model=_TEXT)
_BATCH = _object("requests", requests=_list(_EMBED, 1))
_UPLOAD = _object(file=_object(name=_TEXT, displayName=_TEXT, mimeType=_TEXT))
_UPLOAD_HEADERS = [
    _header("X-Goog-Upload-Protocol", {"enum": ["resumable"]}),
    _header("X-Goog-Upload-Command", {"enum": ["start", "upload", "upload, finalize", "finalize", "query", "cancel"]}),
    _header("X-Goog-Upload-Offset", _WHOLE),
    _header("X-Goog-Upload-Header-Content-Length", _WHOLE),
    _header("X-Goog-Upload-Header-Content-Type", _TEXT),
    _query("upload_id", _TEXT),
]

_URL = _object("url", url=_TEXT, detail=_TEXT)
_SAID: Schema = {
    "oneOf": [
        _object("type text", type={"const": "text"}, text=_TEXT),
        _object("type image_url", type={"const": "image_url"}, image_url=_URL),
        _object(
            "type input_audio", type={"const": "input_audio"}, input_audio=_object("data", data=_TEXT, format=_TEXT)
        ),
    ]
}
_MESSAGE = _object(
    "role content",
    role={"enum": ["system", "developer", "user", "assistant"]},
    content={"oneOf": [_TEXT, _list(_SAID)]},
    name=_TEXT,
)
_SAMPLING: dict[str, Schema] = {
    "model": _MODEL,
    "n": _COUNT,
    "temperature": _HEAT,
    "top_p": _SHARE,
    "seed": _WHOLE,
    "stop": {"oneOf": [_TEXT, _STOPS]},
    "presence_penalty": _PENALTY,
    "frequency_penalty": _PENALTY,
    "stream": _FLAG,
    "user": _TEXT,
}
_FORM: Schema = {
    "oneOf": [
        _object("type", type={"enum": ["text", "json_object"]}),
        _object(
            "type json_schema", type={"const": "json_schema"}, json_schema=_object("name", name=_TEXT, schema=_ANY)
        ),
    ]
}
_CHAT = _object(
    "model messages",
    **_SAMPLING,
    messages=_list(_MESSAGE, 1),
    max_tokens=_WHOLE,
    max_completion_tokens=_WHOLE,
    logprobs=_FLAG,
    top_logprobs={"type": "integer", "minimum": 0, "maximum": 20},
    response_format=_FORM,
    modalities=_list({"enum": ["text", "image"]}),
    image_config=_object(
        aspect_ratio=_TEXT, image_size=_TEXT, guidance_scale=_GUIDANCE, temperature=_HEAT, top_k=_WHOLE, best_of=_COUNT
    ),
)
_TOKENS = {**_list({"type": "integer", "minimum": 0}, 1), "maxItems": 64}
_PROMPT: Schema = {"oneOf": [_TEXT, {**_list(_TEXT, 1), "maxItems": 8}, _TOKENS, {**_list(_TOKENS, 1), "maxItems": 8}]}
_COMPLETION = _object(
    "model prompt",
    **_SAMPLING,
    prompt=_PROMPT,
    max_tokens={"type": "integer", "minimum": 0, "maximum": 64},
    echo=_FLAG,
    logprobs={"type": "integer", "minimum": 0, "maximum": 20},
)
_EMBEDDINGS = _object(
    "model input",
    model=_TEXT,
    input=_PROMPT,
    dimensions=_WHOLE,
    encoding_format={"enum": ["float", "base64"]},
    user=_TEXT,
)
_IMAGES = _object(
    "prompt",
    model=_MODEL,
    prompt=_TEXT,
    n=_COUNT,
    size=_TEXT,
    response_format={"enum": ["url", "b64_json"]},
    background={"enum": ["auto", "opaque"]},
    output_format={"enum": ["png", "jpeg", "webp"]},
    output_compression={"type": "integer", "minimum": 0, "maximum": 100},
    guidance_scale=_GUIDANCE,
    temperature=_HEAT,
    top_k=_WHOLE,
    best_of=_COUNT,
    user=_TEXT,
)
_TRANSCRIPTION: Schema = {
    "type": "object",
    "properties": {"file": {"type": "string", "format": "binary"}, "model": _MODEL, "response_format": _TEXT},
    "required": ["file", "model"],
}
_TOKENIZE = _object("prompt", model=_MODEL, prompt=_TEXT, add_special_tokens=_FLAG)
_DETOKENIZE = _object("tokens", model=_MODEL, tokens=_list(_WHOLE))
