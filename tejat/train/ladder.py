"""Several models trained side by side on the very same batches: each batch is made once, and every model takes a step.

For what is compared at equal data: sizes, seeds, learning rates, lengths of training. A rung is the model that
`tejat train` would make with the same schedule, but its compiled step takes the learning rate as an argument, so that
rungs which differ in length, rate or seed alone share a program. Rungs of shorter schedules end sooner. At its end a
rung is asked for its losses on documents that nothing is trained on.

DIRECTORY/NAME/log.jsonl   a line every few steps      DIRECTORY/NAME/model/   the bundle, where it is kept
          ladder.json      of every rung: its size, its tokens, its losses, on what it trained on and on what it did not
"""

import functools
import json
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from tejat import bundle
from tejat.bundle import Bundle
from tejat.codecs.framing import Framing
from tejat.codecs.picture import PictureCodec
from tejat.codecs.vocabulary import Vocabulary
from tejat.data.loading import Loader, Source
from tejat.data.packing import Batch
from tejat.errors import BadInput
from tejat.model import multimodal, picture, sizes, weights
from tejat.model.multimodal import ModelConfig
from tejat.model.params import initialise
from tejat.model.passes import Pass
from tejat.parts import write_whole
from tejat.train import drawing, objective, optimizer
from tejat.train.objective import LOSSES
from tejat.train.optimizer import Schedule
from tejat.train.recipe import Recipe
from tejat.train.step import TrainState

ALWAYS_ONE = Schedule(steps=2, peak=1.0, warmup=0, floor=1.0)
"""What updates are made with, before they are multiplied by a rate."""


@dataclass(frozen=True)
class Rung:
    """One model: its shape, the seed of its first weights, how long and how fast it learns."""

    name: str
    config: ModelConfig
    schedule: Schedule
    seed: int = 0
    how: Pass = Pass("products")
    keep: bool = False
    """Is its model written?"""


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def climb(
    recipe: Recipe,
    rungs: Sequence[Rung],
    directory: Path,
    *,
    heldout: Callable[[Framing, Recipe], dict[str, Source]],
    batches: int = 4,
    framing: Callable[[Framing], Framing] = lambda framing: framing,
    told: Callable[[str], None] = _tell,
) -> list[dict[str, Any]]:
    """Trains them all on the documents of a recipe, in its batches; what `ladder.json` then says of each.

    `heldout` gives kinds of documents that nothing is trained on, each measured on so many `batches`. `framing` may
    change how documents become tokens. A `ladder.json` that is there already is added to. Raises BadInput for names
    that come twice, and for shapes that do not take the same batches.
    """
    if len({rung.name for rung in rungs}) < len(rungs):
        raise BadInput("two rungs have one name; give each its own")
    for rung in rungs:
        theirs, ours = (_of_a_batch(config) for config in (rung.config, recipe.config))
        if theirs != ours:
            raise BadInput(f"the rung {rung.name} takes other batches than the recipe: {theirs} and {ours}")
    directory.mkdir(parents=True, exist_ok=True)
    codes = recipe.config.picture.codes if recipe.config.picture else 0
    model = recipe.tokenizer()
    vocabulary, codec = Vocabulary(model, codes), None
    if recipe.config.picture:
        codec = PictureCodec(
            weights.read(recipe.pictures, picture.params(recipe.config.picture)), recipe.config.picture
        )
    framed = framing(Framing(recipe.config, vocabulary, None, later=True))
    unseen = {name: _first(source, recipe, batches, codec) for name, source in heldout(framed, recipe).items()}
    told(f"{len(rungs)} rungs; held out: {', '.join(f'{name} ({len(some)} batches)' for name, some in unseen.items())}")

    climbing = [_Climbing(rung, recipe, directory) for rung in rungs]
    found: list[dict[str, Any]] = _known(directory)
    begun, seen = time.perf_counter(), 0
    with closing(
        Loader(recipe.documents(framed, recipe), recipe.config, recipe.room, workers=recipe.workers, kept=recipe.kept)
    ) as loader:
        for at in range(max(rung.schedule.steps for rung in rungs)):
            batch = next(loader)[0]
            seen += int((np.asarray(batch.inputs.segments) > 0).sum())
            batch = _ready(batch, recipe, codec)
            for each in [one for one in climbing if at < one.rung.schedule.steps]:
                each.advance(batch, seen)
                if each.at == each.rung.schedule.steps:
                    result = each.ended(unseen, vocabulary, codec)
                    found = [other for other in found if other["name"] != result["name"]] + [result]
                    write_whole(directory / "ladder.json", (json.dumps(found, indent=1) + "\n").encode())
                    told(f"{each.rung.name}: {json.dumps(result['heldout'])} after {time.perf_counter() - begun:.0f} s")
                    climbing.remove(each)
            if (at + 1) % 50 == 0:
                told(f"step {at + 1}, {seen:,} tokens, {time.perf_counter() - begun:.0f} s")
    return found


