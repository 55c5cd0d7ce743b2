"""Direct preference optimisation: a policy is moved towards chosen answers and away from rejected ones.

The reference is the model that the run begins with; its log-probabilities of a batch are computed beside the update.
"""

from collections.abc import Generator
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from tejat import bundle
from tejat.model import multimodal
from tejat.model.params import Tree
from tejat.posttrain import likelihood, losses, pairing, update
from tejat.posttrain.pairing import Batches, Pairs
from tejat.posttrain.recipe import HEADS, Dpo, identity
from tejat.posttrain.supervised import save
from tejat.posttrain.trainable import trainable
from tejat.train.loop import Line
from tejat.train.step import TrainState


class DpoWork:
    """See `tejat.posttrain.loop.Work`. Raises BadInput as `RewardWork` does."""

    def __init__(self, recipe: Dpo):
        self.recipe, self.bundle = recipe, bundle.load(recipe.model)
        groups = {behaviour: 0 for known in HEADS.values() for behaviour in known}
        self._batches = Batches(recipe, self.bundle.framing, groups, ends=False)
        self._heldout = pairing.heldout(recipe.heldout, groups, self._batches)
        self._trained = trainable(self.bundle, recipe)
        self._dtype = jnp.bfloat16 if recipe.bfloat16 else jnp.float32
        self._reference = self._trained.reference(self._dtype)
        self._update = update.build(self._trained.tree, recipe.schedule, update.of(self._objective))
        self._read = 0
        self._made: Generator[tuple[Pairs, int], None, None] | None = None
        self.identity = identity(recipe)

    def initial(self) -> TrainState:
        return update.initial(self._trained.tree, jax.tree.map(jnp.copy, self._trained.initial), self.recipe.schedule)

    def start(self, position: dict[str, Any] | None) -> None:
        self._read = position["read"] if position else 0
        self._made = self._batches.forever(self._read)

    def prepare(self, state: TrainState, step: int) -> tuple[Pairs, int]:
        assert self._made is not None
        return next(self._made)

    def advance(self, state: TrainState, prepared: tuple[Pairs, int]) -> tuple[TrainState, dict[str, Any]]:
        pairs, self._read = prepared
        return self._update(state, self._frozen(), pairs)

    def look(self, state: TrainState, step: int) -> None:
        """The last losses have been numbers: nothing else is looked at."""

    def position(self) -> dict[str, Any]:
        return {"read": self._read}

    def line(self, pending: list[dict[str, float]]) -> Line:
        pairs = sum(sums["pairs"] for sums in pending)
        names = ("pair_loss", "accuracy", "gap", "chosen_drift")
        found = {name: sum(sums[name] for sums in pending) / pairs for name in names}
        return found | {"pairs": int(pairs)} | {name: pending[-1][name] for name in ("gradient_norm", "rate")}

    def finish(self, state: TrainState, directory: Path) -> dict[str, Any]:
        whole = jax.jit(self._trained.weights)(state.params, self._trained.frozen)
        save(directory / "model", replace(self.bundle, params=whole))
        evaluate = jax.jit(self._objective)
        totals: dict[str, float] = {}
        for pairs, _, _ in self._batches.of(self._batches.taken(self._heldout, n) for n in range(len(self._heldout))):
            for name, value in evaluate(state.params, self._frozen(), pairs)[1].items():
                totals[name] = totals.get(name, 0.0) + float(np.asarray(value))
        count = totals.pop("pairs", 0.0)
        heldout = {f"heldout_{name}": value / max(count, 1.0) for name, value in totals.items()}
        return {"model": str(directory / "model"), "heldout_pairs": int(count)} | heldout

    def close(self) -> None:
        if self._made is not None:
            self._made.close()

    def _frozen(self) -> Tree:
        return {"base": self._trained.frozen, "reference": self._reference}

    def _objective(self, trained: Tree, frozen: Tree, pairs: Pairs):
        recipe, count = self.recipe, 2 * self.recipe.pairs
        weights = multimodal.cast(self._trained.weights(trained, frozen["base"]), self._dtype)
        reference = frozen["reference"] or multimodal.cast(frozen["base"], self._dtype)

        def both(weights: Tree):
            found = likelihood.logprobs_of_answers(weights, self.bundle.config, pairs.packed, count, recipe.how)
            return found.reshape(-1, 2).T

        chosen, rejected = both(weights)
        chosen_before, rejected_before = jax.lax.stop_gradient(both(reference))
        each, margin = losses.dpo(chosen, rejected, chosen_before, rejected_before, recipe.beta, recipe.smoothing)
        real = pairs.real
        sums = {
            "pair_loss": (each * real).sum(),
            "accuracy": ((margin > 0) * real).sum(),
            "gap": (margin * real).sum(),
            "chosen_drift": ((chosen - chosen_before) * real).sum(),
            "pairs": real.sum(),
        }
        return (each * real).sum() / jnp.maximum(real.sum(), 1.0), sums
