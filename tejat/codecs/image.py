"""Input images as patches at native aspect ratio."""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float32, Int, UInt8

from tejat.errors import BadInput
from tejat.model.vision import VisionConfig

NEARLY_WHITE = 250
"""A pixel none of whose values is less is white when it comes back from codes."""


class Patches(NamedTuple):
    """One image in the vision tower's terms. `slots` numbers the soft token that each patch is pooled into, if any."""

    pixels: UInt8[np.ndarray, "P C"]  # (y, x, channel) within a patch
    positions: Int[np.ndarray, "P 2"]  # (x, y)
    slots: Int[np.ndarray, " P"]
    count: int

    @property
    def patches(self) -> Float32[np.ndarray, "P C"]:
        """The pixels in [0, 1], made anew whenever they are asked for: four times the memory."""
        return self.pixels.astype(np.float32) / 255.0


def patchify(pixels: UInt8[np.ndarray, "H W 3"], config: VisionConfig, budget: int | None = None) -> Patches:
    """Resizes to the largest size of the same aspect within `budget` soft tokens, and cuts it into patches.

    Sides become multiples of patch x pool, as in Gemma 4; default budget: `usual_budget`.
    """
    budget = budget or usual_budget(*pixels.shape[:2], config)
    step, longest = config.patch * config.pool, config.table // config.merged
    height, width = fitted(pixels.shape[0], pixels.shape[1], step, budget, longest)
    patches, positions = squares(resize(pixels, height, width), config.side)
    if config.front_end == "resampled":
        return Patches(patches, positions, np.full(len(patches), -1, np.int32), config.latents)
    x, y = positions[:, 0] // config.merged, positions[:, 1] // config.merged
    return Patches(patches, positions, (x + width // step * y).astype(np.int32), len(patches) // config.merged**2)


def usual_budget(height: int, width: int, config: VisionConfig) -> int:
    """The budget of an image where none is asked for: the configuration's middle one; or, by size, the smallest that
    loses none of its pixels, which is the one that training shows most (`some_budget`)."""
    return _enough(height, width, config)[0] if config.budget_by_size else config.budgets[len(config.budgets) // 2]


def some_budget(height: int, width: int, config: VisionConfig, random: np.random.Generator) -> int:
    """A budget of soft tokens for an image of training: one of the three smallest that lose none of its pixels.

    Each half as often as the one before: enlarging costs soft tokens, and the tower's time, and shows no more; but a
    sentence in small letters is better read in more squares (docs/LOG.md, 2026-11-27). An image larger than all
    budgets takes the largest.
    """
    enough = _enough(height, width, config)[:3]
    shares = 0.5 ** np.arange(len(enough))
    return enough[int(random.choice(len(enough), p=shares / shares.sum()))]


def _enough(height: int, width: int, config: VisionConfig) -> list[int]:
    """The budgets that lose none of an image's pixels; the largest, where all do."""
    squares = height * width / (config.patch * config.pool) ** 2
    return [budget for budget in config.budgets if budget >= squares] or [config.budgets[-1]]


def fitted(height: int, width: int, step: int, budget: int, longest: int | None = None) -> tuple[int, int]:
    """The largest (height, width), multiples of `step`, of about the same aspect with at most `budget` steps^2.

    No side is of more than `longest` steps, where it is given: position tables end somewhere.
    """
    if height < 1 or width < 1:
        raise BadInput(f"an image of {width} x {height} pixels has no content")
    # sqrt(budget x height / width), rounded down. In floats a square would often come out one step too small.
    rows, columns = math.isqrt(budget * height // width), math.isqrt(budget * width // height)
    if rows == 0:
        rows, columns = 1, min(width // height, budget)
    elif columns == 0:
        rows, columns = min(height // width, budget), 1
    longest = longest or budget
    return min(rows, longest) * step, min(columns, longest) * step


def resize(pixels: UInt8[np.ndarray, "H W 3"], height: int, width: int) -> UInt8[np.ndarray, "h w 3"]:
    """Bicubic, antialiased."""
    if pixels.shape[:2] == (height, width):
        return pixels
    from PIL import Image

    return np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.BICUBIC))


def squares(pixels: UInt8[np.ndarray, "H W 3"], patch: int) -> tuple[UInt8[np.ndarray, "P C"], Int[np.ndarray, "P 2"]]:
    """Patches in reading order with their (x, y); sides must be multiples of `patch`."""
    rows, columns = pixels.shape[0] // patch, pixels.shape[1] // patch
    grid = pixels.reshape(rows, patch, columns, patch, 3).transpose(0, 2, 1, 3, 4)
    y, x = np.divmod(np.arange(rows * columns, dtype=np.int32), columns)
    return grid.reshape(rows * columns, -1), np.stack([x, y], axis=1)


def cut(pixels: UInt8[np.ndarray, "H W 3"], patch: int) -> tuple[Float[np.ndarray, "P C"], Int[np.ndarray, "P 2"]]:
    """The same with pixels in [0, 1]."""
    found, positions = squares(pixels, patch)
    return found.astype(np.float32) / 255.0, positions


def join(patches: Float[np.ndarray, "P C"], rows: int, columns: int) -> UInt8[np.ndarray, "H W 3"]:
    """The inverse of `cut` for patches in reading order; values outside [0, 1] are clipped."""
    side = math.isqrt(patches.shape[1] // 3)
    grid = np.asarray(patches, np.float32).reshape(rows, columns, side, side, 3).transpose(0, 2, 1, 3, 4)
    return np.rint(np.clip(grid, 0, 1) * 255).astype(np.uint8).reshape(rows * side, columns * side, 3)


def whitened(pixels: UInt8[np.ndarray, "H W 3"]) -> UInt8[np.ndarray, "H W 3"]:
    """What is nearly white made white. The paper of a drawing comes back from its codes with a grain of one or two
    steps: nobody sees it, but PNG stores it, and who tells drawings by their paper is led astray."""
    return np.where((pixels >= NEARLY_WHITE).all(-1, keepdims=True), np.uint8(255), pixels)
