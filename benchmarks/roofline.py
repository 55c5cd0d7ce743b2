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
    side, numbers = (1_024, 2**26) if small else (8_192, 2**29)
    square, rows = jnp.ones((side, side), dtype), [jnp.ones(numbers, dtype)]
    product = jax.jit(lambda a: a @ a).lower(square).compile()
    # In place: a new result would be timed with the clearing of its pages by the operating system.
    plus = jax.jit(lambda a: a + 1, donate_argnums=0).lower(rows[0]).compile()

    def grow():
        rows.append(plus(rows.pop()))
        return rows[0]

    return Machine(
        device.device_kind,
        jnp.dtype(dtype).name,
        2 * side**3 / best(lambda: product(square), seconds),
        2 * rows[0].nbytes / best(grow, seconds),
    )


def best(call: Callable[[], Any], seconds: float) -> float:
    """The shortest of the runs that `seconds` have time for, after one that does not count: other work only adds.

    A run that is longer than that counts itself.
    """

    def once() -> float:
        start = time.perf_counter()
        jax.block_until_ready(call())
        return time.perf_counter() - start

    first, until = once(), time.perf_counter() + seconds
    if first > seconds:
        return first
    found = once()
    while time.perf_counter() < until:
        found = min(found, once())
    return found


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
