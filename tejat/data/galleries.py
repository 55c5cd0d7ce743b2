"""A mixture of pages of many pictures, lines or recordings each, for a stage in which eyes and ears learn fastest."""

from dataclasses import replace

import numpy as np

from tejat.data.mixture import STAGE, Mixture
from tejat.data.presenting import present
from tejat.data.presenting.galleries import gallery
from tejat.parts import Document


class Galleries(Mixture):
    """As `Mixture`; of things that are seen or heard, documents are pages of many.

    The ledger of what was seen (`seen`) counts each page as the item that its number stands for, not those beside it.
    """

    def document(self, index: int) -> Document:
        """Document `index`. Raises BadInput for a damaged item, which it names."""
        drawn = self.where(index)
        items, place = self._items(drawn.source), drawn.item
        random = np.random.default_rng([self.seed, 5, index // STAGE, index % STAGE])
        document = gallery(items, place, random) or present(items, place, random)
        return replace(document, source=drawn.source)
