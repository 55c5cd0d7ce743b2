"""Training of a text tokenizer on a stated sample of a corpus.

DIRECTORY/tokenizer.model   SentencePiece
          sample.json       what it learned from: bytes by language and domain, those that were there and those drawn
"""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tejat.codecs import vocabulary
from tejat.data import text_sample
from tejat.data.text_sample import Passage
from tejat.errors import BadInput
from tejat.parts import write_whole

MODEL, SAMPLE = "tokenizer.model", "sample.json"


@dataclass(frozen=True)
class TextRecipe:
    """One text tokenizer: the text that it may learn from, how much of it, and its shape."""

    name: str
    corpus: Path = Path("runs/corpus")
    read: Callable[[Path, str], Iterable[Passage]] = text_sample.passages  # (corpus, split) to all or some of its text
    pieces: int = 16_384  # marks and bytes among them
    kind: str = "unigram"  # or "bpe"
    bytes: int = 64_000_000  # of the sample, about
    temperature: float = 3.0  # over languages: 1 leaves them as they are, more evens them out
    coverage: float = 0.9995  # of the characters; the rest is spelled in bytes
    longest: int = 16  # characters of a piece
    seed: int = 0  # of the sample

    def passages(self) -> Iterable[Passage]:
        """What it may learn from."""
        return self.read(self.corpus, "train")

    def heldout(self) -> Iterable[Passage]:
        """What it is measured on."""
        return self.read(self.corpus, "heldout")


def train(recipe: TextRecipe, directory: Path, told: Callable[[str], None] = lambda line: None) -> dict[str, Any]:
    """Draws the sample, trains, writes both files whole, and gives what `sample.json` says. `told` is told of progress.

    The same recipe on the same text makes the same model, to the byte.

    Raises:
      BadInput: for a directory that has a tokenizer, a kind that is none, and text that makes no such tokenizer.
    """
    if (directory / MODEL).exists():
        raise BadInput(f"{directory} holds an earlier tokenizer; choose another directory with --out")
    if recipe.kind not in ("unigram", "bpe"):
        raise BadInput(f'the recipe {recipe.name} asks for a tokenizer of kind {recipe.kind!r}; "unigram" or "bpe"')
    told("counting the text of each language")
    drawn = text_sample.draw(recipe.passages, recipe.bytes, recipe.temperature, recipe.seed)
    size = sum(drawn.taken.values())
    told(f"training on {size:,} bytes of {sum(drawn.available.values()):,}")
    texts = [passage.text for passage in drawn.passages]
    model = vocabulary.train(texts, recipe.pieces, kind=recipe.kind, longest=recipe.longest, coverage=recipe.coverage)
    fields = ("name", "pieces", "kind", "temperature", "coverage", "longest", "seed")
    found = {
        **{name: getattr(recipe, name) for name in fields},
        "bytes": size,
        "tokenizer_sha256": hashlib.sha256(model).hexdigest(),
        "groups": [
            {"language": group.language, "domain": group.domain, "bytes": there, "drawn": drawn.taken[group]}
            for group, there in sorted(drawn.available.items())
        ],
    }
    directory.mkdir(parents=True, exist_ok=True)
    write_whole(directory / SAMPLE, (json.dumps(found, indent=1) + "\n").encode())
    write_whole(directory / MODEL, model)
    return found


def languages(found: dict[str, Any]) -> list[tuple[str, int, int]]:
    """(language, bytes there were, bytes drawn) of what `train` gave, most drawn first."""
    there: Counter[str] = Counter()
    drawn: Counter[str] = Counter()
    for group in found["groups"]:
        there[group["language"]] += group["bytes"]
        drawn[group["language"]] += group["drawn"]
    return sorted(((name, size, drawn[name]) for name, size in there.items()), key=lambda row: (-row[2], row[0]))
