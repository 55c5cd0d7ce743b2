"""Reinforcement learning from rewards for the model's own answers: PPO and GRPO.

An iteration asks the next questions, has the policy answer each several times, grades the answers, and makes a few
updates. Which questions come when is a function of the iteration's number alone, and chance comes from the seed: a run
that goes on asks what it would have asked.
"""

import hashlib
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from tejat import bundle
from tejat.codecs.framing import Encoded
from tejat.data.packing import Room, Size, sizes
from tejat.errors import BadInput
from tejat.evals import statistics
from tejat.infer.constraints import Rule
from tejat.model import multimodal
from tejat.model.params import Param, Tree, initialise
from tejat.posttrain import (
    advantages,
    alarms,
    alike,
    experience,
    likelihood,
    losses,
    packed,
    reward_model,
    rooms,
    update,
)
from tejat.posttrain.experience import Experience, Measured
from tejat.posttrain.packed import Packed
from tejat.posttrain.questions import Asked, Question, Questions
from tejat.posttrain.recipe import Rlhf, identity
from tejat.posttrain.rollouts import Rollout, Sampler, answered, graded, judged
from tejat.posttrain.supervised import save
from tejat.posttrain.trainable import trainable
from tejat.train.loop import Line
from tejat.train.optimizer import Schedule
from tejat.train.step import TrainState

SHOWN = 4
"""Answers of a line of the log that are kept for reading."""

FIRST = 32
"""Questions that stand for a stream that code makes."""


class Prepared(NamedTuple):
    """What an iteration learns from, and what is told of it."""

    parts: list[Experience]
    told: dict[str, float]
    shown: list[Rollout]


