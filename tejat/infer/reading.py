"""Tokens as they come, turned into text and pictures: nothing is given out that a later token could take back."""

from collections.abc import Iterable, Iterator, Sequence

from tejat.codecs.framing import Framing
from tejat.codecs.image import resize
from tejat.codecs.vocabulary import TextStream, Vocabulary
from tejat.parts import Image, Part, Text


class TextReader:
    """Text of tokens as they come, up to the first of the stop strings, which is `hit` once it is found."""

    def __init__(self, vocabulary: Vocabulary, stop: Sequence[str] = ()):
        self._text, self._stop, self._picture = TextStream(vocabulary), tuple(stop), vocabulary["<|picture>"]
        self._held = ""  # could be the beginning of a stop string
        self.hit: str | None = None

    def push(self, token: int) -> str:
        """Text that is certain now. A picture ends the text before it: no stop string reaches across."""
        return self.finish() if token == self._picture else self.run([token])

    def run(self, tokens: Sequence[int]) -> str:
        """The same for several tokens of text, none of which begins a picture."""
        return self._certain(self._text.push(tokens))

    def finish(self) -> str:
        """The rest; what was held back was no stop string."""
        text = self._certain(self._text.finish()) + self._held
        self._held = ""
        return text

    def _certain(self, text: str) -> str:
        if self.hit is not None:
            return ""
        text = self._held + text
        found = [(at, s) for s in self._stop if (at := text.find(s)) >= 0]
        if found:
            at, self.hit = min(found)
            self._held = ""
            return text[:at]
        longest = max((n for s in self._stop for n in range(1, len(s)) if text.endswith(s[:n])), default=0)
        cut = len(text) - longest
        self._held = text[cut:]
        return text[:cut]


class PartReader:
    """Parts of an answer as its tokens come: text in pieces that never split a character, each picture when whole."""

    def __init__(self, framing: Framing, stop: Sequence[str] = (), pixels: tuple[int, int] | None = None):
        """`pixels`: (height, width) that every picture is resized to; None: as drawn."""
        self._framing, self._text, self._pixels = framing, TextReader(framing.vocabulary, stop), pixels
        self._picture: list[int] = []

    def push(self, tokens: Iterable[int]) -> tuple[Part, ...]:
        """What these tokens complete, neighbouring text as one part. Nothing comes after a stop string."""
        begin, end = self._framing.vocabulary["<|picture>"], self._framing.vocabulary["<picture|>"]
        parts: list[Part] = []
        written: list[str] = []
        ids = [int(token) for token in tokens]
        if not self._picture and begin not in ids:
            text = self._text.run(ids)
            return (Text(text),) if text else ()
        for token in ids:
            written.append(self._text.push(token))
            if self._text.hit is not None:
                break
            if self._picture or token == begin:
                self._picture.append(token)
            if token == end:
                self._flush(parts, written)
                parts += self._drawn()
        self._flush(parts, written)
        return tuple(parts)

    def finish(self) -> tuple[Part, ...]:
        """What is left: an unfinished character as U+FFFD, an unfinished picture completed."""
        parts: list[Part] = []
        self._flush(parts, [self._text.finish()])
        parts += self._drawn()
        return tuple(parts)

    def _drawn(self) -> Iterator[Part]:
        """What the tokens of a picture are."""
        for part in self._framing.decode(self._picture):
            yield Image(resize(part.pixels, *self._pixels)) if self._pixels and isinstance(part, Image) else part
        self._picture = []

    @staticmethod
    def _flush(parts: list[Part], written: list[str]) -> None:
        text = "".join(written)
        written.clear()
        if text:
            parts.append(Text(text))
