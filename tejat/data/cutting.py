"""Documents longer than a row, cut into pieces that fit.

Cut are plain documents of which all the text is learnt: books, pages, code. A dialogue, or a page of questions and
answers, loses its sense in the middle and stays whole. A cut is between two tokens of which one at least is text, never
within an image, a sound, a clip or a picture. Pieces are as long as fits, as in best-fit packing (Ding et al. 2024,
"Fewer truncations improve language modeling"); each after the first begins with the document's first token, the mark
of a beginning, and its own first token is not one to predict: nothing that it follows from is there.
"""

import numpy as np
from jaxtyping import Int

from tejat.codecs.framing import Encoded, Modality
from tejat.codecs.image import Patches
from tejat.codecs.picture import Drawn
from tejat.data.packing import Room, fits, longest_sound


def pieces(document: Encoded, room: Room) -> list[Encoded]:
    """The document itself where a row can hold it, else its pieces; none where it cannot be cut."""
    if fits(document, room):
        return [document]
    if not _cuttable(document) or longest_sound(document) > room.frames:
        return []
    text = document.modality == Modality.TEXT
    places = np.append(np.flatnonzero(text[1:] | text[:-1]) + 1, len(document))
    taken, limits = _taken(document), _limits(room)
    until = taken[:, places]
    found: list[Encoded] = []
    start = 0
    while start < len(document):
        most = taken[:, start] + limits
        most[0] -= start > 0  # the mark of a beginning before every piece but the first
        ends = [np.searchsorted(column, end, side="right") for column, end in zip(until, most, strict=True)]
        last = int(min(ends)) - 1
        if last < 0 or places[last] <= start:
            return []
        found.append(_piece(document, start, int(places[last])))
        start = int(places[last])
    return found


def _cuttable(document: Encoded) -> bool:
    return bool(document.loss[1:][document.modality[1:] == Modality.TEXT].all())


def _limits(room: Room) -> Int[np.ndarray, " R"]:
    unlimited = np.iinfo(np.int32).max
    images = unlimited if room.images is None else room.images
    return np.asarray([room.tokens, room.targets, room.patches, room.sounds, images, room.codes], np.int64)


def _taken(document: Encoded) -> Int[np.ndarray, "R T"]:
    """Tokens, targets, patches, sounds, images and codes to be made of the tokens before each place, 0 to T."""
    count = len(document)
    gained = np.zeros((6, count), np.int64)
    gained[0], gained[1] = 1, document.loss
    where, first = np.unique(document.item, return_index=True)
    for item, at in zip(where, first, strict=True):
        if item >= 0:
            medium = document.media[item]
            match medium:
                case Patches():
                    gained[2:, at] += (len(medium.positions), 0, 1, 0)
                case Drawn():
                    gained[2:, at] += (0, 0, 0, len(medium.positions))
                case _:
                    gained[2:, at] += (0, 1, 0, 0)
    return np.concatenate([np.zeros((6, 1), np.int64), np.cumsum(gained, axis=1)], axis=1)


def _piece(document: Encoded, start: int, end: int) -> Encoded:
    """Tokens `start` to `end` with their media."""
    columns = [column[start:end] for column in document[:6]]
    if start:
        first = [column[:1] for column in document[:6]]
        columns = [np.concatenate([one, rest]) for one, rest in zip(first, columns, strict=True)]
        columns[1][:2] = False
    items = np.unique(columns[4][columns[4] >= 0])
    columns[4] = np.where(columns[4] >= 0, np.searchsorted(items, columns[4]), -1).astype(np.int32)
    return Encoded(*columns, tuple(document.media[k] for k in items))
