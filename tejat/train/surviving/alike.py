"""Is the run that a directory holds the one that is to go on? Asked before any process begins.

Processes ask again (`tejat.train.identity`), and then of documents too: to read these takes an image tokenizer, and so
the devices, which a supervisor leaves alone. The tokenizer of text is the run's own, whatever the recipe says.
"""

import json
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from tejat.train import identity
from tejat.train.recipe import Recipe

_UNREAD = ("documents", "tokenizer")
_DOCUMENT: Any = SimpleNamespace(tokens=np.empty(0, np.int32), modality=np.empty(0, np.int32))
_TOKENIZER: Any = SimpleNamespace(model=b"", text_size=0)


def check(recipe: Recipe, directory: Path) -> None:
    """Has the recipe the settings with which the run in `directory` was begun? Of files that cannot be read, processes
    tell.

    Raises BadInput, naming the first that differs; where the weights to begin with are not there.
    """
    with suppress(OSError, json.JSONDecodeError):
        kept = json.loads((directory / identity.NAME).read_text())
        found = identity.identity(recipe, lambda index: _DOCUMENT, _TOKENIZER)
        kept, found = ({k: v for k, v in each.items() if k not in _UNREAD} for each in (kept, found))
        identity.compare(directory, kept, found)
