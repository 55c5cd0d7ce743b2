"""A model as a directory: all that is needed to use it, and nothing that is not.

config.json           the ModelConfig, field by field
tokenizer.model       the SentencePiece model
model.safetensors     the Transformer and its towers
picture.safetensors   the image tokenizer, where the model draws
"""

import dataclasses
import json
import types
import typing
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Any

from tejat.codecs.framing import Framing
from tejat.codecs.picture import PictureCodec
from tejat.codecs.vocabulary import Vocabulary
from tejat.errors import BadInput
from tejat.model import multimodal, picture, weights
from tejat.model.multimodal import ModelConfig
from tejat.model.params import Tree
from tejat.parts import write_whole


@dataclass(frozen=True)
class Bundle:
    """A model in memory: its shape, its vocabulary, its arrays, and its image tokenizer."""

    config: ModelConfig
    vocabulary: Vocabulary
    params: Tree
    pictures: PictureCodec | None

    @cached_property
    def framing(self) -> Framing:
        return Framing(self.config, self.vocabulary, self.pictures)


def save(directory: Path, bundle: Bundle, dtype: str = "float32") -> None:
    """Writes every file whole; config.json goes first and comes last, so that a directory that has one is complete."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "config.json").unlink(missing_ok=True)
    write_whole(directory / "tokenizer.model", bundle.vocabulary.model)
    weights.write(directory / "model.safetensors", bundle.params, dtype)
    if bundle.pictures is not None:
        weights.write(directory / "picture.safetensors", bundle.pictures.params, dtype)
    write_config(directory / "config.json", bundle.config)


def write_config(path: Path, config: ModelConfig) -> None:
    """What `read_config` reads."""
    write_whole(path, (json.dumps(dataclasses.asdict(config), indent=2) + "\n").encode())


def load(directory: Path, in_blocks: bool = False, pictures_in_blocks: bool | None = None) -> Bundle:
    """Reads a model's directory. Raises BadInput, naming the file, for what is missing, damaged or does not fit.

    With `in_blocks`, weights that are kept in blocks stay `Quantised`: for exports, which compute nothing, and for
    services. `pictures_in_blocks`: those of the image tokenizer, by default likewise.
    """
    config = read_config(directory / "config.json")
    vocabulary = Vocabulary(_bytes(directory / "tokenizer.model"), config.picture.codes if config.picture else 0)
    params = weights.read(directory / "model.safetensors", multimodal.params(config), in_blocks=in_blocks)
    codec = None
    if config.picture is not None:
        path = directory / "picture.safetensors"
        drawn_by = in_blocks if pictures_in_blocks is None else pictures_in_blocks
        codec = PictureCodec(weights.read(path, picture.params(config.picture), in_blocks=drawn_by), config.picture)
    return Bundle(config, vocabulary, params, codec)


def find(name: str | Path) -> Path:
    """The directory of a model: a path that has a config.json, or the name of one that comes with Tejat."""
    path = Path(name)
    if (path / "config.json").is_file():
        return path
    shipped = Path(str(resources.files("tejat") / "weights"))
    if (shipped / path.name / "config.json").is_file() and path.name == str(name):
        return shipped / path.name
    known = sorted(entry.parent.name for entry in shipped.glob("*/config.json"))
    offered = f"one of {', '.join(known)}, or " if known else ""
    raise BadInput(f"there is no model {str(name)!r}; give {offered}the directory of a model (it has a config.json)")


def read_config(path: Path) -> ModelConfig:
    """A ModelConfig from its JSON. Raises BadInput, naming the field, for one unknown, missing or of another type."""
    try:
        value = json.loads(_bytes(path))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise BadInput(f"{path} is not JSON ({error}); copy the model again") from error
    return build(ModelConfig, value, str(path))


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadInput(f"{path} cannot be read ({error.strerror}); copy the model again") from error


def build(kind: Any, value: Any, where: str) -> Any:
    """A value of the type `kind` from JSON: dataclasses from objects, tuples from lists, everything checked."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (types.UnionType, typing.Union):
        if value is None:
            return None
        (kind,) = (a for a in arguments if a is not type(None))
        return build(kind, value, where)
    if dataclasses.is_dataclass(kind) and isinstance(value, dict):
        hints = typing.get_type_hints(kind)
        if unknown := sorted(value.keys() - hints.keys()):
            raise BadInput(f"{where} has an unknown field {unknown[0]!r}; it is of another version of Tejat")
        made = {name: build(hints[name], part, f"{where}: {name}") for name, part in value.items()}
        try:
            return kind(**made)
        except TypeError as error:
            raise BadInput(f"{where} lacks a field ({error}); copy the model again") from error
    if origin is tuple and isinstance(value, list):
        if arguments[-1] is Ellipsis:
            arguments = (arguments[0],) * len(value)
        if len(arguments) == len(value):
            return tuple(build(a, v, where) for a, v in zip(arguments, value, strict=True))
    elif origin is typing.Literal and value in arguments:
        return value
    elif kind is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    elif isinstance(kind, type) and type(value) is kind:
        return value
    raise BadInput(f"{where} is {value!r}, which is no {getattr(kind, '__name__', kind)}; copy the model again")
