"""DPO on the pairs of mini's behaviours: the baseline of RLHF; recipes/tune_behaviours_pairs.py comes before.

tejat tune rlhf recipes/tune_behaviours_dpo.py

500 updates of 48 pairs, each pair once. On one H100 a minute.
"""

from pathlib import Path

from tejat.model.quantised import Grid
from tejat.posttrain.recipe import Dpo
from tejat.train.optimizer import Schedule

RECIPE = Dpo(
    name="tune-behaviours-dpo",
    model=Path("mini"),
    data=Path("runs/tune_behaviours/pairs.jsonl"),
    heldout=Path("runs/tune_behaviours/heldout_pairs.jsonl"),
    schedule=Schedule(steps=500, peak=5e-5, warmup=20),
    rows=16,
    tokens=1_024,
    pairs=48,
    grid=Grid(bits=4, embedding=4),  # what came before has ended on it
    bfloat16=True,
)
