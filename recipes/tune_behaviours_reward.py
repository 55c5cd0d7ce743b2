"""A reward model of mini's behaviours, begun from the model after them; recipes/tune_behaviours_pairs.py comes before.

tejat tune reward recipes/tune_behaviours_reward.py

On one H100 a minute with compiling (docs/FACTUALITY.md).
"""

from pathlib import Path

from tejat.posttrain.recipe import Reward
from tejat.train.optimizer import Schedule

RECIPE = Reward(
    name="tune-behaviours-reward",
    model=Path("mini"),
    data=Path("runs/tune_behaviours/pairs.jsonl"),
    heldout=Path("runs/tune_behaviours/heldout_pairs.jsonl"),
    schedule=Schedule(steps=500, peak=2e-4, warmup=30),
    rows=16,
    tokens=1_024,
    pairs=48,
    bfloat16=True,
)
"""What each head learns from is in `tejat.posttrain.recipe.HEADS`; no pair is of helpfulness, whose head stays at 0."""
