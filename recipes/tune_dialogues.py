"""A model tuned on your own dialogues: JSON lines, as docs/TUNE.md says; adapters alone are learnt.

tejat tune supervised recipes/tune_dialogues.py --set model=imported --set data=mine.jsonl --set heldout=others.jsonl
"""

from pathlib import Path

from tejat.posttrain.lora import Lora
from tejat.posttrain.recipe import Supervised
from tejat.train.optimizer import Schedule

RECIPE = Supervised(
    name="tune-dialogues",
    model=Path("runs/micro/model"),
    data=Path("mine.jsonl"),
    schedule=Schedule(steps=200, peak=1e-3, warmup=20),
    rows=4,
    tokens=512,
    lora=Lora(rank=16, alpha=32.0),
)
