"""A recipe: everything that one training run needs, as a value. Recipe files define `RECIPE` and say what came out."""

import runpy
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from tejat.codecs.framing import Framing
from tejat.data.loading import Source
from tejat.data.packing import Room
from tejat.errors import BadInput
from tejat.model.multimodal import ModelConfig
from tejat.model.passes import SCANNED, Pass
from tejat.model.quantised import Grid
from tejat.train.optimizer import Schedule

Kind = TypeVar("Kind")


@dataclass(frozen=True)
class Recipe:
    """One run: the model, its tokenizers, its documents, and how they are learned."""

    name: str
    config: ModelConfig
    tokenizer: Callable[[], bytes]  # a SentencePiece model, trained or read
    pictures: Path | None  # weights of the image tokenizer
    documents: Callable[[Framing, "Recipe"], Source]  # (framing, the recipe as it was set) to document number i
    room: Room  # sizes of a batch
    schedule: Schedule
    picture_weight: float = 1.0  # of the loss of picture codes beside that of text
    bfloat16: bool = False  # compute in bfloat16; masters, moments and losses stay float32
    accumulate: int = 1  # parts that a batch is computed in, one after the other
    shards: int = 0  # of a batch, whose gradients are added up in a fixed order whatever devices there are; none: 0
    how: Pass = SCANNED  # layers are passed, and what of them is kept for the backward pass
    grid: Grid | None = None  # finishing: matrices are trained as so many bits would hold them
    deterministic: bool = False  # the same bits on a GPU in any process (`tejat.train.exact`), and slower
    seed: int = 0
    log_every: int = 10  # steps between lines of the log
    save_every: int = 200  # steps between checkpoints
    keep: int = 2  # checkpoints kept, the newest
    keep_steps: int = 0  # and those of steps that this divides, for good; none: 0
    keep_hours: float = 0.0  # and the first of every so many hours, for good; none: 0
    audit_every: int = 0  # steps from one audit for corrupted numbers to the next (`tejat.train.auditing`); none: 0
    copy_every: int = 20  # steps between copies in memory, of a supervised run; none: 0
    workers: int = 0  # processes that make batches; none: a thread of this one. It may change when a run goes on
    kept: Path | None = None  # where all processes of a machine keep what they rasterise and decode; none: each loader
    # for itself, as long as it runs
    corpus: Path | None = None  # directory of the corpus that documents come from, where they come from one
    weights: Path | None = None  # a model's directory, to begin with its weights; none: drawn at random


def read(path: Path, kind: type[Kind] = Recipe) -> Kind:
    """The RECIPE of a file. Raises BadInput for a file that is missing, fails, or defines none of this kind."""
    if not path.is_file():
        raise BadInput(f"there is no recipe {path}; give a Python file that defines RECIPE")
    try:
        value = runpy.run_path(str(path)).get("RECIPE")
    except Exception as error:
        raise BadInput(f"the recipe {path} fails ({type(error).__name__}: {error}); mend it") from error
    if not isinstance(value, kind):
        raise BadInput(f"the recipe {path} defines no RECIPE of type {kind.__name__}; see those in recipes/")
    return value


def changed(recipe: Kind, settings: list[str]) -> Kind:
    """The recipe with fields set from the command line, as in "schedule.peak=0.002".

    Raises BadInput for a setting that names no field of the recipe or gives no value of the field's type.
    """
    for setting in settings:
        path, equals, text = setting.partition("=")
        if not equals:
            raise BadInput(f"the setting {setting!r} has no value; write it as in schedule.steps=100")
        recipe = _set(recipe, path.split("."), text, setting)
    return recipe


def _set(value: Any, path: list[str], text: str, setting: str) -> Any:
    name, *rest = path
    known = {field.name for field in fields(value)} if is_dataclass(value) else set()
    if name not in known:
        offered = f"there are {', '.join(sorted(known))}" if known else "it has no fields"
        raise BadInput(f"the setting {setting!r} names {name!r}, which is no field here; {offered}")
    old = getattr(value, name)
    if rest:
        return replace(value, **{name: _set(old, rest, text, setting)})
    return replace(value, **{name: _parsed(typing.get_type_hints(type(value))[name], text, setting)})


def _parsed(kind: Any, text: str, setting: str) -> Any:
    if isinstance(kind, types.UnionType):
        if text == "None":
            return None
        (kind,) = (each for each in typing.get_args(kind) if each is not type(None))
    try:
        if kind is bool:
            return {"true": True, "false": False}[text.lower()]
        if kind in (int, float, str, Path):
            return kind(text)
        if typing.get_origin(kind) is typing.Literal:
            return {str(each): each for each in typing.get_args(kind)}[text]
    except (KeyError, ValueError) as error:
        raise BadInput(f"the setting {setting!r} gives {text!r} where {_told(kind)} belongs") from error
    raise BadInput(f"the setting {setting!r} names a field that only the recipe's file can set")


def _told(kind: Any) -> str:
    named = {int: "a whole number", float: "a number", bool: "true or false", str: "text", Path: "a path"}
    return named[kind] if kind in named else " or ".join(map(str, typing.get_args(kind)))
