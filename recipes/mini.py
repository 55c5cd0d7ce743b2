"""`mini` from nothing, on the corpus: text in dozens of languages, pictures, sounds and clips; rows of 4,096 tokens.

tejat data build recipes/corpus.py --out runs/corpus
tejat train recipes/mini.py --set pictures=runs/pictures-mini/picture.safetensors

On one H100, with `--set schedule.steps=5200` (11,798 follow from its tokens), 4,765 of them in 24 minutes: 582M tokens
at 597,000 a second; mean losses at its end, in nats a token: text 1.80, codes 0.52, text about images 0.67, sounds
0.21, clips 0.51.

A row has room for four pictures of 256 codes: a dialogue draws up to three, and the mean row has 610 codes.
"""

from pathlib import Path

from tejat.data.packing import Room
from tejat.model import family
from tejat.train.pretraining import pretraining

RECIPE = pretraining(
    family.preset("mini"),
    tokens=1.5e9,
    room=Room(rows=32, tokens=4_096, targets=3_328, patches=2_880, sounds=8, frames=640, codes=1_024),
    peak=2e-3,
    pictures=Path("runs/pictures-mini/picture.safetensors"),
)
