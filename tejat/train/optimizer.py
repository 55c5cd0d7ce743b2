"""AdamW with warm-up, cosine decay and clipping of the gradient's norm (Loshchilov & Hutter 2019)."""

from dataclasses import dataclass

import jax
import optax

from tejat.model.params import Tree, map_params


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

    def rate(self) -> optax.Schedule:
        return optax.warmup_cosine_decay_schedule(
            0.0, self.peak, min(self.warmup, self.steps), max(self.steps, self.warmup + 1), self.floor * self.peak
        )


def build(schedule: Schedule, tree: Tree) -> optax.GradientTransformation:
    """The optimizer of a Param tree: constants stay as they are, and norms, scales and biases do not decay."""
    drawn = map_params(lambda p: p.init in ("normal", "embedding"), tree)
    chain = optax.chain(
        optax.clip_by_global_norm(schedule.clip),
        optax.scale_by_adam(schedule.beta1, schedule.beta2),
        optax.add_decayed_weights(schedule.decay, mask=drawn),
        optax.scale_by_learning_rate(schedule.rate()),
    )
    trained = map_params(lambda p: not p.frozen, tree)
    if all(jax.tree.leaves(trained)):
        return chain
    return optax.multi_transform({True: chain, False: optax.set_to_zero()}, trained)
