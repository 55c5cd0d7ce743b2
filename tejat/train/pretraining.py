"""Pre-training on a built corpus: one recipe for every size of the family.

The corpus knows its mixture in stages (`tejat data build`). A run takes those that it names, in their order, each made
longer or shorter so that they fill the run's steps in their proportions.
"""

import os
from collections.abc import Sequence
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

from tejat.codecs.framing import Framing
from tejat.data.corpus import ledger
from tejat.data.mixture import Documents, Mixture, Stage, within
from tejat.data.packing import Room
from tejat.errors import BadInput
from tejat.model.multimodal import ModelConfig
from tejat.model.passes import Pass
from tejat.model.quantised import Grid
from tejat.train.optimizer import Schedule
from tejat.train.recipe import Recipe

TOKENIZER = Path(str(resources.files("tejat") / "weights" / "mini" / "tokenizer.model"))
"""Made by `tejat tokenizer text train recipes/tokenizer.py`."""

FILLED = 0.97
"""The share of a batch's positions that hold a token, by which the lengths of stages become steps."""

PICTURES = 0.3
"""The weight of the mean loss of picture codes beside that of text: they are a twelfth of what is predicted."""

WORKERS = 16
"""Processes that make batches, where there are as many cores."""

SHORT, LONG = ("broad", "turn"), ("long",)
"""Stages of a corpus, by name: those that come in rows of 4,096, and the one that asks for the whole context."""


def pretraining(
    config: ModelConfig,
    *,
    tokens: float,
    room: Room,
    peak: float,
    stages: Sequence[str | Stage] = SHORT,
    mixture: type[Mixture] = Mixture,
    pictures: Path | None = None,
    weights: Path | None = None,
    grid: Grid | None = None,
    name: str | None = None,
) -> Recipe:
    """A run of about so many tokens in batches of `room`: of stages of the corpus, by name, or of others, given."""
    steps = round(tokens / _of_a_step(room))
    return Recipe(
        name=name or config.name,
        config=config,
        tokenizer=_tokenizer,
        pictures=pictures,
        documents=lambda framing, recipe: documents(framing, recipe, stages, mixture),
        room=room,
        picture_weight=PICTURES,
        schedule=Schedule(
            steps=steps, peak=peak, warmup=min(200, steps // 10), floor=0.05, decay=0.1, beta2=0.95, muon=True
        ),
        bfloat16=True,
        how=Pass("products", unrolled=True),
        grid=grid,
        corpus=Path("runs/corpus"),
        weights=weights,
        save_every=1_000,
        keep=1,
        workers=min(WORKERS, os.cpu_count() or 1),
    )


def documents(
    framing: Framing,
    recipe: Any,
    stages: Sequence[str | Stage],
    mixture: type[Mixture] = Mixture,
    split: str = "train",
) -> Documents:
    """The documents of the corpus of a recipe that has `corpus`, `room`, `schedule` and `seed`; or, of the split
    "heldout", those that nothing is trained on.

    Raises BadInput for a corpus that is not there, or lacks a stage."""
    mend = "build one with `tejat data build recipes/corpus.py`, or name another by --set corpus=DIRECTORY"
    if recipe.corpus is None or not (recipe.corpus / "corpus.json").is_file():
        raise BadInput(f"there is no corpus in {recipe.corpus}; {mend}")
    told = ledger.read(recipe.corpus)
    known = {stage["name"]: Stage(**stage) for stage in told.get("stages", ())}
    if lost := [stage for stage in stages if isinstance(stage, str) and stage not in known]:
        raise BadInput(f"the corpus in {recipe.corpus} has no stage {lost[0]!r}; {mend}")
    chosen = within([known[stage] if isinstance(stage, str) else stage for stage in stages], told["sources"])
    each, whole = _of_a_step(recipe.room), sum(stage.tokens for stage in chosen)
    stretch = recipe.schedule.steps * each / whole
    stretched = [replace(stage, tokens=stage.tokens * stretch) for stage in chosen]
    return Documents(mixture(recipe.corpus, stretched, each, recipe.seed, split), framing)


def _of_a_step(room: Room) -> float:
    return room.rows * room.tokens * FILLED


def _tokenizer() -> bytes:
    return TOKENIZER.read_bytes()
