"""The suites by name; each is made only when it is asked for."""

from collections.abc import Sequence
from importlib import import_module

from tejat.errors import BadInput
from tejat.evals.tasks import Task

SUITES = {"sample": "tejat.evals.sample_suite"}  # modules with a function `tasks() -> list[Task]`


def tasks(suite: str) -> Sequence[Task]:
    """The tasks of a suite. Raises BadInput, naming those there are, for an unknown one."""
    if suite not in SUITES:
        raise BadInput(f"there is no suite {suite!r}; choose from {', '.join(sorted(SUITES))}")
    return import_module(SUITES[suite]).tasks()
