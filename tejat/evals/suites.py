"""The suites by name; each is made only when it is asked for."""

from collections.abc import Sequence
from importlib import import_module
from typing import Any

from tejat.errors import BadInput
from tejat.evals.ground import Ground
from tejat.evals.report import Section
from tejat.evals.tasks import Task

# Modules with `tasks(ground)` and `sections(model)`.
SUITES = {
    "sample": "tejat.evals.sample_suite",
    "tour": "tejat.evals.tour_suite",
    "promised": "tejat.evals.promised_suite",
    "pictures": "tejat.evals.pictures_suite",
    "prose": "tejat.evals.prose_suite",
    "factuality": "tejat.evals.factuality_suite",
    "safety": "tejat.evals.safety_suite",
    "long-context": "tejat.evals.long_context_suite",
    "summaries": "tejat.evals.summaries_suite",
    "maths": "tejat.evals.maths_suite",
    "reasoning": "tejat.evals.reasoning_suite",
    "instructions": "tejat.evals.instructions_suite",
    "languages": "tejat.evals.languages_suite",
    "images": "tejat.evals.images_suite",
    "video": "tejat.evals.video_suite",
    "sound": "tejat.evals.sound_suite",
    "plots": "tejat.evals.plots_suite",
    "lm-eval": "tejat.evals.lm_eval_suite",
}
ALL = tuple(name for name in SUITES if name not in ("tour", "lm-eval"))
"""What "all" stands for: every suite that needs no package beside Tejat's own. "tour" is part of "sample"."""

QUICK_ITEMS = 128
"""Items of a task of "quick": no standard error of a share is above 4.5 points."""

ALL_ITEMS = 500
"""Items of a task of "all", where no more are asked for: no standard error of a share is above 2.3 points."""


def most(suite: str, limit: int | None = None) -> int:
    """How many items the tasks of a suite are made with, where `tejat eval` asks so many: what is asked with choices
    depends on it."""
    return {"quick": QUICK_ITEMS, "all": max(ALL_ITEMS, limit or 0)}.get(suite, Ground.most)


def tasks(suite: str, only: Sequence[str] = (), ground: Ground | None = None) -> Sequence[Task]:
    """The tasks of a suite, or `only` those named; of "all", and of "quick", those that take minutes on a laptop.

    Raises BadInput, naming those there are, for unknown ones.
    """
    ground = ground or Ground()
    if suite == "lm-eval":
        return _module(suite).tasks(ground, only)
    made: list[Task] = [task for name in _names(suite) for task in _module(name).tasks(ground)]
    if suite == "quick":
        made = [task for task in made if task.quick]
        for task in made:
            task.ways = task.ways[-1:]  # one control: the order of what has one, else the medium itself
    if suite == "all":  # what a release is held to first, then one of everything: time may run out
        made.sort(key=lambda task: (not task.promised, not task.quick))
    found: dict[str, Task] = {}
    for task in made:
        found[task.name if task.name not in found else f"{task.suite}.{task.name}"] = task
        found.setdefault(f"{task.suite}.{task.name}", task)
    for name in only:
        if name not in found:
            raise BadInput(
                f"the suite {suite!r} has no task {name!r}; choose from {', '.join(task.name for task in made)}"
            )
    return [*dict.fromkeys(found[name] for name in only)] if only else made  # each once


def sections(suite: str, model: Any) -> Sequence[Section]:
    """What the report on a suite shows beside its tasks. Raises BadInput as `tasks` does."""
    return [section for name in _names(suite) for section in _module(name).sections(model)]


def _names(suite: str) -> Sequence[str]:
    if suite in ("all", "quick"):
        return ALL
    if suite not in SUITES:
        raise BadInput(f"there is no suite {suite!r}; choose from all, quick, {', '.join(sorted(SUITES))}")
    return (suite,)


def _module(suite: str) -> Any:
    return import_module(SUITES[suite])
