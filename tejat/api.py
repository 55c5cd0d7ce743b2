"""The Python interface: a model takes parts and gives parts.

    model = tejat.load("mini")
    model.generate("Write a haiku about the sea.")
    model.generate([media.read_image("plot.png"), "What does the curve do?"])
    model.generate([Turn("user", (Text("Hello"),)), Turn("model", (Text("Hi."),)), Turn("user", (Text("Draw!"),))])

A prompt is a string, a part, a sequence of parts and strings, or a dialogue: a sequence of Turns that ends with a
user's.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, TypeGuard, Unpack

import numpy as np
from jaxtyping import Float, Int

from tejat import bundle
from tejat.bundle import Bundle
from tejat.codecs.framing import Encoded, Modality
from tejat.errors import BadInput
from tejat.infer import picture_size
from tejat.infer.continuations import continuations
from tejat.infer.engine import Engine, FinishReason
from tejat.infer.engines import EngineName, export_for
from tejat.infer.options import Options
from tejat.infer.picture_size import PictureSize
from tejat.infer.ranking import best_first
from tejat.infer.reading import PartReader
from tejat.parts import Document, Part, Text, Turn

if TYPE_CHECKING:
    from tejat.infer.onnx_engine import OnnxEngine

Prompt = str | Part | Sequence[str | Part] | Sequence[Turn]


def load(name: str | Path, engine: EngineName | None = "jax") -> "Model":
    """A model that comes with Tejat, by name, or one in a directory.

    `engine`: "onnx" for ONNX Runtime on a CPU; None: as the command line chooses (`infer.engines`). Raises BadInput as
    `tejat.bundle` does, and where the engine cannot run the model.
    """
    directory = bundle.find(name)
    if (export := export_for(directory, engine)) is not None:
        return on_onnx(export)
    return Model(bundle.load(directory))


def on_onnx(export: Path) -> "Model":
    """A model from its ONNX export. Raises BadInput as `infer.onnx_model` does."""
    from tejat.infer.onnx_engine import OnnxEngine
    from tejat.infer.onnx_model import OnnxModel

    engine = OnnxEngine(OnnxModel(export))
    return Model(engine.bundle, engine)


class Wishes(TypedDict, total=False):
    """Options of an answer. With the prompt they fix it, alone or in a batch.

    Raises BadInput, naming the option, for a value that makes no sense.
    """

    temperature: float  # default 0: always the likeliest token
    top_k: int  # default 0: no bound
    top_p: float  # default 1: everything
    seed: int  # default 0
    max_tokens: int | None  # default None: 512, or what the context still holds
    stop: Sequence[str]  # the answer ends before the first of these strings
    pictures: bool  # default True: the model may draw, if it can
    picture_size: str | tuple[int, int] | None  # "16:9", "96x64" or (height, width) in pixels; None: the model chooses
    picture_temperature: float  # default 0.3: of the codes of pictures; more is more various, and more often wrong
    picture_top_k: int  # default 0: no bound
    picture_min_p: float  # default 0.05: codes less likely than this share of the likeliest are not chosen
    picture_guidance: float  # 1: none; how much more codes follow what was asked for than what comes unasked


@dataclass(frozen=True, eq=False)
class Answer:
    """What the model wrote and what it took.

    `logprobs` are natural logarithms of the model's own probabilities, at temperature 1 over the ids allowed at each
    place; the token that ended the turn is the last. `usage` counts tokens:
    {"prompt": {modality: n, "total": n}, "answer": {modality: n, "total": n}, "total": n}.
    """

    parts: tuple[Part, ...]
    tokens: Int[np.ndarray, " n"]
    logprobs: Float[np.ndarray, " n"]
    finish_reason: FinishReason
    usage: dict

    @property
    def text(self) -> str:
        """Its text alone."""
        return "".join(part.text for part in self.parts if isinstance(part, Text))


@dataclass(frozen=True, eq=False)
class Score:
    """Tokens that a document wants predicted, and the natural logarithms of their probabilities."""

    tokens: Int[np.ndarray, " n"]
    logprobs: Float[np.ndarray, " n"]

    @property
    def total(self) -> float:
        return float(self.logprobs.sum(dtype=np.float64))


class Model:
    """A bundle and the engine that runs it, by default JAX."""

    def __init__(self, bundle: Bundle, engine: "Engine | OnnxEngine | None" = None):
        self.bundle, self.engine = bundle, engine or Engine(bundle)

    @property
    def name(self) -> str:
        return self.bundle.config.name

    def generate(
        self, prompt: Prompt, *, system: str | None = None, best_of: int = 1, **wishes: Unpack[Wishes]
    ) -> tuple[Part, ...]:
        """The model's answer: text and pictures, in the order in which it chose to give them.

        `system` says how the model should behave, and comes before the dialogue; `best_of` is as of `answer`.
        Raises BadInput for a wish out of range, a kind of part that the model lacks, sound that is not at 16 kHz, a
        dialogue that does not end with a user's turn, or a prompt that with its answer exceeds the context.
        """
        return self.answer(prompt, system=system, best_of=best_of, **wishes).parts

    def answer(
        self, prompt: Prompt, *, system: str | None = None, best_of: int = 1, **wishes: Unpack[Wishes]
    ) -> Answer:
        """`generate`, with the tokens, their log-probabilities, what they took, and why the answer ended.

        Of `best_of` answers, with seeds one after another, the one whose pictures the model itself finds likeliest to
        be what is said of them (`infer.ranking`); `usage` counts that one alone.
        """
        if not isinstance(best_of, int) or isinstance(best_of, bool) or not 1 <= best_of <= 64:
            raise BadInput(f"best_of is {best_of!r}; give a whole number from 1 to 64")
        seed = self._options(wishes).seed
        seeds = [(seed + n) % 2**31 for n in range(best_of)]
        answers = self.generate_batch([prompt] * best_of, system=system, seeds=seeds, **wishes)
        if best_of == 1:
            return answers[0]
        said = [part.text for turn in _turns(prompt) for part in turn.parts if isinstance(part, Text)]
        return answers[best_first(self.engine, [a.parts for a in answers], said[-1] if said else "")[0]]

    def generate_batch(
        self,
        prompts: Sequence[Prompt],
        *,
        system: str | None = None,
        seeds: Sequence[int] | None = None,
        **wishes: Unpack[Wishes],
    ) -> list[Answer]:
        """An answer for each prompt, as it would be alone, in much less time; `seeds` gives each its own seed."""
        encoded = [self._encode(prompt, system) for prompt in prompts]
        if seeds is None:
            options = [self._options(wishes)] * len(encoded)
        elif len(seeds) == len(encoded):
            options = [self._options({**wishes, "seed": seed}) for seed in seeds]
        else:
            raise BadInput(f"there are {len(encoded)} prompts and {len(seeds)} seeds; give one seed for each")
        written = self.engine.generate(encoded, options)
        answers = []
        for prompt, wish, (tokens, logprobs, reason) in zip(encoded, options, written, strict=True):
            reader = PartReader(self.bundle.framing, wish.stop, wish.picture_pixels)
            parts = _joined([*reader.push(tokens), *reader.finish()])
            answers.append(Answer(parts, tokens, logprobs, reason, self._usage(prompt, tokens)))
        return answers

    def stream(self, prompt: Prompt, *, system: str | None = None, **wishes: Unpack[Wishes]) -> Iterator[Part]:
        """The parts of `generate` as they come: Text in pieces that never split a character, an Image when it is whole.

        Raises BadInput as `generate` does, at once and not at the first part.
        """
        options = self._options(wishes)
        pieces = self.engine.stream(self._encode(prompt, system), options)

        def parts() -> Iterator[Part]:
            reader = PartReader(self.bundle.framing, options.stop, options.picture_pixels)
            for piece in pieces:
                yield from reader.push(piece.tokens)
            yield from reader.finish()

        return parts()

    def score(self, content: Prompt | Document) -> Score:
        """Log-probabilities of what a document wants predicted: in a dialogue the model's turns, elsewhere all.

        Raises BadInput as `generate` does.
        """
        return self.score_batch([content])[0]

    def score_batch(self, contents: Sequence[Prompt | Document]) -> list[Score]:
        """`score` of each, in much less time."""
        encoded = [self._document(content) for content in contents]
        found = self.engine.score(encoded)
        return [Score(d.tokens[1:][d.loss[1:]], logprobs) for d, logprobs in zip(encoded, found, strict=True)]

    def score_answers(self, prompts: Sequence[Prompt], answers: Sequence[Sequence[str]]) -> list[list[Score]]:
        """For each prompt, `score` of each of several answers in words; the prompt itself is read once.

        Raises BadInput as `generate` does.
        """
        vocabulary = self.bundle.vocabulary
        wanted = [[[*vocabulary.encode(text), vocabulary["<turn|>"]] for text in mine] for mine in answers]
        found = continuations(self.engine, [self._encode(prompt, None) for prompt in prompts], wanted)
        return [
            [Score(np.asarray(ids), one.logprobs) for ids, one in zip(mine, likely, strict=True)]
            for mine, likely in zip(wanted, found, strict=True)
        ]

    def embed(self, content: Prompt | Document) -> Float[np.ndarray, " D"]:
        """A vector of length 1 for what the parts mean to the model. Raises BadInput as `generate` does."""
        return self.engine.embed([self._document(content, seen=True)])[0]

    def count(self, prompt: Prompt, *, system: str | None = None) -> dict[str, int]:
        """Tokens that a prompt takes, by modality and in total, its marks included. Raises BadInput as `generate`."""
        return _counted(self._encode(prompt, system).modality)

    def _encode(self, prompt: Prompt, system: str | None) -> Encoded:
        turns = _turns(prompt)
        if turns[-1].role != "user":
            raise BadInput(f"the dialogue ends with a turn of the {turns[-1].role}; end it with one of the user")
        if system is not None:
            turns = (Turn("system", (Text(system),)), *turns)
        return self.bundle.framing.prompt(turns)

    def _document(self, content: Prompt | Document, seen: bool = False) -> Encoded:
        """A document; plain images are drawn where the document wants them predicted, and `seen` otherwise."""
        if isinstance(content, Document):
            return self.bundle.framing.encode(content)
        turns = _turns(content)
        if _is_dialogue(content):
            return self.bundle.framing.encode(Document.from_turns(turns))
        return self.bundle.framing.encode(Document.of(turns[0].parts, loss=not seen))

    def _options(self, wishes: Wishes) -> Options:
        changed: dict[str, Any] = dict(wishes)
        if (asked := wishes.get("picture_size")) is not None:
            size = _size(asked)
            # A model that draws nothing says so itself, whatever the grid.
            picture = self.bundle.config.picture
            changed["picture_size"] = size.grid(picture) if picture is not None else (1, 1)
            changed["picture_pixels"] = size.pixels
        if not isinstance(stop := wishes.get("stop", ()), str):
            changed["stop"] = tuple(stop)
        return Options(**changed)

    def _usage(self, prompt: Encoded, tokens: Int[np.ndarray, " n"]) -> dict:
        spent, written = _counted(prompt.modality), _counted(self._modalities(tokens))
        return {"prompt": spent, "answer": written, "total": spent["total"] + written["total"]}

    def _modalities(self, tokens: Int[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
        """PICTURE from `<|picture>` to `<picture|>`, TEXT elsewhere."""
        begin, end = self.bundle.vocabulary["<|picture>"], self.bundle.vocabulary["<picture|>"]
        inside = np.cumsum(tokens == begin) - np.cumsum(tokens == end) + (tokens == end)
        return np.where(inside > 0, Modality.PICTURE, Modality.TEXT)


def _turns(prompt: Prompt) -> tuple[Turn, ...]:
    """A dialogue as it is; anything else as one turn of the user. Raises BadInput for what is neither."""
    if _is_dialogue(prompt):
        return tuple(prompt)
    if isinstance(prompt, str | Part):
        prompt = (prompt,)
    if not isinstance(prompt, Sequence) or not prompt:
        what = "empty" if isinstance(prompt, Sequence) else f"of type {type(prompt).__name__}"
        raise BadInput(f"the prompt is {what}; give text, parts or turns")
    parts: list[Any] = [Text(part) if isinstance(part, str) else part for part in prompt]
    return (Turn("user", tuple(parts)),)


def _size(asked: Any) -> PictureSize:
    """Raises BadInput for what is no size."""
    if isinstance(asked, str):
        return picture_size.read(asked)
    pair = isinstance(asked, Sequence) and len(asked) == 2
    if not (pair and all(isinstance(side, int) and not isinstance(side, bool) for side in asked)):
        raise BadInput(f"picture_size is {asked!r}; give two whole numbers, the height and the width, or words as 16:9")
    return picture_size.checked(PictureSize(asked[1], asked[0]))


def _is_dialogue(prompt: Any) -> TypeGuard[Sequence[Turn]]:
    return isinstance(prompt, Sequence) and len(prompt) > 0 and all(isinstance(turn, Turn) for turn in prompt)


def _joined(parts: Sequence[Part]) -> tuple[Part, ...]:
    """The same parts, neighbouring text as one."""
    joined: list[Part] = []
    for part in parts:
        if joined and isinstance(part, Text) and isinstance(joined[-1], Text):
            joined[-1] = Text(joined[-1].text + part.text)
        else:
            joined.append(part)
    return tuple(joined)


def _counted(modality: Int[np.ndarray, " n"]) -> dict[str, int]:
    counts = np.bincount(modality, minlength=len(Modality))
    return {kind.name.lower(): int(counts[kind]) for kind in Modality} | {"total": len(modality)}
