"""`mini` between two runs: pages of dozens of pictures, written lines or recordings, each with what it is below it.

tejat train recipes/mini_galleries.py --set pictures=runs/pictures-mini/picture.safetensors

A row of 4,096 tokens has a hundred pictures where one of `recipes/mini_senses.py` has 15. About 950 steps of 32 rows on
four H200, 121M tokens in 8 minutes, taught mini to read (text about images 1.68 → 0.25 nats a token), and it forgot all
else, which the next run had to give back (docs/LOG.md): a stage of dialogues with some `pages` of its own is to be
tried.
"""

from dataclasses import replace
from pathlib import Path

from tejat.data.mixture import Stage
from tejat.data.packing import Room
from tejat.model import family
from tejat.model.passes import Pass
from tejat.train.pretraining import pretraining

WEIGHTS = {"concepts": 60, "stamps": 4, "voices": 10, "readings": 3, "charts": 12}

RECIPE = replace(
    pretraining(
        family.preset("mini"),
        name="mini-galleries",
        tokens=1e8,
        stages=(Stage("galleries", 1e8, WEIGHTS, alpha=0.5, pages=1.0),),
        room=Room(rows=16, tokens=4_096, targets=2_048, patches=23_040, sounds=24, frames=640, codes=256),
        peak=1e-3,
        pictures=Path("runs/pictures-mini/picture.safetensors"),
        weights=Path("runs/mini-senses/model"),
    ),
    how=Pass("products", unrolled=False),
)
