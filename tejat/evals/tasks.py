"""What is measured: items, a task's interface, and its controls: the same items with other media or none."""

import hashlib
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
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
      tags: what the report breaks the task down by: {"language": "de", "depth": "0 – 20%"}.
      material: what else it is judged by, any JSON: a program's tests, the numbers of a chart.
    """

    id: str
    cluster: str
    turns: tuple[Turn, ...]
    answers: tuple[str, ...]
    shown: tuple[Part, ...] = ()
    choices: tuple[str, ...] = ()
    chance: float = 0.0
    tags: Mapping[str, str] = field(default_factory=dict)
    material: Any = None

    def digest(self) -> str:
        """Changes with anything that the model is asked or judged by."""
        judged = (self.answers, self.choices) if self.material is None else (self.answers, self.choices, self.material)
        made = hashlib.sha256(repr(judged).encode())
        for turn in self.turns:
            made.update(f"\0{turn.role}".encode())
            for part in turn.parts:
                _digest(made, part)
        return made.hexdigest()[:16]


class Outcome(NamedTuple):
    """What the model did with an item: the score, its weight (1, or the bytes that its bits are spread over).

    `detail` is any JSON that is kept with it: what a program printed, the votes of several answers.
    """

    score: float
    parts: tuple[Part, ...]
    weight: float = 1.0
    detail: Any = None


class Task(ABC):
    """A named set of items and the way to judge a model's answers to them.

    Attributes:
      batch: items that are asked at once.
      ways: the controls of items with media, keys of CONTROLS; where there is one, TEXT_ONLY is asked too.
      asked: the prompt and the decoding, for people.
      origin: where the items come from, and whether a model of ours can have been trained on them.
      quick: is it part of the suite "quick"?
      promised: is its number one of those that a release is held to (`promises`)? Such are asked first.
    """

    suite: str
    name: str
    metric: str = "accuracy"
    kind: Literal["proportion", "mean", "ratio"] = "proportion"
    better: Literal["higher", "lower"] = "higher"
    batch: int = 32
    ways: tuple[str, ...] = ("blanked",)
    asked: str = ""
    origin: str = "not checked"
    quick: bool = False
    promised: bool = False

    @abstractmethod
    def items(self) -> Sequence[Item]:
        """The items, always the same ones in the same order."""

    @abstractmethod
    def measure(self, model: Any, items: Sequence[Item]) -> list[Outcome]:
        """Asks the model and judges, a batch at a time."""

    def controls(self, items: Sequence[Item]) -> dict[str, Sequence[Item]]:
        """Those of the items that have media again, for each of `ways` and with the text alone; none where none has."""
        shown = [item for item in items if _has_media(item)]
        ways = (*self.ways, TEXT_ONLY) if self.ways and shown else ()
        return {way: [controlled(item, way) for item in shown] for way in ways}

    def chance(self, item: Item) -> float:
        """The probability of being right by guessing."""
        return item.chance

    def baseline(self, items: Sequence[Item]) -> tuple[float, str] | None:
        """(value, what it is) of something that looks at no item, to beat; None where the task knows of nothing."""
        return None

    def remarks(self, items: Sequence[Item], outcomes: Sequence[Outcome]) -> Mapping[str, Estimate | str]:
        """Other numbers of all the outcomes together: {"BLEU": …}; as text those that have no error."""
        return {}

    def said(self, parts: Sequence[Part]) -> str:
        """An answer boiled down to what it is judged by, so that like mistakes can be counted."""
        return normalise("".join(part.text for part in parts if isinstance(part, Text)))

    def nearest(self, drawn: Image) -> Image | None:
        """The training picture most like one that was drawn, where the task knows what was trained on."""
        return None

    def difference(self, first: Sequence[Outcome], second: Sequence[Outcome], clusters: Sequence[str]) -> Estimate:
        """The first's number minus the second's, over the same items: what they share cancels."""
        scores = [[outcome.score for outcome in side] for side in (first, second)]
        if self.kind != "ratio":
            return statistics.paired_difference(*scores, clusters)
        return statistics.ratio_difference(*scores, [outcome.weight for outcome in first], clusters)

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


def controlled(item: Item, way: str) -> Item:
    """The item with its media changed, the same way every time."""
    random = np.random.default_rng(zlib.crc32(item.id.encode()))

    def changed(parts: Sequence[Part]) -> tuple[Part, ...]:
        return tuple(new for part in parts if (new := CONTROLS[way](part, random)) is not None)

    turns = tuple(Turn(turn.role, changed(turn.parts)) for turn in item.turns)
    return replace(item, turns=turns, shown=changed(item.shown))


def blank(part: Part, random: np.random.Generator | None = None) -> Part:
    """The part without what it shows or sounds like, of the same size and length; text stays.

    Pictures are grey, sound is silent, and clips have one grey frame again and again.
    """
    match part:
        case Text():
            return part
        case Image(pixels):
            return Image(np.full_like(pixels, GREY))
        case Audio(samples, rate):
            return Audio(np.zeros_like(samples), rate)
        case Video(frames, times, audio):
            return Video(np.full_like(frames, GREY), times, audio and Audio(np.zeros_like(audio.samples), audio.rate))


def shuffle(part: Part, random: np.random.Generator) -> Part:
    """The part with what it has in time out of order: a sound's samples, which leaves noise as loud; a clip's frames.

    Pictures and text stay.
    """
    match part:
        case Audio(samples, rate):
            return Audio(random.permutation(samples), rate)
        case Video(frames, times, audio):
            order = random.permutation(len(frames))
            if len(frames) > 1 and (order == np.arange(len(frames))).all():
                order = order[::-1]
            sound = audio and Audio(random.permutation(audio.samples), audio.rate)
            return Video(np.ascontiguousarray(frames[order]), times, sound)
    return part


def leave_out(part: Part, random: np.random.Generator) -> Text | None:
    """Text as it is; of anything else nothing: what the words alone give away is then all that there is."""
    return part if isinstance(part, Text) else None


TEXT_ONLY = "text-only"
CONTROLS: Mapping[str, Callable[[Part, np.random.Generator], Part | None]] = {
    "blanked": blank,
    "shuffled": shuffle,
    TEXT_ONLY: leave_out,
}


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


def some(items: Sequence[Item], limit: int | None) -> tuple[Item, ...]:
    """At most `limit` of them, in their order, chosen by what their ids come to."""
    if limit is None or limit >= len(items):
        return tuple(items)
    chosen = sorted(range(len(items)), key=lambda n: (zlib.crc32(items[n].id.encode()), n))[:limit]
    return tuple(items[n] for n in sorted(chosen))
