"""Training the image tokenizer: pictures laid on plain grounds, encoded, rounded and drawn again.

The loss is the mean absolute error of pixels and of their differences to the right and below, the second of which keeps
edges sharp (Mathieu et al. 2016). Augmentation runs on the device: pictures are scaled, shifted, mirrored and laid on
coloured grounds of several aspect ratios there, so that one copy of a few hundred drawings feeds any accelerator.
"""

import functools
import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int, UInt8

from tejat.codecs.image import fitted
from tejat.model import picture
from tejat.model.params import Tree, initialise
from tejat.train import optimizer


@dataclass(frozen=True)
class Run:
    """How to train: `grids` are (rows, columns) in codes, taken in turn; `white` the share of pictures on white."""

    schedule: optimizer.Schedule
    batch: int = 128
    grids: tuple[tuple[int, int], ...] = ((8, 8), (8, 8), (8, 8), (7, 9), (9, 7))
    white: float = 0.6
    edges: float = 1.0  # weight of the error of differences
    seed: int = 0
    report: int = 500  # steps between lines of the log


@dataclass(frozen=True)
class PictureRecipe:
    """An image tokenizer to train: its shape, its RGBA drawings, and those kept from it, to be measured on."""

    name: str
    config: picture.PictureConfig
    run: Run
    drawings: Callable[[], UInt8[np.ndarray, "n S S 4"]]
    heldout: Callable[[], UInt8[np.ndarray, "n S S 4"]]


def train(
    config: picture.PictureConfig,
    drawings: UInt8[np.ndarray, "n S S 4"],
    run: Run,
    log: Path | None = None,
    told: Callable[[dict], None] = lambda line: None,
) -> Tree:
    """Trained parameters. `drawings` are RGBA, transparent around the thing; `told` is called with lines of the log."""
    tree = picture.params(config)
    params = initialise(tree, run.seed)
    transform = optimizer.build(run.schedule, tree)
    state = (params, transform.init(params))
    store = jnp.asarray(premultiplied(drawings))
    root = jax.random.key(run.seed + 1)

    @functools.partial(jax.jit, static_argnums=2, donate_argnums=0)
    def step(state, index, grid):
        params, moments = state
        key = jax.random.fold_in(root, index)
        pixels = scenes(store, key, run.batch, grid[0] * config.patch, grid[1] * config.patch, run.white)

        def objective(params):
            drawn = reconstruct(params, config, pixels)
            edges = sum(jnp.abs(jnp.diff(drawn, axis=a) - jnp.diff(pixels, axis=a)).mean() for a in (1, 2))
            return jnp.abs(drawn - pixels).mean() + run.edges * edges, jnp.square(drawn - pixels).mean()

        (loss, error), gradient = jax.value_and_grad(objective, has_aux=True)(params)
        updates, moments = transform.update(gradient, moments, params)
        return (optax.apply_updates(params, updates), moments), loss, error

    begun = time.perf_counter()
    for index in range(run.schedule.steps):
        state, loss, error = step(state, index, run.grids[index % len(run.grids)])
        if (index + 1) % run.report == 0 or index + 1 == run.schedule.steps:
            line = {
                "step": index + 1,
                "loss": float(loss),
                "psnr": -10 * math.log10(float(error)),
                "seconds": time.perf_counter() - begun,
            }
            told(line)
            if log is not None:
                with log.open("a") as file:
                    file.write(json.dumps(line) + "\n")
    return state[0]


def premultiplied(drawings: UInt8[np.ndarray, "n S S 4"]) -> Float[np.ndarray, "n S S 4"]:
    """Colours times alpha, in [0, 1]: resampling these leaves no dark rims."""
    values = drawings.astype(np.float32) / 255
    values[..., :3] *= values[..., 3:]
    return values


