"""Documents as one sequence: text, begin and end marks, soft-token places, timed frames, picture codes.

    image   <|image> <|image|> x n <image|>
    audio   <|audio> <|audio|> x n <audio|>
    video   <|video> then per frame its time as text and an image; sound soft tokens stand between the frames, where
            they are heard; <video|>
    picture <|picture> <|size h|> <|size w|> (w codes <|row|>) x h <picture|>
    turn    <|turn>role NEWLINE parts <turn|> NEWLINE
    document <bos> ... <eos>

An image of a model's turn, or one that a plain document wants predicted, is a *picture*: drawn by codes. Every other
image is *seen* through the vision tower.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from tejat.codecs import audio as audio_codec
from tejat.codecs.image import Patches, patchify, some_budget
from tejat.codecs.picture import Drawn, PictureCodec, drawn_patches
from tejat.codecs.vocabulary import BOS, EOS, LARGEST_SIDE, Vocabulary
from tejat.errors import BadInput
from tejat.model.multimodal import ModelConfig
from tejat.parts import Audio, Document, Image, Part, Text, Turn, Video


class Modality(IntEnum):
    """What a token stands for; losses and usage are counted apart for each."""

    TEXT = 0
    IMAGE = 1
    AUDIO = 2
    VIDEO = 3
    PICTURE = 4


class Encoded(NamedTuple):
    """A document as the packer takes it. `item` and `soft` point a token into the soft tokens of `media[item]`; of a
    picture whose codes are made later, into its codes, and the token is the first code until then."""

    tokens: Int[np.ndarray, " T"]
    loss: Bool[np.ndarray, " T"]  # is this token one to predict?
    modality: Int[np.ndarray, " T"]
    blocks: Int[np.ndarray, " T"]  # tokens of one seen image share a number > 0
    item: Int[np.ndarray, " T"]  # -1: an ordinary token
    soft: Int[np.ndarray, " T"]
    media: tuple[Patches | Drawn | Float[np.ndarray, "F M"], ...]

    def __len__(self) -> int:
        return len(self.tokens)


@dataclass
class _Writer:
    """Collects the columns of an Encoded: tokens one by one, all else run by run."""

    vocabulary: Vocabulary
    ids: list[int] = field(default_factory=list)
    runs: list[tuple[int, bool, int, int, int, int]] = field(default_factory=list)
    media: list = field(default_factory=list)
    blocks: int = 0

    def tokens(self, tokens: Sequence[int], loss: bool, modality: Modality) -> None:
        self.ids += tokens
        self.runs.append((len(tokens), loss, modality, 0, -1, 0))

    def mark(self, name: str, modality: Modality, loss: bool = False) -> None:
        self.tokens([self.vocabulary[name]], loss, modality)

    def soft(self, placeholder: str, item: int, indices: range, modality: Modality, block: bool = False) -> None:
        self.blocks += block
        self.ids += [self.vocabulary[placeholder]] * len(indices)
        self.runs.append((len(indices), False, modality, self.blocks if block else 0, item, indices.start))

    def later(self, item: int, indices: range, loss: bool) -> None:
        """Codes that are not made yet."""
        self.ids += [self.vocabulary.text_size] * len(indices)
        self.runs.append((len(indices), loss, Modality.PICTURE, 0, item, indices.start))

    def add(self, medium) -> int:
        self.media.append(medium)
        return len(self.media) - 1

    def finish(self) -> Encoded:
        if not self.media:  # as of most documents, short ones among them: nothing to place
            tokens, lengths = np.asarray(self.ids, np.int32), [run[0] for run in self.runs]
            loss = np.repeat(np.asarray([run[1] for run in self.runs], bool), lengths)
            modality = np.repeat(np.asarray([run[2] for run in self.runs], np.int8), lengths)
            none = np.zeros(len(tokens), np.int32)
            return Encoded(tokens, loss, modality, none, np.full(len(tokens), -1, np.int32), none, ())
        runs = np.asarray(self.runs, np.int32).reshape(-1, 6)
        lengths = runs[:, 0]
        loss, modality, blocks, item, soft = np.repeat(runs[:, 1:], lengths, axis=0).T.copy()
        # Soft tokens count on within a run.
        placed = item >= 0
        begins = np.repeat(np.cumsum(lengths) - lengths, lengths)
        soft[placed] += (np.arange(len(begins), dtype=np.int32) - begins.astype(np.int32))[placed]
        tokens = np.asarray(self.ids, np.int32)
        return Encoded(tokens, loss.astype(bool), modality.astype(np.int8), blocks, item, soft, tuple(self.media))


class Framing:
    """Encodes documents and turns for one model, and decodes what the model writes.

    With `later`, documents keep the pixels of the pictures that the model is to draw: whoever trains on them makes the
    codes, many at once on the device that trains (`tejat.train.drawing`), and no image tokenizer is asked for here.
    """

    def __init__(
        self, config: ModelConfig, vocabulary: Vocabulary, pictures: PictureCodec | None, *, later: bool = False
    ):
        if vocabulary.size > config.decoder.vocabulary:
            raise BadInput(
                f"the tokenizer has {vocabulary.size} ids and the model {config.name!r} only "
                f"{config.decoder.vocabulary}; they are not of one piece"
            )
        self.config, self.vocabulary, self.pictures, self.later = config, vocabulary, pictures, later
        self._framed: dict[str, list[int]] = {}

    def encode(self, document: Document, random: np.random.Generator | None = None) -> Encoded:
        """The whole document, marks and all. Raises BadInput for a kind of part that this model lacks.

        With `random` an image takes one of the budgets that its size asks for (`some_budget`); else the usual one.
        Frames of videos have a budget of their own.
        """
        writer = _Writer(self.vocabulary)
        writer.tokens([BOS], False, Modality.TEXT)
        for role, span in _spans(document):
            loss = any(flag for _, flag in span)
            if role is not None:
                self._open_turn(writer, role)
            for part, flag in span:
                drawn, budget = role == "model" or (role is None and flag), None
                if random is not None and isinstance(part, Image) and not drawn and self.config.vision:
                    budget = some_budget(*part.pixels.shape[:2], self.config.vision, random)
                self._part(writer, part, flag, drawn=drawn, budget=budget)
            if role is not None:
                self._close_turn(writer, loss)
        if document.roles and document.roles[-1] is None:
            writer.tokens([EOS], document.loss[-1], Modality.TEXT)
        return writer.finish()

    def prompt(self, turns: Sequence[Turn], budget: int | None = None) -> Encoded:
        """Turns so far and the opening of the model's answer; images take up to `budget` soft tokens.

        None: the usual one (`image.usual_budget`). Frames of videos have a budget of their own.
        """
        writer = _Writer(self.vocabulary)
        writer.tokens([BOS], False, Modality.TEXT)
        for turn in turns:
            self._open_turn(writer, turn.role)
            for part in turn.parts:
                self._part(writer, part, False, drawn=turn.role == "model", budget=budget)
            self._close_turn(writer, False)
        self._open_turn(writer, "model")
        return writer.finish()

    def beginning(self, parts: Sequence[Part]) -> Encoded:
        """Parts of a plain document which the model is to continue."""
        writer = _Writer(self.vocabulary)
        writer.tokens([BOS], False, Modality.TEXT)
        for part in parts:
            self._part(writer, part, False, drawn=False)
        return writer.finish()

    def decode(self, tokens: Sequence[int]) -> tuple[Part, ...]:
        """The text and pictures that a model wrote. An unfinished picture is completed with its first code."""
        parts: list[Part] = []
        text: list[int] = []
        at = 0
        while at < len(tokens):
            if tokens[at] == self.vocabulary["<|picture>"]:
                codes, used = self._codes(tokens[at:])
                if codes is not None and self.pictures is not None:
                    self._flush(parts, text)
                    parts.append(Image(self.pictures.decode(codes)))
                at += used
            else:
                text.append(int(tokens[at]))
                at += 1
        self._flush(parts, text)
        return tuple(parts)

    def codes(self, grid: Int[np.ndarray, "h w"]) -> list[int]:
        """The tokens of a picture given as codes."""
        vocabulary, (rows, columns) = self.vocabulary, grid.shape
        tokens = [vocabulary["<|picture>"], vocabulary.size_id(rows), vocabulary.size_id(columns)]
        for row in grid:
            tokens += [vocabulary.text_size + int(code) for code in row] + [vocabulary["<|row|>"]]
        return [*tokens, vocabulary["<picture|>"]]

    def _codes(self, tokens: Sequence[int]) -> tuple[Int[np.ndarray, "h w"] | None, int]:
        """(codes, tokens used) of a picture that starts at tokens[0]; None where not even its size was written.

        A picture ends at its end mark, when it is full, or before the first token that belongs to none.
        """
        vocabulary = self.vocabulary
        sides = [vocabulary.side_of(int(t)) for t in tokens[1:3]]
        longest = min(LARGEST_SIDE, self.config.picture.table) if self.config.picture else 0
        if len(sides) < 2 or not all(1 <= side <= longest for side in sides):
            return None, 1
        rows, columns = sides
        found: list[int] = []
        used = 3
        for token in tokens[3 : 3 + rows * (columns + 1) + 1]:
            if vocabulary.is_code(int(token)):
                found.append(int(token) - vocabulary.text_size)
            elif token != vocabulary["<|row|>"] and token != vocabulary["<picture|>"]:
                break
            used += 1
            if token == vocabulary["<picture|>"]:
                break
        found += [found[0] if found else 0] * (rows * columns - len(found))
        return np.asarray(found[: rows * columns], np.int32).reshape(rows, columns), used

    def _flush(self, parts: list[Part], text: list[int]) -> None:
        written = self.vocabulary.decode(text)
        text.clear()
        if written:
            parts.append(Text(written))

    def _open_turn(self, writer: _Writer, role: str) -> None:
        writer.mark("<|turn>", Modality.TEXT)
        writer.tokens(self._frame(role + "\n"), False, Modality.TEXT)

    def _close_turn(self, writer: _Writer, loss: bool) -> None:
        writer.mark("<turn|>", Modality.TEXT, loss)
        writer.tokens(self._frame("\n"), False, Modality.TEXT)

    def _frame(self, text: str) -> list[int]:
        """What stands around every turn, encoded once."""
        if text not in self._framed:
            self._framed[text] = self.vocabulary.encode(text)
        return self._framed[text]

    def _part(self, writer: _Writer, part: Part, loss: bool, *, drawn: bool, budget: int | None = None) -> None:
        match part:
            case Text():
                writer.tokens(self.vocabulary.encode(part.text), loss, Modality.TEXT)
            case Image() if drawn and self.later:
                self._drawn_later(writer, part.pixels, loss)
            case Image() if drawn:
                if self.pictures is None:
                    raise BadInput(f"the model {self.config.name!r} draws no pictures")
                writer.tokens(self.codes(self.pictures.encode(part.pixels)), loss, Modality.PICTURE)
            case Image():
                self._image(writer, part.pixels, budget, Modality.IMAGE)
            case Audio():
                writer.mark("<|audio>", Modality.AUDIO)
                for item, count in self._sound(writer, part):
                    writer.soft("<|audio|>", item, range(count), Modality.AUDIO)
                writer.mark("<audio|>", Modality.AUDIO)
            case Video():
                self._video(writer, part)

    def _drawn_later(self, writer: _Writer, pixels, loss: bool) -> None:
        """As `codes` has it, without the codes."""
        if self.config.picture is None:
            raise BadInput(f"the model {self.config.name!r} draws no pictures")
        vocabulary, picture = self.vocabulary, drawn_patches(pixels, self.config.picture)
        rows, columns = picture.grid
        head = [vocabulary["<|picture>"], vocabulary.size_id(rows), vocabulary.size_id(columns)]
        writer.tokens(head, loss, Modality.PICTURE)
        item = writer.add(picture)
        for row in range(rows):
            writer.later(item, range(row * columns, (row + 1) * columns), loss)
            writer.mark("<|row|>", Modality.PICTURE, loss)
        writer.mark("<picture|>", Modality.PICTURE, loss)

    def _image(self, writer: _Writer, pixels, budget: int | None, modality: Modality) -> None:
        if self.config.vision is None:
            raise BadInput(f"the model {self.config.name!r} sees no images")
        patches = patchify(pixels, self.config.vision, budget)
        writer.mark("<|image>", modality)
        writer.soft("<|image|>", writer.add(patches), range(patches.count), modality, block=True)
        writer.mark("<image|>", modality)

    def _sound(self, writer: _Writer, sound: Audio) -> Iterator[tuple[int, int]]:
        """Adds a sound in pieces; yields (item, soft tokens) of each."""
        if self.config.audio is None:
            raise BadInput(f"the model {self.config.name!r} hears no sound")
        if sound.rate != audio_codec.RATE:
            raise BadInput(f"sound must come at {audio_codec.RATE} Hz, not {sound.rate}; read it with tejat.media")
        config = self.config.audio
        for piece in audio_codec.pieces(audio_codec.frames(sound.samples, config), config):
            yield writer.add(piece), audio_codec.soft_count(len(piece), config.stride)

    def _video(self, writer: _Writer, video: Video) -> None:
        """Frames and sound in the order of time: before each frame, the soft tokens heard since the one before."""
        heard: list[tuple[int, int]] = []
        if video.audio is not None:
            heard = [(item, i) for item, count in self._sound(writer, video.audio) for i in range(count)]
        per_second = audio_codec.soft_rate(self.config.audio) if self.config.audio else 0
        writer.mark("<|video>", Modality.VIDEO)
        told = 0
        for frame, time in zip(video.frames, video.times, strict=True):
            # A hair more than zero: 1.16 s x 25 is 28.999… in floats, and 29 tokens have been heard.
            told = self._heard(writer, heard, told, int(time * per_second + 1e-6))
            writer.tokens(self.vocabulary.encode(clock(time)), False, Modality.VIDEO)
            budget = self.config.vision.frame_budget if self.config.vision else None
            self._image(writer, frame, budget, Modality.VIDEO)
        self._heard(writer, heard, told, len(heard))
        writer.mark("<video|>", Modality.VIDEO)

    def _heard(self, writer: _Writer, heard: list[tuple[int, int]], start: int, stop: int) -> int:
        """Writes the soft tokens of sound from `start` to `stop`; returns where it stopped."""
        stop = max(start, min(stop, len(heard)))
        if stop > start:
            writer.mark("<|audio>", Modality.AUDIO)
            for item, index in heard[start:stop]:
                writer.soft("<|audio|>", item, range(index, index + 1), Modality.AUDIO)
            writer.mark("<audio|>", Modality.AUDIO)
        return stop


def clock(seconds: float) -> str:
    """A frame's time as the model reads it: "0.4" or, from a minute on, "1:02.5"."""
    tenths = int(seconds * 10 + 0.5)
    minutes, rest = divmod(tenths, 600)
    return f"{minutes}:{rest // 10:02d}.{rest % 10}" if minutes else f"{rest // 10}.{rest % 10}"


def _spans(document: Document) -> Iterator[tuple[str | None, list[tuple[Part, bool]]]]:
    """Neighbouring parts of one role, as (role, [(part, loss)])."""
    span: list[tuple[Part, bool]] = []
    current: str | None = None
    for part, flag, role in zip(document.parts, document.loss, document.roles, strict=True):
        if span and role != current:
            yield current, span
            span = []
        current = role
        span.append((part, flag))
    if span:
        yield current, span
