"""GRPO on questions about facts: what can be checked, and beside it a reward model; recipes/tune_facts.py comes before.

tejat tune rlhf recipes/tune_facts_grpo.py
"""

from pathlib import Path

from tejat.posttrain.recipe import Rlhf
from tejat.train.optimizer import Schedule

RECIPE = Rlhf(
    name="tune-facts-grpo",
    model=Path("runs/tune-facts/model"),
    method="grpo",
    data=Path("runs/tune_facts/questions.jsonl"),
    heldout=Path("runs/tune_facts/heldout_questions.jsonl"),
    reward_model=Path("runs/tune-facts-reward/model"),
    reward_weight=0.2,
    schedule=Schedule(steps=200, peak=2e-4, warmup=10, floor=0.1, decay=0.0),
    rows=8,
    tokens=512,
    prompts=16,
    answers=8,
    max_tokens=48,
    kl=0.02,
)
