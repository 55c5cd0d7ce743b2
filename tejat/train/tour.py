"""The recipe of the tour: `micro`, from nothing, on the bundled sample, in a few minutes on two CPU cores."""

from importlib import resources
from pathlib import Path

from tejat.codecs import vocabulary
from tejat.data import tour
from tejat.data.packing import Room
from tejat.model import family
from tejat.train.optimizer import Schedule
from tejat.train.recipe import Recipe


def _tokenizer() -> bytes:
    # 2,048 pieces cannot hold every character of ten languages: the rarest fiftieth is spelled in bytes.
    return vocabulary.train(tour.lines(), family.preset("micro").text_vocabulary, coverage=0.98)


RECIPE = Recipe(
    name="micro",
    config=family.preset("micro"),
    tokenizer=_tokenizer,
    pictures=Path(str(resources.files("tejat") / "weights" / "pictures" / "micro.safetensors")),
    documents=lambda framing, recipe: tour.Tour(framing, recipe.seed),
    room=Room(rows=11, tokens=192, targets=96, patches=180, sounds=2, frames=112),
    schedule=Schedule(steps=500, peak=6e-3, warmup=40, floor=0.02, muon=True),
)
