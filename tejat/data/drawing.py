"""Drawings to pixels: SVG rasterised, WebP decoded, scaled, and kept.

A drawing is rasterised once in the life of a process and kept compressed, about 10 kB each, within a number of
bytes: rasterising takes milliseconds, and taking what is kept a fraction of one.
"""

import functools
import hashlib
import io
import re

import numpy as np
from jaxtyping import UInt8
from PIL import Image as pillow

from tejat.data.kept import Kept
from tejat.errors import BadInput

SIDE = 128  # pixels of the longer side that are kept
UNITS = {"pt": 96 / 72, "mm": 96 / 25.4, "cm": 96 / 2.54, "in": 96.0, "pc": 16.0}
"""Pixels in a unit of length, as CSS has it."""

_ROOT = re.compile("<svg\\b[^>]*>")
_SIZE = re.compile(r'(\b(?:width|height)=)"([0-9.]+)\s*(' + "|".join(UNITS) + ')"')

KEPT = 128 << 20  # bytes of compressed rasters that a process keeps

_KEPT = Kept(KEPT, level=1, name="drawing")


def pixels(data: bytes, side: int = SIDE) -> UInt8[np.ndarray, "H W 4"]:
    """RGBA of a drawing (SVG or any picture that Pillow reads), its longer side scaled to `side` pixels; read-only.

    Raises BadInput for data that is no drawing, and where resvg-py, which rasterises SVG, is not installed.
    """
    key = hashlib.blake2b(data, digest_size=16, salt=side.to_bytes(8, "little")).digest()
    found = _KEPT.get(key)
    if found is None:
        found = rasterised(data, side)
        _KEPT.put(key, found)
    return found


def sprite(data: bytes, side: int = SIDE) -> pillow.Image:
    """The drawing as a Pillow picture in RGBA, cut to what is not transparent."""
    picture = pillow.fromarray(pixels(data, side))
    return picture.crop(picture.getchannel("A").getbbox() or (0, 0, *picture.size))


def rasterised(data: bytes, side: int) -> UInt8[np.ndarray, "H W 4"]:
    """As `pixels`, made anew."""
    try:
        if is_svg(data):
            data = _resvg()(data.decode(), side)
        picture = pillow.open(io.BytesIO(data)).convert("RGBA")
    except BadInput:
        raise
    except Exception as error:  # both libraries raise many kinds for damaged drawings
        reason = " ".join(str(error).split())[:200]
        raise BadInput(f"a drawing of {len(data):,} bytes cannot be rasterised ({reason}); leave it out") from error
    scale = side / max(picture.size)
    if scale != 1:
        size = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
        # Premultiplied, so that the colour of what is transparent does not bleed into the rim.
        picture = picture.convert("RGBa").resize(size, pillow.Resampling.LANCZOS).convert("RGBA")
    return np.asarray(picture)


def is_svg(data: bytes) -> bool:
    return data.lstrip()[:5] in (b"<svg ", b"<?xml", b"<!DOC")


def _in_pixels(text: str) -> str:
    """The drawing with its size in pixels: resvg-py refuses other units."""

    def sized(match: re.Match) -> str:
        return f'{match[1]}"{float(match[2]) * UNITS[match[3]]:g}"'

    return _ROOT.sub(lambda root: _SIZE.sub(sized, root[0]), text, count=1)


@functools.cache
def _resvg():
    try:
        import resvg_py
    except ImportError as error:
        raise BadInput("drawings in SVG need resvg-py; install it with: pip install 'tejat[data]'") from error

    def run(text: str, side: int) -> bytes:
        return bytes(resvg_py.svg_to_bytes(svg_string=_in_pixels(text), width=side))

    return run
