"""The ways to ask: answer freely and be matched, choose by likelihood, draw when asked to, draw the thing asked for."""

from collections import Counter
from collections.abc import Callable, Sequence
from functools import cached_property
from threading import Lock
from typing import Any, Self

from tejat.evals.matching import ends, matches, normalise
from tejat.evals.neighbours import Neighbours
from tejat.evals.tasks import Item, Outcome, Task
from tejat.infer.options import USUAL_TOKENS
from tejat.parts import Image, Part, Text, Turn


class Listed(Task):
    """A task whose items are made by a function, once. Answers take up to `max_tokens`; None: what the model allows."""

    def __init__(self, suite: str, name: str, make: Callable[[], Sequence[Item]], max_tokens: int | None = 24):
        self.suite, self.name, self.max_tokens, self._make = suite, name, max_tokens, make
        self._items: Sequence[Item] | None = None
        self._making = Lock()

    def items(self) -> Sequence[Item]:
        with self._making:  # another thread may be making them already
            if self._items is None:
                self._items = self._make()
            return self._items

    def ready(self, model: Any, item: Item) -> Item:
        """The item as this model is asked it."""
        return item

    def offered(self, item: Item) -> tuple[str, ...]:
        """What a chain of thought about a ready item is to end in one of; none where it answers freely."""
        return ()

    def sampled(
        self, model: Any, prompts: Sequence[tuple[Turn, ...]], seeds: Sequence[int], temperature: float, max_tokens: int
    ) -> list[tuple[Part, ...]]:
        """One answer to each prompt, with its seed."""
        answers = model.generate_batch(prompts, max_tokens=max_tokens, temperature=temperature, seeds=list(seeds))
        return [tuple(answer.parts) for answer in answers]

    def with_(self, **attributes: Any) -> Self:
        """Sets what a suite knows of the task: `origin`, `batch`, `ways`, `quick`."""
        for name, value in attributes.items():
            setattr(self, name, value)
        return self


class Answering(Listed):
    """The answer, written greedily, is right if it matches an acceptable one.

    `in_steps`: models of ours are taught to answer such questions step by step, whoever asks (see `routing`).
    """

    metric = "exact match"
    in_steps = False

    @property
    def asked(self) -> str:
        return f"the turns alone, no examples; greedy, up to {self.max_tokens or USUAL_TOKENS} tokens"

    def measure(self, model: Any, items: Sequence[Item]) -> list[Outcome]:
        answers = model.generate_batch([item.turns for item in items], max_tokens=self.max_tokens, temperature=0.0)
        return [
            Outcome(float(self.judge(tuple(answer.parts), item)), tuple(answer.parts))
            for answer, item in zip(answers, items, strict=True)
        ]

    def chance(self, item: Item) -> float:
        """None where the item has choices: here they are not shown, and nobody guesses among them."""
        return 0.0 if item.choices else item.chance

    def baseline(self, items: Sequence[Item]) -> tuple[float, str] | None:
        counts = Counter(answer for item in items for answer in {normalise(answer) for answer in item.answers})
        return max(counts.values()) / len(items), "always the most frequent answer"

    def judge(self, parts: tuple[Part, ...], item: Item) -> bool:
        """Is the answer right? A drawn picture is never the answer to a question of words."""
        return all(isinstance(part, Text) for part in parts) and matches(written(parts), item.answers)


class Ending(Answering):
    """The answer is right if it ends in the words of an acceptable one: "The cat moves left" where that is asked."""

    metric = "ends in the right words"

    def judge(self, parts: tuple[Part, ...], item: Item) -> bool:
        return all(isinstance(part, Text) for part in parts) and ends(written(parts), item.answers) is not None

    def said(self, parts: Sequence[Part]) -> str:
        known = {answer for item in self.items() for answer in item.answers}
        return ends(written(parts), known) or super().said(parts)


class Drawing(Answering):
    """Right is a picture where one is asked for, and words alone where none is. An item that asks has no answers."""

    metric = "draws when asked"

    def baseline(self, items: Sequence[Item]) -> tuple[float, str] | None:
        asking = sum(not item.answers for item in items) / len(items)
        return max(asking, 1 - asking), "always draws" if asking >= 0.5 else "never draws"

    def judge(self, parts: tuple[Part, ...], item: Item) -> bool:
        return any(isinstance(part, Image) for part in parts) == (not item.answers)


class Depicting(Answering):
    """Right is a picture that, among the training pictures, is most like the one of the thing asked for.

    The first answer of an item is the name of that thing among `pictures`.
    """

    metric = "nearest to the thing asked for"

    def __init__(
        self,
        suite: str,
        name: str,
        make: Callable[[], Sequence[Item]],
        pictures: Callable[[], Neighbours],
        max_tokens: int | None = None,
    ):
        super().__init__(suite, name, make, max_tokens)
        self._pictures = pictures

    @cached_property
    def neighbours(self) -> Neighbours:
        return self._pictures()

    def judge(self, parts: tuple[Part, ...], item: Item) -> bool:
        return self.said(parts) == item.answers[0]

    def said(self, parts: Sequence[Part]) -> str:
        drawn = next((part for part in parts if isinstance(part, Image)), None)
        return self.neighbours.nearest(drawn) if drawn is not None else ""

    def nearest(self, drawn: Image) -> Image | None:
        return self.neighbours.pictures[self.neighbours.nearest(drawn)]


class Choosing(Listed):
    """Of the item's choices, the one that the model finds likeliest is its answer.

    With `by_length` it is the likeliest for each byte: of choices of many lengths the shortest would win otherwise.
    `told` is how an item's choice is written, if not as it is.
    """

    metric = "first choice"
    batch = 128  # the engine sorts them by length

    def __init__(
        self,
        suite: str,
        name: str,
        make: Callable[[], Sequence[Item]],
        by_length: bool = False,
        told: Callable[[Item, str], str] = lambda item, choice: choice,
    ):
        super().__init__(suite, name, make)
        self.by_length, self._told = by_length, told

    @property
    def asked(self) -> str:
        return f"the turns alone, no examples; the likeliest of the choices{', for each byte' * self.by_length}"

    def offered(self, item: Item) -> tuple[str, ...]:
        return item.choices

    def measure(self, model: Any, items: Sequence[Item]) -> list[Outcome]:
        told = [[self._told(item, choice) for choice in item.choices] for item in items]
        scored = model.score_answers([item.turns for item in items], told)
        outcomes = []
        for item, texts, mine in zip(items, told, scored, strict=True):
            values = [
                score.total / (len(text.encode()) if self.by_length else 1)
                for text, score in zip(texts, mine, strict=True)
            ]
            best = item.choices[max(range(len(values)), key=values.__getitem__)]
            outcomes.append(Outcome(float(best in item.answers), (Text(best),)))
        return outcomes


def written(parts: Sequence[Part]) -> str:
    """The words of an answer."""
    return "".join(part.text for part in parts if isinstance(part, Text))
