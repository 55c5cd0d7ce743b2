"""How fast a size of the family writes, one answer at a time, and what share of the memory's speed that is.

Weights are random, for noise takes as long to write as sense does; those in four or eight bits are drawn on the grid.
Or they are those of a model's decoder.
A step reads every matrix of the decoder once, so what memory gives a second bounds it: measured in the same run. The
peer is llama.cpp with the very same weights, its rounds between ours.
"""

import math
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from tejat import bundle, sample
from tejat.bundle import Bundle
from tejat.codecs import vocabulary
from tejat.codecs.vocabulary import EOS, PAD, Vocabulary
from tejat.errors import BadInput
from tejat.infer.onnx_model import cores
from tejat.infer.options import Options
from tejat.model import family, multimodal, narrow, quantised
from tejat.model.params import Param, unflatten, walk
from tejat.model.quantised import Bits, Quantised
from tejat.parts import Text, Turn

Width = Literal[4, 8, 16, 32]

ROUNDS = 5
POOL = 4_194_301
"""Random numbers that are drawn for a matrix; no multiple of a row's length."""

SHORT = 32
"""Tokens of the answer whose time is taken from a longer one's: that of reading the prompt."""

PIECES = 2_048
"""Of the tokenizer; the table of a large size has rows without a piece."""

_TYPES = {4: "Q4_0", 8: "Q8_0", 16: "F16", 32: "F32"}


