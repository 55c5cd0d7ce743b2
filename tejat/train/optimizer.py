"""Muon for matrices and AdamW for the rest, or AdamW alone; warm-up, cosine decay, clipping of the gradient's norm."""

import itertools
import math
from dataclasses import dataclass

import jax
import optax
import optax.contrib
from optax.contrib import MuonDimensionNumbers

from tejat.model.params import Param, Tree, map_params


@dataclass(frozen=True)
class Schedule:
    """The learning rate climbs for `warmup` steps to `peak`, then falls along a cosine to `floor` x peak at `steps`."""

    steps: int
    peak: float = 3e-3
    warmup: int = 50
    floor: float = 0.05
    decay: float = 0.1  # weight decay, on matrices alone
    clip: float = 1.0
    beta1: float = 0.9
    beta2: float = 0.95
    muon: bool = False

    def rate(self) -> optax.Schedule:
        return optax.warmup_cosine_decay_schedule(
            0.0, self.peak, min(self.warmup, self.steps), max(self.steps, self.warmup + 1), self.floor * self.peak
        )


def build(schedule: Schedule, tree: Tree) -> optax.GradientTransformation:
    """The optimizer of a Param tree: constants stay as they are, and norms, scales and biases do not decay.

    AdamW: Loshchilov & Hutter 2019. Muon: Jordan et al. 2024; its updates are scaled to the size of AdamW's, so that
    one rate serves both (Liu et al. 2025, section 2.2).
    """
    drawn = map_params(lambda p: p.init in ("normal", "embedding"), tree)
    adam = optax.scale_by_adam(schedule.beta1, schedule.beta2)
    kinds = map_params(lambda p: "matrix" if schedule.muon and is_matrix(p) else "other", tree)
    chain = optax.chain(
        optax.clip_by_global_norm(schedule.clip),
        optax.partition({"matrix": _muon(tree), "other": adam}, kinds) if schedule.muon else adam,
        optax.add_decayed_weights(schedule.decay, mask=drawn),
        optax.scale_by_learning_rate(schedule.rate()),
    )
    trained = map_params(lambda p: not p.frozen, tree)
    if all(jax.tree.leaves(trained)):
        return chain
    return optax.multi_transform({True: chain, False: optax.set_to_zero()}, trained)


def is_matrix(param: Param) -> bool:
    """Is it trained, and carries features to features? Tables and kernels of convolutions do not."""
    return not param.frozen and param.init == "normal" and len(param.shape) > 1 and None not in param.axes


def _muon(tree: Tree) -> optax.GradientTransformation:
    """Momentum made orthogonal, times 0.2 √(the longer side): so large an update deviates by 0.2, as Adam's do."""

    def sides(param: Param) -> MuonDimensionNumbers:
        # Stacked layers, and the experts of each, are so many matrices.
        first = last = len(list(itertools.takewhile(lambda axis: axis in ("layers", "experts"), param.axes)))
        while math.prod(param.shape[first:last]) < param.fan_in:
            last += 1
        return MuonDimensionNumbers(tuple(range(first, last)), tuple(range(last, len(param.shape))))

    def size(param: Param) -> float:
        inputs, outputs = (math.prod(param.shape[axis] for axis in axes) for axes in sides(param))
        return 0.2 * math.sqrt(max(inputs, outputs))

    def of_matrices(function):
        return map_params(lambda p: function(p) if is_matrix(p) else optax.MaskedNode(), tree)

    sizes = of_matrices(size)
    return optax.chain(
        optax.contrib.scale_by_muon(weight_dimension_numbers=lambda _: of_matrices(sides)),
        optax.stateless(lambda updates, _: jax.tree.map(lambda update, size: update * size, updates, sizes)),
    )