class _Climbing:
    """A rung on its way."""

    def __init__(self, rung: Rung, recipe: Recipe, directory: Path):
        self.rung, self.at, self._pending = rung, 0, []
        self._every, self._directory = recipe.log_every, directory / rung.name
        self._directory.mkdir(exist_ok=True)
        (self._directory / "log.jsonl").unlink(missing_ok=True)
        tree = multimodal.params(rung.config)
        params = initialise(tree, rung.seed)
        moments = optimizer.build(_plain(rung.schedule), tree).init(params)
        self._state = TrainState(params, moments, jnp.zeros((), jnp.int32))
        self._step, self._losses = programs(
            rung.config, _plain(rung.schedule), rung.how, recipe.bfloat16, recipe.picture_weight
        )
        self._rates = np.asarray(jax.vmap(rung.schedule.rate())(jnp.arange(rung.schedule.steps)), np.float32)
        self.tokens = 0

    def advance(self, batch: Batch, seen: int) -> None:
        self._state, sums = self._step(self._state, batch, self._rates[self.at])
        self._pending.append(sums)
        self.at, self.tokens = self.at + 1, seen
        if self.at % self._every == 0 or self.at == self.rung.schedule.steps:
            line = {"step": self.at, "tokens": seen, **_means(jax.device_get(self._pending))}
            with (self._directory / "log.jsonl").open("a") as file:
                file.write(json.dumps(line) + "\n")
            self._pending, self._last = [], line

    def ended(self, unseen: dict[str, list[Batch]], vocabulary: Vocabulary, codec) -> dict[str, Any]:
        """What there is to say of it."""
        losses = {}
        for kind, some in unseen.items():
            found = _means(jax.device_get([self._losses(self._state.params, batch) for batch in some]))
            losses |= {f"{kind}: {name.removesuffix('_loss')}": value for name, value in found.items()}
        if self.rung.keep:
            kept = Bundle(self.rung.config, vocabulary, jax.device_get(self._state.params), codec)
            bundle.save(self._directory / "model", kept)
        parts = sizes.parts(self.rung.config)
        self._state = None  # its memory is wanted
        return {
            "name": self.rung.name,
            "size": self.rung.config.name,
            "seed": self.rung.seed,
            "parameters": parts.decoder + parts.codes,
            "whole": parts.whole - parts.picture,
            "tokens": self.tokens,
            "steps": self.rung.schedule.steps,
            "peak": self.rung.schedule.peak,
            "how": asdict(self.rung.how),
            "trained": {name: value for name, value in self._last.items() if name.endswith("_loss")},
            "heldout": losses,
        }


@functools.cache
def programs(
    config: ModelConfig, schedule: Schedule, how: Pass, bfloat16: bool, picture_weight: float
) -> tuple[Callable, Callable]:
    """(a step: (state, batch, rate) to (state, sums); the sums of losses alone: (params, batch) to sums)."""
    transform = optimizer.build(schedule, multimodal.params(config))
    dtype = jnp.bfloat16 if bfloat16 else jnp.float32

    def loss(params, batch: Batch):
        return objective.loss(multimodal.cast(params, dtype), config, batch, picture_weight=picture_weight, how=how)

    @functools.partial(jax.jit, donate_argnums=0)
    def step(state: TrainState, batch: Batch, rate):
        (_, sums), gradient = jax.value_and_grad(loss, has_aux=True)(state.params, batch)
        updates, moments = transform.update(gradient, state.moments, state.params)
        params = optax.apply_updates(state.params, jax.tree.map(lambda update: rate * update, updates))
        return TrainState(params, moments, state.step + 1), sums

    return step, jax.jit(lambda params, batch: loss(params, batch)[1])


def _plain(schedule: Schedule) -> Schedule:
    """The same optimizer, whose rate is an argument."""
    return replace(
        schedule, steps=ALWAYS_ONE.steps, peak=ALWAYS_ONE.peak, warmup=ALWAYS_ONE.warmup, floor=ALWAYS_ONE.floor
    )


def _of_a_batch(config: ModelConfig) -> tuple:
    """What of a shape is in a batch of it."""
    vision, audio, drawn = config.vision, config.audio, config.picture
    return (
        config.text_vocabulary,
        vision and (vision.front_end, vision.patch, vision.merged, vision.budgets, vision.frame_budget),
        audio and (audio.front_end, audio.features, audio.frames, audio.stride),
        drawn and (drawn.codes, drawn.patch, drawn.budget),
    )


def _ready(batch: Batch, recipe: Recipe, codec: PictureCodec | None) -> Batch:
    """On the device, with the codes of its pictures."""
    batch = jax.device_put(batch)
    return drawing.with_codes(codec.params, recipe.config, batch) if codec and recipe.room.codes else batch


def _first(source: Source, recipe: Recipe, batches: int, codec: PictureCodec | None) -> list[Batch]:
    with closing(Loader(source, recipe.config, recipe.room, workers=0)) as loader:
        return [_ready(next(loader)[0], recipe, codec) for _ in range(batches)]


def _means(pending: list[dict[str, Any]]) -> dict[str, float]:
    """Means over the targets of several batches, of each loss that had any."""
    found = {}
    for kind in (kind for kind in LOSSES if f"{kind}_loss" in pending[0]):
        total, count = (sum(float(sums[f"{kind}_{what}"]) for sums in pending) for what in ("loss", "count"))
        if count:
            found[f"{kind}_loss"] = total / count
    return found


def _known(directory: Path) -> list[dict[str, Any]]:
    path = directory / "ladder.json"
    return json.loads(path.read_text()) if path.is_file() else []
