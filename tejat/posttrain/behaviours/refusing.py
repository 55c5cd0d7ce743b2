"""Requests that would do harm, which are refused, and others that only sound like them, which are answered.

What is refused is told in docs/SAFETY.md. The requests are few and written by hand (`refusals.json`): enough for a
small model to refuse what is plainly asked, no more. Those that are measured (`tejat.evals.safety_suite`) are others.
"""

import functools
import json
from collections.abc import Mapping
from importlib import resources
from typing import Any

import numpy as np

from tejat.data.presenting.wording import casual, one
from tejat.parts import Document
from tejat.posttrain.behaviours.wording import Exchange, dialogue

HARMLESS = 0.5
ONESELF = 0.1


@functools.cache
def data() -> Mapping[str, Any]:
    """ "harmful": requests by language; "refused": answers to them; "oneself": requests to hurt oneself, each with its
    answer; "harmless": the same of others."""
    return json.loads(resources.files(__package__).joinpath("refusals.json").read_text("utf-8"))


def document(language: str, random: np.random.Generator) -> Document:
    """One or two requests."""
    return dialogue([exchange(language, random) for _ in range(int(random.integers(1, 3)))])


def exchange(language: str, random: np.random.Generator) -> Exchange:
    """One of either sort."""
    if random.random() < HARMLESS:
        asked, answer = one(data()["harmless"][language], random)
        return Exchange(casual(asked, random), answer, "harmless")
    if random.random() < ONESELF and language in data()["oneself"]:
        asked, answer = one(data()["oneself"][language], random)
        return Exchange(casual(asked, random), answer, "refused")
    asked = casual(one(data()["harmful"][language], random), random)
    return Exchange(asked, one(data()["refused"][language], random), "refused")
