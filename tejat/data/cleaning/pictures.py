"""Pictures that are damaged, of absurd shape, blank, or there before.

A picture is known again by two things (their limits measured on 7,200 emoji of six styles, of which many differ by the
hand of a clock or the colour of a collar, and on 600 of them scaled, compressed hard and brightened):

- a perceptual hash of 64 bits: the signs of its lowest cosine frequencies about their median (Zauner 2010);
- a thumbnail of 32 x 32: nowhere, in any square of 2 x 2, may it differ by more than LIKE.

Of 26 million pairs of emoji 270 passed both, nearly all of them one drawing under two names; of what was scaled to 40
to 200 pixels or compressed (JPEG 40, WebP 50) 19 in 20 were known again. What was cropped by a pixel or two was not.
"""

import io
from collections.abc import Iterable, Iterator

import numpy as np
from jaxtyping import Float32, UInt8
from PIL import Image as pillow

from tejat import media
from tejat.data.cleaning.records import Record, group, is_svg, pictures, sounds, text, without
from tejat.data.cleaning.report import Report
from tejat.data.shards import Item
from tejat.errors import BadInput
from tejat.parts import Image

SMALLEST, LONGEST_SIDE = 8, 20.0  # pixels of the shorter side; how many times as long the other may be
BLANK = 3.0  # standard deviation of every channel below which a picture shows nothing
BITS, LIKE = 12, 56  # of 64 bits of hash, and of 255 of a thumbnail's colours, in which copies of a picture may differ
HELD_OUT = "of a held-out picture"

_SIDE, _DRAWN = 32, 64  # of the thumbnail, and of a vector drawing


class Pictures:
    """Takes out pictures that cannot be read, are too small or narrow, or show nothing.

    An item loses the picture, or goes itself where it has no other medium; a document goes, for what is said around a
    picture is nothing without it. Nothing grows.
    """

    def __init__(self) -> None:
        self.report = Report("pictures")

    def __call__(self, records: Iterable[Record], source: str = "") -> Iterator[Record]:
        for record in records:
            shown = pictures(record)
            wrong = {name: reason for name, picture in shown.items() if (reason := _fault(picture))}
            yield from _left(record, wrong, {}, self.report, source, len(shown))


class NearPictures:
    """Takes out pictures that are, nearly, those of earlier records (`remember`); while `heldout` is set, what stays is
    held out.

    A picture beside a sound is there for what is said, and may be one that another record shows: it goes only from what
    is trained on, and where its twin is held out.

    What grows: 3.1 KB for each picture, and the time for each by 1 µs for every 1,500 kept; some hundred thousand are
    well served, more want an index.
    """

    def __init__(self) -> None:
        self.report = Report("near-duplicate pictures")
        self.heldout = False
        self._known = Known()

    def remember(self, records: Iterable[Record], heldout: bool = False) -> None:
        """Knows the pictures of these from now on."""
        for record in records:
            for name, picture in pictures(record).items():
                if (seen := read(picture)) is not None:
                    self._known.add(seen, HELD_OUT if heldout else f"{name} of {_called(record)}")

    def __call__(self, records: Iterable[Record], source: str = "") -> Iterator[Record]:
        for record in records:
            shown, wrong, twins = pictures(record), {}, {}
            beside, mine = bool(shown and sounds(record)), []
            for name, picture in shown.items():
                seen = read(picture)
                if seen is None:
                    continue
                twin = self._known.find(seen)
                held = twin == HELD_OUT and not self.heldout
                if twin is None:
                    mine.append((name, seen))
                elif held or not beside:
                    wrong[name] = f"nearly the same, {HELD_OUT}" if held else "nearly the same"
                    twins[name] = twin
            for name, seen in mine:  # styles of one thing in one item may be alike
                self._known.add(seen, HELD_OUT if self.heldout else f"{name} of {_called(record)}")
            yield from _left(record, wrong, twins, self.report, source, len(shown))


class Known:
    """Pictures by hash and thumbnail, each with a word on where it is from."""

    def __init__(self) -> None:
        self._hashes = np.zeros(256, np.uint64)
        self._thumbnails = np.zeros((256, _SIDE, _SIDE, 3), np.uint8)
        self._from: list[str] = []

    def __len__(self) -> int:
        return len(self._from)

    def add(self, picture: Image, origin: str = "") -> None:
        """Knows it from now on."""
        count = len(self._from)
        if count == len(self._hashes):
            self._hashes = np.concatenate([self._hashes, np.zeros_like(self._hashes)])
            self._thumbnails = np.concatenate([self._thumbnails, np.zeros_like(self._thumbnails)])
        self._hashes[count], self._thumbnails[count] = perceptual_hash(picture), thumbnail(picture)
        self._from.append(origin)

    def find(self, picture: Image) -> str | None:
        """Where the picture most like it is from, or None where none is like it."""
        count = len(self._from)
        near = np.flatnonzero(np.bitwise_count(self._hashes[:count] ^ perceptual_hash(picture)) <= BITS)
        if not len(near):
            return None
        apart = differences(self._thumbnails[near], thumbnail(picture))
        best = int(np.argmin(apart))
        return self._from[near[best]] if apart[best] <= LIKE else None


