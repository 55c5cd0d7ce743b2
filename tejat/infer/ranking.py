"""Several drawings of one thing, the best first: by how likely the model finds the words when it looks at each."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tejat.errors import BadInput
from tejat.parts import Document, Image, Part, Text, Turn

if TYPE_CHECKING:
    from tejat.infer.engine import Engine
    from tejat.infer.onnx_engine import OnnxEngine

ASKED = "What is this?"
"""As the captions of training are asked for."""

WORDS = 200
"""Characters of a caption, at most: the last ones before a picture say what it is of."""


def best_first(engine: "Engine | OnnxEngine", answers: Sequence[Sequence[Part]], asked: str) -> list[int]:
    """The numbers of some answers to one prompt, the likeliest pictures first.

    A picture's caption is the text before it, and where the answer begins with it, what was `asked`. An answer with
    several pictures counts by their mean, one with none comes last. Raises BadInput where the model sees no images.
    """
    owners, captioned = [], []
    for number, parts in enumerate(answers):
        words = asked
        for part in parts:
            if isinstance(part, Text):
                words = part.text
            elif isinstance(part, Image):
                owners.append(number)
                captioned.append((part, words.strip()[-WORDS:]))
    found: dict[int, list[float]] = {}
    for number, likelihood in zip(owners, likelihoods_of_captions(engine, captioned), strict=True):
        found.setdefault(number, []).append(likelihood)
    means = {number: sum(mine) / len(mine) for number, mine in found.items()}
    return sorted(range(len(answers)), key=lambda number: -means.get(number, float("-inf")))


def likelihoods_of_captions(engine: "Engine | OnnxEngine", captioned: Sequence[tuple[Image, str]]) -> list[float]:
    """For each picture the mean log-probability of a token of its caption, as the answer to `ASKED`.

    Raises BadInput for a model that sees no images.
    """
    if engine.config.vision is None:
        raise BadInput(f"the model {engine.config.name!r} sees no images, and cannot choose among its own; ask for one")
    documents = [
        engine.bundle.framing.encode(
            Document.from_turns((Turn("user", (image, Text(ASKED))), Turn("model", (Text(words),))))
        )
        for image, words in captioned
    ]
    return [float(logprobs.mean()) for logprobs in engine.score(documents)]
