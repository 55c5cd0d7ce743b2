"""Parts: text, images, sounds and videos; turns and documents made of them; lossless JSON for all.

Everything in Tejat takes and gives these. They are immutable: arrays are read-only, and equality is of values.

In JSON a medium is either inline, `{"image": {"data": "<base64>"}}`, or, when a directory is given, a file in it named
by its content, `{"image": {"file": "<sha256>.png"}}`. Images are PNG; sounds are WAV of float32; the frames of a video
are FFV1 in Matroska. Matroska counts milliseconds, so the exact times of the frames stand in the JSON beside the file,
and so does the sound, as a medium of its own.
"""

import base64
import hashlib
import io
import itertools
import os
import secrets
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, fields
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from jaxtyping import Float32, UInt8

from tejat.errors import BadInput

Role = Literal["system", "user", "model"]
RATE = 16_000  # samples per second of all sound that the model hears
TOP_RATE, LATEST = 1_000_000, 1e9  # of samples per second, and the seconds of a frame; more comes from damaged files


@dataclass(frozen=True, slots=True)
class Text:
    """A run of text. Raises BadInput for lone surrogates, which no tokenizer and no file can hold."""

    text: str

    def __post_init__(self) -> None:
        if not isinstance(self.text, str):
            raise BadInput(f"the text of a part is of type {type(self.text).__name__}; give a string")
        try:
            self.text.encode()
        except UnicodeEncodeError as error:
            raise BadInput(f"the text has a lone surrogate at character {error.start}; remove it") from error


