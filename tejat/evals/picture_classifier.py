"""A small classifier of drawings: the judge of what pictures show, and the features in which pictures are compared.

The network of `tejat.model.picture_classifier` on 64 x 64 pixels, trained on the drawings of a corpus laid into scenes
as the image tokenizer's are. Which styles it is trained on is up to the caller: a judge of drawings must not have seen
their style.
"""

import functools
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Float64, UInt8

from tejat.codecs.image import resize
from tejat.errors import BadInput
from tejat.model import weights
from tejat.model.params import Tree, initialise
from tejat.model.picture_classifier import ClassifierConfig, features, params
from tejat.parts import write_whole
from tejat.train import optimizer, scenes
from tejat.train.scenes import Laying

SIDE = 64  # pixels of what it sees
STRIDE = 25  # steps of one call of the device
SMOOTH = 0.1  # of the labels (Szegedy et al. 2016)
_WEIGHTS, _ABOUT = "judge.safetensors", "judge.json"


@dataclass(frozen=True)
class Training:
    """How it is trained. Without noise it relies on surfaces that are of one colour to the bit, and takes a drawing for
    something else where nobody sees a difference."""

    schedule: optimizer.Schedule
    batch: int = 256
    laying: Laying = Laying((0.5, 1.2), stretched=0.3, recoloured=0.4, inked=0.2, white=0.6)
    noise: float = 0.06  # the largest deviation of what is added to a picture, of the way from black to white
    bfloat16: bool = False
    seed: int = 0


class Classifier(NamedTuple):
    """A trained network, and what its classes are called."""

    params: Tree
    config: ClassifierConfig
    classes: tuple[str, ...]


def train(
    config: ClassifierConfig,
    training: Training,
    drawings: UInt8[np.ndarray, "n S S 4"],
    names: Sequence[str],
    told: Callable[[dict], None] = lambda line: None,
) -> Classifier:
    """Trains on drawings and what each is of. `told` is called every 500 steps, with the loss and how many of the last
    batch were right.

    Raises FloatingPointError where the loss is not a number.
    """
    classes = tuple(sorted({*names}))
    labels = jnp.asarray([classes.index(name) for name in names])
    tree = params(config, len(classes))
    state = initialise(tree, training.seed)
    moments = optimizer.build(training.schedule, tree).init(state)
    store, steps, done = jnp.asarray(scenes.store(drawings)), training.schedule.steps, 0
    while done < steps:
        count = min(STRIDE, steps - done)
        state, moments, loss, right = _advance(
            config, training, len(classes), state, moments, store, labels, done, count
        )
        done += count
        if not math.isfinite(loss):
            raise FloatingPointError(
                f"the loss is not a number before step {done:,} of {steps:,}; train with a lower schedule.peak"
            )
        if done % 500 < STRIDE or done == steps:
            told({"step": done, "loss": float(loss), "right": float(right)})
    return Classifier(state, config, classes)


@functools.partial(jax.jit, static_argnums=(0, 1, 2), donate_argnums=(3, 4))
def _advance(config: ClassifierConfig, training: Training, classes: int, state, moments, store, labels, done, count):
    transform, root = optimizer.build(training.schedule, params(config, classes)), jax.random.key(training.seed + 1)
    dtype = jnp.bfloat16 if training.bfloat16 else jnp.float32

    def step(index, carry):
        state, moments, _, _ = carry
        key = jax.random.fold_in(root, index)
        shown = scenes.scenes(training.laying, store, key, training.batch, SIDE, SIDE)
        pixels = noisy(shown.pixels, training.noise, jax.random.fold_in(key, 1))
        wanted = labels[shown.chosen]

        def objective(state):
            computed = jax.tree.map(lambda p: p.astype(dtype), state)
            seen = features(computed, config, pixels.astype(dtype))
            scores = seen @ state["out"]
            due = optax.smooth_labels(jax.nn.one_hot(wanted, classes), SMOOTH)
            return optax.softmax_cross_entropy(scores, due).mean(), (scores.argmax(-1) == wanted).mean()

        (loss, right), gradient = jax.value_and_grad(objective, has_aux=True)(state)
        updates, moments = transform.update(gradient, moments, state)
        return optax.apply_updates(state, updates), moments, loss, right

    zero = jnp.zeros(())
    return jax.lax.fori_loop(done, done + count, step, (state, moments, zero, zero))


