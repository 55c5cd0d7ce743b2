"""A scan of the devices here for silent corruption: products, sums and memory, against digests that are known.

All numbers are small integers, in int8, bfloat16 or float32, whose products and sums every one of these types holds
exactly. So the right answer is the same on every backend, in whatever order it is added up, and its digest stands in
`KNOWN`. What integers cannot show (exponentials, divisions, rounding) is computed by each device again and again, and
must come out the same each time, and on all devices of one kind.
"""

import json
import os
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, UInt32

from tejat.train.auditing.digests import digest

SEEDS = 4
SMALL, LARGE = 256, 2_048
"""Sides of the matrices, on a CPU and on accelerators."""

BLOCK = 1 << 20
"""Words of memory with one digest."""

SHARE, CPU_BLOCKS = 0.5, 32
"""Of an accelerator's free memory that is written and read; on a CPU, so many blocks."""

VARIABLE = "TEJAT_SCAN_FLIP"
"""For tests: JSON with `device` (its number) and `check`, whose results have a bit turned over there."""


def hashed(count: int, seed: int, numpy: Any) -> Any:
    """uint32 [count]: numbers as if at random, by NumPy or JAX alike (the finaliser of MurmurHash3)."""
    x = numpy.arange(count, dtype=numpy.uint32) * numpy.uint32(0x9E3779B1) + numpy.uint32(seed * 0x85EBCA6B % 2**32)
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        x = (x ^ (x >> numpy.uint32(shift))) * numpy.uint32(factor)
    return x ^ (x >> numpy.uint32(16))


def small(shape: tuple[int, int], most: int, seed: int, numpy: Any) -> Any:
    """int32: integers from -most to most."""
    numbers = hashed(shape[0] * shape[1], seed, numpy) >> numpy.uint32(8)
    return (numbers % numpy.uint32(2 * most + 1)).astype(numpy.int32).reshape(shape) - most


MOST = {"int8": 100, "bfloat16": 15, "float32": 63}
"""The largest factor of each type: sums of 2,048 products are exact, those of floats being below 2^24."""


def _product(kind: str, side: int, seed: Any) -> UInt32[Array, ""]:
    a, b = (small((side, side), MOST[kind], 0, jnp), small((side, side), MOST[kind], 1, jnp))
    a = jnp.roll(a, seed, axis=0)  # one program for all seeds
    if kind == "int8":
        made = jnp.matmul(a.astype(jnp.int8), b.astype(jnp.int8), preferred_element_type=jnp.int32)
    else:
        made = jnp.matmul(
            a.astype(kind), b.astype(kind), precision="highest", preferred_element_type=jnp.float32
        ).astype(jnp.int32)
    return digest(made)


def product_known(kind: str, side: int, seed: int) -> int:
    """By NumPy, exactly."""
    a, b = small((side, side), MOST[kind], 0, np), small((side, side), MOST[kind], 1, np)
    made = np.roll(a, seed, axis=0).astype(np.float64) @ b.astype(np.float64)
    return int(digest_known(made.astype(np.int32)))


