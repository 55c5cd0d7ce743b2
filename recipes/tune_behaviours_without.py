"""What behaviours are measured against: recipes/mini_behaviours.py without them, as many updates on dialogues.

tejat train recipes/tune_behaviours_without.py --set pictures=runs/pictures-mini/picture.safetensors

The same model, room, schedule and shares of the corpus, so that `--set seed=1` here and there draw a pair of runs that
differ in the behaviours and in nothing else (docs/FACTUALITY.md).
"""

import runpy
from dataclasses import replace
from pathlib import Path

from tejat.data.conversations import Conversations
from tejat.data.mixture import Stage
from tejat.train.pretraining import documents

WITH = runpy.run_path(str(Path(__file__).with_name("mini_behaviours.py")))
STAGES = (Stage("dialogues", 1.0, WITH["WEIGHTS"], alpha=0.5),)

RECIPE = replace(
    WITH["RECIPE"],
    name="tune-behaviours-without",
    documents=lambda framing, recipe: documents(framing, recipe, STAGES, Conversations),
)
