"""Which engine runs a model: JAX, or ONNX Runtime, which on a CPU is the quicker one and starts at once.

Without an accelerator ONNX Runtime runs what has an export: a directory that is one, or a model with one in its folder
`onnx`. A model from `tejat quantize` needs neither: an export of the very same weights is made when it is first used,
and kept in the user's cache.
"""

import hashlib
import os
import shutil
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from tejat.errors import BadInput
from tejat.infer import onnx_files

EngineName = Literal["jax", "onnx"]

WEIGHTS = "model.safetensors"


def export_for(
    directory: Path, wanted: EngineName | None = None, told: Callable[[str], None] = lambda text: None
) -> Path | None:
    """The export by which ONNX Runtime runs a model; None where JAX does. `wanted`: None leaves the choice.

    `told` hears of an export that is being made. Raises BadInput where the engine that is wanted cannot run the model.
    """
    export, whole = onnx_files.export_of(directory), (directory / WEIGHTS).is_file()
    if export is not None and whole and export != directory and onnx_files.of_other_format(export):
        told(f"{export} is of another version of Tejat, and not used; remove it, and export the model again")
        export = None
    if wanted == "jax" or (wanted is None and whole and not _preferred()):
        if not whole:
            raise BadInput(f"{directory} is an ONNX export, which JAX does not run; name the model that it is of")
        if wanted is None and find_spec("onnxruntime") is None and _on_cpu() and _in_blocks(directory / WEIGHTS):
            told("JAX runs it, several times as slowly as ONNX Runtime would on a CPU: `pip install onnxruntime`")
        return None
    if find_spec("onnxruntime") is None:
        raise BadInput("the engine is ONNX Runtime, which is not installed; `pip install onnxruntime`")
    if export is not None:
        if whole and export != directory:
            _check_age(directory, export)
        return export
    if _in_blocks(directory / WEIGHTS):
        try:
            return _made_once(directory, told)
        except BadInput as error:
            if wanted == "onnx":
                raise
            told(f"ONNX Runtime cannot run it ({error}); JAX does, several times as slowly")
            return None
    if wanted == "onnx":
        folder = directory / onnx_files.BESIDE
        raise BadInput(f"{directory} has no ONNX export; make one by `tejat export onnx {directory} {folder}`")
    return None


def _preferred() -> bool:
    return find_spec("onnxruntime") is not None and _on_cpu()


def _on_cpu() -> bool:
    import jax

    return jax.default_backend() == "cpu"


def _check_age(directory: Path, export: Path) -> None:
    source = onnx_files.read(export).get("source")
    if source is not None and source != source_hash(directory):
        raise BadInput(
            f"{export} was made of other weights than {directory / WEIGHTS} has now; remove it, and export the model "
            "again"
        )


def source_hash(directory: Path) -> str:
    """What tells one model's weights from another's."""
    hashed = hashlib.sha256()
    for name in (WEIGHTS, "picture.safetensors"):
        if (directory / name).is_file():
            with (directory / name).open("rb") as file:
                hashed.update(hashlib.file_digest(file, "sha256").digest())
    return hashed.hexdigest()


def _in_blocks(weights: Path) -> bool:
    """Are the decoder's matrices on the grid that an export keeps?"""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(weights), framework="numpy") as file:
            return any(name.startswith("decoder.blocks.") and name.endswith((".q4", ".q8")) for name in file.keys())  # noqa: SIM118
    except (OSError, SafetensorError):
        return False  # whoever loads it says what is wrong


def _made_once(directory: Path, told: Callable[[str], None]) -> Path:
    from tejat.export import onnx

    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tejat" / "onnx"
    config = hashlib.sha256((directory / "config.json").read_bytes()).hexdigest()
    folder = cache / f"{directory.resolve().name}-{source_hash(directory)[:16]}-{config[:8]}-{onnx_files.FORMAT}"
    if (folder / onnx_files.MANIFEST).is_file():
        try:
            onnx_files.check(folder)
        except BadInput as error:  # whoever runs a model has never heard of this folder
            told(f"{error}: that is done now")
            shutil.rmtree(folder, ignore_errors=True)
    if not (folder / onnx_files.MANIFEST).is_file():
        told(f"writing {directory} for ONNX Runtime, this once, to {folder} …")
        try:
            onnx.export(directory, folder)
        except (BadInput, OSError):
            if not (folder / onnx_files.MANIFEST).is_file():  # else another process was sooner
                raise
    return folder
