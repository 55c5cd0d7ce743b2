"""A file of the user's documents as an endless stream, shuffled anew in each epoch."""

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int

from tejat.codecs.framing import Encoded, Framing
from tejat.data.filling import STAGE
from tejat.data.sources import interleaved
from tejat.errors import BadInput
from tejat.parts import Document
from tejat.posttrain.lines import Lines


class Dialogues:
    """Document number i, encoded for a model: a pure function of i, the file and the seed (`tejat.data.filling`).

    Lines are as `tejat.data.sources.interleaved` reads them: {"parts", "roles", "loss"}, {"messages"}, {"text"} and the
    like, with a part that is to be learnt. Raises BadInput for a file without a document.
    """

    def __init__(self, path: Path, framing: Framing, seed: int):
        self.lines, self.framing, self.seed = Lines(path, _document), framing, seed

    def __call__(self, index: int) -> Encoded:
        epoch, at = divmod(index % STAGE, len(self.lines))
        random = np.random.default_rng([self.seed, epoch, at])
        number = int(order(len(self.lines), self.seed, epoch)[at])
        with self.lines.told(number):
            return self.framing.encode(self.lines[number], random)


def _document(record: Any, folder: str, name: str) -> Document:
    found = interleaved.document(record, folder, name)
    if not any(found.loss):
        raise BadInput(
            'nothing in it is to be learnt; end it with a turn of the model, or let "loss" of a part be true'
        )
    return found


@lru_cache(maxsize=8)
def order(count: int, seed: int, epoch: int) -> Int[np.ndarray, " n"]:
    """The order of so many records in an epoch."""
    return np.random.default_rng([seed, epoch]).permutation(count)
