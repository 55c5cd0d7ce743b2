"""Contamination: an item that stands in the corpus is met, one that does not is not, and short ones are told of."""

import pytest

from tejat.errors import BadInput
from tejat.evals import contamination
from tejat.evals.answering import Answering
from tejat.evals.tasks import Item
from tejat.parts import Text, Turn

IN_CORPUS = "A passage of plain words that goes on for long enough to be one, and a little longer than that."
ELSEWHERE = "Nothing of the kind was ever written down in any of the pages which that model has learnt from, we hope."


def task(name: str, *questions: str) -> Answering:
    items = [Item(f"i{n}", "c", (Turn("user", (Text(q),)),), ("yes",)) for n, q in enumerate(questions)]
    return Answering("s", name, lambda: items)


def broken() -> Answering:
    def make():
        raise BadInput("no material")

    return Answering("s", "broken", make)


def test_what_is_met_is_counted(corpus) -> None:
    tasks = [task("seen", IN_CORPUS, ELSEWHERE, "Why?"), task("new", ELSEWHERE + " And more of it, too."), broken()]
    found = contamination.check(tasks, corpus)
    assert found == {
        ("s", "seen"): "1 of 3 items met in training, 1 too short to be looked for",
        ("s", "new"): "0 of 1 items met in training",
    }
    with pytest.raises(BadInput, match="build the corpus"):
        contamination.check(tasks, corpus / "none")
