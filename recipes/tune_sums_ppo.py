"""PPO on sums of single digits: a value head of its own, a price for divergence; as recipes/tune_sums_grpo.py else.

tejat tune rlhf recipes/tune_sums_ppo.py
"""

from pathlib import Path

from tejat.posttrain.questions import Sums
from tejat.posttrain.recipe import Rlhf
from tejat.train.optimizer import Schedule

RECIPE = Rlhf(
    name="tune-sums-ppo",
    model=Path("runs/tune-sums/model"),
    method="ppo",
    questions=Sums,
    heldout_questions=lambda seed: Sums(seed, heldout=True),
    schedule=Schedule(steps=120, peak=1e-3, warmup=5, floor=0.1, decay=0.0),
    rows=4,
    tokens=256,
    prompts=16,
    answers=8,
    max_tokens=6,
    minibatches=2,
    epochs=2,
    kl=0.01,
    log_every=4,
    save_every=40,
)
