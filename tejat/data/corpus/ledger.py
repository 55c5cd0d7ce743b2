"""The ledger of a corpus: what each source holds, by split, language and modality, and what was left out of it."""

import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float64, Int64

from tejat.data.shards import Item, Shards
from tejat.errors import BadInput
from tejat.parts import write_whole

MODALITIES = ("text", "image", "audio", "video")
BYTES_PER_TOKEN = 3.6  # of text, as measured on such a mixture with a vocabulary of 16k
TOKENS_PER_IMAGE, TOKENS_PER_SECOND, TOKENS_PER_CLIP = 64, 25, 8 * 64
"""First guesses, of items beside each other: `counting` makes those of a source agree with documents that are made."""
_MEDIA = {
    "image": ("svg", "png", "webp", "jpg", "jpeg", "gif", "bmp"),
    "audio": ("opus", "ogg", "wav", "flac", "mp3"),
    "video": ("mp4", "webm", "mkv", "anim"),
}
_KIND = {suffix: modality for modality, suffixes in _MEDIA.items() for suffix in suffixes}
_ABOUT = ("language", "group", "id", "source", "licence")  # fields that are no text to learn


class Measure(NamedTuple):
    """What an item is worth: documents that it can make, bytes and estimated tokens in the order of MODALITIES."""

    documents: int
    bytes: tuple[float, ...]
    tokens: tuple[float, ...]


def measure(item: Item) -> Measure:
    """A guess, of any item: its strings are text; a blob is what the end of its name says (`drawing.svg`, `opus`), else
    an image. Sound is as long as fields["seconds"] says."""
    text = sum(_text(value) for name, value in item.fields.items() if name not in _ABOUT)
    sizes, tokens = dict.fromkeys(MODALITIES, 0.0), dict.fromkeys(MODALITIES, 0.0)
    sizes["text"], tokens["text"] = text, text / BYTES_PER_TOKEN
    for name, blob in item.blobs.items():
        modality = _KIND.get(name.rpartition(".")[2].lower(), "image")
        sizes[modality] += len(blob)
        tokens[modality] += {"image": TOKENS_PER_IMAGE, "audio": 0, "video": TOKENS_PER_CLIP}[modality]
    seconds = item.fields.get("seconds", 0)
    tokens["audio"] = TOKENS_PER_SECOND * seconds if sizes["audio"] else 0
    return Measure(1, tuple(sizes.values()), tuple(tokens.values()))


def _text(value: Any) -> int:
    match value:
        case str():
            return len(value.encode())
        case dict():
            return sum(map(_text, value.values()))
        case list():
            return sum(map(_text, value))
    return 0


@dataclass(frozen=True)
class Index:
    """Columns over the items of one source and split, beside its shards: what the mixture needs to know of each."""

    languages: tuple[str, ...]
    language: Int64[np.ndarray, " n"]  # a place in `languages`
    documents: Int64[np.ndarray, " n"]
    tokens: Float64[np.ndarray, "n M"]  # estimates, in the order of MODALITIES; `counting.agreed` makes them good
    bytes: Float64[np.ndarray, "n M"]

    def __len__(self) -> int:
        return len(self.language)

    def save(self, path: Path) -> None:
        """Half precision would do, but counts must add up; they pack well."""
        file = io.BytesIO()
        np.savez_compressed(
            file,
            languages=np.array(self.languages, dtype=np.str_),
            language=self.language.astype(np.uint16),
            documents=self.documents.astype(np.uint32),
            tokens=self.tokens.astype(np.float32),
            bytes=self.bytes.astype(np.uint32),
        )
        write_whole(path, file.getvalue())

    @classmethod
    def load(cls, directory: Path, source: str, split: str) -> "Index":
        """Raises BadInput where there is none."""
        path = Path(directory) / source / f"{split}-index.npz"
        try:
            with np.load(path) as found:
                return cls(
                    tuple(str(name) for name in found["languages"]),
                    found["language"].astype(np.int64),
                    found["documents"].astype(np.int64),
                    found["tokens"].astype(np.float64),
                    found["bytes"].astype(np.float64),
                )
        except (OSError, KeyError, ValueError) as error:
            raise BadInput(f"{path} cannot be read ({error}); build the source again") from error

    def summary(self) -> dict[str, Any]:
        """Counts, whole and by language."""
        by_language = {}
        for place in np.unique(self.language):
            rows = self.language == place
            by_language[self.languages[place]] = {
                "items": int(rows.sum()),
                "documents": int(self.documents[rows].sum()),
                "bytes": round(self.bytes[rows].sum()),
                "tokens": round(self.tokens[rows].sum()),
            }
        return {
            "items": len(self),
            "documents": int(self.documents.sum()),
            "bytes": {m: round(n) for m, n in zip(MODALITIES, self.bytes.sum(0), strict=True)},
            "tokens": {m: round(n) for m, n in zip(MODALITIES, self.tokens.sum(0), strict=True)},
            "languages": dict(sorted(by_language.items(), key=lambda pair: -pair[1]["bytes"])),
        }


