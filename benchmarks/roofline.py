"""What this machine can do at most, measured in the run that it is the limit of: a large product, and a large sum.

A benchmark's limit is the longer of its arithmetic at the first speed and its bytes at the second (Williams, Waterman
& Patterson 2009). Bytes that stay in a processor's cache can be faster than memory, so small cases can beat a limit.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike


class Machine(NamedTuple):
    """A device and its peaks."""

    device: str
    dtype: str
    flops: float  # a second, of a large product
    bytes: float  # a second, read and written, of a large sum

    def limit(self, flops: float, moved: float) -> float:
        """Seconds that a program takes at least."""
        return max(flops / self.flops, moved / self.bytes)


def measure(dtype: DTypeLike, seconds: float = 1.5) -> Machine:
    device = jax.devices()[0]
    small = device.platform == "cpu"
    side, numbers = (1_024, 2**24) if small else (8_192, 2**29)
    square, row = jnp.ones((side, side), dtype), jnp.ones(numbers, dtype)
    product = jax.jit(lambda a: a @ a).lower(square).compile()
    plus = jax.jit(lambda a: a + 1).lower(row).compile()
    return Machine(
        device.device_kind,
        jnp.dtype(dtype).name,
        2 * side**3 / best(lambda: product(square), seconds),
        2 * row.nbytes / best(lambda: plus(row), seconds),
    )


def best(call: Callable[[], Any], seconds: float) -> float:
    """The shortest of the runs (three at least) that `seconds` have time for: other work on a machine only adds."""
    jax.block_until_ready(call())
    times: list[float] = []
    until = time.perf_counter() + seconds
    while len(times) < 3 or time.perf_counter() < until:
        start = time.perf_counter()
        jax.block_until_ready(call())
        times.append(time.perf_counter() - start)
    return min(times)


def compiled(function: Callable, *arguments: Any, **options: Any) -> tuple[Callable, int]:
    """(the program, bytes that it needs beside its arguments and results)."""
    program = jax.jit(function, **options).lower(*arguments).compile()
    return program, program.memory_analysis().temp_size_in_bytes


def table(machine: Machine, rows: Sequence[dict[str, Any]]) -> str:
    """Markdown: the peaks, and a line for each measurement."""
    peers = list(dict.fromkeys(name for row in rows for name in row["peers"]))
    lines = [
        f"{machine.device}, {machine.dtype}: {machine.flops / 1e9:,.0f} GFLOP/s, {machine.bytes / 1e9:,.1f} GB/s",
        "",
        "| " + " | ".join(["what", "ms", "limit, ms", "of the limit", "MB beside", *peers]) + " |",
        "|---" * (5 + len(peers)) + "|",
    ]
    for row in rows:
        cells = [
            row["what"],
            f"{row['ms']:.3g}",
            f"{row['limit_ms']:.3g}",
            f"{row['limit_ms'] / row['ms']:.0%}",
            f"{row['temp_bytes'] / 1e6:.3g}",
            *(_peer(row["peers"].get(name)) for name in peers),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _peer(found: dict[str, Any] | str | None) -> str:
    if isinstance(found, dict):
        memory = f", {found['temp_bytes'] / 1e6:.3g} MB" if "temp_bytes" in found else ""
        return f"{found['ms']:.3g}{memory}"
    return found or "–"