def perceptual_hash(picture: Image) -> np.uint64:
    """64 bits that pictures which look alike mostly share."""
    grey = pillow.fromarray(picture.pixels).convert("L").resize((_SIDE, _SIDE), pillow.Resampling.BOX)
    low = (_COSINES @ np.asarray(grey, np.float64) @ _COSINES.T).ravel()
    low[0] = 0.0  # the mean, which brightness alone decides
    return np.packbits(low > np.median(low)).view(np.uint64)[0]


def thumbnail(picture: Image) -> UInt8[np.ndarray, "32 32 3"]:
    """The picture at 32 x 32, whatever its shape."""
    return np.asarray(pillow.fromarray(picture.pixels).resize((_SIDE, _SIDE), pillow.Resampling.BOX))


def differences(
    thumbnails: UInt8[np.ndarray, "n 32 32 3"], other: UInt8[np.ndarray, "32 32 3"]
) -> Float32[np.ndarray, " n"]:
    """By how much each differs from the other where it differs most: in a mean over 2 x 2 pixels, of the worst channel.

    The mean forgives edges that another size or codec draws otherwise.
    """
    apart = np.abs(thumbnails.astype(np.int16) - other.astype(np.int16)).max(-1).astype(np.float32)
    squares = apart[:, :-1, :-1] + apart[:, 1:, :-1] + apart[:, :-1, 1:] + apart[:, 1:, 1:]
    return squares.max((1, 2)) / 4


def read(picture: bytes | Image) -> Image | None:
    """The pixels, on white, or on grey if white hides them; None for what is damaged.

    Raises BadInput where SVG needs resvg-py, which is not there.
    """
    if isinstance(picture, Image):
        return picture
    data = _rasterised(picture) if is_svg(picture) else picture
    try:
        seen = media.read_image(data)
    except BadInput:
        return None
    if _is_blank(seen.pixels):
        drawn = _transparent(data)
        if not _is_blank(drawn):
            shown = drawn[..., 3:] / 255
            seen = Image((drawn[..., :3] * shown + 128 * (1 - shown)).astype(np.uint8))
    return seen


def _rasterised(svg: bytes) -> bytes:
    """A PNG file of a vector drawing, or no bytes for one that is damaged."""
    try:
        import resvg_py
    except ImportError as error:
        raise BadInput("drawings in SVG need resvg-py; install it with: pip install 'tejat[data]'") from error
    try:
        return bytes(resvg_py.svg_to_bytes(svg_string=svg.decode(), width=_DRAWN))
    except ValueError:  # of the decoder and of resvg
        return b""


def _transparent(data: bytes) -> UInt8[np.ndarray, "H W 4"]:
    with pillow.open(io.BytesIO(data)) as picture:
        return np.asarray(picture.convert("RGBA"))


def _is_blank(pixels: np.ndarray) -> bool:
    return bool(pixels.reshape(-1, pixels.shape[-1]).std(axis=0).max() < BLANK)


def _fault(picture: bytes | Image) -> str:
    seen = read(picture)
    if seen is None:
        return "a picture that cannot be read"
    short, long = sorted(seen.pixels.shape[:2])
    if long > LONGEST_SIDE * short:
        return "a picture of absurd shape"
    if short < SMALLEST:
        return "a picture too small to see"
    moves = isinstance(picture, bytes) and (picture[:4] == b"GIF8" or picture[30:34] == b"ANIM")
    return "" if moves or not _is_blank(seen.pixels) else "a picture that shows nothing"


def _called(record: Record) -> str:
    """What a report calls it: what it is of, or what it says."""
    fields = record.fields if isinstance(record, Item) else {}
    return str(fields.get("concept") or fields.get("group") or text(record)[:60])


def _left(
    record: Record, wrong: dict[str, str], twins: dict[str, str], report: Report, source: str, count: int
) -> Iterator[Record]:
    """What is left of a record without the pictures that are wrong, told to the report."""
    told = group(record, source)
    if not count:
        report.notes["without pictures, passed"] += 1
        yield record
        return
    report.see(told)
    rest = without(record, wrong)
    for name, reason in wrong.items():
        example = f"{name} of {_called(record)}" + (f" ≈ {twins[name]}" if name in twins else "")
        if rest is None:
            report.drop(reason, told, example)
            return
        report.change(f"{reason}, taken out", told, example)
    if rest is not None:
        yield rest


_COSINES = np.cos(np.pi / _SIDE * np.outer(np.arange(8), np.arange(_SIDE) + 0.5))
"""The eight lowest rows of the discrete cosine transform of type II."""