def noisy(pixels: Float[Array, "n H W 3"], most: float, key: Array) -> Float[Array, "n H W 3"]:
    """Pictures, each with normal noise of a deviation up to `most`, half of them pixel by pixel, half in blocks of two
    by two: roughly how what has been through an image tokenizer differs from what has not."""
    fine, coarse, deviation, which = jax.random.split(key, 4)
    count, height, width, channels = pixels.shape
    blocks = jax.random.normal(coarse, (count, -(-height // 2), -(-width // 2), channels))
    blocks = blocks.repeat(2, 1).repeat(2, 2)[:, :height, :width]
    each = (count, 1, 1, 1)
    added = jnp.where(jax.random.bernoulli(which, 0.5, each), blocks, jax.random.normal(fine, pixels.shape))
    return jnp.clip(pixels + most * jax.random.uniform(deviation, each) * added, 0, 1)


def look(
    judge: Classifier, pictures: Sequence[UInt8[np.ndarray, "H W 3"]], batch: int = 64
) -> tuple[Float64[np.ndarray, "n F"], Float64[np.ndarray, "n K"]]:
    """(features, scores of the classes) of pictures of any size."""
    seen = np.stack([resize(picture, SIDE, SIDE) for picture in pictures])
    found = []
    for first in range(0, len(seen), batch):
        part = seen[first : first + batch]
        padded = np.concatenate([part, np.repeat(part[-1:], batch - len(part), 0)])
        found.append(
            np.asarray(_features(judge.params, judge.config, jnp.asarray(padded, jnp.float32) / 255))[: len(part)]
        )
    values = np.concatenate(found).astype(np.float64)
    return values, values @ np.asarray(judge.params["out"], np.float64)


_features = jax.jit(features, static_argnums=1)


def recognised(judge: Classifier, pictures: Sequence[UInt8[np.ndarray, "H W 3"]], names: Sequence[str]) -> float:
    """The part of the pictures whose thing has the highest score. Raises ValueError for a thing that is no class."""
    _, scores = look(judge, pictures)
    return float((scores.argmax(-1) == [judge.classes.index(name) for name in names]).mean())


def frechet(one: Float64[np.ndarray, "n F"], other: Float64[np.ndarray, "m F"]) -> float:
    """The Fréchet distance of two sets of features, taken as normal distributions (Heusel et al. 2017).

    Sets of fewer pictures than features are told apart less well, and the distance of any two small sets is large: only
    distances of sets of one size can be compared.
    """
    mean = np.square(one.mean(0) - other.mean(0)).sum()
    first, second = np.cov(one, rowvar=False), np.cov(other, rowvar=False)
    # tr((first second)^½) by the root of a symmetric matrix, which stays real.
    values, vectors = np.linalg.eigh(first)
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    shared = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ second @ root), 0)).sum()
    return float(mean + np.trace(first) + np.trace(second) - 2 * shared)


def save(judge: Classifier, directory: Path) -> None:
    """Weights in eight bits, and beside them its shape and classes."""
    weights.write(directory / _WEIGHTS, judge.params, "int8")
    about = {"config": asdict(judge.config), "classes": judge.classes}
    write_whole(directory / _ABOUT, (json.dumps(about, indent=1) + "\n").encode())


def load(directory: Path) -> Classifier:
    """Raises BadInput where there is none."""
    try:
        about = json.loads((directory / _ABOUT).read_text())
        config = ClassifierConfig(tuple(about["config"]["channels"]), about["config"]["blocks"])
        classes = tuple(about["classes"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadInput(
            f"{directory} holds no judge of pictures ({error!r}); train one with recipes/judge.py"
        ) from error
    return Classifier(weights.read(directory / _WEIGHTS, params(config, len(classes))), config, classes)
