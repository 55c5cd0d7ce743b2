"""A model as the directory of a Gemma 4 checkpoint, and back: what `transformers` and its kin load and save.

config.json                 the configuration; what only Tejat knows stands under "tejat"
model.safetensors           the network, in the type that it is stored in; numbered files and an index when it is large
tokenizer.json, .model      the tokenizer twice: as other engines read it, and as we do
tokenizer_config.json, chat_template.jinja, generation_config.json, processor_config.json
picture.safetensors         the image tokenizer, as in a bundle, where the model draws; other engines leave it alone

Tensors go through one at a time, so a model may be larger than memory. A directory appears when it is whole.
"""

import dataclasses
import json
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from safetensors import SafetensorError, safe_open

from tejat import bundle
from tejat.codecs.vocabulary import BOS, EOS, PAD, Vocabulary
from tejat.errors import BadInput
from tejat.export import names, processor, settings, tokenizer
from tejat.export.appearing import appearing
from tejat.export.names import Pair
from tejat.export.tensors import WHOLE, Checkpoint, Stored, some, write, write_sharded
from tejat.model import multimodal, picture
from tejat.model.multimodal import ModelConfig
from tejat.model.params import walk
from tejat.model.weights import CODES, STEP

PICTURE = "picture.safetensors"
SHARD = 5_000_000_000
"""Bytes of weights in one file of an exported checkpoint, at most."""

Told = Callable[[int, int], None]
"""Called with the bytes done and the bytes there are, as the work goes on."""


class Done(NamedTuple):
    """What was written."""

    tensors: int
    bytes: int
    unread: list[str]  # tensors of a checkpoint that no layer reads, left out


def export(model: Path, folder: Path, told: Told = lambda done, whole: None, shard: int = SHARD) -> Done:
    """Writes the bundle `model` as a checkpoint directory that `AutoModelForImageTextToText.from_pretrained` loads.

    A model in four or eight bits is written in float32, which holds what its blocks stand for to the bit.

    Raises BadInput for a model with parts that a Gemma 4 checkpoint has no place for, for a damaged one, and for a
    `folder` that holds something already.
    """
    config = bundle.read_config(model / "config.json")
    made = settings.to_huggingface(config)
    pairs = list(names.pairs(config))
    vocabulary = _vocabulary(_bytes(model / "tokenizer.model"), config, model)
    if not (model / WHOLE).is_file():
        raise BadInput(f"{model} lacks {WHOLE}; copy the model again")
    with _in_floats(model) as kept, Checkpoint(kept / WHOLE) as ours:
        _check_picture(kept, config)
        ours.compare({name: param.shape for name, param in walk(multimodal.params(config))})
        layout = _aligned({pair.theirs: Stored(pair.their_shape, ours.tensors[pair.ours].dtype) for pair in pairs})
        by_theirs = {pair.theirs: pair for pair in pairs}

        def pieces(wanted: Iterable[str]) -> Iterator[tuple[str, np.ndarray]]:
            for name in wanted:
                pair = by_theirs[name]
                array = ours.read(pair.ours) if pair.layer is None else ours.read_layer(pair.ours, pair.layer)
                yield name, pair.to_theirs(array)

        made |= settings.token_ids(vocabulary.controls)
        kinds = {tensor.dtype.name for tensor in layout.values()}
        made["dtype"] = kinds.pop() if len(kinds) == 1 else "float32"  # in which nothing of the others is lost
        with appearing(folder) as fresh:
            write_sharded(fresh, layout, _counted(pieces, layout, told), shard)
            if config.picture is not None:
                shutil.copyfile(kept / PICTURE, fresh / PICTURE)
            _write_tokenizer(fresh, vocabulary, config)
            stops = {"bos_token_id": BOS, "eos_token_id": [EOS, vocabulary["<turn|>"]], "pad_token_id": PAD}
            _write_json(fresh / "generation_config.json", stops)
            _write_json(fresh / "config.json", made)
    return Done(len(layout), sum(tensor.bytes for tensor in layout.values()), [])


def import_(checkpoint: Path, folder: Path, told: Told = lambda done, whole: None) -> Done:
    """Writes the checkpoint directory as a bundle, every tensor in the type that it is stored in.

    Raises BadInput, with the names, for tensors that are missing, left over or of another shape, for a truncated or
    missing file, and for settings that are unknown or that our network lacks; for a tokenizer that ours cannot be;
    and for a `folder` that holds something already.
    """
    found = _read_json(checkpoint / "config.json")
    config = settings.from_huggingface(found)
    pairs, unread = list(names.pairs(config)), names.unread(config)
    if found["model_type"] == names.TEXT:
        pairs = [dataclasses.replace(pair, theirs=names.alone(pair.theirs)) for pair in pairs]
        unread = {names.alone(name) for name in unread}
    model = tokenizer.find(checkpoint, config.text_vocabulary)
    _check_token_ids(found, _vocabulary(model, config, checkpoint), checkpoint)
    tree = dict(walk(multimodal.params(config)))
    _check_picture(checkpoint, config)
    with Checkpoint(checkpoint) as theirs:
        theirs.compare({pair.theirs: pair.their_shape for pair in pairs}, unread)
        of: dict[str, list[Pair]] = {}
        for pair in pairs:
            of.setdefault(pair.ours, []).append(pair)
        layout = _aligned({name: Stored(tree[name].shape, _type(theirs, parts)) for name, parts in of.items()})

        def pieces(wanted: Iterable[str]) -> Iterator[tuple[str, np.ndarray]]:
            return ((name, pair.to_ours(theirs.read(pair.theirs))) for name in wanted for pair in of[name])

        with appearing(folder) as fresh:
            write(fresh / WHOLE, layout, _counted(pieces, layout, told)(layout))
            if config.picture is not None:
                shutil.copyfile(checkpoint / PICTURE, fresh / PICTURE)
            (fresh / "tokenizer.model").write_bytes(model)
            _write_json(fresh / "config.json", dataclasses.asdict(config))
        left = sorted(unread & theirs.tensors.keys())
    return Done(len(pairs), sum(tensor.bytes for tensor in layout.values()), left)


