"""The file that a picture is given as: PNG, or smaller and not to the bit."""

import io
from base64 import b64encode
from dataclasses import dataclass
from typing import Literal

from PIL import Image as pillow

from tejat.parts import Image
from tejat.serve.fields import Fields, invalid

Kind = Literal["png", "jpeg", "webp"]
KINDS = ("png", "jpeg", "webp")
BEST = 100
"""The quality where none is asked for, as OpenAI has it."""


@dataclass(frozen=True)
class PictureFile:
    """A kind of file; `quality`, 0 to 100, is none of PNG's."""

    kind: Kind = "png"
    quality: int = BEST

    def uri(self, image: Image) -> str:
        """The picture as a data: URI."""
        out = io.BytesIO()
        pillow.fromarray(image.pixels).save(out, self.kind, quality=self.quality)
        return f"data:image/{self.kind};base64,{b64encode(out.getvalue()).decode()}"


def of_images(fields: Fields) -> PictureFile:
    """Of OpenAI's request for images. Raises Problem INVALID_ARGUMENT for what no file of these can be."""
    if fields.one_of("background", ("auto", "opaque", "transparent"), "auto") == "transparent":
        raise invalid("background is transparent, which no picture from here is; use opaque")
    kind = fields.one_of("output_format", KINDS, "png")
    quality = fields.whole("output_compression", BEST)
    if not 0 <= quality <= BEST:
        raise invalid(f"output_compression is {quality}; give 0 to {BEST}")
    return PictureFile(kind, quality)
