"""Supervised tuning: a model learns the parts of dialogues whose loss flag is set; all weights, or adapters.

What it leaves in `model` is a bundle with the adapters merged in, and the template by which other engines form prompts
as it saw them; adapters lie beside it.
"""

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from tejat import bundle
from tejat.bundle import Bundle
from tejat.codecs.framing import Encoded, Framing
from tejat.data.loading import Loader, Position, Source
from tejat.data.packing import Batch, Room
from tejat.errors import BadInput
from tejat.export import processor
from tejat.infer.engine import Engine
from tejat.model import multimodal
from tejat.model.params import Tree
from tejat.parts import write_whole
from tejat.posttrain import lora, rooms, update
from tejat.posttrain.dialogues import Dialogues
from tejat.posttrain.recipe import Supervised, digest, identity
from tejat.posttrain.trainable import trainable
from tejat.train import drawing, objective
from tejat.train.loop import Line
from tejat.train.objective import LOSSES
from tejat.train.step import TrainState, summed

PROBED = 16
"""Documents that stand for a stream that code makes."""


class SupervisedWork:
    """See `tejat.posttrain.loop.Work`.

    Raises BadInput for a recipe without data or with two kinds, for data of which a line cannot be used, and for a
    model that cannot be read.
    """

    def __init__(self, recipe: Supervised, begin: Bundle | None = None, source: Source | None = None):
        """`begin` and `source` stand for the recipe's model and documents where another kind of tuning makes them."""
        self.recipe, self.bundle = recipe, begin or bundle.load(recipe.model)
        data, heldout = recipe.data, recipe.heldout
        self._framing = framing(self.bundle)
        if source is not None:
            self._source = source
        elif data is not None and recipe.documents is None:
            self._source = dialogues(data, self._framing, recipe.seed)
        elif recipe.documents is not None and data is None:
            self._source = recipe.documents(self._framing, recipe)
        else:
            raise BadInput(f"the recipe {recipe.name} needs data or documents, one of them; give JSON lines as data")
        self._heldout = dialogues(heldout, self.bundle.framing, 0) if heldout else None
        looked_at = min(rooms.LOOKED_AT, len(self._source.lines)) if isinstance(self._source, Dialogues) else 64
        first = [self._source(index) for index in range(looked_at)]
        self.room = self._room(first)
        if self.room.rows % recipe.accumulate:
            raise BadInput(f"{self.room.rows} rows have no {recipe.accumulate} parts of like size; change accumulate")
        self._trained = trainable(self.bundle, recipe)
        self._update = update.build(self._trained.tree, recipe.schedule, self._gradient)
        self._position = Position()
        self._loader: Loader | None = None
        self.identity = identity(recipe, documents=None if data else _digest(first[:PROBED]))

    def _room(self, first: list[Encoded]) -> Room:
        return rooms.room(first, self.bundle.config, self.recipe.rows, self.recipe.tokens)

    def initial(self) -> TrainState:
        return update.initial(self._trained.tree, jax.tree.map(jnp.copy, self._trained.initial), self.recipe.schedule)

    def start(self, position: dict[str, Any] | None) -> None:
        self._position = Position.from_json(position) if position else Position()
        self._loader = Loader(self._source, self.bundle.config, self.room, self._position, workers=self.recipe.workers)

    def prepare(self, state: TrainState, step: int) -> tuple[Any, Position]:
        assert self._loader is not None
        batch, after = next(self._loader)
        if self.room.codes and self.bundle.pictures is not None:
            batch = drawing.with_codes(self.bundle.pictures.params, self.bundle.config, batch)
        return batch._replace(pictures=None), after

    def advance(self, state: TrainState, prepared: tuple[Any, Position]) -> tuple[TrainState, dict[str, Any]]:
        batch, self._position = prepared
        return self._update(state, self._trained.frozen, batch)

    def look(self, state: TrainState, step: int) -> None:
        """The last losses have been numbers: nothing else is looked at."""

    def position(self) -> dict[str, Any]:
        return self._position.to_json()

    def line(self, pending: list[dict[str, float]]) -> Line:
        """Means over the tokens of all steps since the last line; null for what had none."""
        found: Line = {}
        for kind in (kind for kind in LOSSES if f"{kind}_loss" in pending[0]):
            total, count = (sum(sums[f"{kind}_{what}"] for sums in pending) for what in ("loss", "count"))
            found |= {f"{kind}_loss": total / count if count else None, f"{kind}_count": int(count)}
        found["tokens"] = int(sum(sums["tokens"] for sums in pending))
        return found | {name: pending[-1][name] for name in ("gradient_norm", "rate")}

    def finish(self, state: TrainState, directory: Path) -> dict[str, Any]:
        whole = jax.jit(self._trained.weights)(state.params, self._trained.frozen)
        made = replace(self.bundle, params=whole)
        save(directory / "model", made)
        if self.recipe.lora is not None:
            lora.save(directory, state.params, self.recipe.lora, digest(self.recipe.model))
        told = {
            "model": str(directory / "model"),
            "dropped": self._position.dropped,
            "damaged": self._position.damaged,
        }
        return told | self._measured(made, directory)

    def _measured(self, made: Bundle, directory: Path) -> dict[str, Any]:
        """What can be told of the model that was made."""
        if self._heldout is None:
            return {}
        return {"heldout_loss_before": self._loss(self.bundle), "heldout_loss": self._loss(made)}

    def close(self) -> None:
        if self._loader is not None:
            self._loader.close()

    def _gradient(self, trained: Tree, frozen: Tree, batch: Any) -> tuple[update.Sums, Tree]:
        counts, recipe, config = objective.predicted(batch), self.recipe, self.bundle.config
        dtype = jnp.bfloat16 if recipe.bfloat16 else jnp.float32

        def objective_of(trained: Tree, part: Batch):
            computed = multimodal.cast(self._trained.weights(trained, frozen), dtype)
            return objective.loss(
                computed, config, part, picture_weight=recipe.picture_weight, how=recipe.how, counts=counts
            )

        def gradient_of(part: Batch) -> tuple[update.Sums, Tree]:
            (_, sums), gradient = jax.value_and_grad(objective_of, has_aux=True)(trained, part)
            return sums, gradient

        sums, gradient = summed(gradient_of, batch, recipe.accumulate)
        return sums | {"tokens": (batch.inputs.segments > 0).sum()}, gradient

    def _loss(self, of: Bundle) -> float:
        """Mean nats a token of the held-out dialogues."""
        assert self._heldout is not None
        lines = self._heldout.lines
        scores = Engine(of).score([of.framing.encode(lines[index]) for index in range(len(lines))])
        return -float(sum(map(sum, scores))) / max(1, sum(map(len, scores)))


def save(directory: Path, made: Bundle) -> None:
    """Writes a bundle, and the template by which other engines form prompts as the model saw them."""
    bundle.save(directory, made)
    write_whole(directory / "chat_template.jinja", processor.CHAT.encode())


def framing(of: Bundle) -> Framing:
    """Pictures to be drawn become codes on the device that trains."""
    return Framing(of.config, of.vocabulary, None, later=True) if of.config.picture else of.framing


def dialogues(path: Path, framing: Framing, seed: int) -> Dialogues:
    """Of a file all of whose lines are documents."""
    found = Dialogues(path, framing, seed)
    found.lines.needed("dialogues to learn from")
    return found


def _digest(documents: list[Encoded]) -> str:
    found = hashlib.sha256()
    for document in documents:
        found.update(document.modality.tobytes())
        found.update(document.tokens.tobytes())
    return found.hexdigest()
