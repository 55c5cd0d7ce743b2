"""How things are asked in tasks: as models are taught to be asked, or in a way that was kept from all training."""

from collections.abc import Mapping, Sequence

import numpy as np

from tejat.data.presenting.wording import articled, heldout, one, wordings


def known(name: str, use: str, unseen: bool = False) -> Mapping[str, Sequence[str]]:
    """The wordings of a use in a file of wordings, by language; with `unseen` the held-out tenth, or none."""
    return heldout().get(name, {}).get(use, {}) if unseen else wordings(name)[use]


def way(
    name: str, use: str, language: str, random: np.random.Generator, /, unseen: bool = False, **parts: str
) -> str | None:
    """A question or request, typed with care; None where the language has no wording of the kind."""
    ways = known(name, use, unseen).get(language)
    if not ways:
        return None
    text = one(ways, random)
    if language == "en" and "name" in parts:
        text = articled(text, parts["name"])
    return text.format(**parts)
