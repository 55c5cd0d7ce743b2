"""Keys and values in eight bits beside 32, in ONNX Runtime: what they change, and how fast a step is behind a context.

    python benchmarks/short_cache.py                    mini on this processor, a minute
    python benchmarks/short_cache.py --model runs/my-model --contexts 128 8192

Bits a token and divergence are of `--tokens` tokens of this repository's notebook, read in pieces over the cache. Steps
are of one answer, medians of three rounds of each, in turns; so is the reading of a prompt that long.
"""

import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro

from tejat import bundle
from tejat.codecs.vocabulary import BOS
from tejat.errors import BadInput
from tejat.export import onnx
from tejat.infer.onnx_cache import Cache
from tejat.infer.onnx_model import OnnxModel

TEXT = Path(__file__).parent.parent / "docs" / "LOG.md"
PIECE = 512  # tokens read at once
LONGEST = 4_096  # a prompt whose reading is timed
ROUNDS = 3


@dataclass(frozen=True)
class Options:
    """Which model, and behind how much."""

    model: str = "mini"
    contexts: tuple[int, ...] = (128, 1_024, 4_096, 16_384, 32_000)
    tokens: int = 4_096
    steps: int = 40
    """Of a round."""


def main(options: Options) -> int:
    source = bundle.find(options.model)
    with tempfile.TemporaryDirectory() as place:
        exports = {}
        for bits in (32, 8):
            folder = Path(place, str(bits))
            onnx.export(source, folder, cache_bits=bits)
            exports[bits] = OnnxModel(folder)
        longest = exports[32].config.context - ROUNDS * options.steps
        if max(options.contexts) > longest or min(options.contexts) < 1:
            raise BadInput(
                f"--contexts are from 1 to {longest:,} for {options.model}, which has room for the steps too"
            )
        ids = np.asarray([BOS, *exports[32].bundle.vocabulary.encode(TEXT.read_text())])[: options.tokens]
        whole, short = (read(model, ids) for model in (exports[32], exports[8]))
        more = (told(whole, ids) - told(short, ids)) / np.log(2)
        divergence = (np.exp(whole) * (whole - short)).sum(1) / np.log(2)
        same = (whole.argmax(1) == short.argmax(1)).mean()
        print(
            f"{len(ids):,} tokens: {-told(whole, ids).mean() / np.log(2):.4f} bits a token, in eight bits "
            f"{more.mean():+.4f} ± {1.96 * more.std() / len(more) ** 0.5:.4f}; "
            f"divergence {divergence.mean():.4f} bits; the likeliest is the same in {same:.1%}\n"
        )
        print("| context | ms a step, 32 bits | 8 bits | MB, 32 bits | 8 bits | read, tokens/s, 32 bits | 8 bits |")
        print("|---|---|---|---|---|---|---|")
        for context in options.contexts:
            times, sizes = stepped(exports, context, options.steps)
            rates = reading(exports, ids[:context]) if context <= min(LONGEST, len(ids)) else {32: "–", 8: "–"}
            print(f"| {context:,} | {times[32]:.2f} | {times[8]:.2f} | {sizes[32]:.1f} | {sizes[8]:.1f} ", end="")
            print(f"| {rates[32]} | {rates[8]} |", flush=True)
    return 0


def read(model: OnnxModel, ids: np.ndarray) -> np.ndarray:
    """Log-probabilities after every token."""
    cache, found = Cache(model, 1, len(ids), ahead=PIECE), []
    for start in range(0, len(ids), PIECE):
        part = ids[None, start : start + PIECE]
        scores = cache.run(slice(0, 1), part, np.asarray([start]), range(part.shape[1]))[0][0].astype(np.float64)
        scores -= scores.max(1, keepdims=True)
        found.append(scores - np.log(np.exp(scores).sum(1, keepdims=True)))
    return np.concatenate(found)


def told(logs: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """Of each token, what was made of it before it was read."""
    return logs[np.arange(len(ids) - 1), ids[1:]]


def stepped(exports: dict[int, OnnxModel], context: int, steps: int) -> tuple[dict[int, float], dict[int, float]]:
    """(milliseconds of a step, megabytes of keys and values) of each export, behind so many places."""
    caches = {bits: Cache(model, 1, context + ROUNDS * steps) for bits, model in exports.items()}
    for array in (array for cache in caches.values() for pair in cache.layers for array in pair):
        array[...] = 1  # pages that nobody has written are all one, and quick to read
    times: dict[int, list[float]] = {bits: [] for bits in caches}
    for turn in range(ROUNDS):
        for bits, cache in caches.items():
            for n in range(turn * steps, (turn + 1) * steps):
                begun = time.perf_counter()
                cache.step(0, np.asarray([BOS]), np.asarray([context + n]))
                times[bits].append(1e3 * (time.perf_counter() - begun))
    sizes = {bits: sum(a.nbytes for pair in cache.layers for a in pair) / 1e6 for bits, cache in caches.items()}
    return {bits: statistics.median(found) for bits, found in times.items()}, sizes


def reading(exports: dict[int, OnnxModel], ids: np.ndarray) -> dict[int, str]:
    """Tokens a second at which each export reads these, and scores the last."""
    found: dict[int, list[float]] = {bits: [] for bits in exports}
    for _ in range(ROUNDS):
        for bits, model in exports.items():
            cache, begun = Cache(model, 1, len(ids), ahead=PIECE), time.perf_counter()
            for start in range(0, len(ids), PIECE):
                part = ids[None, start : start + PIECE]
                cache.run(slice(0, 1), part, np.asarray([start]), [part.shape[1] - 1])
            found[bits].append(len(ids) / (time.perf_counter() - begun))
    return {bits: f"{statistics.median(rates):,.0f}" for bits, rates in found.items()}


if __name__ == "__main__":
    try:
        sys.exit(main(tyro.cli(Options, description=__doc__)))
    except BadInput as error:
        print(f"short_cache: {error}", file=sys.stderr)
        sys.exit(2)
