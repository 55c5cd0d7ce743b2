"""The sample's held-out part as tasks: pictures in a style never seen, voices never heard, motions never composed."""

from functools import partial

from tejat import sample
from tejat.evals.prose import Continuing
from tejat.evals.tasks import Task

SUITE = "sample"


def tasks() -> list[Task]:
    """Every task of the sample."""
    return [
        Continuing(
            SUITE,
            f"prose-{language}",
            partial(_paragraphs, language),
            partial(sample.prose, language),
        )
        for language in sample.languages()
    ]


def _paragraphs(language: str) -> list[str]:
    return sample.prose(language, heldout=True).splitlines()
