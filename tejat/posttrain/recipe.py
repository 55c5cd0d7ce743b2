"""Recipes of post-training: everything that one run needs, as a value. Recipe files define `RECIPE`.

All begin with a model's directory, ours or imported, and leave one: `tejat tune supervised`, `reward`, `rlhf` and
`distill`.
"""

import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeVar

from tejat import bundle
from tejat.codecs.framing import Framing
from tejat.data.loading import Source
from tejat.data.packing import Room
from tejat.errors import BadInput
from tejat.model.multimodal import ModelConfig
from tejat.model.passes import SCANNED, Pass
from tejat.model.quantised import Grid
from tejat.posttrain.lora import Lora
from tejat.posttrain.questions import Questions
from tejat.train.optimizer import Schedule

HEADS = {
    "helpfulness": ("helpful", "formatting"),
    "factuality": ("attribution", "closed-book", "hedging", "over-hedging"),
    "safety": ("refusal", "over-refusal"),
}
"""Heads of a reward model, and the behaviours whose pairs teach each.

What is right here and wrong there is for one head: if one saw only hedges that are bad, and another only good ones, the
two together would tell nothing of either.
"""

LOOSE = {"workers", "log_every", "save_every", "keep", "cache", "corpus"}
"""Fields that may change when a run goes on: the weights do not depend on them, or are digested by other means."""

Kind = TypeVar("Kind", bound="Tuning")

Kept = Literal["whole", "likeliest", "drawn"]
"""What of a teacher's distribution reaches its student: all of it, its likeliest ids, or some drawn from it."""


@dataclass(frozen=True, kw_only=True)
class Tuning:
    """What all runs have in common. `rows` of `tokens` make a batch; the room for media follows from the data."""

    name: str
    model: Path  # the directory of the model to begin with
    schedule: Schedule
    rows: int = 8
    tokens: int = 512  # of a row; a document, prompt and all, must fit
    lora: Lora | None = None  # None: all weights are trained
    grid: Grid | None = None  # matrices are trained, and left, as so many bits hold them: for `tejat quantize` after it
    bfloat16: bool = False  # compute in bfloat16; masters, moments and losses stay float32
    how: Pass = SCANNED
    seed: int = 0
    log_every: int = 10
    save_every: int = 100
    keep: int = 2
    workers: int = 0  # processes that make batches


@dataclass(frozen=True, kw_only=True)
class Supervised(Tuning):
    """Dialogues, of which the model learns the parts whose loss flag is set. `data`: JSON lines; or `documents`."""

    data: Path | None = None
    heldout: Path | None = None  # JSON lines whose loss is told before and after
    documents: Callable[[Framing, "Supervised"], Source] | None = None
    picture_weight: float = 1.0
    accumulate: int = 1  # parts that a batch is computed in, one after the other


@dataclass(frozen=True, kw_only=True)
class Distil(Supervised):
    """A student that learns from a teacher: the directory `model`, or `student`, a shape drawn at random.

    "token": at every target that the documents have, what the teacher thinks of it. "sequence": what the teacher writes
    itself in answer to the dialogues of `data`. With a `share` of 0 it learns without a teacher, for comparison.
    """

    model: Path | None = None
    student: Callable[[ModelConfig], ModelConfig] | None = None  # of the teacher's shape
    teacher: Path
    level: Literal["token", "sequence"] = "token"
    share: float = 1.0  # of every target that is the teacher's; the rest is the data's
    kept: Kept = "whole"
    k: int = 64  # ids of "likeliest" and of "drawn"
    cache: Path | None = None  # directory where those are kept, made once
    answers: Path | None = None  # "sequence": the file of the teacher's answers, made once
    max_tokens: int = 256  # "sequence": of an answer
    temperature: float = 0.0  # "sequence": 0, the likeliest answer
    room: Room | None = None  # sizes of a batch; None: by `rows`, `tokens` and the first documents
    corpus: Path | None = None  # of documents that come from one
    heldout_documents: Callable[[Framing, "Distil"], Source] | None = None  # whose losses are told, row by row
    heldout_batches: int = 16


@dataclass(frozen=True, kw_only=True)
class Preferring(Tuning):
    """What learns from pairs of answers has in common. A batch holds as many pairs as fit in, at most `pairs`."""

    data: Path  # pairs, as JSON lines (`tejat.posttrain.preferences`)
    heldout: Path  # pairs to be measured on
    pairs: int = 32


