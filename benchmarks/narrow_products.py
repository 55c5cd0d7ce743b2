"""Which product of one row with the matrices of a decoder reads memory fastest, in 16, eight and four bits?

    python benchmarks/narrow_products.py                 nano2's matrices, one after another as in a step; one GPU
    python benchmarks/narrow_products.py --best F.json   and writes the kernel's fastest settings there

A row goes through all layers' matrices and the table, without attention, norms and the choice of tokens: what a step
of decoding could take at best. Beside each way the share of what reading memory takes in the same run. Ways: XLA's
product of numbers in 16 bits, inputs or outputs first; a multiplication and a sum; codes made whole in front of a
product, or summed; and `tejat.model.narrow_kernel`, by its outputs, warps and shares.
"""

import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import tyro

from tejat.errors import BadInput, explained
from tejat.infer import speed
from tejat.model import family, narrow, narrow_kernel, quantised

Product = Callable[[jax.Array, Any], jax.Array]


@dataclass(frozen=True)
class Options:
    size: str = "nano2"
    """A size of the family."""
    rounds: int = 3
    steps: int = 10
    """Of a round."""
    best: Path | None = None
    """Where the kernel's fastest settings are written, by bits."""
    quick: tyro.conf.FlagCreatePairsOff[bool] = False
    """Few settings of the kernel."""


def main(options: Options) -> int:
    if min(options.rounds, options.steps) < 1:
        raise BadInput("--rounds and --steps count things; give 1 or more")
    shapes, layers, table = matrices(options.size)
    interpret = jax.default_backend() != "gpu"
    print(f"the kernel differs from what it should give by {off(interpret):.1e} of the largest", flush=True)
    read = speed.device_bandwidth()
    print(f"{jax.devices()[0].device_kind}: memory gives {read / 1e9:,.0f} GB/s\n")
    print("| bits | way | ms | GB/s | of what memory gives |\n|---|---|---|---|---|", flush=True)
    found: dict[int, tuple[float, dict[str, int]]] = {}
    for bits, way, product, settings in ways(options.quick, interpret):
        try:
            weights = [[drawn(bits, way, *shape) for shape in shapes] for _ in range(layers)]
            taken = timed(product, weights, drawn(bits, way, *table), shapes[1][1], options)
        except RuntimeError as error:  # of XLA: a way that this device does not have
            print(f"| {bits} | {way} | {str(error).splitlines()[0][:90]} | – | – |", flush=True)
            continue
        rate = moved(bits, shapes, layers, table) / taken
        print(f"| {bits} | {way} | {taken * 1e3:.3f} | {rate / 1e9:,.0f} | {rate / read:.0%} |", flush=True)
        if settings and taken < found.get(bits, (np.inf, {}))[0]:
            found[bits] = taken, settings
    if options.best is not None:
        options.best.write_text(json.dumps({bits: settings for bits, (_, settings) in found.items()}))
    return 0


def matrices(size: str) -> tuple[tuple[tuple[int, int], ...], int, tuple[int, int]]:
    """((outputs, inputs) of a layer's matrices, layers, those of the table)."""
    c = family.preset(size).decoder
    heads = c.heads * c.head_width
    qkv = heads + 2 * c.key_heads * c.head_width
    return ((qkv, c.width), (c.width, heads), (2 * c.mlp, c.width), (c.width, c.mlp)), c.layers, (c.vocabulary, c.width)


def moved(bits: int, shapes: Any, layers: int, table: tuple[int, int]) -> float:
    """Bytes of all matrices, their scales among them."""
    numbers = layers * sum(o * i for o, i in shapes) + table[0] * table[1]
    return numbers * (bits / 8 + (0 if bits == 16 else 1 / 16))


