"""Distillation: a student learns what a larger model thinks of its documents, or what it writes itself.

Hinton et al. 2015; as Gemini Nano is made (section 2 of the paper). The loop, the batches and the documents are those
of supervised tuning. Before each update the teacher is asked, on the same device, about the batch: text, what is seen
and heard, and the codes of pictures. What it thinks travels into the update as arrays, so that kept on disk or not, the
same numbers teach.
"""

import functools
import hashlib
import json
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from tejat import bundle
from tejat.bundle import Bundle
from tejat.codecs.framing import Encoded
from tejat.data.loading import Loader, Position, Source
from tejat.data.packing import Batch, Room
from tejat.model import cross_entropy, multimodal
from tejat.model.params import Tree, initialise
from tejat.parts import write_whole
from tejat.posttrain import alike, distil_answers, distil_loss, supervised
from tejat.posttrain.distil_cache import Cache
from tejat.posttrain.distil_loss import Few, Whole
from tejat.posttrain.distil_teacher import Teacher
from tejat.posttrain.recipe import Distil, digest
from tejat.posttrain.supervised import SupervisedWork
from tejat.train import drawing, objective
from tejat.train.loop import Line
from tejat.train.step import TrainState, summed

HELDOUT = "heldout.json"
"""Losses of held-out rows, in a run's directory: by `benchmarks/distilled.py` two runs are compared."""

Told = Callable[[int, int], None]


class DistilWork(SupervisedWork):
    """See `tejat.posttrain.loop.Work`.

    Raises BadInput as SupervisedWork does, for a student that does not read documents as its teacher does.
    """

    recipe: Distil

    def __init__(self, recipe: Distil, told: Told = lambda done, whole: None):
        """`told` hears how many dialogues of how many the teacher has answered, where it does."""
        teacher = bundle.load(recipe.teacher)
        student = bundle.load(recipe.model) if recipe.model else _new(recipe, teacher)
        alike.check(teacher, student, "teacher", "student")
        written = _written(recipe, teacher, student, told) if recipe.level == "sequence" else None
        super().__init__(recipe, student, written)
        self.identity |= {"shape": hashlib.sha256(repr(student.config).encode()).hexdigest()}
        self._teacher, self._cache = None, None
        if recipe.share:
            dtype = jnp.bfloat16 if recipe.bfloat16 else jnp.float32
            self._teacher = Teacher(teacher, recipe.kept, recipe.k, dtype, recipe.seed)
            if recipe.cache is not None:
                about = {"teacher": digest(recipe.teacher), "kept": recipe.kept, "k": recipe.k, "seed": recipe.seed}
                self._cache = Cache(recipe.cache, about | {"bfloat16": recipe.bfloat16})

    def _room(self, first: list[Encoded]) -> Room:
        return self.recipe.room or super()._room(first)

    def prepare(self, state: TrainState, step: int) -> tuple[Any, Position]:
        batch, after = super().prepare(state, step)
        return (batch, None if self._teacher is None else self._taught(batch, step)), after

    def _taught(self, batch: Batch, step: int) -> Any:
        assert self._teacher is not None
        if self._cache is None:
            return self._teacher(batch, step)
        if (known := self._cache.read(step, batch)) is not None:
            return known
        few = self._teacher(batch, step)
        assert isinstance(few, Few)
        return self._cache.write(step, batch, few)

    def advance(self, state: TrainState, prepared: tuple[Any, Position]) -> tuple[TrainState, dict[str, Any]]:
        (batch, taught), self._position = prepared
        frozen: Tree = {"model": self._trained.frozen}
        if isinstance(taught, Whole):  # a table has no rows to cut a batch by
            frozen["table"], taught = taught
        return self._update(state, frozen, (batch, taught))

    def line(self, pending: list[dict[str, float]]) -> Line:
        found = super().line(pending)
        for kind in (kind.name.lower() for kind in objective.PREDICTED):
            if f"{kind}_divergence" in pending[0]:
                total, count = (sum(sums[f"{kind}_{what}"] for sums in pending) for what in ("divergence", "count"))
                found[f"{kind}_divergence"] = total / count if count else None
        return found

    def _gradient(self, trained: Tree, frozen: Tree, batch: Any) -> tuple[dict[str, Array], Tree]:
        rows, taught = batch
        if taught is None:
            return super()._gradient(trained, frozen["model"], rows)
        counts, recipe, config = objective.predicted(rows), self.recipe, self.bundle.config
        dtype, teacher = jnp.bfloat16 if recipe.bfloat16 else jnp.float32, self._teacher
        assert teacher is not None

        def objective_of(trained: Tree, part: tuple[Batch, Any]):
            some, thoughts = part
            return distil_loss.loss(
                multimodal.cast(self._trained.weights(trained, frozen["model"]), dtype),
                config,
                some,
                thoughts if isinstance(thoughts, Few) else Whole(frozen["table"], thoughts),
                recipe.share,
                teacher_cap=teacher.cap,
                picture_weight=recipe.picture_weight,
                how=recipe.how,
                counts=counts,
            )

        def gradient_of(part: tuple[Batch, Any]) -> tuple[dict[str, Array], Tree]:
            (_, sums), gradient = jax.value_and_grad(objective_of, has_aux=True)(trained, part)
            return sums, gradient

        sums, gradient = summed(gradient_of, batch, recipe.accumulate)
        return sums | {"tokens": (rows.inputs.segments > 0).sum()}, gradient

    def _measured(self, made: Bundle, directory: Path) -> dict[str, Any]:
        told = super()._measured(made, directory)
        if self.recipe.heldout_documents is None:
            return told
        rows = self._heldout_rows(made)
        write_whole(directory / HELDOUT, (json.dumps(rows) + "\n").encode())
        for kind, of in rows.items():
            total, count = np.asarray(of).sum(0)
            told[f"heldout_{kind}_loss"] = float(total / count) if count else None
        return told

    def _heldout_rows(self, made: Bundle) -> dict[str, list[list[float]]]:
        """By modality, (sum of losses, how many) of each held-out row; the rows are the same for every seed."""
        recipe, config = self.recipe, self.bundle.config
        assert recipe.heldout_documents is not None
        source = recipe.heldout_documents(self._framing, replace(recipe, seed=0))
        found: dict[str, list[list[float]]] = {kind.name.lower(): [] for kind in objective.PREDICTED}
        weights = multimodal.cast(made.params, jnp.bfloat16 if recipe.bfloat16 else jnp.float32)
        with closing(Loader(source, config, self.room, workers=recipe.workers)) as batches:
            for _ in range(recipe.heldout_batches):
                batch, _ = next(batches)
                if self.room.codes and made.pictures is not None:
                    batch = drawing.with_codes(made.pictures.params, config, batch)
                sums = jax.device_get(_row_losses(weights, config, batch._replace(pictures=None)))
                for kind, pairs in sums.items():
                    found[kind] += pairs.tolist()
        return found


