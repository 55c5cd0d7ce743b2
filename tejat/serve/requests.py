"""One canonical request, whatever the dialect: what is said, and how the answer is to be.

body ──gemini, openai──▶ Request ──prepare──▶ Encoded, Options ──service──▶ pieces ──answers──▶ parts ──▶ body
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from tejat.codecs.framing import Encoded, Modality
from tejat.errors import BadInput
from tejat.infer.options import Options
from tejat.infer.picture_size import PictureSize
from tejat.parts import Audio, Image, Part, Role, Text, Turn, Video
from tejat.serve.decoder import Decoder, Medium
from tejat.serve.hosting import Hosted
from tejat.serve.limits import Limits

Content = Part | Medium
Resolution = Literal["low", "medium", "high"]

TEMPERATURE, TOP_P = 0.7, 0.95
"""Of an answer whose request does not say; `models.get` tells them."""


@dataclass(frozen=True)
class Said:
    """A turn whose media are not decoded yet."""

    role: Role
    contents: tuple[Content, ...]


@dataclass(frozen=True)
class Drawing:
    """How pictures are to be drawn; None: as the server likes."""

    size: PictureSize | None = None
    guidance: float | None = None
    temperature: float | None = None  # of codes
    top_k: int | None = None
    best_of: int | None = None  # candidates that are drawn, of which those that are asked for are the best


@dataclass(frozen=True)
class Wanted:
    """How an answer is to be; None: as the server likes."""

    candidates: int = 1
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    logprobs: bool = False
    alternatives: int = 0  # beside each token, with their log-probabilities
    json_schema: str | None = None
    regex: str | None = None
    pictures: Literal["never", "may", "must"] = "never"
    picture: Drawing = Drawing()
    resolution: Resolution | None = None  # at which images are seen


@dataclass(frozen=True)
class Request:
    """A dialogue to be answered."""

    turns: tuple[Said, ...]
    wanted: Wanted = Wanted()

    @property
    def words(self) -> str:
        """What was said last."""
        said = [content.text for turn in self.turns for content in turn.contents if isinstance(content, Text)]
        return said[-1] if said else ""


def prepare(request: Request, hosted: Hosted, decoder: Decoder, limits: Limits) -> Encoded:
    """The dialogue as the model reads it, up to where its answer begins. Blocks: media are decoded here.

    Raises BadInput, and Problem from the decoder, for what cannot be read or is too much.
    """
    turns = merged(request.turns)
    if not turns:
        raise BadInput("the request says nothing; give contents with text or media")
    if turns[-1].role != "user":
        raise BadInput(f"the dialogue ends with a turn of the {turns[-1].role}; end it with one of the user")
    decoded = decode(turns, decoder, limits)
    encoded = hosted.bundle.framing.prompt(decoded, budget(request.wanted.resolution, hosted))
    return begun(encoded, hosted) if request.wanted.pictures == "must" else encoded


def decode(turns: Sequence[Said], decoder: Decoder, limits: Limits) -> list[Turn]:
    """Turns whose media are decoded. Raises BadInput for what cannot be, or what is too much in all."""
    contents = [content for turn in turns for content in turn.contents]
    media = sum(isinstance(content, Medium) for content in contents)
    if media > limits.media:
        raise BadInput(f"the request has {media} media, and {limits.media} are the limit; send fewer")
    room = _Decoded(limits)
    return [Turn(turn.role, tuple(room.part(content, decoder) for content in turn.contents)) for turn in turns]


def merged(turns: Sequence[Said]) -> list[Said]:
    """Neighbouring turns of one role as one, and nothing that is empty: no model has seen either."""
    kept: list[Said] = []
    for turn in turns:
        contents = tuple(c for c in turn.contents if not (isinstance(c, Text) and not c.text))
        if kept and kept[-1].role == turn.role:
            kept[-1] = Said(turn.role, kept[-1].contents + contents)
        elif contents:
            kept.append(Said(turn.role, contents))
    return kept


def budget(resolution: Resolution | None, hosted: Hosted) -> int | None:
    """Soft tokens of an image at this resolution; None: what the model was made for."""
    vision = hosted.bundle.config.vision
    if vision is None or resolution is None:
        return None
    sizes = vision.budgets
    return {"low": sizes[0], "medium": sizes[len(sizes) // 2], "high": sizes[-1]}[resolution]


def begun(encoded: Encoded, hosted: Hosted) -> Encoded:
    """The same prompt with the first token of a picture after it, so that one must follow."""
    if hosted.bundle.pictures is None:
        raise BadInput(f"the model {hosted.name!r} draws no pictures; ask for text alone")
    added = (hosted.bundle.vocabulary["<|picture>"], False, Modality.PICTURE, 0, -1, 0)
    columns: list = [np.append(c, np.asarray(v, c.dtype)) for c, v in zip(encoded[:-1], added, strict=True)]
    tokens, loss, modality, blocks, item, soft = columns
    return Encoded(tokens, loss, modality, blocks, item, soft, encoded.media)


def plain(tokens: Sequence[int], hosted: Hosted) -> Encoded:
    """Ids of text as they are, each but the first to be predicted. Raises BadInput for none, for ids that are none, and
    for a picture that is begun and not left to the answer: its codes are no ids of text."""
    if not tokens:
        raise BadInput("the prompt is empty; give at least one token")
    ids = np.asarray(tokens, np.int64)
    if ids.min() < 0 or ids.max() >= hosted.bundle.vocabulary.text_size:
        raise BadInput(
            f"a token of the prompt is not in 0 .. {hosted.bundle.vocabulary.text_size - 1:,}; encode it anew"
        )
    begun = np.flatnonzero(ids == hosted.bundle.vocabulary["<|picture>"])
    if len(begun) and begun[0] < len(ids) - 1:
        raise BadInput(
            f"token {begun[0] + 1:,} of the prompt begins a picture, whose codes cannot be given as tokens; "
            "send the picture as an image, or end the prompt there to have one drawn"
        )
    count = len(ids)
    zeros = np.zeros(count, np.int32)
    return Encoded(ids.astype(np.int32), np.ones(count, bool), zeros.astype(np.int8), zeros, zeros - 1, zeros, ())


def options(wanted: Wanted, hosted: Hosted, prompt: Encoded) -> list[Options]:
    """Options of each candidate; they differ in their seeds. Raises BadInput, naming the option, for one out of range.

    Without a seed every request gets one of its own. More tokens than the context still holds are as many as it does:
    programs ask for the thousands that another model may write.
    """
    left = hosted.service.context - len(prompt)
    most = wanted.max_tokens
    seed = secrets.randbelow(2**30) if wanted.seed is None else wanted.seed % 2**31
    first = Options(
        max_tokens=min(most, left) if most is not None and most > left > 0 else most,
        temperature=TEMPERATURE if wanted.temperature is None else wanted.temperature,
        top_k=wanted.top_k or 0,
        top_p=TOP_P if wanted.top_p is None else (wanted.top_p or 1e-9),
        seed=seed,
        pictures=wanted.pictures != "never" and hosted.bundle.pictures is not None,
        **_of_pictures(wanted.picture, hosted),
        ends_with_picture=wanted.pictures == "must",
        stop=wanted.stop,
        presence_penalty=wanted.presence_penalty,
        frequency_penalty=wanted.frequency_penalty,
        top_logprobs=wanted.alternatives,
        json_schema=wanted.json_schema,
        regex=wanted.regex,
    )
    return [replace(first, seed=(seed + n) % 2**31) for n in range(wanted.picture.best_of or wanted.candidates)]


def _of_pictures(wanted: Drawing, hosted: Hosted) -> dict[str, Any]:
    """Of the options of an answer, those of its pictures."""
    picture = hosted.bundle.config.picture
    found: dict[str, Any] = {}
    if wanted.size is not None and picture is not None:
        found = {"picture_size": wanted.size.grid(picture), "picture_pixels": wanted.size.pixels}
    given = {"guidance": wanted.guidance, "temperature": wanted.temperature, "top_k": wanted.top_k}
    return found | {f"picture_{name}": value for name, value in given.items() if value is not None}


class _Decoded:
    """Counts what the parts of one request take."""

    def __init__(self, limits: Limits):
        self._limits, self._text, self._bytes = limits, 0, 0

    def part(self, content: Content, decoder: Decoder) -> Part:
        part = decoder.decode(content) if isinstance(content, Medium) else content
        match part:
            case Text(text):
                self._text += len(text.encode())
            case Image(pixels):
                self._bytes += pixels.nbytes
            case Audio(samples):
                self._bytes += samples.nbytes
            case Video(frames, _, audio):
                self._bytes += frames.nbytes + (audio.samples.nbytes if audio else 0)
        for taken, most, what in (
            (self._text, self._limits.text, "text"),
            (self._bytes, self._limits.decoded, "decoded media"),
        ):
            if taken > most:
                raise BadInput(f"the request has over {most:,} bytes of {what}; send less")
        return part
