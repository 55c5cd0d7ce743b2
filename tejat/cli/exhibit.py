"""One question and what a model made of it, for people: pictures, clips and sounds where the terminal shows them."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import UInt8

from tejat.cli import picture_in_terminal
from tejat.evals.answering import written
from tejat.parts import Audio, Image, Part, Text, Video

INDENT = "  "
_BARS = " ▁▂▃▄▅▆▇█"
_COLUMNS = 32  # of a picture or a waveform
_PAPER = 128  # the grey between pictures
_MARKS = {None: "", True: "  ✓ right", False: "  ✗ wrong"}


def show(
    prompt: Sequence[Part], answer: Sequence[Part], expected: str, right: bool | None, nearest: Image | None = None
) -> None:
    """Prints the media of a prompt, its words, the answer with a mark, and what was expected where it is not marked
    right. A drawn picture stands on the left of the training picture that is `nearest` to it."""
    for part in prompt:
        _medium(part)
    _line("asked", clean(written(prompt)))
    said = clean(written(answer)) or "(nothing)"
    drawn = next((part for part in answer if isinstance(part, Image)), None)
    _line("answered", said + (" and a picture" if drawn is not None else "") + _MARKS[right])
    if expected and not right:
        _line("expected", expected)
    if drawn is not None:
        _drawn(drawn, nearest)


def continued(beginning: str, answer: Sequence[Part]) -> None:
    """Prints a beginning and how it was continued."""
    _line("read", beginning)
    _line("wrote", clean(written(answer)) or "(nothing)")


def clean(text: str) -> str:
    """On one line, and without what a terminal would obey."""
    return "".join(c if c.isprintable() else "\ufffd" for c in " ".join(text.split()))


def waveform(sound: Audio, columns: int = _COLUMNS) -> str:
    """The loudness of a sound from left to right."""
    pieces = np.array_split(sound.samples, columns)
    levels = np.asarray([float(np.abs(piece).max()) if len(piece) else 0.0 for piece in pieces])
    steps = np.ceil(levels / max(float(levels.max()), 1e-3) * (len(_BARS) - 1)).astype(int)
    return "".join(_BARS[step] for step in steps)


def side_by_side(pictures: Sequence[UInt8[np.ndarray, "H W 3"]], gap: int) -> UInt8[np.ndarray, "H V 3"]:
    """Pictures of one height in a row, on grey."""
    paper = np.full((pictures[0].shape[0], gap, 3), _PAPER, np.uint8)
    row = [piece for picture in pictures for piece in (paper, picture)][1:]
    return np.concatenate(row, axis=1)


def _medium(part: Part) -> None:
    match part:
        case Text():
            pass
        case Image(pixels):
            _pixels(pixels, _COLUMNS, "a picture of {1} x {0} pixels")
        case Video(frames, times):
            row = side_by_side(list(frames), frames.shape[2] // 16)
            _pixels(row, 18 * len(times), f"a clip of {len(times)} frames")
        case Audio():
            shape = waveform(part) if picture_in_terminal.shown() else "a sound"
            print(f"{INDENT}{shape} {part.seconds:.1f} s")


def _drawn(drawn: Image, nearest: Image | None) -> None:
    """What it drew, large, and beside it what it learnt from."""
    pictures = [drawn.pixels] if nearest is None else [drawn.pixels, _resized(nearest, drawn.pixels.shape[:2])]
    if picture_in_terminal.shown():
        print(f"{INDENT}{'drawn':{_COLUMNS}} {'nearest in training' if nearest is not None else ''}")
        columns = (_COLUMNS + 1) * len(pictures) - 1
        _pixels(side_by_side(pictures, max(1, drawn.pixels.shape[1] // _COLUMNS)), columns, "")


def _resized(image: Image, size: tuple[int, int]) -> UInt8[np.ndarray, "H W 3"]:
    from PIL import Image as pillow

    return np.asarray(pillow.fromarray(image.pixels).resize(size[::-1], pillow.Resampling.BOX))


def _pixels(pixels: UInt8[np.ndarray, "H W 3"], columns: int, said: str) -> None:
    """A picture where the terminal can; words elsewhere."""
    if picture_in_terminal.shown():
        for line in picture_in_terminal.render(pixels, columns).split("\n"):
            print(INDENT + line)
    else:
        print(INDENT + said.format(*pixels.shape))


def _line(name: str, text: str) -> None:
    print(f"{INDENT}{name:<9} {text}")
