"""How tests ask a server in the Gemini dialect."""

import base64
from typing import Any

import numpy as np

from tejat.parts import Audio, Image, to_png, to_wav

PNG = to_png(Image(np.random.default_rng(0).integers(0, 256, (16, 24, 3), np.uint8)))
WAV = to_wav(Audio(np.zeros(8_000, np.float32)))
SHORT = {"maxOutputTokens": 8, "temperature": 0}


def said(*parts: Any, **config: Any) -> dict[str, Any]:
    shown = [{"text": part} if isinstance(part, str) else part for part in parts]
    return {"contents": [{"role": "user", "parts": shown}], "generationConfig": {**SHORT, **config}}


def inline(mime: str, data: bytes) -> dict[str, Any]:
    return {"inline_data": {"mime_type": mime, "data": base64.urlsafe_b64encode(data).decode()}}


def generate(client, body: Any, method: str = "generateContent", version: str = "v1beta", **headers: str):
    return client.post(f"/{version}/models/gemini-2.5-flash:{method}", body, **headers)
