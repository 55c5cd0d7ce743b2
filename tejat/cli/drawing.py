"""The options of `tejat generate` and `tejat chat` that say how pictures are drawn."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Drawing:
    """Of pictures that the model draws."""

    size: str | None = None
    """Of pictures: a shape as 16:9, or pixels as 96x64, width x height; default: the model chooses."""
    guidance: float | None = None
    """How much more pictures follow what was asked for than what comes unasked; 1: none; default: what was measured."""
    picture_temperature: float | None = None
    """Of the codes of pictures; default 0.3; more is more various, and more often wrong."""
    picture_top_k: int | None = None
    """Codes among which each is chosen; default: all."""
    best_of: int = 1
    """Answers that are written, of which the one is given whose pictures the model itself finds the best."""

    @property
    def wishes(self) -> dict[str, Any]:
        """Those of `tejat.api.Wishes` that were given."""
        asked = {
            "picture_size": self.size,
            "picture_guidance": self.guidance,
            "picture_temperature": self.picture_temperature,
            "picture_top_k": self.picture_top_k,
        }
        return {name: value for name, value in asked.items() if value is not None}

    def written(self, model: Any, prompt: Any, **wishes: Any) -> Iterator:
        """The parts of an answer, as they come where there is one alone."""
        if self.best_of == 1:
            return model.stream(prompt, **wishes)
        return iter(model.generate(prompt, best_of=self.best_of, **wishes))
