"""The recipe of trials in the quick tests: running text alone, since media are most of what is compiled."""

import numpy as np

from tejat import sample
from tejat.codecs import vocabulary
from tejat.data.packing import Room
from tejat.model.decoder import DecoderConfig
from tejat.model.multimodal import ModelConfig
from tejat.parts import Document, Text
from tejat.train.optimizer import Schedule
from tejat.train.recipe import Recipe

PIECES = 400


def _lines() -> list[str]:
    return sample.prose("en").splitlines()[:200]


def _documents(framing, recipe):
    lines = _lines()

    def document(index):
        at = np.random.default_rng([recipe.seed, index]).integers(len(lines))
        return framing.encode(Document.of([Text(lines[at])]))

    return document


RECIPE = Recipe(
    name="quickest",
    config=ModelConfig(
        name="quickest",
        text_vocabulary=PIECES,
        context=128,
        decoder=DecoderConfig(
            vocabulary=PIECES, width=16, layers=1, heads=2, mlp=24, head_width=8, window=64, period=1
        ),
        vision=None,
        audio=None,
        picture=None,
    ),
    tokenizer=lambda: vocabulary.train(_lines(), PIECES),
    pictures=None,
    documents=_documents,
    room=Room(rows=4, tokens=128, targets=127, patches=0, sounds=0, frames=0),
    schedule=Schedule(steps=30, peak=1e-2, warmup=5),
    log_every=4,
    save_every=6,
)
