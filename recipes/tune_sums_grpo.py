"""GRPO on sums of single digits: the reward is whether the answer is right; sums of a fifth of all pairs are held out.

tejat tune rlhf recipes/tune_sums_grpo.py
"""

from pathlib import Path

from tejat.posttrain.questions import Sums
from tejat.posttrain.recipe import Rlhf
from tejat.train.optimizer import Schedule

RECIPE = Rlhf(
    name="tune-sums-grpo",
    model=Path("runs/tune-sums/model"),
    method="grpo",
    questions=Sums,
    heldout_questions=lambda seed: Sums(seed, heldout=True),
    schedule=Schedule(steps=120, peak=1e-3, warmup=5, floor=0.1, decay=0.0),
    rows=4,
    tokens=256,
    prompts=16,
    answers=8,
    max_tokens=6,
    kl=0.01,
    log_every=4,
    save_every=40,
)