class RlhfWork:
    """See `tejat.posttrain.loop.Work`.

    Raises BadInput for questions that cannot be read, that nothing judges or that no row holds; for a model or a reward
    model that is not there; and for a reward model that does not read what the policy reads.
    """

    def __init__(self, recipe: Rlhf):
        self.recipe, self.bundle = recipe, bundle.load(recipe.model)
        config = self.bundle.config
        self._questions = _questions(recipe.data, recipe.questions, recipe.seed)
        self._heldout = None
        if recipe.heldout or recipe.heldout_questions:
            self._heldout = _questions(recipe.heldout, recipe.heldout_questions, recipe.seed)
        self._judge = None if recipe.reward_model is None else reward_model.load(recipe.reward_model)
        if self._judge is not None:
            alike.check(self._judge.bundle, self.bundle, "reward model", "policy")
        first = [self._questions(index) for index in range(FIRST)]
        asked = [self._questions] if self._heldout is None else [self._questions, self._heldout]
        self.room = self._room(prompt for questions in asked for prompt in self._asked(questions))
        self._trained = trainable(self.bundle, recipe)
        self._tree, self._start = {"model": self._trained.tree}, {"model": self._trained.initial}
        if recipe.method == "ppo":
            value = {"matrix": Param((config.decoder.width,), ("embed",), 0.0), "bias": Param((), (), 0.0)}
            self._tree, self._start = self._tree | {"value": value}, self._start | {"value": initialise(value, 0)}
        self._dtype = jnp.bfloat16 if recipe.bfloat16 else jnp.float32
        self._reference = self._trained.reference(self._dtype)
        self._schedule = _of_updates(recipe)
        self._update = update.build(self._tree, self._schedule, update.of(self._objective))
        self._allowed = likelihood.of_text(Rule.of(self.bundle.vocabulary, config.picture), config.decoder.vocabulary)
        self._sampler = Sampler(self.bundle, recipe.max_tokens)
        self._measure = jax.jit(self._measured)
        self._weights = jax.jit(self._trained.weights)
        self._kl, self._rows = recipe.kl, 1
        self._last: list[Rollout] = []
        self.identity = identity(recipe, asked=_digest(first))

    # ---- What the loop asks for --------------------------------------------------------------------------------------

    def initial(self) -> TrainState:
        return update.initial(self._tree, jax.tree.map(jnp.copy, self._start), self._schedule)

    def start(self, position: dict[str, Any] | None) -> None:
        self._kl, self._rows = (position["kl"], position["rows"]) if position else (self.recipe.kl, 1)

    def prepare(self, state: TrainState, step: int) -> Prepared:
        """Answers of the policy, graded and measured. Raises Collapsed as `alarms.look` does."""
        begun = time.perf_counter()
        recipe = self.recipe
        asked = [self._questions(index) for index in range(step * recipe.prompts, (step + 1) * recipe.prompts)]
        questions = [question for question in asked for _ in range(recipe.answers)]
        prompts = [prompt for question in asked for prompt in [self._prompt(question)] * recipe.answers]
        seeds = np.random.default_rng([recipe.seed, step]).integers(0, 2**31 - 1, len(prompts)).tolist()
        self._sampler.use(self._weights(state.params["model"], self._trained.frozen), self._dtype)
        answers = self._sampler.answers(prompts, seeds)
        sampled = time.perf_counter()
        found = self._graded(questions, prompts, answers)
        measured, order = self._looked_at(state, found, step)
        told = _told(recipe, found, measured)
        told |= {"sampling_s": sampled - begun, "kl_weight": self._kl}
        told["sampled_tokens_per_s"] = told["answer_tokens"] / max(sampled - begun, 1e-9)
        alarms.look(recipe, [rollout.reward for rollout in found], told["divergence"], told["entropy"], step)
        parts = self._experience(found, measured, order)
        told["preparing_s"] = time.perf_counter() - sampled
        return Prepared(parts, told, found[:: max(1, len(found) // SHOWN)][:SHOWN])

    def advance(self, state: TrainState, prepared: Prepared) -> tuple[TrainState, dict[str, Any]]:
        recipe, begun = self.recipe, time.perf_counter()
        made = []
        for _ in range(recipe.epochs):
            for part in prepared.parts:
                # The weight of the divergence changes between iterations, and is no constant of the program.
                state, sums = self._update(state, self._frozen() | {"kl": np.float32(self._kl)}, part)
                made.append(sums)
        means = {name: sum(float(sums[name]) for sums in made) / len(made) for name in made[0]}
        told = prepared.told | means | {"updating_s": time.perf_counter() - begun}
        if recipe.kl_target is not None:
            measured = told["divergence"] * told["answer_length"]
            self._kl = advantages.steered(self._kl, measured, recipe.kl_target, recipe.prompts * recipe.answers)
        self._last = prepared.shown
        return state, told

    def look(self, state: TrainState, step: int) -> None:
        """Has the policy answer once more, as for another step."""
        self.prepare(state, step)

    def position(self) -> dict[str, Any]:
        return {"kl": self._kl, "rows": self._rows}

    def line(self, pending: list[dict[str, float]]) -> Line:
        """Means over the iterations since the last line."""
        names = {name: None for sums in pending for name in sums}
        found: Line = {}
        for name in names:
            values = [sums[name] for sums in pending if name in sums]
            found[name] = sum(values) / len(values)
        found["samples"] = [
            {"prompt": _words(each.question), "answer": each.text, "reward": each.reward} for each in self._last
        ]
        return found

    def finish(self, state: TrainState, directory: Path) -> dict[str, Any]:
        whole = self._weights(state.params["model"], self._trained.frozen)
        save(directory / "model", replace(self.bundle, params=whole))
        if "value" in state.params:
            np.savez(directory / "value.npz", **jax.device_get(state.params["value"]))
        told: dict[str, Any] = {"model": str(directory / "model"), "kl_weight": self._kl}
        if self._heldout is not None:
            before = self._answered(self._weights(self._trained.initial, self._trained.frozen))
            after = self._answered(whole)
            told["heldout"] = {"before": _by_kind(before), "after": _by_kind(after)}
            gained = statistics.paired_difference([each.reward for each in after], [each.reward for each in before])
            told["heldout"]["gained"] = {"value": gained.value, "low": gained.low, "high": gained.high}
        return told

    def close(self) -> None:
        """Nothing runs beside the loop."""

    # ---- What it does with answers -----------------------------------------------------------------------------------

    def _graded(
        self, questions: Sequence[Question], prompts: Sequence[Encoded], answers: Sequence[Any]
    ) -> list[Rollout]:
        recipe = self.recipe
        weights = recipe.check_weight, recipe.reward_weight
        return graded(self.bundle, questions, prompts, answers, self._judge, *weights)

    def _answered(self, weights: Tree) -> list[Rollout]:
        """Held-out questions answered with the likeliest tokens."""
        assert self._heldout is not None
        questions = [self._heldout(index) for index in range(self.recipe.heldout_count)]
        prompts = [self._prompt(question) for question in questions]
        self._sampler.use(weights, self._dtype)
        return self._graded(questions, prompts, self._sampler.answers(prompts, [0] * len(prompts), temperature=0.0))

    def _looked_at(
        self, state: TrainState, found: Sequence[Rollout], step: int
    ) -> tuple[list[Measured], list[tuple[list[int], Packed]]]:
        """What the trainer computes of every answer, and the parts, as (numbers of the answers, their rows)."""
        shuffled = np.random.default_rng([self.recipe.seed, step, 1]).permutation(len(found))
        measured: list[Measured | None] = [None] * len(found)
        order = []
        for chosen in np.array_split(shuffled, self.recipe.minibatches):
            numbers = chosen.tolist()
            mine = [found[n].document for n in numbers]
            held = experience.rows_of(mine, self.bundle.config, self.room, self._rows)
            self._rows = max(self._rows, len(held.owner))  # never fewer again, so that few programs are compiled
            columns = [np.asarray(column) for column in self._measure(state.params, self._frozen(), held)]
            each = [packed.apart(held.owner, column, len(numbers)) for column in columns]
            for at, n in enumerate(numbers):
                measured[n] = Measured(*(column[at] for column in each))
            order.append((numbers, held))
        return [one for one in measured if one is not None], order

    def _experience(
        self, found: Sequence[Rollout], measured: Sequence[Measured], order: Sequence[tuple[list[int], Packed]]
    ) -> list[Experience]:
        recipe = self.recipe
        rewards = np.asarray([rollout.reward for rollout in found])
        if recipe.method == "grpo":
            groups = advantages.group_relative(rewards.reshape(-1, recipe.answers), recipe.normalise).reshape(-1)
            gained = [np.full(len(one.logprobs), each) for one, each in zip(measured, groups, strict=True)]
            returns = [np.zeros(len(one.logprobs)) for one in measured]
        else:
            # The divergence is paid for at every token, what the answer earns comes with its last.
            steps = [-self._kl * (one.logprobs - one.reference).astype(np.float64) for one in measured]
            for each, reward in zip(steps, rewards, strict=True):
                each[-1] += reward
            pairs = [
                advantages.generalised(each, one.values, recipe.discount, recipe.trace)
                for each, one in zip(steps, measured, strict=True)
            ]
            gained, returns = advantages.whitened([pair[0] for pair in pairs]), [pair[1] for pair in pairs]
        weights = [
            advantages.importance(one.logprobs, rollout.logprobs, recipe.correction)
            for one, rollout in zip(measured, found, strict=True)
        ]
        made = []
        for numbers, held in order:
            columns = (
                gained,
                [one.logprobs for one in measured],
                [one.reference for one in measured],
                weights,
                [one.values for one in measured],
                returns,
            )
            made.append(experience.beside(held, [[column[n] for n in numbers] for column in columns]))
        return made

    # ---- What is compiled --------------------------------------------------------------------------------------------

    def _frozen(self) -> Tree:
        return {"base": self._trained.frozen, "reference": self._reference}

    def _likely(self, trained: Tree, frozen: Tree, held: Packed) -> tuple[likelihood.Likely, Float[Any, "B M"]]:
        """(log-probabilities and entropies, values) of the targets."""
        weights = multimodal.cast(self._trained.weights(trained["model"], frozen["base"]), self._dtype)
        found = likelihood.likely(weights, self.bundle.config, held, self._allowed, self.recipe.how)
        if "value" not in trained:
            return found, jnp.zeros_like(found.logprobs)
        head = trained["value"]
        values = found.hidden.astype(jnp.float32) @ head["matrix"] + head["bias"]
        return found, values * held.batch.weights

    def _measured(self, trained: Tree, frozen: Tree, held: Packed) -> Measured:
        found, values = self._likely(trained, frozen, held)
        reference = frozen["reference"] or multimodal.cast(frozen["base"], self._dtype)
        first = likelihood.likely(reference, self.bundle.config, held, self._allowed, self.recipe.how, entropy=False)
        return Measured(found.logprobs, found.entropies, first.logprobs, values)

    def _objective(self, trained: Tree, frozen: Tree, part: Experience):
        recipe, there = self.recipe, part.packed.batch.weights
        found, values = self._likely(trained, frozen, part.packed)
        mean = partial(losses.masked_mean, weights=there)
        each, cut = losses.clipped(found.logprobs, part.before, part.advantages, recipe.clip_low, recipe.clip_high)
        policy = mean(each * part.importance)
        entropy, drift = mean(found.entropies), mean(losses.divergence(found.logprobs, part.reference, "positive"))
        total = policy - recipe.entropy * entropy
        sums = {
            "policy_loss": policy,
            "clipped": mean(cut.astype(jnp.float32)),
            "moved": mean(losses.divergence(part.before, found.logprobs)),
        }
        if recipe.method == "grpo":
            total = total + frozen["kl"] * drift
        else:
            worth = mean(losses.value(values, part.values, part.returns, recipe.value_clip))
            error, spread = (mean(jnp.square(part.returns - guess)) for guess in (values, mean(part.returns)))
            sums |= {"value_loss": worth, "value_error": error, "return_variance": spread}
            total = total + recipe.value_weight * worth
        return total, sums

    # ---- What it is made of ------------------------------------------------------------------------------------------

    def _prompt(self, question: Question) -> Encoded:
        return self.bundle.framing.prompt(question.turns)

    def _asked(self, questions: Questions) -> Iterator[Encoded]:
        """The prompts of a file, all of them, or the first of those that code makes.

        Raises BadInput, naming the line, for one that nothing judges, or that a row does not hold with its answer.
        """
        if isinstance(questions, Asked):
            for index in range(len(questions)):
                with questions.lines.told(index):
                    yield self._askable(questions.lines[index])
        else:
            yield from (self._askable(questions(index)) for index in range(FIRST))

    def _askable(self, question: Question) -> Encoded:
        judged(question, self._judge)
        prompt, recipe = self._prompt(question), self.recipe
        if len(prompt) + recipe.max_tokens > recipe.tokens:
            told = f"a prompt of {len(prompt):,} tokens and an answer of up to {recipe.max_tokens:,}"
            raise BadInput(f"rows of {recipe.tokens:,} tokens do not hold {told}; set tokens")
        return prompt

    def _room(self, prompts: Iterator[Encoded]) -> Room:
        """Room of a row for answers of any length: by the first prompts, and each that is larger than all before it."""
        recipe, full, most = self.recipe, list[Encoded](), Size(*[0] * len(Size._fields))
        for prompt in prompts:
            larger = Size(*map(max, sizes(prompt), most))
            if len(full) < FIRST or larger != most:
                full.append(answered(prompt, np.zeros(recipe.max_tokens, np.int32)))
            most = larger
        return replace(rooms.room(full, self.bundle.config, recipe.rows, recipe.tokens), targets=recipe.tokens)


def _questions(path: Path | None, make: Callable[[int], Questions] | None, seed: int) -> Questions:
    """Raises BadInput where there are neither, or both."""
    if make is not None and path is None:
        return make(seed)
    if path is not None and make is None:
        return Asked(path, seed)
    raise BadInput("questions are to come from a file or from the recipe's code; give one of them")


def _of_updates(recipe: Rlhf) -> Schedule:
    """The schedule, which counts iterations, in updates."""
    each = recipe.epochs * recipe.minibatches
    return replace(recipe.schedule, steps=recipe.schedule.steps * each, warmup=recipe.schedule.warmup * each)


def _digest(questions: Sequence[Question]) -> str:
    return hashlib.sha256(repr([(_words(each), each.check) for each in questions]).encode()).hexdigest()


def _words(question: Question) -> str:
    return "\n".join(
        getattr(part, "text", f"[{type(part).__name__}]") for turn in question.turns for part in turn.parts
    )


def _told(recipe: Rlhf, found: Sequence[Rollout], measured: Sequence[Measured]) -> dict[str, float]:
    """What is said of an iteration's answers."""
    rewards = np.asarray([rollout.reward for rollout in found])
    ours = np.concatenate([one.logprobs for one in measured]).astype(np.float64)
    theirs = np.concatenate([rollout.logprobs for rollout in found]).astype(np.float64)
    first = np.concatenate([one.reference for one in measured]).astype(np.float64)
    ratio = np.exp(np.clip(ours - theirs, -20, 20))
    kinds: dict[str, list[float]] = defaultdict(list)
    for rollout in found:
        kinds[rollout.question.kind].append(rollout.reward)
    told = {
        "reward": float(rewards.mean()),
        "reward_deviation": float(rewards.std()),
        "answer_length": len(ours) / len(found),
        "answer_tokens": float(len(ours)),
        "idle_groups": float((np.ptp(rewards.reshape(-1, recipe.answers), axis=1) == 0).mean()),
        "ended": sum(rollout.ended for rollout in found) / len(found),
        "divergence": float((ours - first).mean()),
        "entropy": float(np.concatenate([one.entropies for one in measured]).mean()),
        # How far the sampler's probabilities are from the trainer's.
        "off_policy": float(np.abs(ours - theirs).mean()),
        "off_policy_most": float(np.abs(ours - theirs).max()),
        "off_policy_cut": float((ratio > recipe.correction).mean()),
        "effective_share": float(ratio.sum() ** 2 / (len(ratio) * np.square(ratio).sum())),
    }
    for name, values in (("checked", [each.checked for each in found]), ("liked", [each.liked for each in found])):
        there = [value for value in values if value is not None]
        told |= {name: float(np.mean(there))} if there else {}
    return told | {f"reward_{kind}": float(np.mean(mine)) for kind, mine in kinds.items() if kind and len(kinds) > 1}


def _by_kind(found: Sequence[Rollout]) -> dict[str, Any]:
    """Mean rewards with their intervals: of all, and of each kind of question."""
    kinds = {"all": list(found)}
    for rollout in found:
        kinds.setdefault(rollout.question.kind or "other", []).append(rollout)
    told = {}
    for kind, mine in kinds.items():
        mean = statistics.mean([each.reward for each in mine])
        told[kind] = {"reward": mean.value, "low": mean.low, "high": mean.high, "n": len(mine)}
    return told
