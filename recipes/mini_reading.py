"""The stage of `mini` after recipes/mini_long.py: to answer from what stands there, whatever it is called.

1,400 steps took 10.7 minutes of one H200 whose processors did other things too, compiling among them. Losses of its own
mixture at the end: text 0.37, picture codes 1.29, text about images 0.37, sounds 0.30, clips 0.44 nats a token. What it
gained and what it forgot stands in docs/FACTUALITY.md; what ships has not been through it.

tejat train recipes/mini_reading.py --set kept=/dev/shm/kept --set how.unrolled=false

Three fifths of the documents, and of the tokens, are behaviours; the rest are the dialogues of the stages before. Of
their passages three fifths tell what no list has: any word of a dictionary, and what was done, by whom, when and where
(tejat/posttrain/behaviours/anything.py). What comes out is measured by `tejat eval --suite factuality`.
"""

import runpy
from dataclasses import replace
from pathlib import Path

from tejat.data.mixture import Stage
from tejat.posttrain.behaviours.mixture import Reading
from tejat.train.pretraining import pretraining

BEHAVIOURS = runpy.run_path(str(Path(__file__).with_name("mini_behaviours.py")))
BEFORE = BEHAVIOURS["RECIPE"]

RECIPE = pretraining(
    replace(BEFORE.config, context=32_768),
    name="mini-reading",
    tokens=2e8,
    stages=(Stage("reading", 1.0, BEHAVIOURS["WEIGHTS"], alpha=0.5),),
    mixture=Reading,
    room=BEFORE.room,
    peak=5e-4,
    grid=BEFORE.grid,  # what came before has ended on it
    pictures=BEFORE.pictures,
    weights=Path("runs/mini-long/model"),
)
