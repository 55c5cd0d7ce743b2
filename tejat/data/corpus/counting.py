"""What documents take in tokens, counted as a model reads them: framed for `mini`, with its tokenizer.

An item's `measure` is a guess, of a text by its bytes, of a picture by one number for all. How long a document is, its
wording, its presentation and the sizes of its pictures decide. So some documents of each source are made and framed,
and the estimates of all its items are stretched until they agree with those: how the items of a source differ is the
guess's, how much they are is counted. Other models and tokenizers take other numbers; a run counts its own
(`tejat.data.mixture.Documents.seen`).
"""

import functools
import hashlib
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float64, Int64

from tejat.data.corpus.ledger import MODALITIES, Index
from tejat.data.corpus.reach import ROOT, digest, reached, whole
from tejat.data.shards import Item
from tejat.parts import Document

if TYPE_CHECKING:
    from tejat.codecs.framing import Encoded, Framing

SAMPLE = 300  # documents made, to see how long a source's are
TOKENIZER = Path(str(resources.files("tejat") / "weights" / "mini" / "tokenizer.model"))


@functools.cache
def framing() -> "Framing":
    """Of `mini`: drawn pictures are counted without an image tokenizer."""
    from tejat.codecs.framing import Framing  # JAX, which a build that makes nothing need not wait for
    from tejat.codecs.vocabulary import Vocabulary
    from tejat.model import family

    config = family.preset("mini")
    return Framing(config, Vocabulary.load(TOKENIZER, config.picture.codes if config.picture else 0), None, later=True)


def tokens(document: Document, random: np.random.Generator | None = None) -> Float64[np.ndarray, " M"]:
    """Tokens of a document by modality, marks among them, in the order of MODALITIES. `random` as for `Framing.encode`.

    Raises BadInput for a document that cannot be framed.
    """
    return by_modality(framing().encode(document, random))


def by_modality(encoded: "Encoded") -> Float64[np.ndarray, " M"]:
    """Tokens of each modality; the codes of a picture that is drawn are an image's."""
    from tejat.codecs.framing import Modality

    counts = np.bincount(encoded.modality, minlength=len(Modality)).astype(float)
    counts[Modality.IMAGE] += counts[Modality.PICTURE]
    return counts[[Modality[name.upper()] for name in MODALITIES]]


def agreed(index: Index, items: Sequence[Item]) -> tuple[Index, float | None]:
    """The index of these items with estimates that agree with documents of some of them, and the mean length of those;
    as it is, and None, where there are no items or nothing presents their kind."""
    from tejat.data.presenting import KINDS, present  # presenters of media load much

    places = np.unique(np.linspace(0, len(items) - 1, SAMPLE).astype(int)) if len(items) else []
    places = np.array([place for place in places if items[place].kind in KINDS], int)
    if not len(places):
        return index, None
    found = []
    for place in places.tolist():
        random = np.random.default_rng(place)
        found.append(tokens(present(items, place, random), random))
    return stretched(index, places, np.array(found)), round(float(np.mean(found, axis=0).sum()), 1)


def stretched(index: Index, places: Int64[np.ndarray, " k"], counted: Float64[np.ndarray, "k M"]) -> Index:
    """The index with estimates of which those of a document of the items at `places` are `counted` in the mean: each
    modality in its proportions, or, where none was expected of those, evenly."""
    documents = np.maximum(index.documents, 1)[:, None]
    guessed, mean = (index.tokens / documents)[places].mean(0), counted.mean(0)
    known = guessed > 0
    factor = np.divide(mean, guessed, out=np.zeros_like(mean), where=known)
    return Index(
        index.languages,
        index.language,
        index.documents,
        np.where(known, index.tokens * factor, documents * mean),
        index.bytes,
    )


def reference() -> str:
    """A hash of what counts: the code that frames documents, mini's configuration and its tokenizer."""
    code = [whole(ROOT / place) for place in ("data/corpus/counting.py", "codecs/framing.py", "codecs/image.py")]
    config = reached(ROOT / "model/family.py", "mini")
    return digest([*code, config, hashlib.sha256(TOKENIZER.read_bytes()).hexdigest()])
