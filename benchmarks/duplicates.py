"""How fast near-duplicates are removed, beside datasketch doing the same.

python benchmarks/duplicates.py CORPUS [DOCUMENTS]

CORPUS is a directory made by `tejat data build`: running text of its sources in turn, DOCUMENTS of them (20,000), in
memory before the clock starts. Both take runs of five words, 128 permutations and a threshold of 0.8, and drop a
document for an earlier one. The peer (`pip install datasketch`) is left out where it is not installed; its words are
split at white space, ours are those of tejat/data/cleaning/words.py. CPU seconds are of all threads: on a busy machine
they say more.
"""

import itertools
import sys
import time
from pathlib import Path

from tejat.data.cleaning.duplicates import Near
from tejat.data.cleaning.records import is_plain
from tejat.data.shards import Item, Shards

THRESHOLD, VALUES, RUN, LEAST = 0.8, 128, 5, 20


def documents(corpus: Path, count: int) -> list[Item]:
    """Items of running text from all sources in turn."""
    sources = [
        Shards(corpus, path.name, "train") for path in sorted(corpus.iterdir()) if (path / "ledger.json").exists()
    ]
    mixed = (item for row in itertools.zip_longest(*sources) for item in row if item is not None and is_plain(item))
    return list(itertools.islice(mixed, count))


def ours(items: list[Item]) -> int:
    """How many stay."""
    return sum(1 for _ in Near(THRESHOLD, LEAST)(items))


def peers(items: list[Item]) -> int:
    """How many stay, by datasketch."""
    from datasketch import MinHash, MinHashLSH

    index, sketches, kept = MinHashLSH(THRESHOLD, VALUES), {}, 0
    for number, item in enumerate(items):
        words = item.fields["text"].lower().split()
        if len(words) < LEAST:
            kept += 1
            continue
        sketch = MinHash(VALUES)
        sketch.update_batch({" ".join(words[k : k + RUN]).encode() for k in range(len(words) - RUN + 1)})
        if any(sketches[like].jaccard(sketch) >= THRESHOLD for like in index.query(sketch)):
            continue
        sketches[number] = sketch
        index.insert(number, sketch)
        kept += 1
    return kept


def main(corpus: Path, count: int) -> None:
    items = documents(corpus, count)
    size = sum(len(item.fields["text"]) for item in items)
    print(f"{len(items):,} documents of {size / len(items):,.0f} characters in the mean")
    ours(items[:500])
    for name, run in (("tejat", ours), ("datasketch", peers)):
        begun, used = time.perf_counter(), time.process_time()
        try:
            kept = run(items)
        except ImportError:
            print(f"{name:10} is not installed")
            continue
        wall, cpu = time.perf_counter() - begun, time.process_time() - used
        print(
            f"{name:10} {len(items) / wall:9,.0f} documents/s, {len(items) / cpu:9,.0f} a CPU second, "
            f"{size / cpu / 1e6:5.1f}M characters a CPU second; {len(items) - kept:,} dropped"
        )


if __name__ == "__main__":
    if not 2 <= len(sys.argv) <= 3:
        raise SystemExit("give a corpus: python benchmarks/duplicates.py CORPUS [DOCUMENTS]")
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) == 3 else 20_000)
