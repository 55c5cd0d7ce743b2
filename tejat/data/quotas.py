"""How many documents of each stream are in the first b blocks of a stage of a mixture, for any b.

Of every block each stream has its share to the document; what is left of a whole one is carried over to the next. So
blocks are counted one after the other; a few of the last are at hand, and one in many for ever, from which others are
counted again. A run draws thousands of blocks an hour, and every worker of a loader counts them.
"""

import numpy as np
from jaxtyping import Float64, Int64

LAST, APART = 16, 1_024  # blocks of which the counts are kept: the last few, and one in so many


class Quotas:
    """Counts of documents.

    Args:
      first: documents of each stream for one token, at the beginning of the stage.
      last: the same at the end of its ramp, to which they go evenly, and where they stay.
      tokens: of the stage.
      ramp: tokens of the ramp.
      block: documents of a block.
    """

    def __init__(
        self, first: Float64[np.ndarray, " S"], last: Float64[np.ndarray, " S"], tokens: float, ramp: float, block: int
    ):
        # Only streams that are drawn: sums then stay the same to the bit whatever else another stage draws.
        self._used, self._streams, self._block = np.flatnonzero(first + last), len(first), block
        self._first, self._last = first[self._used], last[self._used]
        # Documents for a token change evenly over the ramp, so that their mean gives its documents.
        self._ramp = ramp * (self._first.sum() + self._last.sum()) / 2
        self.documents = self._ramp * tokens / ramp
        # (documents, documents that are due) after so many blocks.
        self._known = {0: (np.zeros(len(self._used), np.int64), np.zeros(len(self._used)))}

    def counts(self, blocks: int) -> Int64[np.ndarray, " S"]:
        """Documents of each stream in the first `blocks` blocks."""
        if blocks not in self._known:
            self._count(max(known for known in self._known if known < blocks), blocks)
        counts = np.zeros(self._streams, np.int64)
        counts[self._used] = self._known[blocks][0]
        return counts

    def _count(self, first: int, last: int) -> None:
        """Counts the blocks after `first`, which is known, up to `last`."""
        known, due = self._known[first]
        near = range(last - LAST, last + 1)
        self._known = {at: kept for at, kept in self._known.items() if at in near or not at % APART}
        for block in range(first, last):
            at = min((block + 0.5) * self._block / max(self._ramp, 1.0), 1.0)
            shares = (1 - at) * self._first + at * self._last
            due = due + self._block * shares / shares.sum()
            quota = due - known
            whole = np.maximum(np.floor(quota), 0).astype(np.int64)
            ranked = np.argsort(-(quota - whole), kind="stable")
            left = self._block - int(whole.sum())
            if left >= 0:  # to those that are furthest behind
                whole[ranked[:left]] += 1
            for place in ranked[::-1] if left < 0 else ():  # from those that are furthest ahead
                taken = min(int(whole[place]), -left)
                whole[place] -= taken
                left += taken
            known = known + whole
            if block + 1 in near or not (block + 1) % APART:
                self._known[block + 1] = known, due
