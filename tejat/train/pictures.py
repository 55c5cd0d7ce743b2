"""Training the image tokenizer: pictures laid into scenes, encoded, rounded and drawn again.

The loss is the mean absolute error of pixels and of their differences to the right and below, the second of which keeps
edges sharp (Mathieu et al. 2016); toward the end it may become the squared error, which PSNR is made of. The
features of a judge may add to it (`picture_features`). Pictures come in kinds (drawings, photographs, charts, text),
each with its share of a batch, and are measured by kind. Scenes are made on the device, so that one copy of the
pictures feeds any accelerator, and many steps are one call of it.
"""

import functools
import hashlib
import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import UInt8

from tejat.codecs.image import fitted, resize
from tejat.errors import BadInput
from tejat.model import picture, picture_batch, picture_vectors, quantised
from tejat.model.params import Tree, initialise, map_params, unflatten, walk
from tejat.model.picture_classifier import ClassifierConfig
from tejat.train import optimizer, picture_features, picture_state, scenes
from tejat.train.picture_features import Judge
from tejat.train.scenes import Laying

STRIDE = 25
"""Steps of one call of the device, all of one grid."""

SQUARED = 10.0
"""The squared error is multiplied by this to be about as large as the absolute one."""


COMMITMENT = 0.05
"""Weight of how far what is encoded lies from a learned codebook."""


@dataclass(frozen=True)
class Run:
    """How to train. `bfloat16` computes in it; weights, moments and the loss stay float32.

    Attributes:
      batch: pictures of the first grid; of another grid, as many as have so many codes.
      grids: (rows, columns) in codes, taken in turn; of one that is wider than high, half the steps stand it upright.
      ground: weight of the error of a ground beside that of a thing.
      edges: weight of the error of differences.
      squares: the part of the run, at its end, in which the error is squared.
      perceptual: how long the gradient of the distance in a judge's features is beside that of the error, both with
        respect to pixels.
      four_bits: the finishing of weights that are there: the decoder alone is trained, its matrices as four bits would
        hold them, and is stored so. What encodes stays as it is, and with it the codes of every picture.
      report: steps between lines of the log.
      save: steps between states on disk.

    Raises BadInput for numbers that are none of these.
    """

    schedule: optimizer.Schedule
    batch: int = 128
    grids: tuple[tuple[int, int], ...] = ((8, 8), (8, 8), (8, 8), (7, 9))
    ground: float = 1.0
    edges: float = 1.0
    squares: float = 0.0
    perceptual: float = 0.0
    seed: int = 0
    report: int = 500
    save: int = 2_000
    bfloat16: bool = False
    four_bits: bool = False

    def __post_init__(self) -> None:
        for name in ("batch", "report", "save"):
            if getattr(self, name) < 1:
                raise BadInput(f"{name} is {getattr(self, name)} in a run of the image tokenizer; give 1 or more")
        for name in ("ground", "edges", "squares", "perceptual"):
            if not 0 <= getattr(self, name) < math.inf:
                raise BadInput(f"{name} is {getattr(self, name):g} in a run of the image tokenizer; give 0 or more")
        if not self.grids or any(side < 1 for grid in self.grids for side in grid):
            raise BadInput(f"grids of {self.grids} codes are no pictures; give rows and columns of 1 or more")


@dataclass(frozen=True)
class Kind:
    """Pictures of one kind, RGBA and transparent around the thing, for training and kept from it, and how they lie."""

    name: str
    training: UInt8[np.ndarray, "n S S 4"]
    heldout: UInt8[np.ndarray, "m S S 4"]
    share: float = 1.0  # of a batch
    laying: Laying = field(default_factory=Laying)


@dataclass(frozen=True)
class PictureRecipe:
    """An image tokenizer to train: its shape, and the kinds of pictures that it is trained and measured on."""

    name: str
    config: picture.PictureConfig
    run: Run
    kinds: Callable[[], Sequence[Kind]]
    stored: str = "bfloat16"  # the type of its weights on disk: also "float32", "float16" or "int8"


