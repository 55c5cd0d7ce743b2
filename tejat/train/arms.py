"""Two arms to be compared with at equal tokens: a model of text alone, and one that reads images as codes.

The second is Chameleon's way (Chameleon Team 2024): an image that is looked at becomes the codes of the image
tokenizer, as one that is drawn does, and no vision tower stands between. Its model has none.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from tejat.codecs.framing import Framing, Modality
from tejat.data.corpus import ledger
from tejat.data.loading import Source
from tejat.data.mixture import Documents, Mixture, Stage
from tejat.data.packing import Room
from tejat.errors import BadInput
from tejat.train.pretraining import FILLED, SHORT

SEEN = ("concepts", "charts", "stamps", "readings", "dialogues", "voices", "sayings", "clips", "physics")
"""Sources of the corpus whose documents show or play something."""

FRAME = 4
"""A frame of a clip has an image's codes by this: with as many, few clips would fit a row."""


def only(kinds: str, names: tuple[str, ...] = SHORT, split: str = "train") -> Callable[[Framing, Any], Source]:
    """Documents of a recipe's corpus that show nothing ("text"), that do ("media"), or both ("all"), sources in their
    proportions. Raises BadInput for a corpus that is not there, or has none of them."""

    def documents(framing: Framing, recipe: Any) -> Source:
        if recipe.corpus is None or not (recipe.corpus / "corpus.json").is_file():
            raise BadInput(f"there is no corpus in {recipe.corpus}; name one by --corpus")
        told = ledger.read(recipe.corpus)
        stages = [Stage(**stage) for stage in told.get("stages", ()) if stage["name"] in names]
        left = [source for source in told["sources"] if kinds == "all" or (source in SEEN) == (kinds == "media")]
        if not stages or not left:
            raise BadInput(f"the corpus in {recipe.corpus} has no {kinds} in the stages {', '.join(names)}")
        each = recipe.room.rows * recipe.room.tokens * FILLED
        stretch = recipe.schedule.steps * each / sum(stage.tokens for stage in stages)
        cut = [_cut(stage, left, stage.tokens * stretch) for stage in stages]
        return Documents(Mixture(recipe.corpus, cut, each, recipe.seed, split), framing)

    return documents


def _cut(stage: Stage, sources: list[str], tokens: float) -> Stage:
    weights, final = (
        {source: share for source, share in shares.items() if source in sources}
        for shares in (stage.weights, stage.final)
    )
    return replace(stage, weights=weights, final=final, tokens=tokens)


class ReadAsCodes(Framing):
    """Images that are looked at are written as codes, which the device that trains makes; nobody predicts them."""

    @classmethod
    def of(cls, framing: Framing) -> "ReadAsCodes":
        made = cls(framing.config, framing.vocabulary, framing.pictures, later=True)
        drawn = framing.config.picture
        smaller = replace(framing.config, picture=replace(drawn, budget=drawn.budget // FRAME))
        made._frames = Framing(smaller, framing.vocabulary, None, later=True)
        return made

    def _image(self, writer, pixels, budget: int | None, modality: Modality) -> None:
        writer.mark("<|image>", modality)
        (self if modality is Modality.IMAGE else self._frames)._drawn_later(writer, pixels, False)
        writer.mark("<image|>", modality)


def codes_room(room: Room) -> Room:
    """Room for the codes of what is drawn and of what is looked at, and for no patches."""
    return replace(room, patches=0, codes=room.tokens * 3 // 4)
