"""Three behaviours from the facts that come with Tejat, the supervised stage: the base of the recipes beside it.

python recipes/tune_pairs.py runs/tune_facts
tejat tune supervised recipes/tune_facts.py
tejat tune reward recipes/tune_facts_reward.py
tejat tune rlhf recipes/tune_facts_grpo.py      or tune_facts_dpo.py
"""

from pathlib import Path

from tejat.posttrain.recipe import Supervised
from tejat.train.optimizer import Schedule

RECIPE = Supervised(
    name="tune-facts",
    model=Path("runs/micro/model"),
    data=Path("runs/tune_facts/dialogues.jsonl"),
    heldout=Path("runs/tune_facts/heldout_dialogues.jsonl"),
    schedule=Schedule(steps=600, peak=1e-3, warmup=40),
    rows=8,
    tokens=512,
)
