"""`mini` at 15M parameters: the middle of the ladder, on the same tokens; `--set seed=1`, `2` for the other seeds.

tejat train recipes/mini_15m.py --set pictures=runs/pictures-mini/picture.safetensors
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
        name="mini-15m",
        decoder=replace(MINI.decoder, width=256, heads=4, head_width=64, mlp=768),
        vision=replace(MINI.vision, width=128, layers=4, heads=2, mlp=384),
        audio=replace(MINI.audio, width=96, layers=4, heads=2, output=96),
    ),
    tokens=0.4e9,
    room=Room(rows=32, tokens=4_096, targets=3_328, patches=2_880, sounds=8, frames=640, codes=768),
    peak=3e-3,
    pictures=Path("runs/pictures-mini/picture.safetensors"),
)
