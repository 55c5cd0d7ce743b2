"""The model that a verb uses where none is named."""

from pathlib import Path

from tejat import bundle
from tejat.errors import BadInput

SHIPPED = ("mini", "micro")
TRAINED_HERE = Path("runs/demo/model")


def directory(name: str | None) -> Path:
    """Where the model lies: the one named; else a shipped one, the largest first; else what `tejat demo` trained.

    Raises BadInput where there is none.
    """
    if name is not None:
        return bundle.find(name)
    for candidate in (*SHIPPED, TRAINED_HERE):
        try:
            return bundle.find(candidate)
        except BadInput:
            continue
    raise BadInput(f"no model is here; `tejat demo` trains one to {TRAINED_HERE}, or name one with --model DIR")
