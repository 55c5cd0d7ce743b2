"""The model that a verb uses where none is named, and the engine that runs it."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tejat.errors import BadInput

if TYPE_CHECKING:
    from tejat.api import Model
    from tejat.infer.engines import EngineName

SHIPPED = ("mini", "micro")
TRAINED_HERE = Path("runs/demo/model")


def directory(name: str | None) -> Path:
    """Where the model lies: the one named; else a shipped one, the largest first; else what `tejat demo` trained.

    Raises BadInput where there is none.
    """
    from tejat import bundle  # after the options are read: a wrong one is told without waiting for JAX

    if name is not None:
        return bundle.find(name)
    for candidate in (*SHIPPED, TRAINED_HERE):
        try:
            return bundle.find(candidate)
        except BadInput:
            continue
    raise BadInput(f"no model is here; `tejat demo` trains one to {TRAINED_HERE}, or name one with --model DIR")


def export(directory: Path, engine: "EngineName | None") -> Path | None:
    """The export by which ONNX Runtime runs the model; None where JAX does. Raises BadInput as `infer.engines` does."""
    from tejat.infer.engines import export_for

    return export_for(directory, engine, lambda text: print(f"tejat: {text}", file=sys.stderr, flush=True))


def load(directory: Path, engine: "EngineName | None") -> "Model":
    """The model, on the engine that is wanted or that suits this machine."""
    import tejat.api

    found = export(directory, engine)
    return tejat.api.load(directory) if found is None else tejat.api.on_onnx(found)
