"""Tejat: an open multimodal Transformer in JAX.

    import tejat
    from tejat import media
    model = tejat.load("mini")
    answer = model.generate([media.read_image("plot.png"), tejat.Text("What does the curve do?")])

The names below are imported on first use, so that `import tejat` and `tejat --help` do not pay for JAX.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tejat.api import load
    from tejat.errors import BadInput
    from tejat.parts import Audio, Document, Image, Text, Turn, Video

__version__ = "0.1.0"
__all__ = ["Audio", "BadInput", "Document", "Image", "Text", "Turn", "Video", "__version__", "load"]

_HOMES = {
    "load": "tejat.api",
    "BadInput": "tejat.errors",
    "Text": "tejat.parts",
    "Image": "tejat.parts",
    "Audio": "tejat.parts",
    "Video": "tejat.parts",
    "Turn": "tejat.parts",
    "Document": "tejat.parts",
}


def __getattr__(name: str) -> Any:
    """Import a public name from its home when it is first asked for (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
