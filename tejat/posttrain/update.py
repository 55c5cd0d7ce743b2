"""One update of what is trained, whatever is minimised: gradient, optimizer, counts; compiled as one program."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import optax
from jaxtyping import Array, Float

from tejat.model.params import Tree
from tejat.train import optimizer
from tejat.train.optimizer import Schedule
from tejat.train.step import ON_A_CPU, TrainState

Sums = dict[str, Array]
"""Numbers for the log."""

Gradient = Callable[[Tree, Tree, Any], tuple[Sums, Tree]]
"""(what is trained, what stays as it is, a batch) to sums and gradient."""

Objective = Callable[[Tree, Tree, Any], tuple[Float[Array, ""], Sums]]
"""(what is trained, what stays as it is, a batch) to what is minimised and sums."""


def build(
    tree: Tree, schedule: Schedule, gradient: Gradient
) -> Callable[[TrainState, Tree, Any], tuple[TrainState, Sums]]:
    """The compiled update: (state, frozen, batch) to (next state, sums). The old state's memory is reused."""
    transform, rate = optimizer.build(schedule, tree), schedule.rate()

    @functools.partial(jax.jit, donate_argnums=0, compiler_options=ON_A_CPU if jax.default_backend() == "cpu" else None)
    def update(state: TrainState, frozen: Tree, batch: Any) -> tuple[TrainState, Sums]:
        sums, found = gradient(state.params, frozen, batch)
        updates, moments = transform.update(found, state.moments, state.params)
        sums = sums | {"gradient_norm": optax.tree.norm(found), "rate": rate(state.step)}
        return TrainState(optax.apply_updates(state.params, updates), moments, state.step + 1), sums

    return update


def of(objective: Objective) -> Gradient:
    """The gradient of an objective."""

    def gradient(trained: Tree, frozen: Tree, batch: Any) -> tuple[Sums, Tree]:
        (_, sums), found = jax.value_and_grad(objective, has_aux=True)(trained, frozen, batch)
        return sums, found

    return gradient


def initial(tree: Tree, params: Tree, schedule: Schedule) -> TrainState:
    """The state before the first update."""
    return TrainState(params, optimizer.build(schedule, tree).init(params), jax.numpy.zeros((), jax.numpy.int32))
