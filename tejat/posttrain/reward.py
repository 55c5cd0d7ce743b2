"""Training of a reward model on pairs of answers: Bradley-Terry with margins, a head for each kind of virtue."""

from collections.abc import Generator
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from tejat import bundle
from tejat.model import multimodal
from tejat.model.params import Tree, initialise
from tejat.posttrain import losses, pairing, reward_model, reward_report, update
from tejat.posttrain.pairing import Batches, Pairs
from tejat.posttrain.recipe import Reward, identity
from tejat.posttrain.reward_model import RewardModel
from tejat.posttrain.reward_report import Scored
from tejat.posttrain.trainable import trainable
from tejat.train.loop import Line
from tejat.train.step import TrainState

DRESSED = 200
"""Held-out pairs whose answers are looked at in other dress, at most."""


class RewardWork:
    """See `tejat.posttrain.loop.Work`.

    Raises BadInput for pairs that cannot be used, and for held-out pairs that are among those of training.
    """

    def __init__(self, recipe: Reward):
        self.recipe, self.bundle = recipe, bundle.load(recipe.model)
        self._names = list(recipe.heads)
        groups = {each: n for n, name in enumerate(self._names) for each in recipe.heads[name]}
        self._batches = Batches(recipe, self.bundle.framing, groups, ends=True)
        self._heldout = pairing.heldout(recipe.heldout, groups, self._batches)
        self._groups = groups
        self._trained = trainable(self.bundle, recipe)
        heads = reward_model.params(self.bundle.config.decoder.width, len(self._names))
        self._tree = {"model": self._trained.tree, "heads": heads}
        self._heads = initialise(heads, recipe.seed)
        self._update = update.build(self._tree, recipe.schedule, update.of(self._objective))
        self._read, self._next = 0, 0
        self._made: Generator[tuple[Pairs, int], None, None] | None = None
        self.identity = identity(recipe)

    def initial(self) -> TrainState:
        params = jax.tree.map(jnp.copy, {"model": self._trained.initial, "heads": self._heads})
        return update.initial(self._tree, params, self.recipe.schedule)

    def start(self, position: dict[str, Any] | None) -> None:
        self._read = position["read"] if position else 0
        self._made = self._batches.forever(self._read)

    def prepare(self, state: TrainState, step: int) -> tuple[Pairs, int]:
        assert self._made is not None
        return next(self._made)

    def advance(self, state: TrainState, prepared: tuple[Pairs, int]) -> tuple[TrainState, dict[str, Any]]:
        pairs, self._read = prepared
        return self._update(state, self._trained.frozen, pairs)

    def look(self, state: TrainState, step: int) -> None:
        """The last losses have been numbers: nothing else is looked at."""

    def position(self) -> dict[str, Any]:
        return {"read": self._read}

    def line(self, pending: list[dict[str, float]]) -> Line:
        pairs = sum(sums["pairs"] for sums in pending)
        found = {name: sum(sums[name] for sums in pending) / pairs for name in ("pair_loss", "accuracy", "gap")}
        return found | {"pairs": int(pairs)} | {name: pending[-1][name] for name in ("gradient_norm", "rate")}

    def finish(self, state: TrainState, directory: Path) -> dict[str, Any]:
        whole = jax.jit(self._trained.weights)(state.params["model"], self._trained.frozen)
        heads = jax.device_get(state.params["heads"])
        model = RewardModel(replace(self.bundle, params=whole), heads, self.recipe.weights)
        report, model = self._measured(model)
        reward_model.save(directory / "model", model)
        return {"model": str(directory / "model")} | report

    def close(self) -> None:
        if self._made is not None:
            self._made.close()

    def _objective(self, trained: Tree, frozen: Tree, pairs: Pairs):
        recipe, config = self.recipe, self.bundle.config
        dtype = jnp.bfloat16 if recipe.bfloat16 else jnp.float32
        weights = multimodal.cast(self._trained.weights(trained["model"], frozen), dtype)
        every = reward_model.scores(weights, trained["heads"], config, pairs.packed, 2 * recipe.pairs, recipe.how)
        mine = jnp.take_along_axis(every.reshape(recipe.pairs, 2, -1), pairs.groups[:, None, None], axis=2)[..., 0]
        chosen, rejected = mine[:, 0], mine[:, 1]
        each = losses.bradley_terry(chosen, rejected, pairs.margins)
        count = jnp.maximum(pairs.real.sum(), 1.0)
        # Only differences are learnt from pairs: this keeps the scores of all of them about zero.
        centred = jnp.square(chosen + rejected) * recipe.centre
        sums = {
            "pair_loss": (each * pairs.real).sum(),
            "accuracy": ((chosen > rejected) * pairs.real).sum(),
            "gap": ((chosen - rejected) * pairs.real).sum(),
            "pairs": pairs.real.sum(),
        }
        return ((each + centred) * pairs.real).sum() / count, sums

    def _measured(self, model: RewardModel) -> tuple[dict[str, Any], RewardModel]:
        """(report, the model with the scale of its scores on held-out answers)."""
        taken = [self._batches.taken(self._heldout, index) for index in range(len(self._heldout))]
        pairs, encoded = [pair for pair, _ in taken], [documents for _, documents in taken]
        scores = model.scores([document for both in encoded for document in both]).reshape(len(pairs), 2, -1)
        head = [self._groups[pair.behaviour] for pair in pairs]
        mine = scores[np.arange(len(pairs)), :, head]
        every = model.combined(scores.reshape(2 * len(pairs), -1))
        model = replace(model, scale=(float(every.mean()), max(float(every.std()), 1e-6)))
        together = every.reshape(-1, 2)
        scored = [
            Scored(
                pair.behaviour,
                self._names[which],
                float(both[0]),
                float(both[1]),
                *(len(self._answer(side)) for side in pair.documents()),
                float(all_heads[0] - all_heads[1]),
            )
            for pair, which, both, all_heads in zip(pairs, head, mine, together, strict=True)
        ]
        some, report = pairs[:DRESSED], {}
        for dress in reward_report.DRESSES:
            other = [self._batches.encoded(reward_report.dressed(pair, dress))[0] for pair in some]
            longest = self.bundle.config.context
            fit = [n for n, document in enumerate(other) if len(document) <= longest]
            found = model.combined(model.scores([other[n] for n in fit]))
            plain = model.combined(scores[fit, 0])
            report[dress] = reward_report.by_dress(plain, found, 1.0)  # combined scores are in deviations already
        told = {
            "pairs": reward_report.table(scored),
            "length": reward_report.by_length(scored),
            "dress": report,
        }
        return told, model

    def _answer(self, document: Any) -> Any:
        encoded = self.bundle.framing.encode(document)
        return encoded.tokens[encoded.loss]