class _Arrays:
    """Value equality, hash, pickling and a short repr for dataclasses whose fields hold arrays."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        pairs = zip(self._values(), other._values(), strict=True)
        return all(np.array_equal(a, b) if isinstance(a, np.ndarray) else a == b for a, b in pairs)

    def __hash__(self) -> int:
        # The sum turns -0.0 into 0.0: the two are equal, so their hashes must be.
        arrays = (v for v in self._values() if isinstance(v, np.ndarray))
        return hash(tuple((v.shape, zlib.crc32(v + v.dtype.type(0))) for v in arrays))

    def __reduce__(self):
        # Through the constructor, because numpy unpickles every array as writeable.
        return type(self), self._values()

    def __repr__(self) -> str:
        # An array is told by its shape: a picture at a prompt would be a screen of numbers.
        values = ((f.name, getattr(self, f.name)) for f in fields(self))
        told = (f"{n}={f'{v.dtype}{list(v.shape)}' if isinstance(v, np.ndarray) else repr(v)}" for n, v in values)
        return f"{type(self).__name__}({', '.join(told)})"

    def _values(self) -> tuple:
        return tuple(getattr(self, f.name) for f in fields(self))


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Image(_Arrays):
    """A picture: RGB, row by row from the top left. Raises BadInput for another type or shape, or no pixels."""

    pixels: UInt8[np.ndarray, "H W 3"]

    def __post_init__(self) -> None:
        object.__setattr__(self, "pixels", _fixed(self.pixels, np.uint8, 3, "the pixels of the image"))


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Audio(_Arrays):
    """A sound: mono, each sample in [-1, 1], `rate` samples per second. Raises BadInput for anything else."""

    samples: Float32[np.ndarray, " n"]
    rate: int = RATE

    def __post_init__(self) -> None:
        samples = _fixed(self.samples, np.float32, 1, "the samples of the sound")
        # Not (<= 1) rather than (> 1): a NaN fails every comparison.
        if not (np.max(np.abs(samples)) <= 1):
            worst = int(np.argmax(~(np.abs(samples) <= 1)))
            raise BadInput(f"sample {worst} of the sound is {samples[worst]}; every one must be a number in [-1, 1]")
        if not _is_int(self.rate) or not 1 <= self.rate <= TOP_RATE:
            raise BadInput(f"the rate of the sound is {self.rate!r}; give samples per second, 1 to {TOP_RATE:,}")
        object.__setattr__(self, "samples", samples)
        object.__setattr__(self, "rate", int(self.rate))

    @property
    def seconds(self) -> float:
        return len(self.samples) / self.rate


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Video(_Arrays):
    """Frames, each with its time in seconds, strictly increasing from the start of the clip, and the sound track.

    The sound starts with the clip, at time 0. Raises BadInput for frames and times that do not agree.
    """

    frames: UInt8[np.ndarray, "n H W 3"]
    times: tuple[float, ...]
    audio: Audio | None = None

    def __post_init__(self) -> None:
        frames = _fixed(self.frames, np.uint8, 4, "the frames of the video")
        times = tuple(self.times)
        if len(times) != len(frames):
            raise BadInput(f"the video has {len(frames)} frames and {len(times)} times; give one time for each frame")
        if not all(0 <= t <= LATEST for t in times) or any(a >= b for a, b in zip(times, times[1:], strict=False)):
            raise BadInput("the times of the video's frames must be seconds from its start, strictly increasing")
        if self.audio is not None and not isinstance(self.audio, Audio):
            raise BadInput(f"the sound of the video is of type {type(self.audio).__name__}; give Audio or None")
        object.__setattr__(self, "frames", frames)
        object.__setattr__(self, "times", tuple(float(t) for t in times))

    @property
    def seconds(self) -> float:
        """The end of the sound or the time of the last frame, whichever is later."""
        return max(self.times[-1], self.audio.seconds if self.audio else 0.0)


Part = Text | Image | Audio | Video


@dataclass(frozen=True, slots=True)
class Turn:
    """What one side of a dialogue says at once."""

    role: Role
    parts: tuple[Part, ...]

    def __post_init__(self) -> None:
        _check_role(self.role)
        object.__setattr__(self, "parts", _checked_parts(self.parts, "turn"))


@dataclass(frozen=True, slots=True)
class Document:
    """Parts interleaved; for each, whether the model learns to predict it, and whose it is (None: nobody's, plain)."""

    parts: tuple[Part, ...]
    loss: tuple[bool, ...]
    roles: tuple[Role | None, ...]
    source: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "parts", _checked_parts(self.parts, "document"))
        object.__setattr__(self, "loss", tuple(bool(flag) for flag in self.loss))
        object.__setattr__(self, "roles", tuple(self.roles))
        if not len(self.parts) == len(self.loss) == len(self.roles):
            counts = f"{len(self.parts)} parts, {len(self.loss)} loss flags and {len(self.roles)} roles"
            raise BadInput(f"the document has {counts}; give one flag and one role for each part")
        for role in self.roles:
            if role is not None:
                _check_role(role)

    @classmethod
    def of(cls, parts: Sequence[Part], loss: bool = True, source: str = "") -> "Document":
        """A plain document."""
        return cls(tuple(parts), (loss,) * len(parts), (None,) * len(parts), source)

    @classmethod
    def from_turns(cls, turns: Sequence[Turn], source: str = "") -> "Document":
        """A dialogue, of which the model learns its own turns. Raises BadInput for a turn without parts."""
        for number, turn in enumerate(turns, 1):
            if not turn.parts:
                raise BadInput(f"turn {number} of the dialogue ({turn.role}) is empty; give it a part or leave it out")
        parts = tuple(part for turn in turns for part in turn.parts)
        roles = tuple(turn.role for turn in turns for _ in turn.parts)
        return cls(parts, tuple(role == "model" for role in roles), roles, source)

    def turns(self) -> tuple[Turn, ...]:
        """The dialogue; neighbouring turns of one role come back as one. Raises BadInput for a plain document."""
        turns: list[Turn] = []
        for part, role in zip(self.parts, self.roles, strict=True):
            if role is None:
                raise BadInput(f"the document {self.source!r} is plain and has no turns; make it with from_turns")
            if turns and turns[-1].role == role:
                turns[-1] = Turn(role, (*turns[-1].parts, part))
            else:
                turns.append(Turn(role, (part,)))
        return tuple(turns)


def to_json(obj: Part | Turn | Document, directory: Path | None = None) -> dict[str, Any]:
    """A value for `json.dumps`. With a directory, media are written into it; without, they are inline as base64."""
    match obj:
        case Text(text):
            return {"text": text}
        case Image():
            return {"image": _store(to_png(obj), ".png", directory)}
        case Audio():
            return {"audio": _store(to_wav(obj), ".wav", directory)}
        case Video():
            sound = to_json(obj.audio, directory)["audio"] if obj.audio else None
            return {"video": _store(_to_matroska(obj), ".mkv", directory) | {"times": [*obj.times], "audio": sound}}
        case Turn():
            return {"role": obj.role, "parts": [to_json(p, directory) for p in obj.parts]}
        case Document():
            parts = [to_json(p, directory) for p in obj.parts]
            return {"parts": parts, "loss": [*obj.loss], "roles": [*obj.roles], "source": obj.source}
    raise TypeError(f"to_json takes a part, a Turn or a Document, not {type(obj).__name__}")


