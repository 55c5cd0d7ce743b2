"""A small student of your own dialogues: it learns what a larger model answers to them, and what it thinks meanwhile.

tejat tune distill recipes/distil_dialogues.py --set teacher=runs/mini/model --set data=mine.jsonl

The teacher may be any model of ours, or an imported one: `tejat import huggingface DIR OUT` makes one of a Gemma 4 that
is on your disk. Its answers are written once, into `answers`; `--set level=token` keeps those of the data instead. To
begin with a student that is there, trained with the same tokenizers, name its directory as `model` in a copy of this.
"""

from dataclasses import replace
from pathlib import Path

from tejat.model.multimodal import ModelConfig
from tejat.posttrain.recipe import Distil
from tejat.train.optimizer import Schedule


def half(teacher: ModelConfig) -> ModelConfig:
    """Half as wide."""
    decoder = teacher.decoder
    heads = max(1, decoder.heads // 2)
    return replace(
        teacher,
        name=f"{teacher.name}-half",
        decoder=replace(decoder, width=decoder.width // 2, heads=heads, mlp=decoder.mlp // 2),
    )


RECIPE = Distil(
    name="distil-dialogues",
    teacher=Path("runs/mini/model"),
    student=half,
    level="sequence",
    data=Path("mine.jsonl"),
    answers=Path("runs/distil-dialogues-answers.jsonl"),
    kept="drawn",
    schedule=Schedule(steps=500, peak=2e-3, warmup=50, muon=True),
    rows=4,
    tokens=512,
)
