"""The training picture nearest to one that was drawn: what does it show, and was it learnt or copied?"""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float

from tejat.parts import Image

_SIDE = 16  # pixels of the thumbnails that are compared


class Neighbours:
    """Pictures by name, to be compared with.

    By the mean squared difference of thumbnails of 16 x 16: position and colour count, fine detail does not.
    """

    def __init__(self, pictures: Mapping[str, Image]):
        self.pictures = dict(pictures)
        self._names = list(self.pictures)
        self._thumbnails = np.stack([thumbnail(picture) for picture in self.pictures.values()])

    def nearest(self, drawn: Image) -> str:
        """The name of the picture that is most like this one."""
        return self._names[int(((self._thumbnails - thumbnail(drawn)) ** 2).sum(axis=1).argmin())]


def thumbnail(image: Image) -> Float[np.ndarray, " n"]:
    """Its colours at 16 x 16, from 0 to 1."""
    from PIL import Image as pillow

    small = pillow.fromarray(image.pixels).resize((_SIDE, _SIDE), pillow.Resampling.BOX)
    return np.asarray(small, np.float32).ravel() / 255
