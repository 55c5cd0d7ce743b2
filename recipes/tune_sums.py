"""A short supervised stage before reinforcement learning: `micro` learns how a sum is answered, and some of them.

tejat train recipes/micro.py
tejat tune supervised recipes/tune_sums.py
"""

from pathlib import Path

from tejat.parts import Document, Text, Turn
from tejat.posttrain.questions import Sums
from tejat.posttrain.recipe import Supervised
from tejat.train.optimizer import Schedule


def documents(framing, recipe):
    """Sums with their answers, of those that are not held out."""
    asked = Sums(recipe.seed)

    def document(index):
        question = asked(index)
        answer = Turn("model", (Text(str(question.check["answer"])),))
        return framing.encode(Document.from_turns((*question.turns, answer), "sums"))

    return document


RECIPE = Supervised(
    name="tune-sums",
    model=Path("runs/micro/model"),
    documents=documents,
    schedule=Schedule(steps=60, peak=2e-3, warmup=10),
    rows=2,
    tokens=256,
)
"""The run."""
