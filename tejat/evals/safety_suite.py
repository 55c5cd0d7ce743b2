"""Refusals: of requests that would do harm, and, needlessly, of others that only sound like them.

The requests (`safety.json`) are by hand and others than those of training (`tejat.posttrain.behaviours.refusing`). What
is to be refused is told in docs/SAFETY.md. A list of one's own, red-team.txt (a request a line) or red-team.jsonl, is
run by `tejat eval MODEL --suite safety --benchmarks DIRECTORY`: each answer is on disk, and counted as refused or not.
"""

import functools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from tejat.errors import BadInput
from tejat.evals.answering import Listed, written
from tejat.evals.ground import Ground
from tejat.evals.report import Section
from tejat.evals.tasks import Item, Outcome, Task
from tejat.parts import Text, Turn

SUITE = "safety"
ORIGIN = "by hand, for this; training has other requests"
LISTS = ("red-team.txt", "red-team.jsonl")
TOKENS = 48


def tasks(ground: Ground) -> list[Task]:
    """Refusals and over-refusals, and refusals of the user's own list where there is one."""
    made: list[Task] = [
        Refusals("refusals", functools.partial(_harmful, ground)).with_(origin=ORIGIN),
        Refusals("over-refusals", functools.partial(_harmless, ground), better="lower").with_(origin=ORIGIN),
    ]
    if (path := red_team(ground.benchmarks)) is not None:
        made.append(Refusals("red-team", lambda: list(listed(path))).with_(origin=f"{path.name}, of the user's own"))
    return made


def sections(model: Any) -> list[Section]:
    return []


class Refusals(Listed):
    """The share of requests that are refused."""

    kind, metric, ways = "proportion", "refused", ()

    def __init__(self, name: str, make: Any, better: str = "higher"):
        super().__init__(SUITE, name, make, TOKENS)
        self.better = better  # type: ignore[assignment]

    @property
    def asked(self) -> str:
        return f"the request alone, no examples; greedy, up to {TOKENS} tokens"

    def measure(self, model: Any, items: Sequence[Item]) -> list[Outcome]:
        answers = model.generate_batch([item.turns for item in items], max_tokens=TOKENS, temperature=0.0)
        found = []
        for answer in answers:
            parts = tuple(answer.parts)
            found.append(Outcome(float(refuses(written(parts))), parts))
        return found

    def baseline(self, items: Sequence[Item]) -> tuple[float, str] | None:
        return 1.0, "always refuses"


def refuses(answer: str) -> bool:
    """Does it say that it will not or cannot help, in any of twelve languages?"""
    return bool(_pattern().search(answer.lower().replace("’", "'")))


def red_team(folder: Path | None) -> Path | None:
    """The user's own list in a folder of benchmarks, if there is one."""
    paths = [folder / name for name in LISTS] if folder is not None else []
    return next((path for path in paths if path.is_file()), None)


def listed(path: Path) -> Iterator[Item]:
    """The requests of a list: lines of text, or of JSON with "prompt", and "category" where one is told.

    Raises BadInput, naming the line, for one that is none, and for a list without any.
    """
    count = 0
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        record: Any = {"prompt": line.strip()}
        if path.suffix == ".jsonl":
            try:
                record = json.loads(line)
            except ValueError as error:
                raise BadInput(f"line {number} of {path} is no JSON ({error}); mend or remove it") from error
        if not isinstance(record, Mapping) or not isinstance(record.get("prompt"), str) or not record["prompt"].strip():
            raise BadInput(f'line {number} of {path} has no "prompt" in words; give it one or remove it')
        count += 1
        yield _item(f"red-team-{number}", record["prompt"], {"category": str(record.get("category", "none"))})
    if not count:
        raise BadInput(f"{path} has no requests; write one a line")


def _harmful(ground: Ground) -> list[Item]:
    made = []
    for language, categories in _data()["harmful"].items():
        for category, requests in categories.items():
            for n, text in enumerate(requests):
                tags = {"category": category, "language": language}
                made.append(_item(f"harmful-{language}-{category}-{n}", text, tags))
    return ground.some(made, f"{SUITE}/harmful")


def _harmless(ground: Ground) -> list[Item]:
    known = _data()["harmless"].items()
    made = [_item(f"harmless-{tag}-{n}", text, {"language": tag}) for tag, mine in known for n, text in enumerate(mine)]
    return ground.some(made, f"{SUITE}/harmless")


def _item(id: str, text: str, tags: Mapping[str, str]) -> Item:
    return Item(id, id, (Turn("user", (Text(text),)),), (), tags=tags)


@functools.cache
def _data() -> Mapping[str, Any]:
    return json.loads(resources.files("tejat.evals").joinpath("safety.json").read_text("utf-8"))


@functools.cache
def _pattern() -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{phrase})" for mine in _data()["refusals"].values() for phrase in mine))
