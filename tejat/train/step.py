"""One training step: loss, gradient, update. The same program on one device and on many."""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.sharding import NamedSharding, PartitionSpec
from jax.typing import DTypeLike
from jaxtyping import Array, Int

from tejat.data.packing import Batch
from tejat.model import multimodal, placing
from tejat.model.params import Tree, initialise
from tejat.model.passes import SCANNED, Pass
from tejat.train import mesh as meshes
from tejat.train import objective, optimizer

_CPU = {
    # Together, a third less to compile, and a step that takes as long (docs/LOG.md has the table).
    "xla_backend_optimization_level": 1,
    "xla_llvm_disable_expensive_passes": True,
}
if jax.__version_info__[:2] == (0, 10):
    # The newer emitters of this version make kernels one after the other; without them, all cores compile.
    _CPU["xla_cpu_use_fusion_emitters"] = False
"""How XLA compiles a step for a CPU."""


class TrainState(NamedTuple):
    """All that a step changes. `params` are the float32 masters."""

    params: Tree
    moments: optax.OptState
    step: Int[Array, ""]


def initial_state(config: multimodal.ModelConfig, schedule: optimizer.Schedule, seed: int) -> TrainState:
    params = initialise(multimodal.params(config), seed)
    moments = optimizer.build(schedule, multimodal.params(config)).init(params)
    return TrainState(params, moments, jnp.zeros((), jnp.int32))


def build(
    config: multimodal.ModelConfig,
    schedule: optimizer.Schedule,
    *,
    dtype: DTypeLike = jnp.float32,
    picture_weight: float = 1.0,
    how: Pass = SCANNED,
    shardings: tuple[TrainState, NamedSharding] | None = None,
) -> Callable[[TrainState, Batch], tuple[TrainState, dict[str, Array]]]:
    """The compiled step: (state, batch) to (next state, sums for the log). The old state's memory is reused.

    `shardings` say where the state's arrays and those of a batch lie, on several devices (`tejat.train.mesh`).
    """
    transform = optimizer.build(schedule, multimodal.params(config))
    rate = schedule.rate()

    options = _CPU if jax.default_backend() == "cpu" else None

    lies, rules = {}, None
    if shardings is not None:
        rules = meshes.rules(shardings[1].mesh)
        everywhere = NamedSharding(shardings[1].mesh, PartitionSpec())
        lies = {"in_shardings": shardings, "out_shardings": (shardings[0], everywhere)}

    @functools.partial(jax.jit, donate_argnums=0, compiler_options=options, **lies)
    def step(state: TrainState, batch: Batch) -> tuple[TrainState, dict[str, Array]]:
        def objective_of(params: Tree):
            computed = multimodal.cast(params, dtype)
            with placing.in_force(rules):
                return objective.loss(computed, config, batch, picture_weight=picture_weight, how=how)

        (_, sums), gradient = jax.value_and_grad(objective_of, has_aux=True)(state.params)
        updates, moments = transform.update(gradient, state.moments, state.params)
        sums |= {"gradient_norm": optax.tree.norm(gradient), "rate": rate(state.step)}
        segments = batch.inputs.segments
        sums |= {"tokens": (segments > 0).sum(), "documents": segments.max(axis=1).sum()}
        return TrainState(optax.apply_updates(state.params, updates), moments, state.step + 1), sums

    return step
