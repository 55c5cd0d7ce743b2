"""Media that stand in the body of a request, and the kinds that MIME types announce."""

import base64
import binascii
import re

from tejat.serve.decoder import Kind
from tejat.serve.fields import invalid

_TEXTS = (
    "application/json",
    "application/xml",
    "application/javascript",
    "application/x-javascript",
    "application/yaml",
)
_FAMILIES: dict[str, Kind] = {"image": "image", "audio": "audio", "video": "video", "text": "text"}
_DATA_URI = re.compile(r"data:([^;,]{0,128})((?:;[^;,]{0,64}){0,4}?)(;base64)?,", re.IGNORECASE)


def kind_of(mime: str, where: str) -> Kind | None:
    """What a MIME type announces; None where it tells nothing, and the content must. Raises Problem for others."""
    mime = mime.partition(";")[0].strip().lower()
    family = mime.partition("/")[0]
    if family in _FAMILIES:
        return _FAMILIES[family]
    if mime in _TEXTS:
        return "text"
    if mime in ("", "application/octet-stream", "application/ogg", "application/mp4"):
        return None
    raise invalid(f"{where} is of type {mime[:60]!r}, which nothing here can read; send image, audio, video or text")


def unbase64(text: str, where: str) -> bytes:
    """Bytes of base64: either alphabet, padded or not, white space allowed."""
    clean = "".join(text.split()).rstrip("=").replace("-", "+").replace("_", "/")
    try:
        data = base64.b64decode(clean + "=" * (-len(clean) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise invalid(f"{where} is not base64 ({error}); encode it so") from error
    if not data:
        raise invalid(f"{where} is empty; give the bytes of a file")
    return data


def data_uri(uri: str, where: str) -> tuple[bytes, str]:
    """(bytes, MIME type) of a data: URI. Raises Problem for any other: nothing is fetched from anywhere."""
    found = _DATA_URI.match(uri)
    if found is None:
        raise invalid(f"{where} is no data: URI; this server fetches nothing, so send the bytes in one")
    if not found[3]:
        raise invalid(f"{where} is a data: URI without ';base64'; encode the bytes in base64")
    return unbase64(uri[found.end() :], where), found[1] or "application/octet-stream"
