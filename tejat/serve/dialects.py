"""Which dialect a request speaks: one origin serves both, and a few paths belong to both.

Paths are the request line's own (`scope["path"]`): `request.url` is put together with the Host header, which is the
client's to write.
"""

from typing import Literal

from starlette.requests import Request

_OPENAI = (
    *("/v1/chat/", "/v1/completions", "/v1/images/", "/v1/audio/", "/v1/embeddings"),
    *("/tokenize", "/detokenize", "/tokenizer_info", "/v1/tokenize", "/v1/detokenize", "/v1/tokenizer_info"),
)
_SHARED = "/v1/models"
_GUARDED = ("/v1", "/upload", "/tokenize", "/detokenize", "/metrics")


def dialect(request: Request) -> Literal["gemini", "openai", "unknown"]:
    """By path where that decides; else by the credentials, which each SDK sends in a way of its own."""
    path = request.scope["path"]
    if path.startswith(_OPENAI):
        return "openai"
    if not path.startswith(_SHARED) or ":" in path.rpartition("/")[2]:
        return "gemini"
    headers = request.headers
    if "x-goog-api-key" in headers or "x-goog-api-client" in headers or "key" in request.query_params:
        return "gemini"
    return "openai" if headers.get("authorization", "").lower().startswith("bearer ") else "unknown"


def is_openai(request: Request) -> bool:
    return dialect(request) == "openai"


def is_public(request: Request) -> bool:
    """Needs no key: health, the playground's own files, and an upload under way, whose address is its key."""
    path = request.scope["path"]
    if path.startswith("/upload"):
        return "upload_id" in request.query_params
    return not path.startswith(_GUARDED)