def _sums(side: int, seed: Any) -> UInt32[Array, ""]:
    numbers = jnp.roll(small((side, side), 1_000, 2, jnp), seed, axis=0)
    floats = numbers.astype(jnp.float32)
    found = [floats.sum(1), floats.max(0), floats.min(1), jnp.cumsum(floats, 1)[:, side // 2], jnp.sort(floats, 0)[1]]
    words = [numbers.sum(0), (numbers * numbers).sum(1), jnp.bitwise_xor.reduce(numbers, axis=0)]
    return digest(jnp.stack([*(each.astype(jnp.int32) for each in found), *words]))


def sums_known(side: int, seed: int) -> int:
    """By NumPy, exactly."""
    n = np.roll(small((side, side), 1_000, 2, np), seed, axis=0)
    found = [n.sum(1), n.max(0), n.min(1), np.cumsum(n, 1)[:, side // 2], np.sort(n, 0)[1], n.sum(0), (n * n).sum(1)]
    return int(digest_known(np.stack([*found, np.bitwise_xor.reduce(n, axis=0)]).astype(np.int32)))


def digest_known(array: np.ndarray) -> int:
    """As `digests.digest`, by NumPy."""
    words = np.ascontiguousarray(array).reshape(-1).view(np.uint32)
    drawn = (np.arange(len(words), dtype=np.uint32) + np.uint32(1)) * np.uint32(0x9E3779B1)
    words = words ^ drawn ^ (drawn >> np.uint32(15))
    words = (words ^ (words >> np.uint32(16))) * np.uint32(0x85EBCA77)
    words = (words ^ (words >> np.uint32(13))) * np.uint32(0xC2B2AE3D)
    return int((words ^ (words >> np.uint32(16))).sum(dtype=np.uint32))


def _floats(side: int, seed: Any) -> UInt32[Array, ""]:
    """Attention, normalisation and exponentials in float32 and bfloat16: no two backends agree on these, a device with
    itself does."""
    x = jnp.roll(small((side, side), 1_000, 3, jnp), seed, axis=0).astype(jnp.float32) / 777
    x = jax.nn.softmax(jnp.matmul(x, x.T) / side**0.5, axis=-1) @ jnp.tanh(x)
    x = x * jax.lax.rsqrt(jnp.mean(x * x, axis=-1, keepdims=True) + 1e-6)
    y = jnp.matmul(x.astype(jnp.bfloat16), x.T.astype(jnp.bfloat16), preferred_element_type=jnp.float32)
    return digest(jax.nn.gelu(x)) ^ digest(jnp.log1p(jnp.exp(y)))


@partial(jax.jit, static_argnums=0)
def _written(blocks: int, seed: Any) -> UInt32[Array, "blocks words"]:
    """Half of the patterns are those of the other half with all bits turned over."""
    pattern = hashed(BLOCK, 4, jnp) ^ (jnp.uint32(0xFFFFFFFF) * (seed % 2).astype(jnp.uint32))
    return jnp.broadcast_to(pattern, (blocks, BLOCK)) ^ jnp.uint32(0)


@jax.jit
def _read(memory: UInt32[Array, "blocks words"]) -> UInt32[Array, "blocks"]:
    return digest(memory, (1,))


def memory_known(seed: int) -> int:
    """By NumPy."""
    pattern = hashed(BLOCK, 4, np)
    return digest_known(~pattern if seed % 2 else pattern)


KNOWN: dict[str, tuple[int, ...]] = {
    "product of int8 256": (1401955997, 2398971391, 2852075501, 495612710),
    "product of int8 2048": (3106178487, 1545918753, 3134083789, 803287886),
    "product of bfloat16 256": (4197240702, 2727811025, 983552496, 3520334539),
    "product of bfloat16 2048": (1519526850, 1719329837, 3263708680, 2286267954),
    "product of float32 256": (1222211231, 3710336123, 569686389, 1441748582),
    "product of float32 2048": (2298208435, 1666809312, 2873738447, 1963486814),
    "sums 256": (2193651652, 1202143704, 3523203299, 645105761),
    "sums 2048": (2578285402, 3165055087, 1569246294, 2555348078),
    "memory": (2695567474, 4255351747, 2695567474, 4255351747),
}
"""For each check and side, the digests of the seeds: `python -m tejat.train.auditing.scan` makes them by NumPy."""


@dataclass
class Found:
    """Of one device. `failed` counts what went wrong, by check."""

    device: str
    kind: str
    rounds: int = 0
    checks: int = 0
    memory_bytes: int = 0
    failed: Counter = field(default_factory=Counter)

    @property
    def ok(self) -> bool:
        return self.rounds > 0 and not self.failed

    def to_json(self) -> dict[str, Any]:
        known = {"device": self.device, "kind": self.kind, "ok": self.ok, "rounds": self.rounds, "checks": self.checks}
        return known | {"memory_bytes": self.memory_bytes, "failed": dict(self.failed)}


def scan(seconds: float, told: Callable[[str], None] = lambda line: None) -> list[Found]:
    """Every device of this process, in turn, until the time is over and each has had a round at least."""
    devices = jax.local_devices()
    found = [Found(str(device), device.device_kind) for device in devices]
    spoilt = json.loads(os.environ.get(VARIABLE, "{}"))
    floats: dict[tuple[str, int], list[tuple[int, int]]] = {}
    ends, number = time.monotonic() + seconds, 0
    while number == 0 or time.monotonic() < ends:
        seed = number % SEEDS
        for at, (device, one) in enumerate(zip(devices, found, strict=True)):
            if number and time.monotonic() >= ends:
                break
            for check, value, right in _round(device, one, seed):
                if spoilt == {"device": at, "check": check}:
                    value ^= 1 << 7
                one.checks += 1
                if right is None:
                    floats.setdefault((one.kind, seed), []).append((at, value))
                elif value != right:
                    one.failed[check] += 1
            one.rounds += 1
            told(f"{one.device}: round {one.rounds}, {'good' if not one.failed else dict(one.failed)}")
        number += 1
    for values in floats.values():
        (usual, _), *_ = Counter(value for _, value in values).most_common(1)
        for at, value in values:
            if value != usual:
                found[at].failed["arithmetic of floats"] += 1
    return found


_CHECKS: dict[str, Callable[[int, Any], Array]] = {
    "product of int8": partial(_product, "int8"),
    "product of bfloat16": partial(_product, "bfloat16"),
    "product of float32": partial(_product, "float32"),
    "sums": _sums,
    "arithmetic of floats": _floats,
}
_COMPILED = {name: jax.jit(function, static_argnums=0) for name, function in _CHECKS.items()}


def _round(device: jax.Device, found: Found, seed: int):
    """(check, digest, the right one if it is known) of all checks on a device."""
    side = SMALL if device.platform == "cpu" else LARGE
    where = jax.device_put(np.int32(seed), device)
    for name, compiled in _COMPILED.items():
        known = KNOWN.get(f"{name} {side}")
        for _ in range(1 if known else 2):  # what is not known is compared, with itself at least
            yield name, int(compiled(side, where)), known[seed] if known else None
    blocks = CPU_BLOCKS
    if (room := device.memory_stats()) and device.platform != "cpu":
        free = room.get("bytes_limit", 0) - room.get("bytes_in_use", 0)
        blocks = max(1, int(SHARE * free) // (4 * BLOCK))
    memory = jax.block_until_ready(_written(blocks, where))
    found.memory_bytes = max(found.memory_bytes, memory.nbytes)
    right = KNOWN["memory"][seed]
    values = np.asarray(_read(memory))
    wrong = values[values != right]
    yield "memory", int(wrong[0]) if len(wrong) else right, right


def known() -> dict[str, tuple[int, ...]]:
    """What `KNOWN` must hold."""
    table = {
        f"product of {kind} {side}": tuple(product_known(kind, side, seed) for seed in range(SEEDS))
        for kind in MOST
        for side in (SMALL, LARGE)
    }
    table |= {f"sums {side}": tuple(sums_known(side, seed) for seed in range(SEEDS)) for side in (SMALL, LARGE)}
    return table | {"memory": tuple(memory_known(seed) for seed in range(SEEDS))}


if __name__ == "__main__":
    for name, values in known().items():
        print(f'    "{name}": {values},')
