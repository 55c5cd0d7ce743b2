"""The last stage of `mini`: whole pages, files and searches in contexts of 32,768 tokens, after recipes/mini.py.

tejat train recipes/mini.py --set pictures=runs/pictures-mini/picture.safetensors
tejat train recipes/mini_long.py --set pictures=runs/pictures-mini/picture.safetensors
"""

from dataclasses import replace
from pathlib import Path

from tejat.data.packing import Room
from tejat.model import family
from tejat.train.pretraining import LONG, pretraining

RECIPE = pretraining(
    replace(family.preset("mini"), context=32_768),
    name="mini-long",
    tokens=1e8,
    stages=LONG,
    room=Room(rows=4, tokens=32_768, targets=28_672, patches=17_280, sounds=48, frames=640, codes=4_608),
    peak=5e-4,
    pictures=Path("runs/pictures-mini/picture.safetensors"),
    weights=Path("runs/mini/model"),
)
