"""What is measured: items, a task's interface, and its control, the same items with the media blanked."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

import numpy as np

from tejat.evals import statistics
from tejat.evals.matching import normalise
from tejat.evals.statistics import Estimate
from tejat.parts import Audio, Image, Part, Text, Turn, Video

GREY = 128  # the middle of the range: a blank that neither black nor white backgrounds resemble


@dataclass(frozen=True, slots=True)
class Item:
    """One question.

    Attributes:
      id: unique in its task, and the same in every run: by it a run resumes.
      cluster: what it shares with other items (a voice, a picture, a paragraph); their errors go together.
      turns: what the model is asked.
      answers: what it may answer.
      shown: the parts a reader of the report should see, if not all those of the turns.
      choices: the answers it is to choose from; none where it answers freely.
      chance: the probability of being right by guessing.
    """

    id: str
    cluster: str
    turns: tuple[Turn, ...]
    answers: tuple[str, ...]
    shown: tuple[Part, ...] = ()
    choices: tuple[str, ...] = ()
    chance: float = 0.0

    def digest(self) -> str:
        """Changes with anything that the model is asked or judged by."""
        made = hashlib.sha256(repr((self.answers, self.choices)).encode())
        for turn in self.turns:
            made.update(f"\0{turn.role}".encode())
            for part in turn.parts:
                _digest(made, part)
        return made.hexdigest()[:16]


class Outcome(NamedTuple):
    """What the model did with an item: the score, its weight (1, or the bytes that its bits are spread over)."""

    score: float
    parts: tuple[Part, ...]
    weight: float = 1.0


class Task(ABC):
    """A named set of items and the way to judge a model's answers to them."""

    suite: str
    name: str
    metric: str = "accuracy"
    kind: Literal["proportion", "mean", "ratio"] = "proportion"
    better: Literal["higher", "lower"] = "higher"
    batch: int = 32  # items that are asked at once

    @abstractmethod
    def items(self) -> Sequence[Item]:
        """The items, always the same ones in the same order."""

    @abstractmethod
    def measure(self, model: Any, items: Sequence[Item]) -> list[Outcome]:
        """Asks the model and judges, a batch at a time."""

    def control(self, items: Sequence[Item]) -> Sequence[Item]:
        """The items with the media blanked, to show what the senses add; none where there is no medium."""
        return [blanked(item) for item in items] if any(map(_has_media, items)) else []

    def baseline(self, items: Sequence[Item]) -> tuple[float, str] | None:
        """(value, what it is) of something that looks at no item, to beat; None where the task knows of nothing."""
        return None

    def said(self, parts: Sequence[Part]) -> str:
        """An answer boiled down to what it is judged by, so that like mistakes can be counted."""
        return normalise("".join(part.text for part in parts if isinstance(part, Text)))

    def nearest(self, drawn: Image) -> Image | None:
        """The training picture most like one that was drawn, where the task knows what was trained on."""
        return None

    def estimate(self, outcomes: Sequence[Outcome], clusters: Sequence[str]) -> Estimate:
        """The task's number with its interval."""
        scores = [outcome.score for outcome in outcomes]
        match self.kind:
            case "proportion":
                return statistics.proportion(scores, clusters)
            case "mean":
                return statistics.mean(scores, clusters)
            case "ratio":
                return statistics.ratio(scores, [outcome.weight for outcome in outcomes], clusters)


def blanked(item: Item) -> Item:
    """The item with grey pictures, silence, and clips of one grey frame again and again."""
    turns = tuple(Turn(turn.role, tuple(map(blank, turn.parts))) for turn in item.turns)
    return replace(item, turns=turns, shown=tuple(map(blank, item.shown)))


def blank(part: Part) -> Part:
    """The part without what it shows or sounds like, of the same size and length; text stays."""
    match part:
        case Text():
            return part
        case Image(pixels):
            return Image(np.full_like(pixels, GREY))
        case Audio(samples, rate):
            return Audio(np.zeros_like(samples), rate)
        case Video(frames, times, audio):
            return Video(np.full_like(frames, GREY), times, audio and Audio(np.zeros_like(audio.samples), audio.rate))


def _has_media(item: Item) -> bool:
    return any(not isinstance(part, Text) for turn in item.turns for part in turn.parts)


def _digest(made: Any, part: Part) -> None:
    match part:
        case Text(text):
            made.update(b"text\0" + text.encode())
        case Image(pixels):
            made.update(repr(pixels.shape).encode() + pixels.tobytes())
        case Audio(samples, rate):
            made.update(repr(rate).encode() + samples.tobytes())
        case Video(frames, times, audio):
            made.update(repr((frames.shape, times)).encode() + frames.tobytes())
            if audio is not None:
                _digest(made, audio)
