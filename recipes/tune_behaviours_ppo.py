"""PPO on mini's behaviours: all that recipes/tune_behaviours_grpo.py has, but for the method.

tejat tune rlhf recipes/tune_behaviours_ppo.py

A value head of its own tells what an answer's next token is worth, where GRPO compares eight answers to one question.
250 times 512 answers; twelve minutes of an H200 beside three trainings. It stays where it begins, as GRPO does
(docs/FACTUALITY.md).
"""

import runpy
from dataclasses import replace
from pathlib import Path

GRPO = runpy.run_path(str(Path(__file__).with_name("tune_behaviours_grpo.py")))["RECIPE"]

RECIPE = replace(GRPO, name="tune-behaviours-ppo", method="ppo")