@functools.partial(jax.jit, static_argnums=1)
def _row_losses(params: Tree, config: multimodal.ModelConfig, batch: Batch) -> dict[str, Float[Array, "B 2"]]:
    hidden = objective.at_targets(params, config, batch)
    losses, _ = cross_entropy.token_losses(
        params["decoder"]["embedding"], hidden, batch.targets, config.decoder.soft_cap, distil_loss.AT_ONCE
    )
    mine = {kind.name.lower(): batch.weights * (batch.modality == kind) for kind in objective.PREDICTED}
    return {name: jnp.stack([(losses * of).sum(1), of.sum(1)], axis=1) for name, of in mine.items()}


def _new(recipe: Distil, teacher: Bundle) -> Bundle:
    """A student drawn at random, with the tokenizers of its teacher."""
    assert recipe.student is not None
    config = recipe.student(teacher.config)
    pictures = teacher.pictures if config.picture is not None else None
    return Bundle(config, teacher.vocabulary, initialise(multimodal.params(config), recipe.seed), pictures)


def _written(recipe: Distil, teacher: Bundle, student: Bundle, told: Told) -> Source:
    """The teacher's answers as documents for the student, written now where they are not there."""
    assert recipe.data is not None and recipe.answers is not None
    dialogues = supervised.dialogues(recipe.data, student.framing, recipe.seed)
    about = {
        "teacher": digest(recipe.teacher),
        "data": dialogues.lines.digest,
        **{name: getattr(recipe, name) for name in ("max_tokens", "temperature", "seed")},
    }
    answers = distil_answers.known(recipe.answers, about)
    if answers is None:
        answers = distil_answers.write(recipe.answers, teacher, dialogues, recipe, about, told)
    return distil_answers.Answered(dialogues, answers, recipe.seed)
