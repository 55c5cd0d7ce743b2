"""One training step: loss, gradient, update. The same program on one device and on many."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.sharding import NamedSharding, PartitionSpec
from jax.typing import DTypeLike
from jaxtyping import Array, Int

from tejat.data.packing import Batch
from tejat.model import multimodal, placing, quantised
from tejat.model.params import Tree, initialise
from tejat.model.passes import SCANNED, Pass
from tejat.model.quantised import Grid
from tejat.train import mesh as meshes
from tejat.train import objective, optimizer
from tejat.train.shards import Spoil, added_in_order

ON_A_CPU = {
    # Together, a third less to compile, and a step that takes as long (docs/LOG.md has the table).
    "xla_backend_optimization_level": 1,
    "xla_llvm_disable_expensive_passes": True,
}
if jax.__version_info__[:2] == (0, 10):
    # The newer emitters of this version make kernels one after the other; without them, all cores compile.
    ON_A_CPU["xla_cpu_use_fusion_emitters"] = False
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


def abstract_state(config: multimodal.ModelConfig, schedule: optimizer.Schedule) -> TrainState:
    """Shapes and types of a state, without its arrays."""
    return jax.eval_shape(lambda: initial_state(config, schedule, 0))


def build(
    config: multimodal.ModelConfig,
    schedule: optimizer.Schedule,
    *,
    dtype: DTypeLike = jnp.float32,
    picture_weight: float = 1.0,
    how: Pass = SCANNED,
    grid: Grid | None = None,
    accumulate: int = 1,
    shardings: tuple[TrainState, NamedSharding] | None = None,
    shards: int = 0,
    spoil: Callable[..., Spoil] | None = None,
) -> Callable[..., tuple[TrainState, dict[str, Array]]]:
    """The compiled step: (state, batch) to (next state, sums for the log). The old state's memory is reused.

    A batch is computed in `accumulate` parts, one after the other, whose gradients are added up. `shardings` say where
    the state's arrays and those of a batch lie, on several devices (`tejat.train.mesh`).

    With a `grid`, losses are of the matrices as it has them, and gradients pass through to the masters: a model that
    loses less when it is written so (`tejat quantize --method nearest`).

    With `shards`, gradients are added up in order (`tejat.train.shards`). The step then takes a third argument, by how
    many shards the rows of the batch were turned, and its sums tell "local", what `auditing.digests.of_shards` says of
    the shards' gradients. `spoil`, for trials of what is found, is called with a fourth argument
    (`tejat.train.auditing.flips`).
    """
    tree = multimodal.params(config)
    transform = optimizer.build(schedule, tree)
    rate = schedule.rate()

    lies, rules, platform = {}, None, jax.default_backend()
    if shardings is not None:
        rules, platform = meshes.rules(shardings[1].mesh), shardings[1].mesh.devices.flat[0].platform
        everywhere = NamedSharding(shardings[1].mesh, PartitionSpec())
        more = [everywhere] * (bool(shards) + (spoil is not None))
        lies = {"in_shardings": (*shardings, *more), "out_shardings": (shardings[0], everywhere)}

    @functools.partial(jax.jit, donate_argnums=0, compiler_options=ON_A_CPU if platform == "cpu" else None, **lies)
    def step(state: TrainState, batch: Batch, *more: Array) -> tuple[TrainState, dict[str, Array]]:
        counts = objective.predicted(batch)

        def objective_of(params: Tree, counts: dict, within: placing.Rules | None, part: Batch):
            held = quantised.rounded_tree(params, tree, grid.of) if grid else params
            if grid and grid.begins:
                finishing = state.step >= round(grid.begins * schedule.steps)
                held = jax.tree.map(lambda on, off: jnp.where(finishing, on, off), held, params)
            computed = multimodal.cast(held, dtype)
            with placing.in_force(within):
                return objective.loss(computed, config, part, picture_weight=picture_weight, how=how, counts=counts)

        def gradient_of(params: Tree, counts: dict, within: placing.Rules | None, rows: Batch):
            def of(part: Batch) -> tuple[dict[str, Array], Tree]:
                (_, sums), gradient = jax.value_and_grad(objective_of, has_aux=True)(params, counts, within, part)
                return sums, gradient

            return summed(of, rows, accumulate)

        if shards:
            where = None if shardings is None else (shardings[1].mesh, shardings[0].params)
            spoiling = spoil(*more[1:]) if spoil else Spoil()
            sums, gradient = added_in_order(gradient_of, state.params, counts, batch, shards, more[0], where, spoiling)
        else:
            sums, gradient = gradient_of(state.params, counts, rules, batch)
        updates, moments = transform.update(gradient, state.moments, state.params)
        sums |= {"gradient_norm": optax.tree.norm(gradient), "rate": rate(state.step)}
        segments = batch.inputs.segments
        sums |= {"tokens": (segments > 0).sum(), "documents": segments.max(axis=1).sum()}
        return TrainState(optax.apply_updates(state.params, updates), moments, state.step + 1), sums

    return step


def summed(function: Callable[[Any], Any], batch: Any, parts: int) -> Any:
    """The sum of what a function gives of each of so many parts of a batch, one after the other. A batch is a tree of
    arrays whose first axis is that of rows."""
    if parts == 1:
        return function(batch)

    def split(array: Array) -> Array:
        # Every parts-th row: so a part has as many rows on each device as any other.
        return jnp.moveaxis(array.reshape(array.shape[0] // parts, parts, *array.shape[1:]), 1, 0)

    def add(total: Any, part: Any) -> tuple[Any, None]:
        return jax.tree.map(jnp.add, total, function(part)), None

    split_batch = jax.tree.map(split, batch)
    zeros = jax.tree.map(
        lambda s: jnp.zeros(s.shape, s.dtype), jax.eval_shape(function, jax.tree.map(lambda a: a[0], split_batch))
    )
    return jax.lax.scan(add, zeros, split_batch)[0]
