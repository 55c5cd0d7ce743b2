"""PPO on mini's behaviours: the same questions, answers, rewards and updates as recipes/tune_behaviours_grpo.py.

tejat tune rlhf recipes/tune_behaviours_ppo.py

A value head of its own tells what an answer's next token is worth, where GRPO compares eight answers to one question.
250 times 512 answers; twelve minutes of an H200 beside three trainings. It stays where it begins, as
GRPO does (docs/FACTUALITY.md).
"""

from pathlib import Path

from tejat.model.quantised import Grid
from tejat.posttrain.recipe import Rlhf
from tejat.train.optimizer import Schedule

RECIPE = Rlhf(
    name="tune-behaviours-ppo",
    model=Path("mini"),
    method="ppo",
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
    grid=Grid(bits=4, embedding=4),  # what came before has ended on it
    bfloat16=True,
)
