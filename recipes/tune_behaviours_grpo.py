"""GRPO on mini's behaviours: what can be checked, and beside it the reward model of recipes/tune_behaviours_reward.py.

tejat tune rlhf recipes/tune_behaviours_grpo.py

Rewards: an answer that is right earns 1, one that owns up where it need not 0, one that owns up where it must 1.
Advantages are not divided by their deviation: of eight answers that are all right, the reward model's preferences among
these would weigh as much as right and wrong do. 250 times 512 answers, 500 updates; of 22,000 tokens for every 256
answers most are prompts. Five minutes of one H100 (docs/FACTUALITY.md).
"""

from pathlib import Path

from tejat.model.quantised import Grid
from tejat.posttrain.recipe import Rlhf
from tejat.train.optimizer import Schedule

RECIPE = Rlhf(
    name="tune-behaviours-grpo",
    model=Path("mini"),
    method="grpo",
    data=Path("runs/tune_behaviours/questions.jsonl"),
    heldout=Path("runs/tune_behaviours/heldout_questions.jsonl"),
    reward_model=Path("runs/tune-behaviours-reward/model"),
    reward_weight=0.2,
    schedule=Schedule(steps=250, peak=1e-4, warmup=8, floor=0.1, decay=0.0),
    tokens=1_024,
    prompts=64,
    answers=8,
    max_tokens=48,
    minibatches=2,
    kl=0.02,
    normalise=False,
    grid=Grid(bits=4, embedding=4),  # what came before has ended on it
    bfloat16=True,
)
