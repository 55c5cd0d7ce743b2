"""Sizes of a batch's buffers, from documents that are to go in."""

import math
from collections.abc import Sequence

from tejat.codecs.framing import Encoded
from tejat.data.packing import Room, Size, longest_sound, sizes
from tejat.errors import BadInput
from tejat.model.multimodal import ModelConfig

LOOKED_AT = 256
"""Documents that stand for all."""

SPARE = 1.5
"""How much denser than the mean a row may be in patches, sounds or codes."""


def room(documents: Sequence[Encoded], config: ModelConfig, rows: int, tokens: int) -> Room:
    """Room for `rows` of `tokens`, in which the media of such documents find place beside them.

    Raises BadInput where not one of them fits, and where nothing in those that do is to be predicted.
    """
    if tokens > config.context:
        raise BadInput(
            f"rows of {tokens:,} tokens exceed the context of {config.name!r}, {config.context:,}; set fewer"
        )
    fitting = [(document, size) for document in documents if (size := sizes(document)).tokens <= tokens]
    if not fitting:
        shortest = min(map(len, documents))
        raise BadInput(
            f"rows of {tokens:,} tokens hold none of the documents, of which the shortest has {shortest:,}; set tokens"
        )
    most = Size(*(max(column) for column in zip(*(size for _, size in fitting), strict=True)))
    total = Size(*(sum(column) for column in zip(*(size for _, size in fitting), strict=True)))

    if not total.targets:
        raise BadInput("nothing in the documents is to be learnt; give such that have text or pictures of the model")

    def share(name: str, multiple: int = 1) -> int:
        dense = SPARE * tokens * getattr(total, name) / total.tokens
        return math.ceil(max(getattr(most, name), dense) / multiple) * multiple

    resampled = config.vision is not None and config.vision.front_end == "resampled"
    squares = config.vision.merged**2 if config.vision else 1
    return Room(
        rows=rows,
        tokens=tokens,
        targets=min(tokens, math.ceil(max(most.targets, SPARE * tokens * total.targets / total.tokens) / 16) * 16),
        patches=share("patches", squares) if most.patches else 0,
        sounds=share("sounds") if most.sounds else 0,
        frames=math.ceil(max(longest_sound(document) for document, _ in fitting) / 8) * 8,
        images=share("images") if resampled else None,  # others are bounded by their patches alone
        codes=share("codes") if most.codes else 0,
    )
