"""The products of `narrow_products.py` by PyTorch's kernels: numbers in 16 bits, and in four with its own layout.

    python benchmarks/narrow_torch.py            nano2's matrices, one after another as in a step; one GPU, PyTorch 2.6+

A row goes through all layers' matrices and the table, as there; the step is one CUDA graph, so that nothing waits for
Python. Four bits are PyTorch's `_weight_int4pack_mm`, whose groups of 32 have a scale and a zero in bfloat16 each.
"""

import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import narrow_products
import torch
import tyro

from tejat.errors import BadInput, explained

GROUP = 32


@dataclass(frozen=True)
class Options:
    size: str = "nano2"
    """A size of the family."""
    rounds: int = 3
    steps: int = 10
    """Of a round."""


def main(options: Options) -> int:
    if min(options.rounds, options.steps) < 1:
        raise BadInput("--rounds and --steps count things; give 1 or more")
    if not torch.cuda.is_available():
        raise BadInput("PyTorch sees no GPU, and its products in four bits are of one; run this on one")
    print(f"four bits differ from what they should give by {off():.1e} of the largest")
    read = bandwidth()
    print(f"{torch.cuda.get_device_name()}: memory gives {read / 1e9:,.0f} GB/s\n")
    print("| bits | way | ms | GB/s | of what memory gives |\n|---|---|---|---|---|")
    for bits, way, made, product in (
        (16, "PyTorch", lambda o, i: torch.full((o, i), 0.01, dtype=torch.bfloat16, device="cuda"), linear),
        (4, "PyTorch, int4pack", lambda o, i: packed(torch.full((o, i), 9, dtype=torch.int32, device="cuda")), narrow),
    ):
        taken, numbers = timed(options, made, product)
        rate = numbers * (bits / 8 + (0 if bits == 16 else 4 / GROUP)) / taken
        print(f"| {bits} | {way} | {taken * 1e3:.3f} | {rate / 1e9:,.0f} | {rate / read:.0%} |", flush=True)
    return 0


def linear(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.linear(x, weight)


def narrow(x: torch.Tensor, weight: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
    codes, scales = weight
    return torch.ops.aten._weight_int4pack_mm(x, codes, GROUP, scales)


def packed(codes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Codes 0 to 15 [O, I] as the kernel wants them, with scales of a hundredth and zeros of none."""
    pairs = (codes[:, ::2] << 4 | codes[:, 1::2]).to(torch.uint8)
    scales = torch.zeros((codes.shape[1] // GROUP, codes.shape[0], 2), dtype=torch.bfloat16, device="cuda")
    scales[..., 0] = 0.01
    return torch.ops.aten._convert_weight_to_int4pack(pairs, 8), scales


def off() -> float:
    """How far a product is from that of the numbers that its codes stand for: scale times (code less 8)."""
    codes = torch.randint(0, 16, (256, 2_560), dtype=torch.int32, device="cuda")
    x = torch.randn((1, 2_560), dtype=torch.bfloat16, device="cuda")
    due = x.double() @ ((codes - 8).double() * torch.tensor(0.01, dtype=torch.bfloat16).double().item()).T
    return float((narrow(x, packed(codes)).double() - due).abs().max() / due.abs().max())


def bandwidth() -> float:
    """Bytes a second that a largest number of many is found in."""
    many = torch.zeros(2**30, dtype=torch.bfloat16, device="cuda")
    many.max()
    found = []
    for _ in range(5):
        torch.cuda.synchronize()
        begun = time.perf_counter()
        many.max()
        torch.cuda.synchronize()
        found.append(time.perf_counter() - begun)
    return 2 * many.numel() / min(found)


def timed(options: Options, made: Callable[[int, int], Any], product: Callable[..., torch.Tensor]) -> tuple[float, int]:
    """(seconds of a step, the median of the rounds; numbers in its matrices)."""
    shapes, layers, table_shape = narrow_products.matrices(options.size)
    heads = shapes[1][1]
    weights = [[made(*shape) for shape in shapes] for _ in range(layers)]
    table = made(*table_shape)
    x = torch.ones((1, table_shape[1]), dtype=torch.bfloat16, device="cuda")

    def step() -> torch.Tensor:
        y = x
        for qkv, o, gate_up, down in weights:
            y = y + product(product(y, qkv)[:, :heads].contiguous(), o)
            gate, up = product(y, gate_up).chunk(2, dim=1)
            y = y + product(torch.nn.functional.gelu(gate, approximate="tanh") * up, down)
        return product(y, table)

    aside = torch.cuda.Stream()
    with torch.cuda.stream(aside):
        for _ in range(3):
            step()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    found = []
    for _ in range(options.rounds + 1):  # the first one warms up
        torch.cuda.synchronize()
        begun = time.perf_counter()
        for _ in range(options.steps):
            graph.replay()
        torch.cuda.synchronize()
        found.append((time.perf_counter() - begun) / options.steps)
    numbers = layers * sum(o * i for o, i in shapes) + table_shape[0] * table_shape[1]
    return statistics.median(found[1:]), numbers


if __name__ == "__main__":
    with explained():
        sys.exit(main(tyro.cli(Options, description=__doc__)))