class Columns:
    """Makes an index, item by item."""

    def __init__(self, measure: Callable[[Item], Measure]):
        self._measure = measure
        self._languages: dict[str, int] = {}
        self._rows: list[tuple[float, ...]] = []

    def add(self, item: Item) -> None:
        language = self._languages.setdefault(str(item.fields.get("language", "")), len(self._languages))
        worth = self._measure(item)
        self._rows.append((language, worth.documents, *worth.bytes, *worth.tokens))

    def index(self) -> Index:
        m = len(MODALITIES)
        table = np.array(self._rows, np.float64).reshape(len(self._rows), 2 + 2 * m)
        language, documents = table[:, :2].astype(np.int64).T
        return Index(tuple(self._languages), language, documents, table[:, 2 + m :], table[:, 2 : 2 + m])


def read(directory: Path) -> dict[str, Any]:
    """The ledger of a corpus. Raises BadInput where there is none."""
    path = Path(directory) / "corpus.json"
    try:
        ledger = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise BadInput(f"{path} cannot be read ({error}); build the corpus with `tejat data build`") from error
    if not isinstance(ledger, dict) or "sources" not in ledger:
        raise BadInput(f"{path} is no ledger of a corpus; build the corpus with `tejat data build`")
    return ledger


def totals(sources: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Sums over sources."""
    whole: dict[str, Any] = {"on_disk": sum(source["on_disk"] for source in sources)}
    for split in ("train", "heldout"):
        parts = [source["splits"][split] for source in sources]
        languages: dict[str, dict[str, int]] = {}
        for part in parts:
            for name, counts in part["languages"].items():
                sums = languages.setdefault(name, dict.fromkeys(counts, 0))
                for key, count in counts.items():
                    sums[key] += count
        whole[split] = {
            "items": sum(part["items"] for part in parts),
            "documents": sum(part["documents"] for part in parts),
            "bytes": {m: sum(part["bytes"][m] for part in parts) for m in MODALITIES},
            "tokens": {m: sum(part["tokens"][m] for part in parts) for m in MODALITIES},
            "languages": dict(sorted(languages.items(), key=lambda pair: -pair[1]["bytes"])),
        }
    return whole


def faults(directory: Path) -> Iterator[str]:
    """Where the ledger does not add up, a sentence each: sums, what was read and left out, and what the shards hold."""
    ledger = read(directory)
    if ledger["total"] != totals(list(ledger["sources"].values())):
        yield "the total is not the sum of the sources"
    for name, source in ledger["sources"].items():
        kept = sum(source["splits"][split]["items"] for split in ("train", "heldout"))
        left = sum(step["dropped"] for step in source["steps"])
        if source["read"] != kept + left:
            yield f"{name}: {source['read']:,} items were read; {kept:,} are kept and {left:,} left out"
        for split in ("train", "heldout"):
            summary = source["splits"][split]
            if summary != {**summary, **Index.load(directory, name, split).summary()}:
                yield f"{name}: the {split} split is not what its index says"
            if (held := len(Shards(directory, name, split))) != summary["items"]:
                yield f"{name}: the {split} shards hold {held:,} items, the ledger says {summary['items']:,}"
