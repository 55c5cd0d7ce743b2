"""Answers that a policy writes, by our own batched engine, and what they earn.

The engine is given the trainer's arrays: a copy on the device with the layers apart, in the type that is computed in,
and nothing goes through a disk. What it computed as each token's probability is kept, so that the difference between it
and the trainer is measured and corrected.
"""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import jax
import numpy as np
from jax.typing import DTypeLike
from jaxtyping import Float, Int

from tejat.bundle import Bundle
from tejat.codecs.framing import Encoded, Modality
from tejat.codecs.vocabulary import EOS
from tejat.errors import BadInput
from tejat.infer.engine import Engine, Generation
from tejat.infer.options import Options
from tejat.model import decoder, multimodal
from tejat.model.params import Tree
from tejat.parts import Text
from tejat.posttrain import verify
from tejat.posttrain.pairing import at_the_end
from tejat.posttrain.questions import Question
from tejat.posttrain.reward_model import RewardModel


class Rollout(NamedTuple):
    """An answer to a question."""

    question: Question
    document: Encoded  # prompt and answer, of which the answer is to be predicted
    text: str
    logprobs: Float[np.ndarray, " n"]  # of the answer's tokens, as the engine computed them
    ended: bool  # by itself, and not at the limit
    checked: float | None  # what the check gave
    liked: float | None  # what the reward model gave, in deviations
    reward: float


class Sampler:
    """Writes answers with the weights that it is given. Text alone: no picture is begun."""

    def __init__(self, bundle: Bundle, max_tokens: int, rows: int = 256, tokens: int = 1 << 18):
        if max_tokens >= bundle.config.context:
            raise BadInput(f"max_tokens is {max_tokens:,} and the context holds {bundle.config.context:,}; set fewer")
        self.bundle, self.max_tokens = bundle, max_tokens
        self._engine = Engine(bundle, rows=rows, tokens=tokens, params={})

    def use(self, weights: Tree, dtype: DTypeLike) -> None:
        """From here on, answers are of these weights."""
        self._engine.params = _apart(weights, dtype)

    def answers(self, prompts: Sequence[Encoded], seeds: Sequence[int], temperature: float = 1.0) -> list[Generation]:
        """An answer to each prompt; at temperature 1, of the policy itself: nothing is cut off."""
        options = [
            Options(max_tokens=self.max_tokens, temperature=temperature, seed=seed, pictures=False) for seed in seeds
        ]
        return self._engine.generate(prompts, options)


@functools.partial(jax.jit, static_argnums=1)
def _apart(weights: Tree, dtype: DTypeLike) -> Tree:
    return multimodal.cast({**weights, "decoder": decoder.apart(weights["decoder"])}, dtype)


def answered(prompt: Encoded, tokens: Int[np.ndarray, " n"]) -> Encoded:
    """The prompt and an answer to it, which alone is to be predicted."""
    count, before = len(tokens), len(prompt)
    none = np.zeros(count, np.int32)
    return Encoded(
        np.concatenate([prompt.tokens, np.asarray(tokens, np.int32)]),
        np.concatenate([np.zeros(before, bool), np.ones(count, bool)]),
        np.concatenate([prompt.modality, np.full(count, Modality.TEXT, prompt.modality.dtype)]),
        np.concatenate([prompt.blocks, none]),
        np.concatenate([prompt.item, none - 1]),
        np.concatenate([prompt.soft, none]),
        prompt.media,
    )


def closed(bundle: Bundle, prompt: Encoded, tokens: Int[np.ndarray, " n"]) -> Encoded:
    """The same with the turn ended as in training, as a reward model reads it."""
    end = bundle.vocabulary["<turn|>"]
    words = [int(token) for token in tokens if token not in (end, EOS)]
    return at_the_end(answered(prompt, np.asarray([*words, end, *bundle.vocabulary.encode("\n")], np.int32)))


def judged(question: Question, judge: RewardModel | None) -> None:
    """Raises BadInput for a question that neither a check nor a reward model can judge."""
    if question.check is None and judge is None:
        told = f"a question of kind {question.kind!r}" if question.kind else "a question"
        raise BadInput(f"{told} has no check and there is no reward_model; give one of them")


def graded(
    bundle: Bundle,
    questions: Sequence[Question],
    prompts: Sequence[Encoded],
    answers: Sequence[Generation],
    judge: RewardModel | None,
    check_weight: float,
    judge_weight: float,
) -> list[Rollout]:
    """What answers earn: `check_weight` times what can be verified and `judge_weight` times what a model thinks.

    Raises BadInput as `judged` does.
    """
    liked: list[float | None] = [None] * len(answers)
    if judge is not None:
        pairs = zip(prompts, answers, strict=True)
        liked = judge.combined(judge.scores([closed(bundle, p, a.tokens) for p, a in pairs])).tolist()
    found = []
    for question, prompt, answer, like in zip(questions, prompts, answers, liked, strict=True):
        text = "".join(part.text for part in bundle.framing.decode(answer.tokens.tolist()) if isinstance(part, Text))
        check = None if question.check is None else verify.reward(question.check, text)
        judged(question, judge)
        reward = (check_weight * check if check is not None else 0.0) + (judge_weight * like if like is not None else 0)
        document = answered(prompt, answer.tokens)
        ended = answer.finish_reason == "stop"
        found.append(Rollout(question, document, text, answer.logprobs, ended, check, like, float(reward)))
    return found