class Trained(NamedTuple):
    """Weights after so many steps."""

    params: Tree
    step: int


def train(
    config: picture.PictureConfig,
    kinds: Sequence[Kind],
    run: Run,
    directory: Path | None = None,
    told: Callable[[dict], None] = lambda line: None,
    until: float = math.inf,
    params: Tree | None = None,
    judge: Judge | None = None,
) -> Trained:
    """Trains to the end of the schedule, or until `time.monotonic()` is `until`.

    `directory` has the log and the state, from which it goes on where there is one. A run that begins has random
    weights, or `params`. `told` is called with lines of the log, whose loss and PSNR are means over all kinds of a
    batch. A run that is perceptual needs a `judge`.

    Raises BadInput where the loss is no number any more; the state that was saved last stays.
    """
    tree = _trained(config, run)
    params = initialise(tree, run.seed) if params is None else jax.tree.map(jnp.array, params)
    moments = optimizer.build(run.schedule, tree).init(params)
    done = picture_state.step_of(directory) if directory else 0
    if directory and done:
        params, moments = picture_state.restore(directory, params, moments)
    # Bytes until they are chosen: what a batch does not need takes a quarter of the memory.
    stores = [jnp.asarray(scenes.store(kind.training)) for kind in kinds]
    advance = functools.partial(
        _advance, config, run, tuple((k.laying, k.share) for k in kinds), judge.config if judge else None
    )
    saved = told_of = done
    told_at, steps = time.monotonic(), run.schedule.steps
    while done < steps and time.monotonic() < until:
        grid = run.grids[done // STRIDE % len(run.grids)]
        count = min(STRIDE - done % STRIDE, steps - done, run.report - done % run.report)
        params, moments, loss, error = advance(
            grid, params, moments, judge.params if judge else None, stores, done, count
        )
        jax.block_until_ready(loss)
        done += count
        if done % run.report == 0 or done == steps:
            if not math.isfinite(loss):
                raise BadInput(f"the loss is no number after {done:,} steps; give a lower run.schedule.peak")
            rate, told_of, told_at = (done - told_of) / (time.monotonic() - told_at), done, time.monotonic()
            values = {"loss": float(loss), "psnr": -10 * math.log10(float(error)), "steps_per_second": rate}
            line = {"step": done} | values
            told(line)
            if directory:
                with (directory / "log.jsonl").open("a") as file:
                    file.write(json.dumps(line) + "\n")
        if directory and done // run.save > saved // run.save and math.isfinite(loss):
            moments, saved = picture_state.rounded(moments), done
            picture_state.save(directory, done, params, moments)
    if directory and done != saved and math.isfinite(loss):
        picture_state.save(directory, done, params, picture_state.rounded(moments))
    return Trained(params, done)


@functools.partial(jax.jit, static_argnums=(0, 1, 2, 3, 4), donate_argnums=(5, 6))
def _advance(
    config: picture.PictureConfig,
    run: Run,
    layings: tuple[tuple[Laying, float], ...],
    judging: ClassifierConfig | None,
    grid: tuple[int, int],
    params: Tree,
    moments: Any,
    judge: Tree | None,
    stores: Sequence[Any],
    done: Any,
    count: Any,
):
    """`count` steps after the first `done`, all on one grid: (params, moments, last loss, last squared error)."""
    (rows, columns), root = grid, jax.random.key(run.seed + 1)
    tree = _trained(config, run)
    transform = optimizer.build(run.schedule, tree)
    total = max(1, run.batch * math.prod(run.grids[0]) // (rows * columns))
    counts = shares([share for _, share in layings], total)
    dtype = jnp.bfloat16 if run.bfloat16 else jnp.float32

    def step(index, state):
        params, moments, _, _ = state
        key, *keys = jax.random.split(jax.random.fold_in(root, index), len(stores) + 1)
        upright, first = _standing(key, config, rows, columns)
        size = (rows * config.patch, columns * config.patch)
        parts = [
            scenes.scenes(laying, pictures, key, n, *size, upright)
            for (laying, _), pictures, key, n in zip(layings, stores, keys, counts, strict=True)
        ]
        shown = scenes.Scenes(*(jnp.concatenate(part) for part in zip(*parts, strict=True)))

        def reconstructed(params):
            """((pictures, their distance from a learned codebook), what was rounded)."""
            held = quantised.rounded_tree(params, tree, _held) if run.four_bits else params
            computed = {side: jax.tree.map(lambda p: p.astype(dtype), held[side]) for side in ("encoder", "decoder")}
            found = picture_batch.reconstruct(held | computed, config, shown.pixels.astype(dtype), upright, first)
            apart = picture_vectors.commitment(held["codebook"], found.made) if config.vectors else jnp.zeros(())
            return (found.pixels.astype(jnp.float32), apart), found.made

        (drawn, apart), pull, made = jax.vjp(reconstructed, params, has_aux=True)
        (loss, error), slope = jax.value_and_grad(lambda drawn: _loss(run, shown, drawn, index), has_aux=True)(drawn)
        if run.perceptual:
            due, seer = shown.pixels.astype(dtype), Judge(judge, judging)
            seen = jax.grad(lambda drawn: picture_features.distance(seer, due, drawn.astype(dtype)))(drawn)
            slope += picture_features.weighed(seen, slope, run.perceptual)
        (gradient,) = pull((slope, COMMITMENT * jnp.ones_like(apart)))
        updates, moments = transform.update(gradient, moments, params)
        params = optax.apply_updates(params, updates)
        if config.vectors and not run.four_bits:
            place = jax.random.fold_in(key, 1)
            params = params | {"codebook": picture_vectors.followed(params["codebook"], made, place)}
        return params, moments, loss, error

    zero = jnp.zeros(())
    return jax.lax.fori_loop(done, done + count, step, (params, moments, zero, zero))


def _trained(config: picture.PictureConfig, run: Run) -> Tree:
    """The Param tree of a run; what it leaves as it is, is frozen there."""
    tree = picture.params(config)
    if run.four_bits:
        tree["encoder"] = map_params(lambda p: replace(p, frozen=True), tree["encoder"])
    return tree


def _held(name: str) -> quantised.Bits | None:
    """The bits of a matrix of a finished image tokenizer."""
    return 4 if name.startswith("decoder.") else None


def stored(params: Tree, config: picture.PictureConfig, run: Run) -> Tree:
    """Weights as `weights.write` takes them: those of a finished decoder on the grid that it was trained on."""
    if not run.four_bits:
        return params
    found = {}
    for (name, array), (_, param) in zip(walk(params), walk(picture.params(config)), strict=True):
        at, bits = quantised.layout(name, param), _held(name)
        found[name] = array if at is None or bits is None else quantised.quantised(array, at, bits)
    return unflatten(found)


def _standing(key, config: picture.PictureConfig, rows: int, columns: int):
    """(upright, first column): half of what is not square stands upright, and what is long begins at any place of the
    tables of places half the time, so that all of them are learned."""
    if rows == columns:
        return False, 0
    upright, moved, place = jax.random.split(key, 3)
    room = config.table - columns if columns > 2 * rows else 0
    first = jax.random.randint(place, (), 0, room + 1) * jax.random.bernoulli(moved)
    return jax.random.bernoulli(upright), first


def _loss(run: Run, shown: scenes.Scenes, drawn, index):
    """(loss, mean squared error) of pictures drawn at a step."""
    weight = run.ground + (1 - run.ground) * shown.inside[..., None]
    weight = weight / weight.mean()
    difference = drawn - shown.pixels
    squared = jnp.square(difference)
    loss = (weight * jnp.abs(difference)).mean()
    for axis in (1, 2):
        thing = jax.lax.slice_in_dim(weight, 1, None, axis=axis)
        loss += run.edges * (thing * jnp.abs(jnp.diff(difference, axis=axis))).mean()
    if run.squares:
        # It becomes so little by little: at once, momentum would go on with the sizes of another loss.
        length = run.squares * run.schedule.steps
        mixed = jnp.clip((index - (run.schedule.steps - length)) / (length / 3), 0, 1)
        loss = (1 - mixed) * loss + mixed * SQUARED * (weight * squared).mean()
    return loss, squared.mean()


def shares(wanted: Sequence[float], total: int) -> list[int]:
    """`total` divided in proportion to `wanted`, each at least 1; the largest takes what rounding leaves."""
    counts = [max(1, round(total * share / sum(wanted))) for share in wanted]
    counts[int(np.argmax(wanted))] += total - sum(counts)
    return counts


def identity(
    recipe: PictureRecipe, kinds: Sequence[Kind], begin: Path | None = None, judge: Judge | None = None
) -> dict[str, Any]:
    """What a run may not change when it goes on: its settings, its pictures by a sample of them, the weights that it
    began with, if they were not random, and its judge's, if it has one."""
    run = asdict(recipe.run)
    run["perceptual"] = run["perceptual"] or None  # runs that were begun before there was one have none
    for name in ("report", "save", *(["four_bits"] if not recipe.run.four_bits else [])):
        del run[name]
    told = {}
    for kind in kinds:
        digest = hashlib.sha256()
        for pictures in (kind.training, kind.heldout):
            digest.update(repr(pictures.shape).encode())
            digest.update(np.ascontiguousarray(pictures[:: max(1, len(pictures) // 64)]).tobytes())
        told[kind.name] = {"share": kind.share, "laying": asdict(kind.laying), "pictures": digest.hexdigest()}
    weights = begin and hashlib.sha256(begin.read_bytes()).hexdigest()
    found = {"name": recipe.name, "config": asdict(recipe.config), "run": run, "kinds": told, "begin": weights}
    if judge:
        found["judge"] = hashlib.sha256(np.asarray(judge.params["stem"]).tobytes()).hexdigest()
    return found


def on_white(drawing: UInt8[np.ndarray, "S S 4"]) -> UInt8[np.ndarray, "S S 3"]:
    """A drawing as a picture."""
    values = drawing.astype(np.float32) / 255
    alpha = values[..., 3:]
    return np.round(255 * (values[..., :3] * alpha + 1 - alpha)).astype(np.uint8)


class Quality(NamedTuple):
    """Peak signal-to-noise ratios in dB: over all pixels on white, and over those that are not transparent alone."""

    whole: float
    inside: float


def measure(
    params: Tree, config: picture.PictureConfig, pictures: UInt8[np.ndarray, "n S S 4"], batch: int = 64
) -> Quality:
    """How well pictures come back at the default budget of codes: the PSNR of their mean squared error."""
    height, width = fitted(pictures.shape[1], pictures.shape[2], config.patch, config.budget)
    pixels = np.stack([resize(on_white(drawing), height, width) for drawing in pictures])
    inside = np.stack([resize(np.repeat(d[..., 3:], 3, -1), height, width)[..., 0] > 127 for d in pictures])
    drawn = []
    for first in range(0, len(pixels), batch):
        part = pixels[first : first + batch]
        padded = np.concatenate([part, np.repeat(part[-1:], batch - len(part), 0)])
        drawn.append(np.asarray(_reconstruct(params, config, jnp.asarray(padded, jnp.float32) / 255))[: len(part)])
    error = np.square(np.clip(np.concatenate(drawn), 0, 1) - pixels / 255).mean(-1)
    return Quality(*(-10 * math.log10(float(values.mean())) for values in (error, error[inside])))


@functools.partial(jax.jit, static_argnums=1)
def _reconstruct(params: Tree, config: picture.PictureConfig, pixels):
    return picture_batch.reconstruct(params, config, pixels).pixels
