"""How pictures are to be drawn, as the fields of a request say it: one way for both dialects.

Gemini's imageConfig has aspectRatio ("16:9") and imageSize ("1K"), OpenAI's images have size ("1024x1024"). Ours beside
them are what no other server offers: pixels for imageSize ("96x64"), guidanceScale, temperature, topK and bestOf.
"""

import math
import re
from typing import Any

from tejat.infer import picture_size
from tejat.infer.picture_size import PictureSize
from tejat.serve.fields import Fields, invalid
from tejat.serve.limits import Limits
from tejat.serve.requests import Drawing

SIZES = {"0.5K": 512, "512": 512, "512PX": 512, "1K": 1_024, "2K": 2_048, "4K": 4_096}
"""Names of sizes, and the sides of the squares that have as many pixels."""

_RATIO = re.compile(r"[1-9][0-9]?:[1-9][0-9]?")


def of_config(fields: Fields | None, limits: Limits, candidates: int, pictures: str) -> Drawing:
    """Of an imageConfig in camelCase. Raises Problem INVALID_ARGUMENT, and BadInput for a size that cannot be."""
    if fields is None:
        return Drawing()
    fields.ignore("imageOutputOptions", "personGeneration", "prominentPeople", "outputMimeType")
    fields.ignore("outputCompressionQuality")
    ratio, named = fields.text("aspectRatio"), fields.text("imageSize")
    shape = None
    if ratio is not None:
        if _RATIO.fullmatch(ratio) is None:
            raise invalid(f"{fields.at('aspectRatio')} is {ratio[:20]!r}; give width:height, as in 16:9")
        shape = picture_size.read(ratio)
    made = Drawing(
        size=_sized(named, shape, fields) if named is not None else shape,
        **_chosen(fields, "guidanceScale", "temperature", "topK"),
        best_of=best_of(fields, "bestOf", candidates, limits),
    )
    fields.done()
    if made.best_of is not None and pictures == "never":
        raise invalid(f"{fields.at('bestOf')} goes with pictures; ask for them as well")
    return made


def of_images(fields: Fields, limits: Limits, candidates: int) -> Drawing:
    """Of a request for images alone, in OpenAI's spelling; "auto" is a square, as drawn."""
    size = fields.text("size", "auto")
    if size != "auto" and "x" not in size:
        raise invalid(f"size is {size[:20]!r}; give width x height, as in 1024x1024, or auto")
    return Drawing(
        size=PictureSize(1, 1, exact=False) if size == "auto" else picture_size.read(size),
        **_chosen(fields, "guidance_scale", "temperature", "top_k"),
        best_of=best_of(fields, "best_of", candidates, limits),
    )


def best_of(fields: Fields, name: str, candidates: int, limits: Limits) -> int | None:
    """How many candidates are drawn, of which the best are given."""
    drawn = fields.whole(name)
    if drawn is not None and not candidates <= drawn <= limits.candidates:
        raise invalid(f"{fields.at(name)} is {drawn}; give a number from {candidates} to {limits.candidates}")
    return drawn


def check_stream(drawing: Drawing, name: str) -> None:
    """The best is known when all are drawn: nothing of it can come before. Raises Problem INVALID_ARGUMENT."""
    if drawing.best_of is not None:
        raise invalid(f"{name} goes with an answer that comes whole; do not stream it")


def _chosen(fields: Fields, guidance: str, temperature: str, top_k: str) -> dict[str, Any]:
    return {
        "guidance": fields.number(guidance),
        "temperature": fields.number(temperature),
        "top_k": fields.whole(top_k),
    }


def _sized(named: str, shape: PictureSize | None, fields: Fields) -> PictureSize:
    """A size by name, of a shape; or so many pixels, which have one."""
    if (side := SIZES.get(named.upper())) is not None:
        width, height = (shape.width, shape.height) if shape is not None else (1, 1)
        long = side * math.sqrt(width / height), side * math.sqrt(height / width)
        return picture_size.checked(PictureSize(*(max(1, math.floor(length)) for length in long)))
    if shape is not None:
        raise invalid(f"{fields.at('imageSize')} and aspectRatio both give a shape; leave one of them out")
    return picture_size.read(named)
