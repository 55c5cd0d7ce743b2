"""Numbers in eight bits each, with a scale for every block of them.

Signed numbers are spaced evenly up to the largest of their block, as in Dettmers et al. 2022 ("8-bit optimizers via
block-wise quantization"), whose blocks are of 2,048. Those that are never negative, as means of squares are, span many
powers of two, and what divides by their roots must not meet a zero: they are spaced evenly by their logarithm.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float32, UInt8

BLOCK = 256
LEAST = 2.0**-40
"""A positive number smaller than this part of the largest of its block is coded as if it were so large."""


class Coded(NamedTuple):
    """`codes` of all numbers in order, padded to whole blocks; two numbers for each block that scale them."""

    codes: UInt8[np.ndarray, " n"]
    scales: Float32[np.ndarray, "b 2"]
    positive: bool


def coded(array: Float[np.ndarray, "..."]) -> Coded:
    """Raises ValueError where a number is infinite or none."""
    numbers = np.asarray(array, np.float32).reshape(-1)
    if not np.isfinite(numbers).all():
        raise ValueError("a number is infinite or none")
    blocks = np.pad(numbers, (0, -len(numbers) % BLOCK)).reshape(-1, BLOCK)
    if (numbers < 0).any():
        largest = np.abs(blocks).max(axis=1, keepdims=True)
        # 0 to 254, of which 127 is zero.
        codes = np.rint(blocks / np.where(largest > 0, largest, 1) * 127) + 127
        scales = np.concatenate([largest, np.zeros_like(largest)], axis=1)
        return Coded(codes.astype(np.uint8).reshape(-1), scales, False)
    highest = blocks.max(axis=1, keepdims=True)
    some = blocks > 0
    logs = np.log2(np.maximum(blocks, np.where(highest > 0, highest, 1) * LEAST), where=some, out=np.zeros_like(blocks))
    low = np.min(logs, axis=1, keepdims=True, where=some, initial=np.inf)
    high = np.max(logs, axis=1, keepdims=True, where=some, initial=-np.inf)
    low, high = np.where(some.any(1, keepdims=True), low, 0), np.where(some.any(1, keepdims=True), high, 0)
    # 1 to 255; 0 is zero.
    codes = np.where(some, np.rint((logs - low) / np.where(high > low, high - low, 1) * 254) + 1, 0)
    return Coded(codes.astype(np.uint8).reshape(-1), np.concatenate([low, high], axis=1).astype(np.float32), True)


def decoded(found: Coded, shape: tuple[int, ...]) -> Float32[np.ndarray, "..."]:
    """The numbers, about."""
    codes = found.codes.reshape(-1, BLOCK).astype(np.float32)
    first, second = found.scales[:, :1], found.scales[:, 1:]
    if found.positive:
        numbers = np.where(codes > 0, np.exp2(first + (codes - 1) / 254 * (second - first)), 0)
    else:
        numbers = (codes - 127) / 127 * first
    count = int(np.prod(shape))
    return numbers.reshape(-1)[:count].reshape(shape).astype(np.float32)
