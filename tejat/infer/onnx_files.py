"""An ONNX export as a directory: what `tejat export onnx` writes and ONNX Runtime reads, with a hash of every file.

config.json, tokenizer.model           as in a model's own directory
decoder.onnx                           tokens and soft tokens to scores, over a cache
vision.onnx, audio.onnx                where the model sees, and hears
picture_encoder.onnx, _decoder.onnx    where it draws
manifest.json                          sizes and hashes; written last
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from tejat.errors import BadInput
from tejat.parts import write_whole

MANIFEST, DECODER = "manifest.json", "decoder.onnx"

FORMAT = 2

BESIDE = "onnx"
"""The folder in a model's own directory where its export is looked for."""


def export_of(directory: Path) -> Path | None:
    """The export that a directory is, or has beside its weights."""
    for folder in (directory, directory / BESIDE):
        if (folder / MANIFEST).is_file() and (folder / DECODER).is_file():
            return folder
    return None


def write_manifest(folder: Path, about: dict[str, Any]) -> None:
    """Puts down what is there, and `about`: more that readers should know."""
    files = {path.name: _of(path) for path in sorted(folder.iterdir()) if path.name != MANIFEST}
    text = json.dumps({"format": FORMAT, **about, "files": files}, indent=2) + "\n"
    write_whole(folder / MANIFEST, text.encode())


def read(folder: Path) -> dict[str, Any]:
    """The manifest. Raises BadInput where it is none, or of another version."""
    try:
        found = json.loads((folder / MANIFEST).read_bytes())
        version, files = found["format"], {name: (one["bytes"], one["sha256"]) for name, one in found["files"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadInput(f"{folder / MANIFEST} cannot be read ({error}); export the model again") from error
    if version != FORMAT:
        told = f"{folder} is an export of format {version}, and this Tejat reads {FORMAT}"
        raise BadInput(f"{told}; remove it, and export the model again")
    for name in (DECODER, "config.json", "tokenizer.model"):
        if name not in files:
            raise BadInput(f"{folder / MANIFEST} tells of no {name}; export the model again")
    return found


def of_other_format(folder: Path) -> bool:
    """Is it an export that another version of Tejat wrote? What is damaged is not."""
    try:
        return json.loads((folder / MANIFEST).read_bytes())["format"] != FORMAT
    except (OSError, ValueError, KeyError, TypeError):
        return False


def check(folder: Path) -> dict[str, Any]:
    """The manifest of an export whose files are all as they were written. Raises BadInput, naming the first that is
    not."""
    found = read(folder)
    for name, wanted in found["files"].items():
        path = folder / Path(name).name
        if not path.is_file():
            raise BadInput(f"{path} is missing; export the model again, or copy all of it")
        if path.stat().st_size != wanted["bytes"]:
            size, whole = path.stat().st_size, wanted["bytes"]
            raise BadInput(f"{path} has {size:,} bytes where {whole:,} were written; copy or export it again")
        if _of(path)["sha256"] != wanted["sha256"]:
            raise BadInput(f"{path} is not the file that was exported (its hash differs); copy or export it again")
    return found


def _of(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        return {"bytes": path.stat().st_size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}
