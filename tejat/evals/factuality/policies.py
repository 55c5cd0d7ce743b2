"""What answers alike whatever it is asked: no measure counts for much that one of these does well on.

They have the method of a model that tasks call, and no weights.
"""

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from tejat.parts import Part, Text, Turn

UNSURE = "I do not know."
GUESS = "45"


class Said(NamedTuple):
    """As `tejat.api.Answer`, as far as tasks look at it."""

    parts: tuple[Part, ...]
    logprobs: np.ndarray


class Refusing:
    """Always unsure."""

    name = "always unsure"

    def generate_batch(self, prompts: Sequence[tuple[Turn, ...]], **_: Any) -> list[Said]:
        return [Said((Text(UNSURE),), np.zeros(1)) for _ in prompts]


class Guessing:
    """Unsure, and then a guess: the last number of the prompt that is not one of its question's, or another."""

    name = "unsure and guessing"

    def generate_batch(self, prompts: Sequence[tuple[Turn, ...]], **_: Any) -> list[Said]:
        return [Said((Text(f"{UNSURE} {self._guess(prompt)}."),), np.zeros(1)) for prompt in prompts]

    def _guess(self, prompt: tuple[Turn, ...]) -> str:
        words = "\n\n".join(part.text for part in prompt[-1].parts if isinstance(part, Text))
        told, _, asked = words.rpartition("\n\n")
        return [GUESS, *(each for each in re.findall(r"\d+", told) if each not in asked)][-1]


class Copying:
    """The text of the prompt back, without its last paragraph, which asks."""

    name = "the passage back"

    def generate_batch(self, prompts: Sequence[tuple[Turn, ...]], **_: Any) -> list[Said]:
        return [Said((Text(self._copied(prompt)),), np.zeros(1)) for prompt in prompts]

    def _copied(self, prompt: tuple[Turn, ...]) -> str:
        words = "\n\n".join(part.text for part in prompt[-1].parts if isinstance(part, Text))
        return words.rpartition("\n\n")[0] or words