def measure(
    model: str | Path,
    engine: Literal["jax", "onnx"],
    bits: Width | None,
    tokens: int,
    told: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """Tokens a second of an answer of so many `tokens`, the median of some rounds, beside llama.cpp where it is there.

    `model` is a size of the family, in random weights, or a directory of weights; `bits` are 4, or those that it has.

    Raises BadInput for a size that is none, for bits in which the engine does not compute or the model is not, and
    where memory is short.
    """
    context = -(-(tokens + 64) // 256) * 256
    if isinstance(model, Path):
        made = taken(model, context)
        bits = _bits_of(made, bits)
        check(engine, bits)
    else:
        bits = bits or 4
        check(engine, bits)
        told(f"drawing {model} in {bits} bits …")
        made = drawn(model, bits, context)
    with tempfile.TemporaryDirectory() as place:
        writes: dict[str, Callable[[int], float]] = {engine: _ours(engine, made, bits, Path(place))}
        if find_spec("llama_cpp") is not None:
            writes["llama.cpp"] = _llama(made, bits, Path(place))
        rates: dict[str, list[float]] = {name: [] for name in writes}
        bandwidths = []
        for number in range(ROUNDS + 1):
            told(f"round {number} of {ROUNDS}, the first to warm up …" if number == 0 else f"round {number} …")
            bandwidths.append(device_bandwidth() if engine == "jax" else bandwidth())
            for name, write in writes.items():
                rate = write(tokens)
                if number:
                    rates[name].append(rate)
    found = {name: statistics.median(mine) for name, mine in rates.items()}
    speed, peer, moved = max(bandwidths), found.get("llama.cpp"), bytes_read(made, bits)
    return {
        "engine": engine,
        "size": made.config.name,
        "bits": bits,
        "tokens_per_s": round(found[engine], 1),
        "bandwidth_fraction": round(found[engine] * moved / speed, 3),
        "peer": None if peer is None else f"llama.cpp {_TYPES[bits]}",
        "ratio": None if peer is None else round(found[engine] / peer, 3),
        "peer_tokens_per_s": None if peer is None else round(peer, 1),
        "bytes_read": moved,
        "bandwidth_bytes_per_s": round(speed),
        "rounds": [round(rate, 1) for rate in rates[engine]],
        "peer_rounds": [round(rate, 1) for rate in rates.get("llama.cpp", [])],
        "cores": cores(),
        "device": jax.devices()[0].device_kind if engine == "jax" else "cpu",
    }


def check(engine: str, bits: int) -> None:
    """Raises BadInput for bits in which the engine does not compute."""
    if engine == "onnx" and bits == 16:
        raise BadInput("ONNX Runtime computes in 4, 8 or 32 bits on a CPU; give one of them, or --engine jax")


def drawn(size: str, bits: Width, context: int) -> Bundle:
    """The decoder of a size, without towers: matrices of random codes in four and eight bits, the table in eight."""
    config = family.preset(size)
    rows = config.decoder.vocabulary
    config = replace(config, vision=None, audio=None, picture=None, text_vocabulary=rows, context=context)
    tree = multimodal.params(config)
    random = np.random.default_rng(0)
    some = random.standard_normal(POOL, np.float32)  # again and again: billions take a minute to draw

    def leaf(name: str, param: Param) -> Any:
        at = quantised.layout(name, param) if bits < 16 else None
        if at is None and isinstance(param.init, float):
            return np.full(param.shape, param.init, np.float32)
        deviation = 1 / math.sqrt(max(param.fan_in, 1))
        if at is None:
            return np.resize(some * np.float32(deviation), param.shape)
        mine: Bits = 8 if bits == 8 or name.endswith("embedding") else 4
        shape = quantised.matrix_shape(param.shape, at)
        low, high, kind = (0, 16, np.uint8) if mine == 4 else (-127, 128, np.int8)
        codes = np.resize(random.integers(low, high, POOL, kind), shape)
        step = deviation / math.sqrt((high - low) ** 2 / 12)
        scales = np.full((*shape[:-1], shape[-1] // quantised.BLOCK), step, np.float16)
        return Quantised(codes, scales, mine, param.shape, at)

    params = unflatten({name: leaf(name, param) for name, param in walk(tree)})
    lines = [line for language in sample.languages() for line in sample.prose(language).splitlines()]
    pieces = vocabulary.train(lines, min(PIECES, rows), coverage=0.98)
    return Bundle(config, Vocabulary(pieces, 0), params, None)


def taken(model: Path, context: int) -> Bundle:
    """The decoder of a model, without towers. What ends an answer is as unlikely as padding, which nothing is followed
    by: it goes on for as long as it is asked to."""
    found = bundle.load(model, in_blocks=True)
    decoder, ends = dict(found.params["decoder"]), [EOS, found.vocabulary["<turn|>"]]

    def never(rows: Any) -> np.ndarray:
        rows = np.array(rows)
        rows[ends] = rows[PAD]
        return rows

    if isinstance(table := decoder["embedding"], Quantised):
        decoder["embedding"] = replace(table, codes=never(table.codes), scales=never(table.scales))
    else:
        decoder["embedding"] = never(table)
    config = replace(found.config, vision=None, audio=None, picture=None, context=context)
    return replace(found, config=config, params={"decoder": decoder}, pictures=None)


def _bits_of(made: Bundle, asked: Width | None) -> Width:
    blocks = made.params["decoder"]["blocks"]
    held = min((leaf.bits for _, leaf in walk(blocks) if isinstance(leaf, Quantised)), default=None)
    if held is None and (asked is None or asked < 16):
        raise BadInput("the model is not in four or eight bits; `tejat quantize` it first, or give --bits 16 or 32")
    if held is not None and asked not in (None, held):
        raise BadInput(f"the model is in {held} bits; leave out --bits {asked}")
    return held or asked  # type: ignore[return-value]


def bytes_read(made: Bundle, bits: Width) -> int:
    """What a step reads of the decoder's matrices, the table once, for the scores."""
    each = 2 if bits == 16 else 4
    leaves = [leaf for _, leaf in walk(made.params)]
    return sum(leaf.nbytes if isinstance(leaf, Quantised) else each * leaf.size for leaf in leaves)


def bandwidth() -> float:
    """Bytes a second that all cores together read from memory: the largest of many numbers, several times."""
    arrays = [np.ones(1 << 25, np.float32) for _ in range(cores())]
    best = math.inf
    with ThreadPoolExecutor(len(arrays)) as pool:
        for _ in range(3):
            begun = time.perf_counter()
            list(pool.map(np.max, arrays))
            best = min(best, time.perf_counter() - begun)
    return sum(array.nbytes for array in arrays) / best


def device_bandwidth() -> float:
    """Bytes a second that the device of JAX reads: as `bandwidth`, of a gigabyte; on a CPU that is `bandwidth`."""
    if jax.default_backend() == "cpu":
        return bandwidth()
    array, largest, best = jnp.ones(1 << 28, jnp.float32), jax.jit(jnp.max), math.inf
    for _ in range(4):
        begun = time.perf_counter()
        for _ in range(4):
            found = largest(array)
        found.block_until_ready()
        best = min(best, (time.perf_counter() - begun) / 4)
    return array.nbytes / best


def _ours(name: str, made: Bundle, bits: Width, place: Path) -> Callable[[int], float]:
    engine = _jax(made, bits) if name == "jax" else _onnx(made, place)
    prompt = made.framing.prompt([Turn("user", (Text("Tell me of the sea and of the stars."),))])

    def write(tokens: int) -> float:
        pieces = engine.stream(prompt, Options(max_tokens=tokens, pictures=False))
        return _rate((piece.tokens for piece in pieces), tokens)

    def write_whole(tokens: int) -> float:
        begun = time.perf_counter()
        (short,) = engine.generate([prompt], Options(max_tokens=SHORT, pictures=False))
        between = time.perf_counter()
        (long,) = engine.generate([prompt], Options(max_tokens=SHORT + tokens, pictures=False))
        ended = time.perf_counter()
        if len(long.tokens) < SHORT + tokens:
            raise BadInput("the answer ended at once, so that there is nothing to measure; give another --tokens")
        return (len(long.tokens) - len(short.tokens)) / ((ended - between) - (between - begun))

    # A stream is looked at every few tokens, for which a device that is no CPU waits.
    return write_whole if name == "jax" and jax.default_backend() != "cpu" else write


def _rate(pieces: Iterator[Any], wanted: int) -> float:
    """Tokens a second from the first piece to the last, of so many tokens."""
    times, counts = [], []
    for tokens in pieces:
        times.append(time.perf_counter())
        counts.append(len(tokens))
    if len(times) < 2 or sum(counts) < wanted:
        raise BadInput(f"the answer ended after {sum(counts)} tokens of {wanted}; give another --tokens")
    return sum(counts[1:]) / (times[-1] - times[0])


def _jax(made: Bundle, bits: Width) -> Any:
    from tejat.infer.engine import Engine, apart_on_device

    dtype = "float32" if bits == 32 else "bfloat16"
    if bits >= 16 and jax.default_backend() == "cpu":
        return Engine(made, params=apart_on_device(multimodal.cast(made.params, dtype)))
    return Engine(made, params=apart_on_device(narrow.kept(made.params, dtype)))  # as a service has them


def _onnx(made: Bundle, place: Path) -> Any:
    from tejat.export import onnx
    from tejat.infer.onnx_engine import OnnxEngine
    from tejat.infer.onnx_model import OnnxModel

    onnx.write(made, place / "onnx")
    return OnnxEngine(OnnxModel(place / "onnx"))


def _llama(made: Bundle, bits: Width, place: Path) -> Callable[[int], float]:
    """Greedy answers to one token, by llama-cpp-python's own loop."""
    import llama_cpp

    from tejat.export import gguf

    gguf.write(made, place / "model.gguf", _TYPES[bits])  # type: ignore[arg-type]
    threads = {"n_threads": cores(), "n_threads_batch": cores()}
    model = llama_cpp.Llama(str(place / "model.gguf"), n_ctx=made.config.context, verbose=False, **threads)

    def write(tokens: int) -> float:
        times = []
        for _, _ in zip(model.generate([2], temp=0.0), range(tokens), strict=False):
            times.append(time.perf_counter())
        return (len(times) - 1) / (times[-1] - times[0])

    return write
