"""What a run may not change when it goes on: all that its weights depend on, kept as JSON beside it."""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tejat.codecs.vocabulary import Vocabulary
from tejat.data.loading import Source
from tejat.errors import BadInput
from tejat.parts import write_whole
from tejat.train.recipe import Recipe

NAME = "run.json"
PROBED = 16  # documents that stand for the whole stream

Identity = dict[str, Any]


def identity(recipe: Recipe, source: Source, vocabulary: Vocabulary) -> Identity:
    """Fields by their names in the recipe; files and documents by digests.

    The documents' digest leaves picture codes out: another machine may round one of them to its neighbour.

    Raises BadInput where the weights to begin with are not there.
    """
    digest = hashlib.sha256()
    for index in range(PROBED):
        document = source(index)
        digest.update(document.modality.tobytes())
        digest.update(document.tokens[document.tokens < vocabulary.text_size].tobytes())
    tokenizer = hashlib.sha256(vocabulary.model).hexdigest()
    return settings(recipe) | {"tokenizer": tokenizer, "documents": digest.hexdigest()}


def settings(recipe: Recipe) -> Identity:
    """What of it a recipe alone decides: no document is read, and no tokenizer made. Raises BadInput as `identity`."""
    return {
        "name": recipe.name,
        "seed": recipe.seed,
        "config": asdict(recipe.config),
        "pictures": recipe.pictures and hashlib.sha256(recipe.pictures.read_bytes()).hexdigest(),
        "corpus": recipe.corpus and hashlib.sha256((recipe.corpus / "corpus.json").read_bytes()).hexdigest(),
        "weights": recipe.weights and _digest(recipe.weights / "model.safetensors"),
        "room": asdict(recipe.room),
        "schedule": asdict(recipe.schedule),
        "picture_weight": recipe.picture_weight,
        "bfloat16": recipe.bfloat16,
        "accumulate": recipe.accumulate,
        "shards": recipe.shards or None,  # runs that were begun before there were any have none
        # Runs that were begun before there were 8-bit floats or exact runs have neither.
        "how": asdict(recipe.how) | {"float8": recipe.how.float8 or None},
        "deterministic": recipe.deterministic or None,
        "grid": recipe.grid and asdict(recipe.grid),
    }


def _digest(path: Path) -> str:
    if not path.is_file():
        raise BadInput(f"there are no weights {path} to begin with; name a model by --set weights=DIRECTORY")
    return hashlib.sha256(path.read_bytes()).hexdigest()


def begin(directory: Path, found: Identity) -> None:
    """Marks the directory as that of a run."""
    write_whole(directory / NAME, (json.dumps(found, indent=1) + "\n").encode())


def check(directory: Path, found: Identity) -> None:
    """Is this the run that the directory holds? Raises BadInput, naming the first field that differs."""
    path = directory / NAME
    try:
        kept = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise BadInput(f"{path} cannot be read ({error}); begin the run anew in another directory") from error
    compare(directory, kept, found)


def check_settings(directory: Path, recipe: Recipe) -> None:
    """As `check`, of what the recipe alone decides, before any process begins; these ask again, and of documents too.
    What cannot be read is left for them to tell."""
    try:
        kept = json.loads((directory / NAME).read_text())
        found = settings(recipe)
    except (OSError, ValueError):
        return
    compare(directory, {name: kept.get(name) for name in found}, found)


def compare(directory: Path, kept: Identity, found: Identity) -> None:
    """As `check`, of an identity that is at hand."""
    here, there = _fields(json.loads(json.dumps(found))), _fields(kept)
    for name in here | there:
        if here.get(name) != there.get(name):
            raise BadInput(
                f"the run in {directory} was begun with {name} = {_said(there.get(name))} and the recipe has "
                f"{_said(here.get(name))}; give the same recipe, or begin another run with --out"
            )


def _fields(value: Any, name: str = "") -> dict[str, Any]:
    """{"schedule": {"peak": 1}} as {"schedule.peak": 1}."""
    if not isinstance(value, dict):
        return {name: value}
    return {k: v for key, part in value.items() for k, v in _fields(part, f"{name}.{key}" if name else key).items()}


def _said(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 40 else f"{text[:12]}…"