@contextmanager
def _in_floats(model: Path) -> Iterator[Path]:
    """The bundle itself, or, where its weights are kept in few bits, one of what they stand for, as long as this lasts:
    whoever quantised it had room for that. Raises BadInput for weights that are damaged."""
    if not any(_in_few_bits(model / name) for name in (WHOLE, PICTURE)):
        yield model
        return
    with tempfile.TemporaryDirectory(prefix="tejat-export-") as place:
        bundle.save(Path(place), bundle.load(model))
        yield Path(place)


def _in_few_bits(path: Path) -> bool:
    if not path.is_file():
        return False
    try:
        with safe_open(str(path), framework="numpy") as file:
            return any(name.endswith((*CODES, STEP)) for name in file.keys())  # noqa: SIM118 (it is no mapping)
    except SafetensorError:
        return False  # who reads it tells what is wrong with it


def _type(theirs: Checkpoint, parts: list[Pair]) -> np.dtype:
    """The type of an array of ours, which is that of all its layers."""
    kinds = {theirs.tensors[pair.theirs].dtype for pair in parts}
    if len(kinds) > 1:
        told = ", ".join(sorted(str(kind) for kind in kinds))
        raise BadInput(
            f"{theirs.path} stores {some([pair.theirs for pair in parts], 2)} in several types ({told}), which Tejat "
            "keeps in one array; save it in one type"
        )
    return kinds.pop()


def _aligned(layout: Mapping[str, Stored]) -> dict[str, Stored]:
    """Wide types first: every tensor then begins at a multiple of its width, as readers that map files like it."""
    return dict(sorted(layout.items(), key=lambda entry: -entry[1].dtype.itemsize))


def _counted(
    pieces: Callable[[Iterable[str]], Iterator[tuple[str, np.ndarray]]], layout: Mapping[str, Stored], told: Told
) -> Callable[[Iterable[str]], Iterator[tuple[str, np.ndarray]]]:
    whole, done = sum(tensor.bytes for tensor in layout.values()), 0

    def counted(wanted: Iterable[str]) -> Iterator[tuple[str, np.ndarray]]:
        nonlocal done
        for name, piece in pieces(wanted):
            yield name, piece
            done += piece.nbytes
            told(done, whole)

    return counted


def _check_picture(folder: Path, config: ModelConfig) -> None:
    """The image tokenizer is there and whole, where the model draws."""
    if config.picture is None:
        return
    if not (folder / PICTURE).is_file():
        told = "the image tokenizer that its picture codes belong to"
        raise BadInput(f"{folder} lacks {PICTURE}, {told}; copy it from where the checkpoint was exported to")
    with Checkpoint(folder / PICTURE) as tensors:
        tensors.compare({name: param.shape for name, param in walk(picture.params(config.picture))})


def _vocabulary(model: bytes, config: ModelConfig, where: Path) -> Vocabulary:
    """The tokenizer, checked against the embedding's rows."""
    vocabulary = Vocabulary(model, config.picture.codes if config.picture else 0)
    rows, text = config.decoder.vocabulary, config.text_vocabulary
    # Without codes behind them, rows without a piece do no harm: some checkpoints are padded.
    fits = vocabulary.text_size == text if config.picture else vocabulary.text_size <= text
    if not fits or vocabulary.size > rows:
        raise BadInput(
            f"the tokenizer of {where} has {vocabulary.text_size} pieces and {vocabulary.codes} picture codes, but its "
            f"config.json says {text} and {rows - text}; they are not of one model"
        )
    return vocabulary


def _check_token_ids(found: Mapping[str, Any], vocabulary: Vocabulary, where: Path) -> None:
    told = [
        f"{field} {found[field]} where the tokenizer has {token}"
        for field, token in settings.token_ids(vocabulary.controls).items()
        if token is not None and found.get(field) not in (None, token)
    ]
    if told:
        raise BadInput(f"the config.json of {where} says {some(told)}; they are not of one model")


def _write_tokenizer(folder: Path, vocabulary: Vocabulary, config: ModelConfig) -> None:
    (folder / "tokenizer.model").write_bytes(vocabulary.model)
    _write_json(folder / "tokenizer.json", tokenizer.to_json(vocabulary.model, vocabulary.codes), indent=None)
    _write_json(folder / "tokenizer_config.json", processor.tokenizer_settings(config.context))
    (folder / "chat_template.jinja").write_text(processor.CHAT)
    if (made := processor.processor_settings(config)) is not None:
        _write_json(folder / "processor_config.json", made)


def _write_json(path: Path, value: Any, indent: int | None = 2) -> None:
    path.write_text(json.dumps(value, indent=indent, ensure_ascii=False) + "\n", encoding="utf-8")


def _read_json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise BadInput(f"there is no {path}; give the directory of a checkpoint")
    try:
        value = json.loads(_bytes(path))
    except ValueError as error:
        raise BadInput(f"{path} is not JSON ({error}); copy the checkpoint again") from error
    if not isinstance(value, dict):
        raise BadInput(f"{path} holds no settings; copy the checkpoint again")
    return value


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadInput(f"{path} cannot be read ({error.strerror}); copy the model again") from error
