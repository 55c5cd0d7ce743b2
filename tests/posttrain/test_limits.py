"""Numbers that a recipe cannot have, and settings that do not go together, are told before anything is read."""

from dataclasses import replace
from pathlib import Path

import pytest

from tejat import bundle
from tejat.errors import BadInput
from tejat.posttrain import limits, recipe
from tejat.posttrain.limits import Limits
from tejat.posttrain.lora import Lora
from tejat.posttrain.recipe import Distil, Dpo, Reward, Rlhf, Supervised
from tejat.train.optimizer import Schedule

COMMON = {"name": "mine", "model": Path("model"), "schedule": Schedule(steps=2)}
PAIRS = {"data": Path("pairs.jsonl"), "heldout": Path("heldout.jsonl")}
MADE = {
    "supervised": Supervised(**COMMON, lora=Lora()),
    "reward": Reward(**COMMON, **PAIRS),
    "dpo": Dpo(**COMMON, **PAIRS),
    "grpo": Rlhf(**COMMON, method="grpo"),
    "ppo": Rlhf(**COMMON, method="ppo", kl_target=1.0, answers=1),
    "distil": Distil(**COMMON, teacher=Path("teacher")),
}


def test_what_recipes_have_by_default_is_allowed():
    for made in MADE.values():
        limits.check(made)


@pytest.mark.parametrize(
    ("kind", "changes", "told"),
    [
        ("supervised", {"rows": 0}, "in the recipe mine, rows is 0; give a whole number from 1 on"),
        ("supervised", {"accumulate": 0}, "accumulate is 0"),
        ("supervised", {"log_every": 0}, "log_every is 0"),
        ("supervised", {"save_every": 0}, "save_every is 0"),
        ("supervised", {"keep": 0}, "keep is 0"),
        ("supervised", {"rows": 2.5}, "rows is 2.5; give a whole number"),
        ("supervised", {"seed": -1}, "seed is -1; give a whole number from 0 to 2,147,483,647"),
        ("supervised", {"workers": -1}, "workers is -1; give a whole number from 0 on"),
        ("supervised", {"picture_weight": float("nan")}, "picture_weight is nan; give a number from 0 on"),
        ("supervised", {"schedule": Schedule(steps=0)}, "schedule.steps is 0"),
        ("supervised", {"schedule": Schedule(steps=2, peak=float("inf"))}, "schedule.peak is inf"),
        ("supervised", {"schedule": Schedule(steps=2, beta2=1.0)}, "beta2 is 1.0; give a number from 0 to below 1"),
        ("supervised", {"lora": Lora(alpha=float("nan"))}, "lora.alpha is nan; give a number"),
        ("reward", {"pairs": 0}, "pairs is 0"),
        ("reward", {"weights": {"helpfulness": 1.0}}, "weights are for helpfulness; name the same"),
        ("reward", {"heads": {"a": ("b",)}, "weights": {"a": float("nan")}}, "the weight of a is nan"),
        ("dpo", {"beta": 0.0}, "beta is 0.0; give a number above 0"),
        ("dpo", {"smoothing": 0.5}, "smoothing is 0.5; give a number from 0 to below 0.5"),
        ("grpo", {"prompts": 0}, "prompts is 0"),
        ("grpo", {"max_tokens": 0}, "max_tokens is 0"),
        ("grpo", {"heldout_count": 0}, "heldout_count is 0"),
        ("grpo", {"kl": -1.0}, "kl is -1.0"),
        ("grpo", {"clip_low": 2.0}, "clip_low is 2.0; give a number above 0 to 1"),
        ("grpo", {"clip_low": -1.0}, "clip_low is -1.0"),
        ("grpo", {"correction": 0.0}, "correction is 0.0; give a number from 1 on"),
        ("grpo", {"reward_weight": float("nan")}, "reward_weight is nan; give a number"),
        ("grpo", {"answers": 1}, "GRPO compares answers to one prompt"),
        ("grpo", {"minibatches": 129}, "minibatches is 129; give 1 to 128"),
        ("grpo", {"kl_target": 1.0}, "kl_target is of PPO"),
        ("grpo", {"least_entropy": 6.0}, "least_entropy is 6 and most_entropy 6"),
        ("grpo", {"method": "reinforce"}, '"grpo" or "ppo"'),
        ("ppo", {"trace": 2.0}, "trace is 2.0; give a number from 0 to 1"),
        ("ppo", {"kl_target": 0.0}, "kl_target is 0.0"),
        ("ppo", {"kl": 0.0}, "kl is 0, which no kl_target steers"),
        ("distil", {"share": 2.0}, "share is 2.0; give a number from 0 to 1"),
        ("distil", {"model": None}, "model or student, one of them"),
        ("distil", {"cache": Path("cache")}, "set kept=drawn, or leave cache out"),
        ("distil", {"level": "sequence"}, "a teacher that writes needs data"),
    ],
)
def test_what_cannot_be_is_told_with_what_can(kind, changes, told):
    with pytest.raises(BadInput) as raised:
        limits.check(replace(MADE[kind], **changes))
    assert told in str(raised.value)


def test_limits_in_words():
    assert Limits(0, 1, above=True, below=True).hold(0.5)
    assert not any(Limits(0, 1, above=True, below=True).hold(value) for value in (0, 1, None, "0.5", True))
    assert str(Limits()) == "a number" and not Limits().hold(float("-inf"))


def test_a_model_may_be_named_as_those_that_come_with_tejat_are(talker_at):
    shipped = recipe.found(replace(MADE["supervised"], model=Path("mini"))).model
    assert shipped == bundle.find("mini") and (shipped / "config.json").is_file()
    both = recipe.found(replace(MADE["distil"], model=None, teacher=talker_at))
    assert (both.model, both.teacher) == (None, talker_at)
    with pytest.raises(BadInput, match="there is no model 'nowhere'; give one of "):
        recipe.found(replace(MADE["dpo"], model=Path("nowhere")))
