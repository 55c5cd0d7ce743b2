"""The smallest recipe: the documents of the tour, everything in, text and pictures out; its steps take milliseconds."""

from importlib import resources
from pathlib import Path

from tejat import sample
from tejat.codecs import vocabulary
from tejat.data import tour
from tejat.data.packing import Room
from tejat.model import family
from tejat.model.audio import AudioConfig
from tejat.model.decoder import DecoderConfig
from tejat.model.multimodal import ModelConfig
from tejat.model.vision import VisionConfig
from tejat.train.optimizer import Schedule
from tejat.train.recipe import Recipe

PIECES = 400


def _tokenizer() -> bytes:
    return vocabulary.train(sample.prose("en").splitlines()[:200], PIECES)


RECIPE = Recipe(
    name="smallest",
    config=ModelConfig(
        name="smallest",
        text_vocabulary=PIECES,
        context=512,
        decoder=DecoderConfig(
            vocabulary=PIECES + 512, width=16, layers=2, heads=2, mlp=24, head_width=8, window=64, period=2
        ),
        vision=VisionConfig(
            width=16, layers=1, heads=2, head_width=8, mlp=24, patch=8, pool=2, table=64, budgets=(16,), frame_budget=4
        ),
        audio=AudioConfig(width=16, layers=1, heads=2, channels=(4, 2), output=16, frames=128),
        picture=family.preset("micro").picture,
    ),
    tokenizer=_tokenizer,
    pictures=Path(str(resources.files("tejat") / "weights" / "pictures" / "micro.safetensors")),
    documents=lambda framing, recipe: tour.Tour(framing, recipe.seed),
    room=Room(rows=4, tokens=256, targets=192, patches=128, sounds=1, frames=112),
    schedule=Schedule(steps=30, peak=1e-2, warmup=5),
    log_every=4,
    save_every=6,
)
