"""`mini` finished on the grid of four bits that it is shipped on, with the mixture that it was last trained on.

tejat train recipes/mini_q4.py --set pictures=runs/pictures-mini/picture.safetensors
tejat quantize runs/mini-q4/model runs/mini-4bit --embedding 4 --method nearest

Matrices are rounded in every step as the file will have them, and the gradient passes to the masters. Not trained yet.
"""

from dataclasses import replace
from pathlib import Path

from tejat.data.packing import Room
from tejat.model import family
from tejat.model.quantised import Grid
from tejat.train.pretraining import pretraining

RECIPE = replace(
    pretraining(
        family.preset("mini"),
        name="mini-q4",
        tokens=6e7,
        room=Room(rows=32, tokens=4_096, targets=3_328, patches=2_880, sounds=8, frames=640, codes=1_280),
        peak=1e-4,
        pictures=Path("runs/pictures-mini/picture.safetensors"),
        weights=Path("runs/mini/model"),
    ),
    grid=Grid(bits=4, embedding=4),
)
