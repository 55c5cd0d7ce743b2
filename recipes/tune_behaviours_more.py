"""What GRPO is compared with: the right answers to its questions, supervised, for as many updates.

tejat tune supervised recipes/tune_behaviours_more.py

recipes/tune_behaviours_pairs.py comes before. About 190 dialogues an update, where GRPO has 256 answers; a minute and a
half of one H100.
"""

from pathlib import Path

from tejat.model.quantised import Grid
from tejat.posttrain.recipe import Supervised
from tejat.train.optimizer import Schedule

RECIPE = Supervised(
    name="tune-behaviours-more",
    model=Path("mini"),
    data=Path("runs/tune_behaviours/dialogues.jsonl"),
    heldout=Path("runs/tune_behaviours/heldout_dialogues.jsonl"),
    schedule=Schedule(steps=500, peak=1e-4, warmup=16, floor=0.1, decay=0.0),
    rows=32,
    tokens=1_024,
    grid=Grid(bits=4, embedding=4),  # what came before has ended on it
    bfloat16=True,
)
