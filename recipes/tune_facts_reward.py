"""A reward model of pairs from facts, begun from the supervised model; recipes/tune_facts.py says what comes before.

tejat tune reward recipes/tune_facts_reward.py
"""

from pathlib import Path

from tejat.posttrain.recipe import Reward
from tejat.train.optimizer import Schedule

RECIPE = Reward(
    name="tune-facts-reward",
    model=Path("runs/tune-facts/model"),
    data=Path("runs/tune_facts/pairs.jsonl"),
    heldout=Path("runs/tune_facts/heldout_pairs.jsonl"),
    schedule=Schedule(steps=300, peak=5e-4, warmup=20),
    rows=8,
    tokens=512,
    pairs=24,
)
