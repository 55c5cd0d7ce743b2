"""DPO on the pairs that the reward model learns: the baseline of RLHF; recipes/tune_facts.py comes before.

tejat tune rlhf recipes/tune_facts_dpo.py
"""

from pathlib import Path

from tejat.posttrain.recipe import Dpo
from tejat.train.optimizer import Schedule

RECIPE = Dpo(
    name="tune-facts-dpo",
    model=Path("runs/tune-facts/model"),
    data=Path("runs/tune_facts/pairs.jsonl"),
    heldout=Path("runs/tune_facts/heldout_pairs.jsonl"),
    schedule=Schedule(steps=300, peak=1e-4, warmup=20),
    rows=8,
    tokens=512,
    pairs=24,
)
