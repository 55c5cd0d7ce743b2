"""WebP and AVIF at a number of bytes, their containers and headers not counted.

What is counted is what differs from picture to picture: of WebP the VP8 frame behind its ten bytes of header, of AVIF
the frames and tiles, without the sequence header. A codec for large pictures may do better on a smaller one scaled up
again: of several scales the one with the least error is taken, for which its bytes are not counted either.
"""

import functools
import io
import struct
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8
from PIL import Image as pillow
from PIL import features

SCALES = (1.0, 0.75, 0.5, 0.375)
_VP8_HEADER = 10  # frame tag, start code, width and height (RFC 6386, section 9.1)
_SEQUENCE, _DELIMITER, _PADDING = 1, 2, 15  # OBU types of AV1 that are the same for all pictures (section 6.2.2)

Picture = UInt8[np.ndarray, "H W 3"]


class Coded(NamedTuple):
    """A picture as it comes back, and the bytes that it took."""

    pixels: Picture
    bytes: int


def codecs() -> dict[str, Callable[[pillow.Image, int], tuple[bytes, int]]]:
    """By name, those that this Pillow has: a picture and a quality from 0 to 100 to (file, bytes that count)."""
    offered = {"webp": ("WebP", _webp), "avif": ("AVIF", _avif)}
    return {name: make for feature, (name, make) in offered.items() if features.check(feature)}


def at_bytes(pixels: Picture, most: int, encode: Callable[[pillow.Image, int], tuple[bytes, int]]) -> Coded | None:
    """The best that the codec makes of a picture in so many bytes; None where even the least is more."""
    height, width, best = *pixels.shape[:2], None
    for scale in SCALES:
        size = max(8, round(width * scale)), max(8, round(height * scale))
        small = pillow.fromarray(pixels)
        small = small.resize(size, pillow.Resampling.LANCZOS) if scale < 1 else small
        found = _largest(functools.partial(encode, small), most)
        if found is None:
            continue
        data, count = found
        with pillow.open(io.BytesIO(data)) as opened:
            picture = opened.convert("RGB")
        drawn = np.asarray(picture.resize((width, height), pillow.Resampling.BICUBIC) if scale < 1 else picture)
        error = np.square(drawn.astype(float) - pixels).mean()
        if best is None or error < best[0]:
            best = error, Coded(drawn, count)
    return best[1] if best else None


def _largest(encode: Callable[[int], tuple[bytes, int]], most: int) -> tuple[bytes, int] | None:
    """The file of the highest quality whose bytes are within `most`, as far as more quality takes more bytes."""
    low, high, best = 0, 101, encode(0)
    if best[1] > most:
        return None
    while high - low > 1:
        middle = (low + high) // 2
        found = encode(middle)
        if found[1] <= most:
            low, best = middle, found
        else:
            high = middle
    return best


def _webp(picture: pillow.Image, quality: int) -> tuple[bytes, int]:
    packed = io.BytesIO()
    picture.save(packed, "WEBP", quality=quality, method=5)
    data, at, count = packed.getvalue(), 12, 0
    while at + 8 <= len(data):
        name, size = data[at : at + 4], struct.unpack_from("<I", data, at + 4)[0]
        count += size - _VP8_HEADER if name == b"VP8 " else 0
        at += 8 + size + size % 2
    return data, count


def _avif(picture: pillow.Image, quality: int) -> tuple[bytes, int]:
    packed = io.BytesIO()
    picture.save(packed, "AVIF", quality=quality, speed=7, max_threads=1)
    data, at, count = packed.getvalue(), 0, 0
    while at + 8 <= len(data):
        size, name = struct.unpack_from(">I4s", data, at)
        if name == b"mdat":
            count += _frames(data[at + 8 : at + size])
        at += size or len(data)
    return data, count


def _frames(data: bytes) -> int:
    """Bytes of the open bitstream units which are not the same for all pictures of a size."""
    at = count = 0
    while at < len(data):
        begin, kind, extended, sized = at, data[at] >> 3 & 15, data[at] & 4, data[at] & 2
        at += 2 if extended else 1
        size = shift = 0
        while sized:
            byte = data[at]
            at, size, shift = at + 1, size | (byte & 127) << shift, shift + 7
            if byte < 128:
                break
        at = at + size if sized else len(data)
        count += at - begin if kind not in (_SEQUENCE, _DELIMITER, _PADDING) else 0
    return count
