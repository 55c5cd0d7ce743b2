"""Answers with all that an update asks for, laid beside their tokens: advantages, probabilities before, values."""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from jaxtyping import Array, Float

from tejat.codecs.framing import Encoded
from tejat.data.packing import Room
from tejat.errors import BadInput
from tejat.infer.room import bucket
from tejat.model.multimodal import ModelConfig
from tejat.posttrain import packed
from tejat.posttrain.packed import Packed, Rows


class Experience(NamedTuple):
    """A part of an iteration's answers."""

    packed: Packed
    advantages: Float[Array | np.ndarray, "B M"]
    before: Float[Array | np.ndarray, "B M"]  # log-probabilities by the trainer, when the answers were written
    reference: Float[Array | np.ndarray, "B M"]  # by the model that the run began with
    importance: Float[Array | np.ndarray, "B M"]  # corrects that the sampler computed others
    values: Float[Array | np.ndarray, "B M"]
    returns: Float[Array | np.ndarray, "B M"]


class Measured(NamedTuple):
    """What the trainer computes of answers' tokens before it learns from them: of one answer, or of rows."""

    logprobs: Float[Array | np.ndarray, "..."]
    entropies: Float[Array | np.ndarray, "..."]
    reference: Float[Array | np.ndarray, "..."]
    values: Float[Array | np.ndarray, "..."]


def rows_of(documents: Sequence[Encoded], config: ModelConfig, room: Room, least: int = 1) -> Packed:
    """All of the documents, in rows of a number that is a power of two, and `least` at least: few shapes are compiled.

    Raises BadInput for one that is larger than a row.
    """
    wide = replace(room, rows=len(documents))  # one a row always fits
    rows = Rows(config, wide)
    if not all(rows.take([document]) for document in documents):
        longest = max(map(len, documents))
        told = f"a prompt with its answer, of up to {longest:,} tokens, and its media"
        raise BadInput(f"rows of {room.tokens:,} tokens do not hold {told}; set tokens")
    rows.cut(min(max(bucket(rows.used(), 1), least), len(documents)))
    return rows.finish(len(documents))


def beside(held: Packed, columns: Sequence[Sequence[Float[np.ndarray, " n"]]]) -> Experience:
    """An Experience of columns in its order, each a list of numbers for every document."""
    return Experience(held, *(packed.beside(held.owner, column) for column in columns))
