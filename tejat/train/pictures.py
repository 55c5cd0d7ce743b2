"""Training the image tokenizer: pictures laid on plain grounds, encoded, rounded and drawn again.

The loss is the mean absolute error of pixels and of their differences to the right and below, the second of which keeps
edges sharp (Mathieu et al. 2016). Pictures come in kinds (drawings, photographs, charts, text), each with its share of
a batch, and are measured by kind. Augmentation runs on the device: pictures are scaled, shifted, mirrored and laid on
coloured grounds of several aspect ratios there, so that one copy of them feeds any accelerator.
"""

import functools
import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

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
    """How to train: `grids` are (rows, columns) in codes, taken in turn; `white` the share of pictures on white.

    `bfloat16` computes in it; weights, moments and the loss stay float32.
    """

    schedule: optimizer.Schedule
    batch: int = 128
    grids: tuple[tuple[int, int], ...] = ((8, 8), (8, 8), (8, 8), (7, 9), (9, 7))
    white: float = 0.6
    edges: float = 1.0  # weight of the error of differences
    seed: int = 0
    report: int = 500  # steps between lines of the log
    bfloat16: bool = False


@dataclass(frozen=True)
class Kind:
    """Pictures of one kind, RGBA and transparent around the thing, for training and kept from it, and how they lie.

    Their side becomes `scale` (at least, at most) times the shorter side of a scene: above 1, a part is cut out.
    """

    name: str
    training: UInt8[np.ndarray, "n S S 4"]
    heldout: UInt8[np.ndarray, "m S S 4"]
    share: float = 1.0  # of a batch
    scale: tuple[float, float] = (0.6, 1.1)
    mirrored: bool = True


@dataclass(frozen=True)
class PictureRecipe:
    """An image tokenizer to train: its shape, and the kinds of pictures that it is trained and measured on."""

    name: str
    config: picture.PictureConfig
    run: Run
    kinds: Callable[[], Sequence[Kind]]


def train(
    config: picture.PictureConfig,
    kinds: Sequence[Kind],
    run: Run,
    log: Path | None = None,
    told: Callable[[dict], None] = lambda line: None,
) -> Tree:
    """Trained parameters. `told` is called with lines of the log, whose loss and PSNR are means over all kinds."""
    tree = picture.params(config)
    params = initialise(tree, run.seed)
    transform = optimizer.build(run.schedule, tree)
    state = (params, transform.init(params))
    counts, dtype = shares([kind.share for kind in kinds], run.batch), jnp.bfloat16 if run.bfloat16 else jnp.float32
    # Bytes until they are chosen: what a batch does not need takes a quarter of the memory.
    stores = [jnp.asarray(kind.training) for kind in kinds]
    root = jax.random.key(run.seed + 1)

    @functools.partial(jax.jit, static_argnums=2, donate_argnums=0)
    def step(state, index, grid, stores):
        params, moments = state
        keys = jax.random.split(jax.random.fold_in(root, index), len(kinds))
        size = (grid[0] * config.patch, grid[1] * config.patch)
        laid = zip(kinds, stores, keys, counts, strict=True)
        pixels = jnp.concatenate([scenes(kind, s, key, count, *size, run.white) for kind, s, key, count in laid])

        def objective(params):
            computed = jax.tree.map(lambda p: p.astype(dtype), params)
            drawn = reconstruct(computed, config, pixels.astype(dtype)).astype(jnp.float32)
            edges = sum(jnp.abs(jnp.diff(drawn, axis=a) - jnp.diff(pixels, axis=a)).mean() for a in (1, 2))
            return jnp.abs(drawn - pixels).mean() + run.edges * edges, jnp.square(drawn - pixels).mean()

        (loss, error), gradient = jax.value_and_grad(objective, has_aux=True)(params)
        updates, moments = transform.update(gradient, moments, params)
        return (optax.apply_updates(params, updates), moments), loss, error

    begun = time.perf_counter()
    for index in range(run.schedule.steps):
        state, loss, error = step(state, index, run.grids[index % len(run.grids)], stores)
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


def shares(wanted: Sequence[float], total: int) -> list[int]:
    """`total` divided in proportion to `wanted`, each at least 1; the largest takes what rounding leaves."""
    counts = [max(1, round(total * share / sum(wanted))) for share in wanted]
    counts[int(np.argmax(wanted))] += total - sum(counts)
    return counts


def on_white(drawing: UInt8[np.ndarray, "S S 4"]) -> UInt8[np.ndarray, "S S 3"]:
    """A drawing as a picture."""
    values = drawing.astype(np.float32) / 255
    alpha = values[..., 3:]
    return np.round(255 * (values[..., :3] * alpha + 1 - alpha)).astype(np.uint8)


def scenes(
    kind: Kind, store: UInt8[Array, "n S S 4"], key: Array, count: int, height: int, width: int, white: float
) -> Float[Array, "count H W 3"]:
    """Pictures chosen at random, scaled, shifted, mirrored where their kind may be, on white or on a colour."""
    keys = jax.random.split(key, 6)
    side = store.shape[1]
    chosen = store[jax.random.randint(keys[0], (count,), 0, store.shape[0])].astype(jnp.float32) / 255
    # Colours times alpha: resampling these leaves no dark rims.
    chosen = jnp.concatenate([chosen[..., :3] * chosen[..., 3:], chosen[..., 3:]], axis=-1)
    if kind.mirrored:
        mirrored = jax.random.bernoulli(keys[1], 0.5, (count,))
        chosen = jnp.where(mirrored[:, None, None, None], chosen[:, :, ::-1], chosen)
    least, most = kind.scale
    scale = jax.random.uniform(keys[2], (count,), minval=least, maxval=most) * min(height, width) / side
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
    digits = picture.quantise(config, digits).astype(pixels.dtype)
    drawn = picture.decode(params, config, digits, positions, images)
    drawn = drawn.reshape(batch, rows, columns, patch, patch, 3).transpose(0, 1, 3, 2, 4, 5)
    return drawn.reshape(batch, height, width, 3)


def places(batch: int, rows: int, columns: int) -> tuple[Int[Array, "B P 2"], Int[Array, "B P"]]:
    """The (x, y) of every patch in reading order, and image 1 for each."""
    y, x = jnp.divmod(jnp.arange(rows * columns, dtype=jnp.int32), columns)
    positions = jnp.broadcast_to(jnp.stack([x, y], axis=1), (batch, rows * columns, 2))
    return positions, jnp.ones((batch, rows * columns), jnp.int32)


class Quality(NamedTuple):
    """Peak signal-to-noise ratios in dB: over all pixels on white, and over those that are not transparent alone."""

    whole: float
    inside: float


def measure(params: Tree, config: picture.PictureConfig, pictures: UInt8[np.ndarray, "n S S 4"]) -> Quality:
    """How well pictures come back at the default budget of codes: the PSNR of their mean squared error."""
    from tejat.codecs.image import resize

    errors, covered = [], []
    for drawing in pictures:
        height, width = fitted(*drawing.shape[:2], config.patch, config.budget)
        pixels = resize(on_white(drawing), height, width)
        drawn = _reconstruct(params, config, jnp.asarray(pixels, jnp.float32)[None] / 255)[0]
        errors.append(np.square(np.clip(drawn, 0, 1) - pixels / 255).mean(-1))
        covered.append(resize(np.repeat(drawing[..., 3:], 3, -1), height, width)[..., 0] > 127)
    error, inside = np.stack(errors), np.stack(covered)
    return Quality(*(-10 * math.log10(float(values.mean())) for values in (error, error[inside])))


_reconstruct = jax.jit(reconstruct, static_argnums=1)
