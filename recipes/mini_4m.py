"""`mini` at 4M parameters: the foot of the ladder, on the same tokens; `--set seed=1`, `2` for the other seeds.

tejat train recipes/mini_4m.py --set pictures=runs/pictures-mini/picture.safetensors
"""

from dataclasses import replace
from pathlib import Path

from tejat.data.packing import Room
from tejat.model import family
from tejat.train.pretraining import pretraining

MINI = family.preset("mini")

RECIPE = pretraining(
    replace(
        MINI,
        name="mini-4m",
        decoder=replace(MINI.decoder, width=128, layers=6, heads=2, head_width=64, mlp=384),
        vision=replace(MINI.vision, width=64, layers=2, heads=1, mlp=192),
        audio=replace(MINI.audio, width=48, layers=2, heads=1, output=48),
    ),
    tokens=0.4e9,
    room=Room(rows=32, tokens=4_096, targets=3_328, patches=2_880, sounds=8, frames=640, codes=768),
    peak=4e-3,
    pictures=Path("runs/pictures-mini/picture.safetensors"),
)