def drawn(bits: int, way: str, outputs: int, inputs: int) -> Any:
    """A matrix as a way wants it. What its numbers are takes no time; zero it is not, lest something is left out."""
    if bits == 16:
        return jnp.full((inputs, outputs) if way == "inputs first" else (outputs, inputs), 0.01, jnp.bfloat16)
    groups = inputs // 32
    if way.startswith("kernel"):
        groups += -groups % narrow.MULTIPLE
        return jnp.full((4, outputs, groups), 0x9A9B9C9D, jnp.uint32), jnp.full((outputs, groups), 0.01, jnp.float16)
    kind = jnp.int8 if bits == 8 else jnp.int4
    return jnp.ones((outputs, inputs), kind), jnp.full((outputs, groups), 0.01, jnp.float16)


def ways(quick: bool, interpret: bool) -> Iterator[tuple[int, str, Product, dict[str, int]]]:
    """(bits, name, product of [I] and a matrix, settings of the kernel)."""
    yield 16, "inputs first", lambda x, w: jnp.einsum("i,io->o", x, w, preferred_element_type=jnp.float32), {}
    yield 16, "outputs first", lambda x, w: jnp.einsum("i,oi->o", x, w, preferred_element_type=jnp.float32), {}
    yield 16, "a sum", lambda x, w: (w.astype(jnp.float32) * x.astype(jnp.float32)).sum(-1), {}
    for bits in (8, 4):
        yield bits, "made whole", lambda x, w: jnp.einsum("i,oi->o", x, whole(w).astype(x.dtype)), {}
        yield bits, "a sum", lambda x, w: (whole(w) * x.astype(jnp.float32)).sum(-1), {}
    pairs = (4, 1), (8, 1), (8, 2), (16, 2), (16, 4), (32, 4), (64, 4), (32, 8)
    for outputs, warps in pairs[:2] if quick else pairs:
        for splits in (None, 1) if (outputs, warps) in pairs[:4:3] else (None,):
            settings = {"outputs": outputs, "warps": warps} | ({} if splits is None else {"splits": splits})
            name = f"kernel, {outputs} outputs, {warps} warps{'' if splits is None else ', not cut'}"
            yield 4, name, kernel(settings, interpret), settings


def kernel(settings: dict[str, int], interpret: bool) -> Product:
    def product(x: jax.Array, weight: Any) -> jax.Array:
        return narrow_kernel.multiplied(x[None], *weight, **settings, interpret=interpret)[0]

    return product


def off(interpret: bool) -> float:
    """How far the kernel is from the product, at most, for random numbers in five tiles of blocks."""
    random = np.random.default_rng(0)
    made = quantised.quantised(random.standard_normal((2_560, 256), np.float32), quantised.Layout(0, 1), 4)
    mine, x = narrow.narrowed([made], made.layout, "float32"), random.standard_normal((1, 2_560), np.float32)
    found = narrow_kernel.multiplied(jnp.asarray(x), mine.codes, mine.scales, interpret=interpret)
    due = x.astype(np.float64) @ made.array().astype(np.float64)
    return float(np.abs(found - due).max() / np.abs(due).max())


def whole(weight: Any) -> jax.Array:
    codes, scales = weight
    blocks = codes.reshape(*scales.shape, 32).astype(jnp.float32) * scales.astype(jnp.float32)[..., None]
    return blocks.reshape(codes.shape)


def timed(product: Product, weights: Any, table: Any, heads: int, options: Options) -> float:
    """Seconds of a step, the median of the rounds."""

    @jax.jit
    def step(x, weights, table):
        for qkv, o, gate_up, down in weights:
            y = product(x, qkv)[:heads].astype(x.dtype)
            x += product(y, o).astype(x.dtype)
            gate, up = jnp.split(product(x, gate_up), 2)
            y = (jax.nn.gelu(gate, approximate=True) * up).astype(x.dtype)
            x += product(y, down).astype(x.dtype)
        return product(x, table)

    x = jnp.ones(family.preset(options.size).decoder.width, jnp.bfloat16)
    step(x, weights, table).block_until_ready()
    found = []
    for _ in range(options.rounds):
        begun = time.perf_counter()
        for _ in range(options.steps):
            scores = step(x, weights, table)
        scores.block_until_ready()
        found.append((time.perf_counter() - begun) / options.steps)
    return statistics.median(found)


if __name__ == "__main__":
    with explained():
        sys.exit(main(tyro.cli(Options, description=__doc__)))
