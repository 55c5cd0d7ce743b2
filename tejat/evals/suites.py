"""The suites by name; each is made only when it is asked for."""

from collections.abc import Sequence
from importlib import import_module
from typing import Any

from tejat.errors import BadInput
from tejat.evals.report import Section
from tejat.evals.tasks import Task

# Modules with `tasks()` and `sections(model)`.
SUITES = {"sample": "tejat.evals.sample_suite", "tour": "tejat.evals.tour_suite"}


def tasks(suite: str, only: Sequence[str] = ()) -> Sequence[Task]:
    """The tasks of a suite, or `only` those named. Raises BadInput, naming those there are, for unknown ones."""
    found = {task.name: task for task in _module(suite).tasks()}
    for name in only:
        if name not in found:
            raise BadInput(f"the suite {suite!r} has no task {name!r}; choose from {', '.join(found)}")
    return [found[name] for name in only or found]


def sections(suite: str, model: Any) -> Sequence[Section]:
    """What the report on a suite shows beside its tasks. Raises BadInput as `tasks` does."""
    return _module(suite).sections(model)


def _module(suite: str) -> Any:
    if suite not in SUITES:
        raise BadInput(f"there is no suite {suite!r}; choose from {', '.join(sorted(SUITES))}")
    return import_module(SUITES[suite])
