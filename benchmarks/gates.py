"""What the exports of a model make of a text, beside JAX in float32: the largest difference of all scores.

    python benchmarks/gates.py mini                    its decoder, of whole numbers and of blocks
    python benchmarks/gates.py runs/mini/model --tokens 1024

The text is prose of the sample in all its languages, several windows long. ONNX Runtime and llama.cpp (where
llama-cpp-python is installed) have the weights in 32 bits, the latter its cache in 32 and in 16, too; then as they
ship, where activations have eight bits. Controls are the same files with the window a token short and with a norm left
out. Ends with 1 where what has the weights in 32 bits is off by more than `GATE`, or a control is not.
"""

import functools
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from jaxtyping import Float, Int

from tejat import bundle, sample
from tejat.bundle import Bundle
from tejat.codecs.vocabulary import BOS
from tejat.errors import BadInput, explained
from tejat.export import gguf, onnx_decoder, quantize
from tejat.model import decoder, multimodal
from tejat.model.decoder import DecoderConfig
from tejat.model.multimodal import Inputs, ModelConfig
from tejat.model.params import walk
from tejat.model.quantised import Quantised

GATE = 0.02
Tokens = Int[np.ndarray, "1 tokens"]
Scores = Float[np.ndarray, "tokens ids"]


@dataclass(frozen=True)
class Options:
    model: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="NAME|DIR")]
    tokens: int = 2_100


def main(options: Options) -> int:
    stored = bundle.load(bundle.find(options.model), in_blocks=True)
    whole = quantize.whole(stored)
    tokens = prose(whole, options.tokens)
    due = np.asarray(by_jax(whole.params, whole.config, tokens))
    window = whole.config.decoder.window
    print(f"{options.model}: {tokens.size:,} tokens, windows of {window}; scores have a deviation of {due.std():.2f}\n")
    print("| | largest difference | mean square |\n|---|---|---|")
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        for name, gated, found in exported(stored, whole, tokens, Path(folder)):
            off = found - due
            failed |= gated and (np.abs(off).max() > GATE) != name.startswith("control")
            print(f"| {name} | {np.abs(off).max():.6f} | {np.sqrt(np.square(off).mean()):.6f} |", flush=True)
    return int(failed)


def prose(model: Bundle, count: int) -> Tokens:
    """So many ids, from the first on that begins a text. Raises BadInput where the sample has fewer."""
    text = "\n".join(sample.prose(language) for language in sample.languages())
    ids = [BOS, *model.vocabulary.encode(text)][:count]
    if len(ids) < count:
        raise BadInput(f"the sample has {len(ids):,} tokens; give --tokens {len(ids)} or fewer")
    return np.asarray([ids], np.int32)


def exported(stored: Bundle, whole: Bundle, tokens: Tokens, folder: Path) -> Iterator[tuple[str, bool, Scores]]:
    """(what computes, is it held to the gate, its scores of every place)"""
    short = _changed(whole, window=whole.config.decoder.window - 1)
    bare = _without(whole, "q_norm")
    blocks = any(isinstance(leaf, Quantised) for _, leaf in walk(stored.params))

    def onnx(model: Bundle, parts: int = 1) -> Scores:
        path, config = folder / "decoder.onnx", model.config.decoder
        onnx_decoder.decoder(model.params["decoder"], config, tokens.shape[1]).save(path)
        return by_onnx(path, config, tokens, parts)

    def llama(model: Bundle, type: gguf.Type | None = None, cache: int = 0) -> Scores:
        gguf.write(model, folder / "model.gguf", type)
        return by_llama(folder / "model.gguf", tokens, cache)

    yield "ONNX, 32 bits", True, onnx(whole)
    yield "the same in seven parts over a cache", True, onnx(whole, parts=7)
    if blocks:
        yield "ONNX, its blocks", False, onnx(stored)
    yield "control: ONNX, 32 bits, a window one token short", True, onnx(short)
    yield "control: ONNX, 32 bits, q_norm left out", True, onnx(bare)
    if find_spec("llama_cpp") is None:
        print("llama-cpp-python is not installed: llama.cpp is left out", file=sys.stderr)
        return
    yield "llama.cpp, F32, cache in 32 bits", True, llama(whole, "F32")
    yield "llama.cpp, F32, cache in 16 bits, as usual", False, llama(whole, "F32", cache=1)
    yield "llama.cpp, Q8_0", False, llama(whole, "Q8_0")
    if blocks:
        yield "llama.cpp, its blocks", False, llama(stored)
    yield "control: llama.cpp, F32, a window one token short", True, llama(short, "F32")
    yield "control: llama.cpp, F32, q_norm left out", True, llama(bare, "F32")


@functools.partial(jax.jit, static_argnums=1)
def by_jax(params, config: ModelConfig, tokens: Tokens) -> Scores:
    places = jnp.arange(tokens.shape[1])[None]
    inputs = Inputs(tokens, jnp.full_like(tokens, -1), places, jnp.ones_like(tokens), jnp.zeros_like(tokens), None)
    return decoder.logits(params["decoder"], config.decoder, multimodal.forward(params, config, inputs))[0]


def by_onnx(path: Path, config: DecoderConfig, tokens: Tokens, parts: int = 1, kept: type = np.float32) -> Scores:
    """The prompt is read in so many parts over a cache that grows, of numbers `kept` so."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [f"{side}.{n}" for n in range(config.layers) for side in ("key", "value")]
    shapes = [decoder.head_shape(config, kind.attention) for kind in config.kinds for _ in range(2)]
    empty = (np.zeros((1, heads, 0, width), kept) for heads, width in shapes)
    cache = dict(zip(names, empty, strict=True))
    found: list[Scores] = []
    start = 0
    for part in np.array_split(tokens, parts, axis=1):
        end = start + part.shape[1]
        asked = {
            "tokens": part.astype(np.int64),
            "soft": np.zeros((1, 1, config.width), np.float32),
            "is_soft": np.zeros(part.shape, bool),
            "position": np.arange(start, end)[None],
            **{name: np.asarray([end - 1], np.int32) for name in ("last", "window_last")},
            **{name: np.asarray([end], np.int32) for name in ("most", "window_most")},
            "at": np.arange(part.shape[1]),
        }
        scores, *grown = session.run(["scores", *(f"new_{name}" for name in names)], asked | cache)
        cache, start = dict(zip(names, grown, strict=True)), end
        found.append(scores[0])
    return np.concatenate(found)


def by_llama(path: Path, tokens: Tokens, cache: int = 0) -> Scores:
    """`cache`: 0 for 32 bits, 1 for 16, as llama.cpp numbers its types."""
    import llama_cpp

    context = -(-tokens.shape[1] // 256) * 256
    run = llama_cpp.Llama(str(path), n_ctx=context, logits_all=True, verbose=False, type_k=cache, type_v=cache)
    run.eval(tokens[0].tolist())
    found = np.array(run.scores[: tokens.shape[1]])
    run.close()
    return found


def _changed(model: Bundle, **fields) -> Bundle:
    return replace(model, config=replace(model.config, decoder=replace(model.config.decoder, **fields)))


def _without(model: Bundle, norm: str) -> Bundle:
    mine = model.params["decoder"]
    blocks = {kind: block | {norm: np.ones_like(block[norm])} for kind, block in mine["blocks"].items()}
    return replace(model, params=dict(model.params) | {"decoder": mine | {"blocks": blocks}})


if __name__ == "__main__":
    with explained():
        sys.exit(main(tyro.cli(Options, description=__doc__)))
