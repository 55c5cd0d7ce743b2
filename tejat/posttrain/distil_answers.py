"""Sequence-level distillation: a student learns what its teacher answers, and not what the data do (Kim & Rush 2016).

The answers lie in a file of JSON lines, the first of which says whose they are. They are kept as tokens: the codes of a
picture that the teacher drew are those that the student learns to write.
"""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int

from tejat.bundle import Bundle
from tejat.codecs.framing import Encoded, Framing, Modality
from tejat.data.filling import STAGE
from tejat.errors import BadInput
from tejat.infer.engine import Engine
from tejat.infer.options import Options
from tejat.parts import Document, write_whole
from tejat.posttrain.dialogues import Dialogues, order
from tejat.posttrain.recipe import Distil

TOGETHER = 256
"""Answers that are written between two lines of progress."""


class Answer(NamedTuple):
    """To the dialogue of a line, by number, in the teacher's tokens."""

    line: int
    tokens: tuple[int, ...]


def prompt(framing: Framing, document: Document) -> Encoded:
    """The dialogue up to its last turn, which the teacher writes anew. Raises BadInput where it is not the model's."""
    turns = document.turns()
    if turns[-1].role != "model":
        raise BadInput("a dialogue that a teacher is to answer ends with a turn of the model; this one does not")
    return framing.prompt(turns[:-1])


def known(path: Path, about: dict[str, Any]) -> list[Answer] | None:
    """The answers of a file; None where there is none. Raises BadInput for another's, and for a damaged file."""
    if not path.is_file():
        return None
    try:
        head, *lines = [json.loads(line) for line in path.read_text().splitlines()]
        answers = [Answer(int(line["line"]), tuple(map(int, line["tokens"]))) for line in lines]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadInput(f"{path} is no file of answers ({error}); remove it, and it is made anew") from error
    wrong = next((name for name in about if head.get(name) != about[name]), None)
    if wrong is not None:
        told = f"{path} has answers with {wrong} = {head.get(wrong)}, and the recipe has {about[wrong]}"
        raise BadInput(f"{told}; name another file as answers")
    return answers


def write(
    path: Path,
    teacher: Bundle,
    dialogues: Dialogues,
    recipe: Distil,
    about: dict[str, Any],
    told: Callable[[int, int], None] = lambda done, whole: None,
) -> list[Answer]:
    """The teacher's answer to every dialogue, written into a file as they come to be; of `known` afterwards.

    An answer that did not end within `recipe.max_tokens` is left out. Raises BadInput where none ended.
    """
    engine, count, answers = Engine(teacher), len(dialogues.lines), list[Answer]()
    for begin in range(0, count, TOGETHER):
        numbers = range(begin, min(begin + TOGETHER, count))
        prompts = [prompt(teacher.framing, dialogues.lines[number]) for number in numbers]
        options = [
            Options(max_tokens=recipe.max_tokens, temperature=recipe.temperature, seed=_seed(recipe.seed, number))
            for number in numbers
        ]
        for number, answer in zip(numbers, engine.generate(prompts, options), strict=True):
            if answer.finish_reason == "stop":
                answers.append(Answer(number, tuple(int(token) for token in answer.tokens)))
        told(numbers.stop, count)
    if not answers:
        raise BadInput(f"no answer of the teacher ended within {recipe.max_tokens:,} tokens; raise max_tokens")
    lines = [about, *({"line": answer.line, "tokens": list(answer.tokens)} for answer in answers)]
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, "".join(json.dumps(line) + "\n" for line in lines).encode())
    return answers


class Answered:
    """Document number i: a dialogue whose last turn is the teacher's, and alone to be predicted; shuffled by epochs."""

    def __init__(self, dialogues: Dialogues, answers: list[Answer], seed: int):
        self.dialogues, self.answers, self.seed = dialogues, answers, seed

    def __call__(self, index: int) -> Encoded:
        epoch, at = divmod(index % STAGE, len(self.answers))
        answer = self.answers[int(order(len(self.answers), self.seed, epoch)[at])]
        asked = prompt(self.dialogues.framing, self.dialogues.lines[answer.line])
        return _joined(asked, np.asarray(answer.tokens, np.int32), self.dialogues.framing)

    def __len__(self) -> int:
        return len(self.answers)


def _joined(asked: Encoded, tokens: Int[np.ndarray, " n"], framing: Framing) -> Encoded:
    before, count = len(asked), len(tokens)
    none = np.zeros(count, np.int32)
    return Encoded(
        np.concatenate([asked.tokens, tokens]),
        np.concatenate([np.zeros(before, bool), np.ones(count, bool)]),
        np.concatenate([asked.modality, _modalities(tokens, framing).astype(asked.modality.dtype)]),
        np.concatenate([asked.blocks, none]),
        np.concatenate([asked.item, none - 1]),
        np.concatenate([asked.soft, none]),
        asked.media,
    )


def _modalities(tokens: Int[np.ndarray, " n"], framing: Framing) -> Int[np.ndarray, " n"]:
    """From a picture's begin to its end it is one, as where framing writes it."""
    begins, ends = (tokens == framing.vocabulary[mark] for mark in ("<|picture>", "<picture|>"))
    inside = np.cumsum(begins) - np.cumsum(ends) + ends > 0
    return np.where(inside, Modality.PICTURE, Modality.TEXT)


def _seed(seed: int, number: int) -> int:
    return int.from_bytes(hashlib.sha256(f"{seed}/{number}".encode()).digest()[:4], "big") >> 1
