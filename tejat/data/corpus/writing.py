"""A source on disk: its shards, indices, held-out list and, last, its ledger, which says that it is whole."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Int64

from tejat.data.corpus import counting, ledger
from tejat.data.corpus.identity import Identity, presenting
from tejat.data.corpus.ledger import Index
from tejat.data.corpus.source import Source
from tejat.data.shards import Item, Shards, Writer
from tejat.errors import BadInput
from tejat.parts import write_whole

SPLITS = ("train", "heldout")


def stale(directory: Path, name: str, identity: Identity) -> str | None:
    """Why a source that is there is to be built again; None where it is not there, "" where it may be kept."""
    path = directory / name / "ledger.json"
    return identity.differs(json.loads(path.read_text())) if path.exists() else None


@contextmanager
def replacing(directory: Path, name: str) -> Iterator[Path]:
    """A directory to write a source into. What is written there takes the place of what was there of the source when
    the block ends; where it fails, the old stays."""
    stage = directory / ".new"
    shutil.rmtree(stage, ignore_errors=True)
    (stage / name).mkdir(parents=True)
    try:
        yield stage
        shutil.rmtree(directory / name, ignore_errors=True)
        os.replace(stage / name, directory / name)
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def write(directory: Path, source: Source, split: str, items: Iterable[Item], shard: int) -> dict[str, Any]:
    """Writes a split; its part of the ledger."""
    columns = ledger.Columns(source.measure or ledger.measure)
    with Writer(directory, source.name, split, shard) as writer:
        for item in items:
            writer.write(item)
            columns.add(item)
    return {"shards": writer.shards, **_counted(directory, source.name, split, columns.index())}


def measure_again(directory: Path, name: str) -> None:
    """Tells anew how long the documents of a source are, where they are made or counted otherwise than when it was
    built."""
    folder = directory / name
    told = json.loads((folder / "ledger.json").read_text())
    if told.get("presenting") != presenting():
        for split in SPLITS:
            told["splits"][split] |= _counted(directory, name, split, Index.load(directory, name, split))
        told |= {"on_disk": _on_disk(folder), "presenting": presenting()}
        write_whole(folder / "ledger.json", json.dumps(told, ensure_ascii=False, indent=1).encode())


def _counted(directory: Path, name: str, split: str, index: Index) -> dict[str, Any]:
    """Writes the index of shards that are there, its estimates agreeing with their documents; its part of the
    ledger."""
    index, length = counting.agreed(index, Shards(directory, name, split))
    index.save(directory / name / f"{split}-index.npz")
    # As it is read, in its lower precision.
    return Index.load(directory, name, split).summary() | {"document_tokens": length}


def _on_disk(folder: Path) -> int:
    """Bytes of a source beside its ledger."""
    return sum(path.stat().st_size for path in folder.iterdir() if path.name != "ledger.json")


def seal(
    directory: Path, source: Source, splits: Mapping[str, Any], heldout: Iterable[str], told: Mapping[str, Any]
) -> None:
    """Writes the held-out list and the ledger; `told` is what the maker knows: where it is from, what is left out."""
    folder = directory / source.name
    listed = json.dumps(list(heldout), ensure_ascii=False, indent=0).encode()
    write_whole(folder / "heldout.json", listed)
    whole = {
        "about": source.about,
        "licence": source.licence,
        "copyleft": source.copyleft,
        "splits": {split: splits[split] for split in SPLITS},
        "on_disk": _on_disk(folder),
        "presenting": presenting(),
        "heldout_sha256": hashlib.sha256(listed).hexdigest(),
        **told,
    }
    write_whole(folder / "ledger.json", json.dumps(whole, ensure_ascii=False, indent=1).encode())


def excerpt(directory: Path, source: Source, whole: Path, cap: int, shard: int, items: str) -> None:
    """Makes a source of its part of a whole corpus, below a cap of bytes: the same items on the same sides. `items` is
    that of its identity; its steps were those of the whole corpus.

    Raises BadInput where the whole corpus has not the source.
    """
    known = ledger.read(whole)["sources"].get(source.name)
    if known is None:
        raise BadInput(f"{whole} has no source {source.name!r}; build it there first")
    index = {split: Index.load(whole, source.name, split) for split in SPLITS}
    size = sum(each.bytes.sum() for each in index.values())
    splits, dropped = {}, 0
    with replacing(directory, source.name) as stage:
        for split in SPLITS:
            # As much of what is held out, so that it still measures something: up to a tenth of the cap.
            share = cap * index[split].bytes.sum() / max(size, 1)
            most = max(share, min(cap / 10, index[split].bytes.sum())) if split == "heldout" else share
            order = np.random.default_rng(0).permutation(len(index[split]))
            keep = under_cap(index[split], order, int(most))
            dropped += int((~keep).sum())
            shards = Shards(whole, source.name, split)
            splits[split] = write(stage, source, split, _those(shards, keep), shard)
        told = {name: known[name] for name in ("packages", "missing", "differences")}
        heldout = json.loads((whole / source.name / "heldout.json").read_text())
        read = sum(len(each) for each in index.values())
        steps = [{"step": "cap", "dropped": dropped}]
        told |= {"read": read, "parser": {}, "steps": steps, "seconds": 0.0}
        told["identity"] = known["identity"] | {"items": items}
        seal(stage, source, splits, heldout, told)


def _those(items: Iterable[Item], keep: Bool[np.ndarray, " n"]) -> Iterator[Item]:
    for item, stays in zip(items, keep, strict=True):
        if stays:
            yield item


def under_cap(index: Index, order: Int64[np.ndarray, " n"], cap: int | None) -> Bool[np.ndarray, " n"]:
    """Which items stay below a cap of bytes. The largest languages give way first, to one level; of a language, the
    items of the lowest `order` stay."""
    sizes = index.bytes.sum(1)
    keep = np.ones(len(index), bool)
    if cap is None or sizes.sum() <= cap:
        return keep
    each = np.bincount(index.language, sizes, len(index.languages))
    level, left = 0.0, float(cap)
    for place, size in enumerate(sorted(each)):
        level = left / (len(each) - place)
        if size > level:
            break
        left -= size
    for language, size in enumerate(each):
        if size > level:
            rows = np.flatnonzero(index.language == language)
            ranked = rows[np.argsort(order[rows], kind="stable")]
            keep[ranked[np.cumsum(sizes[ranked]) > level]] = False
    return keep
