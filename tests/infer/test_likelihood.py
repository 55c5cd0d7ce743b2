"""Likelihoods of a document's tokens against the engine's scores."""

import numpy as np

from tejat.codecs.framing import Encoded
from tejat.infer.engine import Engine
from tejat.infer.likelihood import likelihoods
from tejat.parts import Document, Text


def test_likelihoods_are_scores_and_know_the_likeliest(tiny) -> None:
    engine = Engine(tiny)
    documents = [
        tiny.framing.encode(Document.of((Text("One two three"),))),
        tiny.framing.encode(Document((Text("unseen"), Text(" and seen")), (False, True), (None, None))),
    ]
    for scores, (logprobs, best, best_logprobs), document in zip(
        engine.score(documents), likelihoods(engine, documents), documents, strict=True
    ):
        np.testing.assert_allclose(logprobs, scores, atol=1e-4)
        same = best == document.tokens[1:][document.loss[1:]]
        assert (best_logprobs[same] == logprobs[same]).all() and (best_logprobs[~same] > logprobs[~same]).all()
    # The first token after <bos> replaced by the likeliest is the likeliest.
    tokens = documents[0].tokens.copy()
    tokens[1] = likelihoods(engine, documents[:1])[0].best[0]
    (changed,) = likelihoods(engine, [Encoded(tokens, *documents[0][1:])])
    assert changed.best[0] == tokens[1] and changed.logprobs[0] == changed.best_logprobs[0]
