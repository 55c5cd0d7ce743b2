"""Keys and values in eight bits beside 32, in ONNX Runtime: what they change, and how fast a step is behind a context.

    python benchmarks/short_cache.py                    mini on this processor, five minutes
    python benchmarks/short_cache.py --model runs/my-model --contexts 128 8192

Bits a token and divergence are of `--tokens` tokens of this repository's notebook, read in pieces over the cache. Steps
are of one answer, medians of three rounds of each, in turns; so is the reading of a prompt that long, of long ones once
and in 32 bits. The peer is llama.cpp (where llama-cpp-python is installed), Q4_0 of the same blocks and windows that
move as well, once.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import tyro

from tejat import bundle
from tejat.codecs.vocabulary import BOS
from tejat.errors import BadInput, explained
from tejat.export import gguf, onnx
from tejat.infer.onnx_cache import Cache
from tejat.infer.onnx_model import OnnxModel, cores

TEXT = Path(__file__).parent.parent / "docs" / "LOG.md"
PIECE = 512  # tokens read at once
LONGEST = 4_096  # a prompt whose reading is timed more than once
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
        text = np.asarray([BOS, *exports[32].bundle.vocabulary.encode(TEXT.read_text())])
        ids = text[: options.tokens]
        whole, short = (read(model, ids) for model in (exports[32], exports[8]))
        more = (told(whole, ids) - told(short, ids)) / np.log(2)
        divergence = (np.exp(whole) * (whole - short)).sum(1) / np.log(2)
        same = (whole.argmax(1) == short.argmax(1)).mean()
        print(
            f"{len(ids):,} tokens: {-told(whole, ids).mean() / np.log(2):.4f} bits a token, in eight bits "
            f"{more.mean():+.4f} ± {1.96 * more.std() / len(more) ** 0.5:.4f}; "
            f"divergence {divergence.mean():.4f} bits; the likeliest is the same in {same:.1%}\n"
        )
        llama = peer(source, Path(place), exports[32].config.context)
        print("| context | ms a step, 32 bits | 8 bits | llama.cpp | MB, 32 bits | 8 bits ", end="")
        print("| read, tokens/s, 32 bits | 8 bits | llama.cpp |\n|---|---|---|---|---|---|---|---|---|")
        for context in options.contexts:
            times, sizes = stepped(exports, context, options.steps)
            rates = reading(exports, text[:context]) if context <= len(text) else {}
            step, rate = llama(text[:context], options.steps) if llama and context <= len(text) else ("–", "–")
            print(
                f"| {context:,} | {times[32]:.2f} | {times[8]:.2f} | {step} | {sizes[32]:.1f} | {sizes[8]:.1f} ", end=""
            )
            print(f"| {rates.get(32, '–')} | {rates.get(8, '–')} | {rate} |", flush=True)
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
    found: dict[int, list[float]] = {}
    for _ in range(ROUNDS if len(ids) <= LONGEST else 1):
        for bits, model in exports.items():
            if bits != 32 and len(ids) > LONGEST:
                continue
            cache, begun = Cache(model, 1, len(ids), ahead=PIECE), time.perf_counter()
            for start in range(0, len(ids), PIECE):
                part = ids[None, start : start + PIECE]
                cache.run(slice(0, 1), part, np.asarray([start]), [part.shape[1] - 1])
            found.setdefault(bits, []).append(len(ids) / (time.perf_counter() - begun))
    return {bits: f"{statistics.median(rates):,.0f}" for bits, rates in found.items()}


def peer(source: Path, place: Path, context: int) -> Callable[[np.ndarray, int], tuple[str, str]] | None:
    """What tells (milliseconds of a step behind ids, tokens a second at which they are read) of llama.cpp, if it is
    installed."""
    if find_spec("llama_cpp") is None:
        return None
    import llama_cpp

    gguf.export(source, place / "model.gguf")
    how = {"n_threads": cores(), "n_threads_batch": cores(), "n_batch": PIECE, "swa_full": False}
    model = llama_cpp.Llama(str(place / "model.gguf"), n_ctx=context, verbose=False, **how)

    def told(ids: np.ndarray, steps: int) -> tuple[str, str]:
        model.reset()
        moments = [time.perf_counter()]
        for part in (ids.tolist(), *([BOS] for _ in range(steps))):
            model.eval(part)
            moments.append(time.perf_counter())
        took = np.diff(moments)
        return f"{1e3 * np.median(took[1:]):.2f}", f"{len(ids) / took[0]:,.0f}"

    return told


if __name__ == "__main__":
    with explained():
        sys.exit(main(tyro.cli(Options, description=__doc__)))
