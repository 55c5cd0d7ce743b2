"""Guided pictures against what guidance is: two plain forward passes, of the answer and of its pictures unasked."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tejat.bundle import Bundle
from tejat.codecs.framing import Encoded
from tejat.codecs.vocabulary import BOS
from tejat.data.packing import Room, pack_prompts
from tejat.errors import BadInput
from tejat.infer.engine import Engine
from tejat.infer.options import Options
from tejat.model import decoder, multimodal
from tejat.parts import Text, Turn

GUIDED = Options(max_tokens=90, picture_temperature=0.0, temperature=1.0, picture_guidance=2.5)


@pytest.fixture(scope="module")
def keen(tiny) -> Bundle:
    """`tiny`, which draws one picture after another."""
    params = dict(tiny.params)
    embedding = params["decoder"]["embedding"].at[tiny.vocabulary["<|picture>"]].multiply(100.0)
    return dataclasses.replace(tiny, params=params | {"decoder": params["decoder"] | {"embedding": embedding}})


@pytest.fixture(scope="module")
def prompts(tiny) -> list[Encoded]:
    return [tiny.framing.prompt([Turn("user", (Text(said),))]) for said in ("Draw", "a thing and " * 20, "Once more")]


@pytest.fixture(scope="module")
def engine(keen) -> Engine:
    return Engine(keen)


@pytest.fixture(scope="module")
def scores(keen):
    """Scores after every token of some, by the forward pass of training."""
    forward = jax.jit(lambda params, inputs: multimodal.forward(params, keen.config, inputs))

    def scores(tokens) -> np.ndarray:
        count = len(tokens)
        zeros = np.zeros(count, np.int32)
        kinds = (np.ones(count, bool), zeros.astype(np.int8), zeros, zeros - 1, zeros, ())
        document = Encoded(np.asarray(tokens, np.int32), *kinds)
        room = Room(1, 256, 256, 192, 2, 128)
        hidden = forward(keen.params, pack_prompts([document], keen.config, room))
        return np.asarray(decoder.logits(keen.params["decoder"], keen.config.decoder, hidden))[0, :count]

    return scores


def check(rule, scores, prompt: Encoded, tokens: np.ndarray, strength: float) -> tuple[int, int, int]:
    """Every code is the likeliest under guidance. Gives the pictures, the codes that are others than without it, and
    those that are others than without the bound of what is plausible."""
    asked = scores([*prompt.tokens, *tokens])[len(prompt) - 1 : -1]
    codes = slice(rule.text_size, rule.text_size + rule.codes)
    begins, ends = (np.flatnonzero(tokens == mark).tolist() for mark in (rule.picture_begin, rule.picture_end))
    assert len(begins) == len(ends)
    others = hidden = 0
    for begin, end in zip(begins, ends, strict=True):
        unasked = scores([BOS, *tokens[begin:end]])
        for at in range(begin + 3, end):
            if tokens[at] < rule.text_size:
                continue
            c, u = asked[at, codes], unasked[at - begin, codes]
            liked = np.where(c >= c.max() + np.log(GUIDED.picture_min_p), u + strength * (c - u), -np.inf)
            assert liked.max() - liked[tokens[at] - rule.text_size] < 1e-3
            others += int(c.argmax() != liked.argmax())
            hidden += int((u + strength * (c - u)).argmax() != liked.argmax())
    return len(begins), others, hidden


def test_codes_are_the_likeliest_of_both_passes(engine, prompts, scores) -> None:
    """A picture of 64 codes is longer than the window of sliding layers; several follow one another."""
    ways = ((8, 8), 2.5), ((2, 3), 20.0), ((1, 5), 1.5)
    some = dataclasses.replace(GUIDED, max_tokens=170)
    wishes = [dataclasses.replace(some, picture_size=size, picture_guidance=strength) for size, strength in ways]
    found = []
    for prompt, answer, (_, strength) in zip(prompts, engine.generate(prompts, wishes), ways, strict=True):
        found.append(check(engine.rule, scores, prompt, answer.tokens, strength))
    pictures, others, hidden = zip(*found, strict=True)
    assert pictures[0] > 0 and max(pictures) > 2 and sum(others) > 20 and sum(hidden) > 0


def test_alone_and_among_others_it_is_the_same(engine, prompts) -> None:
    other = dataclasses.replace(GUIDED, picture_guidance=4.0)
    plain = dataclasses.replace(GUIDED, picture_guidance=1.0)
    first, second, third = prompts
    among = engine.generate([first, first, second], [GUIDED, plain, other])
    again = engine.generate([third, second, first], [plain, other, GUIDED])
    (alone,) = engine.generate([first], GUIDED)
    for a, b in ((among[0], alone), (again[2], alone), (among[2], again[1])):
        assert a.tokens.tolist() == b.tokens.tolist()
        np.testing.assert_allclose(a.logprobs, b.logprobs, atol=1e-3)
    assert among[1].tokens.tolist() != alone.tokens.tolist()


def test_log_probabilities_are_those_of_the_model(engine, prompts, scores) -> None:
    (answer,) = engine.generate(prompts[:1], GUIDED)
    at = int(np.flatnonzero(answer.tokens >= engine.rule.text_size)[0])
    asked = scores([*prompts[0].tokens, *answer.tokens[:at]])[-1]
    codes = asked[engine.rule.text_size : engine.rule.text_size + engine.rule.codes]
    wanted = jax.nn.log_softmax(jnp.asarray(codes))[int(answer.tokens[at]) - engine.rule.text_size]
    assert abs(float(wanted) - answer.logprobs[at]) < 1e-3


@pytest.mark.parametrize("wrong", [0.5, 21, float("nan"), "much", True])
def test_strengths_out_of_range(wrong) -> None:
    with pytest.raises(BadInput, match="^picture_guidance is "):
        Options(picture_guidance=wrong)
