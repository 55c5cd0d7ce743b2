"""A file of the user's documents as an endless stream, shuffled anew in each epoch."""

from functools import lru_cache
from pathlib import Path

import numpy as np
from jaxtyping import Int

from tejat.codecs.framing import Encoded, Framing
from tejat.data.filling import STAGE
from tejat.data.sources import interleaved
from tejat.posttrain.lines import Lines


class Dialogues:
    """Document number i, encoded for a model: a pure function of i, the file and the seed (`tejat.data.filling`).

    Lines are as `tejat.data.sources.interleaved` reads them: {"parts", "roles", "loss"}, {"messages"}, {"text"} and the
    like. Raises BadInput for a file without a document.
    """

    def __init__(self, path: Path, framing: Framing, seed: int):
        self.lines, self.framing, self.seed = Lines(path, interleaved.document), framing, seed

    def __call__(self, index: int) -> Encoded:
        epoch, at = divmod(index % STAGE, len(self.lines))
        random = np.random.default_rng([self.seed, epoch, at])
        return self.framing.encode(self.lines[int(order(len(self.lines), self.seed, epoch)[at])], random)


@lru_cache(maxsize=8)
def order(count: int, seed: int, epoch: int) -> Int[np.ndarray, " n"]:
    """The order of so many records in an epoch."""
    return np.random.default_rng([seed, epoch]).permutation(count)