@dataclass(frozen=True, kw_only=True)
class Reward(Preferring):
    """A reward model: a head for each of `heads`, taught by pairs of its behaviours, combined by `weights`."""

    heads: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: HEADS)
    weights: Mapping[str, float] = field(default_factory=lambda: dict.fromkeys(HEADS, 1.0))
    centre: float = 0.01  # pulls the two scores of a pair to a sum of zero


@dataclass(frozen=True, kw_only=True)
class Dpo(Preferring):
    """Direct preference optimisation (Rafailov et al. 2023): the policy itself is the reward model."""

    beta: float = 0.1
    smoothing: float = 0.0  # of labels: the share of pairs that are taken to be the wrong way round


@dataclass(frozen=True, kw_only=True)
class Rlhf(Tuning):
    """Rewards for the model's own answers. `schedule.steps` counts iterations: sampling, and the updates after it.

    Rows are of `tokens`, and as many as the answers of a minibatch need; `rows` is not asked for.
    """

    method: Literal["grpo", "ppo"]
    data: Path | None = None  # questions, as JSON lines; or `questions`, made of the seed
    questions: Callable[[int], Questions] | None = None
    heldout: Path | None = None  # questions that are answered greedily before and after
    heldout_questions: Callable[[int], Questions] | None = None
    heldout_count: int = 200
    prompts: int = 16  # of an iteration
    answers: int = 8  # to each prompt
    max_tokens: int = 64  # of an answer
    minibatches: int = 1  # updates of a pass over the answers of an iteration
    epochs: int = 1  # passes
    clip_low: float = 0.2  # the ratio of new to old probabilities has no effect beyond 1 - low, 1 + high
    clip_high: float = 0.2
    correction: float = 2.0  # importance weights between sampler and trainer are cut here
    kl: float = 0.02  # weight of the divergence from the model that the run began with
    kl_target: float | None = None  # PPO: the weight is steered so that an answer's divergence comes to this many nats
    entropy: float = 0.0  # weight of the bonus on entropy
    discount: float = 1.0  # PPO
    trace: float = 0.95  # PPO: the lambda of generalised advantage estimation
    value_weight: float = 0.5  # PPO: of the value head's loss
    value_clip: float = 0.2  # PPO
    normalise: bool = True  # GRPO: divides by the deviation of a group's rewards
    check_weight: float = 1.0  # of what can be verified
    reward_model: Path | None = None  # of `tejat tune reward`
    reward_weight: float = 1.0  # of its score, in deviations
    most_kl: float = 5.0  # alarm: mean nats a token from the first model
    least_entropy: float = 0.001  # alarm: mean nats a token
    most_entropy: float = 6.0


def found(recipe: Kind) -> Kind:
    """The same with its models where they are: they may be named as those that come with Tejat are. Raises BadInput as
    `tejat.bundle.find` does."""
    named = {name: path for name in ("model", "teacher") if (path := getattr(recipe, name, None)) is not None}
    return replace(recipe, **{name: bundle.find(path) for name, path in named.items()})


def identity(recipe: Tuning, **digests: str | None) -> dict[str, Any]:
    """What the run may not change: fields by name, the model and files by digest."""
    told: dict[str, Any] = {"kind": type(recipe).__name__}
    for each in fields(recipe):
        if each.name not in LOOSE:
            found = _plain(getattr(recipe, each.name))
            if found is not None or getattr(recipe, each.name) is None:
                told[each.name] = found
    return told | digests


def _plain(value: Any) -> Any:
    """As JSON; None for what only code says, whose first products are digested instead."""
    if is_dataclass(value) and not isinstance(value, type):
        return {each.name: _plain(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, Path):
        return digest(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return value if value is None or isinstance(value, str | int | float | bool) else None


def digest(path: Path) -> str:
    """Of a file, or of a model's weights. Raises BadInput where there is none."""
    file = path / "model.safetensors" if path.is_dir() else path
    found = hashlib.sha256()
    try:
        with file.open("rb") as stream:
            while block := stream.read(1 << 22):
                found.update(block)
    except OSError as error:
        raise BadInput(f"{os.fspath(file)} cannot be read ({error.strerror}); name another in the recipe") from error
    return found.hexdigest()