def from_json(value: Any, directory: Path | None = None) -> Part | Turn | Document:
    """What `to_json` was given. Raises BadInput that says where the value is wrong."""
    match value:
        case {"text": text, **rest} if not rest:
            return Text(text)
        case {"image": dict(medium), **rest} if not rest:
            return Image(_from_png(*_load(medium, "image", directory)))
        case {"audio": dict(medium), **rest} if not rest:
            return _from_wav(*_load(medium, "audio", directory))
        case {"video": {"times": list(times), "audio": sound, **medium}, **rest} if not rest:
            if not all(_is_int(t) or isinstance(t, float) for t in times):
                raise BadInput("the times of a video in the JSON are not all numbers; give seconds")
            frames = _from_matroska(*_load(medium, "video", directory), len(times))
            return Video(frames, tuple(times), sound and from_json({"audio": sound}, directory))
        case {"role": role, "parts": list(parts), **rest} if not rest:
            return Turn(role, _parts_from_json(parts, directory))
        case {"parts": list(parts), "loss": list(loss), "roles": list(roles), "source": str(source)}:
            if not all(isinstance(flag, bool) for flag in loss):
                raise BadInput('the "loss" of the document in the JSON is not all true or false; mend it')
            return Document(_parts_from_json(parts, directory), tuple(loss), tuple(roles), source)
    shape = f"an object with the keys {sorted(map(str, value))}" if isinstance(value, dict) else type(value).__name__
    raise BadInput(f"the JSON has {shape} where a part, a turn or a document is due; see the head of tejat/parts.py")


def to_png(image: Image) -> bytes:
    """The image as a PNG file."""
    from PIL import Image as pillow

    out = io.BytesIO()
    pillow.fromarray(image.pixels).save(out, "PNG")
    return out.getvalue()


def to_wav(audio: Audio) -> bytes:
    """The sound as a WAV file of float32 samples."""
    return _wav_head(len(audio.samples), audio.rate) + audio.samples.astype("<f4", copy=False).tobytes()


