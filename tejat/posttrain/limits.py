"""What a recipe of tuning may ask for: looked at in one place, before anything is read or compiled."""

import math
from collections.abc import Iterator
from functools import reduce
from typing import Any, NamedTuple

from tejat.errors import BadInput
from tejat.posttrain.recipe import Distil, Reward, Rlhf, Tuning


class Limits(NamedTuple):
    """Of a number: from `low` to `high`, each of them allowed unless told otherwise."""

    low: float = -math.inf
    high: float = math.inf
    above: bool = False  # `low` itself is not allowed
    below: bool = False  # nor is `high`
    whole: bool = False

    def hold(self, value: Any) -> bool:
        """Is it such a number? What is no number, or not finite, is not."""
        if isinstance(value, bool) or not isinstance(value, int if self.whole else int | float):
            return False
        fits_low = self.low < value if self.above else self.low <= value
        fits_high = value < self.high if self.below else value <= self.high
        return fits_low and fits_high and -math.inf < value < math.inf

    def __str__(self) -> str:
        words = ["a whole number" if self.whole else "a number"]
        if self.low > -math.inf:
            words.append(f"above {self.low:g}" if self.above else f"from {self.low:g}")
        if self.high < math.inf:
            words.append(f"to below {self.high:g}" if self.below else f"to {self.high:,.0f}")
        elif self.low > -math.inf and not self.above:
            words.append("on")
        return " ".join(words)


_COUNTS = ("schedule.steps", "rows", "tokens", "log_every", "save_every", "keep", "accumulate", "pairs", "prompts")
_COUNTS = (*_COUNTS, "answers", "max_tokens", "minibatches", "epochs", "heldout_count", "k", "heldout_batches")
_FROM_NONE = ("schedule.peak", "schedule.decay", "picture_weight", "centre", "kl", "entropy", "value_weight")
_FROM_NONE = (*_FROM_NONE, "temperature", "least_entropy")
_SHARES = ("schedule.floor", "share", "discount", "trace")
_ABOVE_NONE = ("schedule.clip", "beta", "clip_high", "kl_target", "value_clip", "most_kl", "most_entropy")

LIMITS = {
    **dict.fromkeys(_COUNTS, Limits(1, whole=True)),
    **dict.fromkeys(("schedule.warmup", "workers"), Limits(0, whole=True)),
    "seed": Limits(0, 2**31 - 1, whole=True),
    **dict.fromkeys(_FROM_NONE, Limits(0)),
    **dict.fromkeys(_SHARES, Limits(0, 1)),
    **dict.fromkeys(_ABOVE_NONE, Limits(0, above=True)),
    "clip_low": Limits(0, 1, above=True),
    **dict.fromkeys(("schedule.beta1", "schedule.beta2"), Limits(0, 1, below=True)),
    "smoothing": Limits(0, 0.5, below=True),
    "correction": Limits(1),  # below, tokens that the two agree on would be cut too
    **dict.fromkeys(("check_weight", "reward_weight", "lora.alpha"), Limits()),
}
"""Of every number of a recipe, by its name; a kind of recipe has some of them."""


def check(recipe: Tuning) -> None:
    """Raises BadInput for a number that a recipe cannot have, and for settings that do not go together."""
    for name, limits in LIMITS.items():
        value = reduce(lambda of, part: getattr(of, part, None), name.split("."), recipe)
        if value is not None and not limits.hold(value):
            raise BadInput(f"in the recipe {recipe.name}, {name} is {value!r}; give {limits}")
    if wrong := next(_wrong(recipe), None):
        raise BadInput(f"in the recipe {recipe.name}, {wrong}")


def _wrong(recipe: Tuning) -> Iterator[str]:
    """What of several settings together cannot be."""
    match recipe:
        case Distil():
            if (recipe.model is None) == (recipe.student is None):
                yield "there is to be model or student, one of them: a directory, or a new shape"
            if recipe.cache is not None and recipe.kept == "whole":
                yield "a whole distribution is too large to be kept; set kept=drawn, or leave cache out"
            if recipe.level == "sequence" and (recipe.data is None or recipe.answers is None):
                yield "a teacher that writes needs data, the dialogues to answer, and answers, a file to keep them in"
        case Reward():
            if not recipe.heads or recipe.heads.keys() != recipe.weights.keys():
                told = f"heads are {', '.join(recipe.heads)} and weights are for {', '.join(recipe.weights)}"
                yield f"{told}; name the same, at least one"
            if strange := [name for name, weight in recipe.weights.items() if not Limits().hold(weight)]:
                yield f"the weight of {strange[0]} is {recipe.weights[strange[0]]!r}; give {Limits()}"
        case Rlhf():
            count = recipe.prompts * recipe.answers
            if recipe.method not in ("grpo", "ppo"):
                yield f'method is {recipe.method!r}; give "grpo" or "ppo"'
            if recipe.method == "grpo" and recipe.answers < 2:
                yield "GRPO compares answers to one prompt; set answers to 2 or more"
            if recipe.minibatches > count:
                yield f"minibatches is {recipe.minibatches}; give 1 to {count}, the answers of an iteration"
            if recipe.method == "grpo" and recipe.kl_target is not None:
                yield "kl_target is of PPO; leave it out"
            if recipe.kl_target is not None and recipe.kl == 0:
                yield "kl is 0, which no kl_target steers; give a larger kl, or leave kl_target out"
            if recipe.least_entropy >= recipe.most_entropy:
                told = f"least_entropy is {recipe.least_entropy:g} and most_entropy {recipe.most_entropy:g}"
                yield f"{told}; give a larger most_entropy"
