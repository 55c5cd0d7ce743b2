"""Continuations of prompts against the scores of whole documents."""

import numpy as np
import pytest

from tejat.codecs.framing import Encoded
from tejat.errors import BadInput
from tejat.infer.continuations import continuations
from tejat.infer.engine import Engine
from tejat.infer.likelihood import likelihoods
from tejat.parts import Image, Text, Turn

RANDOM = np.random.default_rng(0)
PICTURE = Image(RANDOM.integers(0, 256, (40, 40, 3), dtype=np.uint8))
LONG = "A sentence that every question begins with, so long that reading it once is worth a step. " * 2


def whole(prompt: Encoded, ids: list[int]) -> Encoded:
    """The prompt with a continuation that is to be predicted, as one document."""
    n = len(ids)
    more = (ids, [True] * n, [0] * n, [0] * n, [-1] * n, [0] * n)
    columns = [np.concatenate([a, np.asarray(b, a.dtype)]) for a, b in zip(prompt[:-1], more, strict=True)]
    columns[1][: len(prompt)] = False
    return Encoded(*columns, prompt.media)


@pytest.mark.parametrize(
    "asked",
    [
        [(Text("Which?"),), (Text("How many of them are there?"),)],
        [(Text(LONG + "Which?"),), (Text(LONG + "How many?"),), (Text(LONG + "Who?"),), (Text(LONG + "Why? " * 9),)],
        [(PICTURE, Text("Which?")), (Text("And this?"),)],
    ],
    ids=["apart", "alike", "picture"],
)
def test_the_same_as_whole_documents(tiny, asked) -> None:
    engine = Engine(tiny)
    prompts = [tiny.framing.prompt([Turn("user", parts)]) for parts in asked]
    wanted = [[tiny.vocabulary.encode(text) for text in ("cat", "a dog", "seven horses")][: n + 1] for n in range(4)]
    wanted = wanted[: len(prompts)]
    found = continuations(engine, prompts, wanted)
    documents = [whole(prompt, ids) for prompt, mine in zip(prompts, wanted, strict=True) for ids in mine]
    due = iter(likelihoods(engine, documents))
    for mine, theirs in zip(wanted, found, strict=True):
        for ids, one in zip(mine, theirs, strict=True):
            right = next(due)
            assert len(one.logprobs) == len(ids)
            np.testing.assert_allclose(one.logprobs, right.logprobs, atol=2e-4)
            assert (one.best == right.best).all()


def test_what_does_not_fit(tiny) -> None:
    engine = Engine(tiny)
    prompt = tiny.framing.prompt([Turn("user", (Text("a"),))])
    with pytest.raises(BadInput, match="the context holds 512"):
        continuations(engine, [prompt], [[[5] * 512]])
    with pytest.raises(BadInput, match="empty"):
        continuations(engine, [prompt], [[[]]])