def on_white(drawing: UInt8[np.ndarray, "S S 4"]) -> UInt8[np.ndarray, "S S 3"]:
    """A drawing as a picture."""
    values = premultiplied(drawing[None])[0]
    return np.round(255 * (values[..., :3] + 1 - values[..., 3:])).astype(np.uint8)


def scenes(
    store: Float[Array, "n S S 4"], key: Array, count: int, height: int, width: int, white: float
) -> Float[Array, "count H W 3"]:
    """Drawings chosen at random, scaled to 0.6..1.1 of the shorter side, shifted, mirrored, on white or on a colour."""
    keys = jax.random.split(key, 6)
    side = store.shape[1]
    chosen = store[jax.random.randint(keys[0], (count,), 0, store.shape[0])]
    mirrored = jax.random.bernoulli(keys[1], 0.5, (count,))
    chosen = jnp.where(mirrored[:, None, None, None], chosen[:, :, ::-1], chosen)
    scale = jax.random.uniform(keys[2], (count,), minval=0.6, maxval=1.1) * min(height, width) / side
    room = jnp.stack([height - scale * side, width - scale * side], axis=1)
    shift = room / 2 + jnp.abs(room) * jax.random.uniform(keys[3], (count, 2), minval=-0.5, maxval=0.5)

    def place(drawing, scale, shift):
        return jax.image.scale_and_translate(
            drawing, (height, width, 4), (0, 1), jnp.stack([scale, scale]), shift, "linear", antialias=True
        )

    laid = jnp.clip(jax.vmap(place)(chosen, scale, shift), 0, 1)
    ground = jax.random.uniform(keys[4], (count, 1, 1, 3))
    ground = jnp.where(jax.random.bernoulli(keys[5], white, (count, 1, 1, 1)), 1.0, ground)
    return laid[..., :3] + (1 - laid[..., 3:]) * ground


def reconstruct(
    params: Tree, config: picture.PictureConfig, pixels: Float[Array, "B H W 3"]
) -> Float[Array, "B H W 3"]:
    """Pictures encoded, rounded and decoded; sides are multiples of the patch."""
    batch, height, width, _ = pixels.shape
    rows, columns, patch = height // config.patch, width // config.patch, config.patch
    grid = pixels.reshape(batch, rows, patch, columns, patch, 3).transpose(0, 1, 3, 2, 4, 5)
    positions, images = places(batch, rows, columns)
    digits = picture.encode(params, config, grid.reshape(batch, rows * columns, -1), positions, images)
    drawn = picture.decode(params, config, picture.quantise(config, digits), positions, images)
    drawn = drawn.reshape(batch, rows, columns, patch, patch, 3).transpose(0, 1, 3, 2, 4, 5)
    return drawn.reshape(batch, height, width, 3)


def places(batch: int, rows: int, columns: int) -> tuple[Int[Array, "B P 2"], Int[Array, "B P"]]:
    """The (x, y) of every patch in reading order, and image 1 for each."""
    y, x = jnp.divmod(jnp.arange(rows * columns, dtype=jnp.int32), columns)
    positions = jnp.broadcast_to(jnp.stack([x, y], axis=1), (batch, rows * columns, 2))
    return positions, jnp.ones((batch, rows * columns), jnp.int32)


def psnr(params: Tree, config: picture.PictureConfig, pictures: Sequence[UInt8[np.ndarray, "H W 3"]]) -> float:
    """Peak signal-to-noise ratio in dB over all pixels of square pictures, resized to the default budget of codes."""
    from tejat.codecs.image import resize

    errors = []
    for pixels in pictures:
        height, width = fitted(*pixels.shape[:2], config.patch, config.budget)
        small = jnp.asarray(resize(pixels, height, width), jnp.float32)[None] / 255
        errors.append(jnp.square(jnp.clip(_reconstruct(params, config, small), 0, 1) - small).mean())
    return -10 * math.log10(float(np.mean(errors)))


_reconstruct = jax.jit(reconstruct, static_argnums=1)
