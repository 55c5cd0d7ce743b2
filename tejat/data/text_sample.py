"""A sample of all the text in a corpus: what a tokenizer is trained on, and what tokenizers are compared on.

Every kind of item is heard: running text and code as they are stored, captions, dialogues and questions as their
presenters word them; of texts in several languages, each. A passage knows its language, perhaps one of programming,
and its domain, which is the source that it came from. Languages are evened out by a temperature; inside a language,
domains keep their proportions.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tejat.codecs import vocabulary
from tejat.data.corpus import ledger
from tejat.data.shards import Item, Shards
from tejat.errors import BadInput
from tejat.parts import Text

PRESENTED = 4_000
"""Items with pictures, sounds or clips of a source that are presented, at most: what is said about them is much alike,
and drawing what nobody will see takes time."""


class Group(NamedTuple):
    """What passages are counted by."""

    language: str  # BCP 47, or "python" and the like; "mul" where a document mixes several
    domain: str


class Passage(NamedTuple):
    """A run of text and where it belongs."""

    text: str
    group: Group


class Drawn(NamedTuple):
    """A sample, and for each group the bytes that there were and the bytes that were drawn."""

    passages: list[Passage]
    available: dict[Group, int]
    taken: dict[Group, int]


def passages(corpus: Path, split: str) -> Iterator[Passage]:
    """All text of a corpus that `tejat data build` made, source by source; of items with media, that of a number.

    Raises BadInput where there is no corpus, and for an item that cannot be presented.
    """
    from tejat.data import presenting  # with all that draws and plays media, for which a sample at hand has no use

    for source in ledger.read(corpus)["sources"]:
        items: Sequence[Item] = Shards(corpus, source, split)
        if len(items) and not items[0].blobs:
            items = list(items)  # presenters look at neighbours, and single reads decode sixteen
        stride = max(1, -(-len(items) // PRESENTED))
        for k, item in enumerate(items):
            if item.blobs and k % stride:
                continue
            if isinstance(translated := item.fields.get("texts"), dict):
                yield from (Passage(text, Group(language, source)) for language, text in translated.items())
                continue
            document = presenting.present(items, k, np.random.default_rng(k))
            text = "\n".join(part.text for part in document.parts if isinstance(part, Text))
            yield Passage(text, Group(item.fields.get("language") or "mul", source))


def allot(available: Mapping[str, int], total: int, temperature: float) -> dict[str, int]:
    """Bytes for each language: in proportion to available^(1/temperature), and never more than there are.

    At temperature 1 all languages have the same share of their text; as it grows, the same number of bytes. What a
    small language cannot give is shared by the others (Conneau & Lample 2019, section 3.1, without repetition).
    """
    left, open_ = min(total, sum(available.values())), {name: size for name, size in available.items() if size}
    found = {name: 0 for name in available}
    while open_:
        weights = {name: size ** (1 / temperature) for name, size in open_.items()}
        scale = left / sum(weights.values())
        full = [name for name, size in open_.items() if weights[name] * scale >= size]
        if not full:
            return found | {name: int(weight * scale) for name, weight in weights.items()}
        for name in full:
            found[name] = open_.pop(name)
            left -= found[name]
    return found


def draw(source: Callable[[], Iterable[Passage]], total: int, temperature: float, seed: int = 0) -> Drawn:
    """About `total` bytes of the passages, which are read twice: to count them, and to take some.

    A passage is cut at `vocabulary.PASSAGE` bytes, and a piece is taken by its hash: the choice depends on its own
    bytes, the seed and its language's share alone, not on the order of the passages.

    Raises:
      BadInput: where there is no text, or other text when it is read again.
    """
    available: Counter[Group] = Counter()
    for passage in source():
        available[passage.group] += len(passage.text.encode())
    if not available.total():
        raise BadInput("there is no text to draw a sample from; give a corpus that has some")
    by_language: Counter[str] = Counter()
    for group, size in available.items():
        by_language[group.language] += size
    allotted = allot(by_language, total, temperature)
    shares = {language: allotted[language] / size for language, size in by_language.items() if size}
    found, taken = [], Counter({group: 0 for group in available})
    for text, group in source():
        if group not in available:
            raise BadInput(f"the text changed while it was read ({group.domain} is new); begin again when it is built")
        for piece in vocabulary.cut(text):
            coded = piece.encode()
            if _chance(coded, seed) < shares[group.language]:
                found.append(Passage(piece, group))
                taken[group] += len(coded)
    return Drawn(found, dict(available), dict(taken))


def _chance(text: bytes, seed: int) -> float:
    """A number in [0, 1) that the text and the seed decide."""
    digest = hashlib.blake2b(text, digest_size=8, key=seed.to_bytes(8, "little")).digest()
    return int.from_bytes(digest, "little") / 2**64