def write_whole(path: Path, data: bytes) -> None:
    """Writes a file so that no reader ever sees half of it, whatever kills the writer."""
    part = path.with_name(f".{path.name[:100]}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        part.write_bytes(data)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def _is_int(value: Any) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def _check_role(role: Any) -> None:
    if role not in get_args(Role):
        raise BadInput(f"there is no role {role!r}; use one of {', '.join(get_args(Role))}")


def _checked_parts(parts: Sequence[Part], owner: str) -> tuple[Part, ...]:
    for number, part in enumerate(parts, 1):
        if not isinstance(part, Part):
            raise BadInput(f"part {number} of the {owner} is of type {type(part).__name__}; wrap it, as in Text(...)")
    return tuple(parts)


def _fixed(array: Any, dtype: type, rank: int, name: str) -> np.ndarray:
    """The array checked, contiguous and read-only; copied where anyone could still write to it or to its base."""
    if not isinstance(array, np.ndarray):
        raise BadInput(f"{name} are of type {type(array).__name__}; give a numpy array")
    shape = {1: "(n,)", 3: "(H, W, 3)", 4: "(n, H, W, 3)"}[rank]
    if array.dtype != dtype or array.ndim != rank or (rank > 1 and array.shape[-1] != 3):
        raise BadInput(f"{name} are {array.dtype} of shape {array.shape}; give {dtype.__name__} of shape {shape}")
    if not array.size:
        raise BadInput(f"{name} are none: the shape is {array.shape}; give at least one")
    owner = array
    while isinstance(owner, np.ndarray) and not owner.flags.writeable:
        owner = owner.base
    array = np.array(array, order="C") if isinstance(owner, np.ndarray) else np.ascontiguousarray(array)
    array.flags.writeable = False
    return array


def _parts_from_json(values: list, directory: Path | None) -> tuple[Part, ...]:
    parts = []
    for number, value in enumerate(values, 1):
        try:
            parts.append(from_json(value, directory))
        except BadInput as error:
            raise BadInput(f"part {number}: {error}") from error
    return tuple(parts)


def _store(data: bytes, suffix: str, directory: Path | None) -> dict[str, str]:
    if directory is None:
        return {"data": base64.b64encode(data).decode("ascii")}
    path = Path(directory) / (hashlib.sha256(data).hexdigest() + suffix)
    if not path.exists():
        write_whole(path, data)
    return {"file": path.name}


def _load(medium: dict, kind: str, directory: Path | None) -> tuple[bytes, str]:
    """(bytes, name for messages) of a medium in JSON."""
    match medium:
        case {"data": str(text), **rest} if not rest:
            try:
                return base64.b64decode(text, validate=True), f"the {kind} in the JSON"
            except ValueError as error:
                raise BadInput(f'the "data" of the {kind} in the JSON is not base64 ({error}); encode it so') from error
        case {"file": str(name), **rest} if not rest:
            # Separators of every system, and the drive of Windows: a file written here may be read there.
            if name in ("", ".", "..") or any(c in name for c in "/\\:\0"):
                raise BadInput(f"the {kind} in the JSON names the file {name!r}; give a bare name, without folders")
            if directory is None:
                raise BadInput(f"the {kind} in the JSON is in the file {name!r}; give the directory where it lies")
            try:
                return (Path(directory) / name).read_bytes(), str(Path(directory) / name)
            except OSError as error:
                raise BadInput(f"{Path(directory) / name} cannot be read ({error.strerror}); restore it") from error
    raise BadInput(f'the {kind} in the JSON has the keys {sorted(map(str, medium))}; give either "data" or "file"')


def _from_png(data: bytes, name: str) -> UInt8[np.ndarray, "H W 3"]:
    from PIL import Image as pillow

    try:
        with pillow.open(io.BytesIO(data), formats=["PNG"]) as image:
            if image.mode != "RGB":
                raise ValueError(f"its mode is {image.mode}")
            return np.asarray(image)
    except Exception as error:  # Pillow raises nearly every kind for a damaged file
        raise BadInput(f"{name} is not a whole PNG of 8-bit RGB ({error}); write it again with to_json") from error


def _wav_head(count: int, rate: int) -> bytes:
    """Everything before the samples. Format 3 is IEEE float, which asks for a `fact` chunk."""
    form = struct.pack("<4sIHHIIHHH", b"fmt ", 18, 3, 1, rate, rate * 4, 4, 32, 0)
    fact = struct.pack("<4sII", b"fact", 4, count)
    return (
        struct.pack("<4sI4s", b"RIFF", 50 + 4 * count, b"WAVE") + form + fact + struct.pack("<4sI", b"data", 4 * count)
    )


def _from_wav(data: bytes, name: str) -> Audio:
    size = len(_wav_head(0, 0))
    count, rate = (len(data) - size) // 4, int.from_bytes(data[24:28], "little")
    if not 1 <= rate <= TOP_RATE or len(data) % 4 != size % 4 or data[:size] != _wav_head(max(count, 0), rate):
        raise BadInput(f"{name} is not a whole WAV as to_json writes it; read it with tejat.media and write it again")
    return Audio(np.frombuffer(data, "<f4", offset=size), rate)


def _to_matroska(video: Video) -> bytes:
    import av

    out, clock, before = io.BytesIO(), Fraction(1, 1000), -1
    # bitexact: else each file holds other random numbers, and one content gets many names. Level 1: 3 fails at width 1.
    with av.open(out, "w", format="matroska", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("ffv1", rate=30, options={"flags": "+bitexact", "level": "1"})
        stream.height, stream.width = video.frames.shape[1:3]
        stream.pix_fmt, stream.codec_context.time_base = "bgr0", clock
        for pixels, time in zip(video.frames, video.times, strict=True):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(format="bgr0")
            # Near enough for a player, and no two alike; the exact times are in the JSON.
            before = max(before + 1, round(time * 1000))
            frame.pts, frame.time_base = before, clock
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return out.getvalue()


def _from_matroska(data: bytes, name: str, count: int) -> UInt8[np.ndarray, "n H W 3"]:
    import av

    try:
        with av.open(io.BytesIO(data), format="matroska") as container:
            codec = container.streams.video[0].codec_context.name
            # One more than is due, to see that there are no more; not all, of which a forged file may have any number.
            frames = [f.to_ndarray(format="rgb24") for f in itertools.islice(container.decode(video=0), count + 1)]
    except (av.FFmpegError, IndexError, ValueError) as error:
        raise BadInput(f"{name} is not a whole Matroska video ({error}); write it again with to_json") from error
    if codec != "ffv1" or len(frames) != count or len({f.shape for f in frames}) != 1:
        raise BadInput(f"{name} does not hold {count} frames of FFV1 of one size; write it again with to_json")
    return np.stack(frames)
