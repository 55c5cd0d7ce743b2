"""What an answer is given out in while it is being written."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from tejat.parts import Part

FinishReason = Literal["stop", "length", "cancelled", "deadline", "grammar"]
"""Why an answer ended: by itself or at a stop string; at its limit of tokens; because it was no longer wanted; because
its time was over; because its grammar could not be followed any further."""


class Piece(NamedTuple):
    """Some tokens of an answer that is being written; `finish_reason` comes with the last."""

    tokens: Int[np.ndarray, " n"]
    logprobs: Float[np.ndarray, " n"]
    finish_reason: FinishReason | None
    # For each token, where they were asked for: (ids of the likeliest, their log-probabilities), likeliest first.
    top: tuple[tuple[Int[np.ndarray, " k"], Float[np.ndarray, " k"]], ...] = ()
    # What these tokens complete: text that no later token can take back, whole pictures. Only a service fills it.
    parts: tuple[Part, ...] = ()


def joined(pieces: Sequence[Piece]) -> Piece:
    """Several pieces of one answer, in order, as one."""
    return Piece(
        np.concatenate([piece.tokens for piece in pieces]),
        np.concatenate([piece.logprobs for piece in pieces]),
        pieces[-1].finish_reason,
        tuple(top for piece in pieces for top in piece.top),
        tuple(part for piece in pieces for part in piece.parts),
    )
