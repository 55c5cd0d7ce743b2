"""Prompts whose answers can be verified, by number: what a policy is asked while it learns from its own answers."""

import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from tejat.data.sources import interleaved
from tejat.errors import BadInput
from tejat.parts import Text, Turn
from tejat.posttrain import verify
from tejat.posttrain.dialogues import order
from tejat.posttrain.lines import Lines
from tejat.posttrain.verify import Check

_KEYS = {"prompt", "check", "kind"}


class Question(NamedTuple):
    """A dialogue that ends with a user's turn, and how its answer is checked; None: by a reward model alone."""

    turns: tuple[Turn, ...]
    check: Check | None
    kind: str  # rewards are told apart by it


class Questions(Protocol):
    """Question number i of an endless stream; a pure function of i."""

    def __call__(self, index: int, /) -> Question: ...


class Asked:
    """Those of JSON lines, {"prompt": …, "check": …, "kind": …}, shuffled anew in each epoch.

    Raises BadInput for a file that cannot be read, or has a line that is no question: all are needed.
    """

    def __init__(self, path: Path, seed: int):
        self.lines, self.seed = Lines(path, _question), seed
        self.lines.needed("questions")

    def __len__(self) -> int:
        return len(self.lines)

    def __call__(self, index: int) -> Question:
        epoch, at = divmod(index, len(self.lines))
        return self.lines[int(order(len(self.lines), self.seed, epoch)[at])]


class Sums:
    """Sums of two numbers of at most so many digits; number i is a function of i and the seed.

    A fifth of all pairs of numbers is held out, whatever the seed: those alone, or all but those.
    """

    def __init__(self, seed: int, digits: int = 1, heldout: bool = False):
        self.seed, self.most, self.heldout = seed, 10**digits, heldout

    def __call__(self, index: int) -> Question:
        random = np.random.default_rng([self.seed, self.heldout, index])
        while True:
            first, second = random.integers(0, self.most, 2).tolist()
            if (zlib.crc32(f"{first} + {second}".encode()) % 5 == 0) == self.heldout:
                turn = Turn("user", (Text(f"{first} + {second} = ?"),))
                return Question((turn,), {"kind": "number", "answer": first + second}, "sum")


def turns(value: Any, folder: str, name: str) -> tuple[Turn, ...]:
    """A prompt: words, a record as `tejat.data.sources.interleaved` reads it, or a list of messages.

    Raises BadInput for what is none, or does not end with a user's turn.
    """
    match value:
        case str(words) if words.strip():
            return (Turn("user", (Text(words),)),)
        case list():
            value = {"messages": value}
        case Mapping():
            pass
        case _:
            raise BadInput('it lacks a "prompt": words, parts or messages')
    found = interleaved.document(value, folder, name)
    if None in found.roles:
        return (Turn("user", found.parts),)
    made = found.turns()
    if made[-1].role != "user":
        raise BadInput(f'its "prompt" ends with a turn of the {made[-1].role}; end it with one of the user')
    return made


def _question(record: Any, folder: str, name: str) -> Question:
    if not isinstance(record, Mapping):
        raise BadInput("it is no object")
    if strange := sorted(record.keys() - _KEYS):
        raise BadInput(f'it has an unknown "{strange[0]}"')
    check = record.get("check")
    kind = record.get("kind", check["kind"] if isinstance(check, Mapping) and "kind" in check else "")
    if not isinstance(kind, str):
        raise BadInput('its "kind" is not a word')
    return Question(turns(record.get("prompt"), folder, name), None if check is None else verify.checked(check), kind)
