"""Bytes become parts here, once, at the edge, with limits checked before anything is decoded.

What a file is, its content says, never its name. Only the formats listed below are opened: some demuxers of FFmpeg
(playlists, concatenations) and some plugins of Pillow (PostScript) open other files or run other programs.
"""

import io
import itertools
import math
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.container import InputContainer
from jaxtyping import Float32, UInt8
from PIL import Image as pillow
from PIL import ImageOps

from tejat.errors import BadInput
from tejat.parts import LATEST, RATE, Audio, Image, Part, Text, Video, to_png, to_wav, write_whole

PICTURES = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF")
CONTAINERS = "mov,mp4,matroska,webm,avi,flv,asf,mpeg,mpegts,ogg,wav,aiff,au,flac,mp3,aac,ac3,eac3,wv"
IS_PICTURE = re.compile(
    rb"(?s)\x89PNG\r\n\x1a\n|\xff\xd8\xff|GIF8[79]a|II\*\0|MM\0\*|RIFF....WEBP|\0...ftypavi[fs]|BM.{4}\0{4}"
)
# Each is so narrow that no text begins so; \xff\xfe is left out because UTF-16 text does, and must be told it is text.
IS_CONTAINER = re.compile(
    rb"(?s)\x1aE\xdf\xa3|OggS\0|fLaC[\0\x80]|FLV\x01|\x30\x26\xb2\x75|\0\0\x01[\xba\xb3]|\.snd\0|wvpk|RIFF....AVI "
    rb"|RIFF....WAVE|FORM....AIF|[\0-\x08]...(ftyp|moov|mdat|wide|free|skip)|ID3[\0-\x0f]|\x0b\x77|\xff[\xe0-\xfd]|G(.{187}G){2}"
)
JUMP = 5.0  # seconds between two frames beyond which it is quicker to seek than to decode all between
WARM_UP = 0.5  # seconds of sound decoded before the part wanted: the first packets after a seek sound wrong

Source = bytes | str | Path
Samples = Float32[np.ndarray, " n"]


@dataclass(frozen=True)
class Limits:
    """What is too large to read; defaults fit a server whose users are not known."""

    bytes: int = 2_000_000_000  # of the file
    pixels: int = 50_000_000  # of an image, or of one frame; Pillow's own ceiling of 178,956,970 holds above this one
    seconds: float = 3 * 3600.0  # of a sound, or of the interval read from a video
    frames: int = 20_000  # read from a video, or held by an animated picture
    video_bytes: int = 4_000_000_000  # of all the frames read from a video, in memory: n x H x W x 3


def read_image(source: Source, *, name: str | None = None, limits: Limits | None = None) -> Image:
    """An image as it should be seen: turned as its EXIF says, transparency on white, first frame of an animation.

    16-bit grey is brought to 8 bits. Raises BadInput, naming `name` or the path, for what is damaged or too large.
    """
    source, name, limits, _ = _source(source, name, "the image bytes", limits)
    with _picture(source, name, limits) as picture:
        return Image(_rgb(picture, name))


def read_audio(source: Source, *, name: str | None = None, limits: Limits | None = None) -> Audio:
    """The first sound track of any file, 16 kHz, all channels averaged, clipped to [-1, 1].

    Raises BadInput, naming `name` or the path, for no sound, damaged sound, or more than `limits.seconds`.
    """
    source, name, limits, _ = _source(source, name, "the sound bytes", limits)
    with _container(source, name, "a sound") as container:
        if (length := (container.duration or 0) / av.time_base) > limits.seconds:
            raise BadInput(f"{name} lasts {length:.0f} s, more than {limits.seconds:g} s; cut it")
        samples = _sound(container, 0.0, math.inf, name, limits)
    if samples is None:
        raise BadInput(f"{name} holds no sound; give a file with a sound track")
    return Audio(samples)


def read_video(
    source: Source,
    *,
    fps: float | None = None,
    frames: int = 16,
    start: float = 0.0,
    end: float | None = None,
    name: str | None = None,
    limits: Limits | None = None,
) -> Video:
    """Frames of a video (or animated GIF, WebP, PNG, AVIF) over [start, end) seconds, and the sound of that interval.

    Asked for are the moments start + k * step, where step is 1 / fps or, without fps, (end - start) / frames; given is
    the frame on show at each. A frame on show at several moments comes once, so a slow video gives fewer frames. The
    times are those at which the frames truly appear, relative to `start`; a frame that was on show already at `start`
    has time 0. The sound begins at `start` too. `end` beyond the video, or None, is its end. Only the frames given and
    one more are ever in memory.

    Raises BadInput, naming `name` or the path, for no frames, damage, an empty interval, or too much of anything.
    """
    source, name, limits, head = _source(source, name, "the video bytes", limits)
    if not (0 <= start < math.inf and (end is None or end > start) and (fps is None or fps > 0) and frames > 0):
        asked = f"fps {fps}, {frames} frames, from {start} to {end} s"
        raise BadInput(f"{name} is asked for {asked}; give positive numbers and an end after the start")
    plan = _Plan(fps, frames, start, end, name, limits)
    if IS_PICTURE.match(head):
        return _animation(source, plan)
    with _container(source, name, "a video") as container:
        if (stream := _stream(container, "video")) is None:
            raise BadInput(f"{name} has no video track that can be decoded; give a video")
        # The track's own length, if the header tells it: the sound is often a little longer than the pictures.
        own = stream.duration and float(((stream.start_time or 0) + stream.duration) * stream.time_base)
        length = own - _begin(container) if own else (container.duration or 0) / av.time_base
        size = stream.codec_context.width, stream.codec_context.height
    moments = plan.moments(length or _measured(source, name), *size)
    with _container(source, name, "a video") as container:
        chosen = _on_show(container, moments, plan)
    with _container(source, name, "a video") as container:
        samples = _sound(container, start, math.inf if end is None else end, name, limits)
    return _video(chosen, plan, samples)


def read(source: Source, *, name: str | None = None, limits: Limits | None = None, **video: Any) -> Part:
    """The part that a file's content shows it to be; `video` are options of `read_video`, used if it is one.

    An animated picture is a Video; whatever is no known medium must be UTF-8 text (a byte-order mark is dropped).
    Raises BadInput as the other readers do, and for text that is not UTF-8.
    """
    source, name, limits, head = _source(source, name, "the bytes", limits)
    if IS_PICTURE.match(head):
        with _picture(source, name, limits) as picture:
            moving = getattr(picture, "is_animated", False)
        still = read_image
    elif IS_CONTAINER.match(head):
        with _container(source, name, "a video or a sound") as container:
            moving = _stream(container, "video") is not None
        still = read_audio
    else:
        try:
            return Text((source if isinstance(source, bytes) else source.read_bytes()).decode().removeprefix("\ufeff"))
        except UnicodeDecodeError as error:
            what = f"no image, sound or video known here, and as text it is not UTF-8 at byte {error.start}"
            raise BadInput(f"{name} is {what}; convert it") from error
    if moving:
        return read_video(source, name=name, limits=limits, **video)
    return still(source, name=name, limits=limits)


def write_png(image: Image, path: str | Path) -> None:
    """Writes the whole file or nothing."""
    write_whole(Path(path), to_png(image))


def write_wav(audio: Audio, path: str | Path) -> None:
    """Writes the whole file, of float32 samples, or nothing."""
    write_whole(Path(path), to_wav(audio))


@dataclass(frozen=True)
class _Plan:
    """Which moments of a video are wanted, and the sizes allowed."""

    fps: float | None
    frames: int
    start: float
    end: float | None
    name: str
    limits: Limits

    def moments(self, length: float, width: int, height: int) -> list[float]:
        """Seconds from the start of a video that lasts `length`. Raises BadInput for too many or too large frames."""
        name, limits = self.name, self.limits
        end = length if self.end is None else min(self.end, length)
        if end <= self.start:
            raise BadInput(f"{name} lasts {length:.2f} s, so nothing is left from {self.start:g} s on; start earlier")
        if end - self.start > limits.seconds:
            raise BadInput(f"{name} runs {end - self.start:.0f} s, more than {limits.seconds:g} s; cut it")
        if width * height > limits.pixels:
            raise BadInput(f"{name} has {width} x {height} pixels a frame, more than {limits.pixels:,}; scale it down")
        count = float(self.frames) if self.fps is None else (end - self.start) * self.fps
        if count > limits.frames or count * width * height * 3 > limits.video_bytes:
            most = f"{limits.frames:,} frames or {limits.video_bytes:,} bytes"
            raise BadInput(f"{name} would give {count:,.0f} frames of {width} x {height}, over {most}; ask for fewer")
        # A hair less than the quotient: 1.1 * 10 frames, as binary numbers have it, are 11.000000000000002.
        whole = max(1, math.ceil(count - 1e-6))
        step = (end - self.start) / whole if self.fps is None else 1 / self.fps
        return [self.start + k * step for k in range(whole)]


def _source(source: Source, name: str | None, kind: str, limits: Limits | None):
    """(bytes or path, name for messages, limits, the first bytes), with the size checked."""
    limits = limits or Limits()
    if isinstance(source, bytes):
        name, size, head = name or kind, len(source), source[:1024]
    else:
        source = Path(source)
        name = name or str(source)
        try:
            with source.open("rb") as file:
                size, head = os.fstat(file.fileno()).st_size, file.read(1024)
        except (OSError, ValueError) as error:  # ValueError: a zero byte in the path
            reason = getattr(error, "strerror", None) or str(error)
            raise BadInput(f"{name} cannot be opened ({reason}); check the path") from error
    if not size:
        raise BadInput(f"{name} is empty (0 bytes); make it again")
    if size > limits.bytes:
        raise BadInput(f"{name} has {size:,} bytes, more than {limits.bytes:,}; make it smaller")
    return source, name, limits, head


@contextmanager
def _decoding(name: str, what: str, mend: str) -> Iterator[None]:
    """Turns whatever a decoder raises into BadInput. Both libraries raise nearly every kind for damaged files."""
    try:
        yield
    except BadInput:
        raise
    except Exception as error:
        if type(error) is MemoryError:  # Python's own. FFmpeg's says that a damaged number asks for more than there is
            raise
        reason = next(iter(str(error).splitlines()), "") or type(error).__name__
        raise BadInput(f"{name} cannot be read as {what} ({reason}); {mend}") from error


@contextmanager
def _picture(source: bytes | Path, name: str, limits: Limits) -> Iterator[pillow.Image]:
    with (
        _decoding(name, "an image", "save it again, as PNG or JPEG"),
        pillow.open(io.BytesIO(source) if isinstance(source, bytes) else source, formats=PICTURES) as picture,
    ):
        if math.prod(size := picture.size) > limits.pixels:
            raise BadInput(f"{name} has {size[0]} x {size[1]} pixels, more than {limits.pixels:,}; scale it down")
        yield picture


def _rgb(picture: pillow.Image, name: str) -> UInt8[np.ndarray, "H W 3"]:
    """The current frame, upright, on white."""
    picture.load()
    try:
        upright = ImageOps.exif_transpose(picture)
    except Exception:  # the parser trips over broken EXIF in many ways, and the pixels are none the worse for it
        upright = picture
    if upright.mode == "F":
        raise BadInput(f"{name} holds floating-point pixels of unknown range; save it with 8 bits a channel")
    if upright.mode.startswith("I"):  # 16 bits
        upright = pillow.fromarray(np.round(np.clip(np.asarray(upright, np.float32) / 257, 0, 255)).astype(np.uint8))
    if upright.has_transparency_data:
        colours = upright.convert("RGBA")
        upright = pillow.alpha_composite(pillow.new("RGBA", colours.size, "white"), colours)
    pixels = np.array(upright.convert("RGB"))
    pixels.flags.writeable = False  # so that Image need not copy it
    return pixels


def _animation(source: bytes | Path, plan: _Plan) -> Video:
    """Frames of an animated picture, by Pillow: FFmpeg's WebP decoder knows no animations."""
    with _picture(source, plan.name, plan.limits) as picture:
        if (count := getattr(picture, "n_frames", 1)) < 2:
            raise BadInput(f"{plan.name} is a still picture and no video; read it as an image")
        if count > plan.limits.frames:
            raise BadInput(f"{plan.name} has {count} frames, more than {plan.limits.frames:,}; cut it")
        # Twice through: the length, and so which frames are wanted, is known only at the end.
        begins = [0.0]
        for index in range(count):
            picture.seek(index)
            picture.load()  # WebP tells a frame's duration only then
            duration = picture.info.get("duration") or 0
            # As browsers do, so that a file plays here as its maker saw it.
            begins.append(begins[-1] + (duration if duration > 10 else 100) / 1000)
        moments = plan.moments(begins[-1], *picture.size)
        chosen = []
        for index in sorted({int(np.searchsorted(begins, m + 1e-9, side="right")) - 1 for m in moments}):
            picture.seek(index)
            chosen.append((max(0.0, begins[index] - plan.start), _rgb(picture, plan.name)))
    return _video(chosen, plan, None)


def _video(chosen: list[tuple[float, np.ndarray]], plan: _Plan, samples: np.ndarray | None) -> Video:
    if not chosen:
        raise BadInput(f"{plan.name} has no frames in its video track; make it again")
    frames = np.stack([pixels for _, pixels in chosen])
    frames.flags.writeable = False  # so that Video need not copy them
    return Video(frames, tuple(time for time, _ in chosen), None if samples is None else Audio(samples))


@contextmanager
def _container(source: bytes | Path, name: str, what: str) -> Iterator[InputContainer]:
    file = io.BytesIO(source) if isinstance(source, bytes) else str(source.absolute())
    only = {"format_whitelist": CONTAINERS, "protocol_whitelist": "file"}
    with (
        _decoding(name, what, "convert it, for instance to MP4 or WAV"),
        av.open(file, options=only, metadata_errors="ignore") as container,
    ):
        yield container


def _stream(container: InputContainer, kind: str) -> av.stream.Stream | None:
    """The first track of the kind that can be decoded; the cover picture of a song is no video."""
    tracks = (s for s in container.streams if s.type == kind and s.codec_context)
    return next((s for s in tracks if not s.disposition & av.stream.Disposition.attached_pic), None)


def _begin(container: InputContainer) -> float:
    """Where its clock stands at the start, in seconds: broadcasts start anywhere. Below 0 only codecs warm up."""
    return max(0, container.start_time or 0) / av.time_base


def _time(frame: av.VideoFrame | av.AudioFrame, container: InputContainer) -> float:
    """Seconds from the start of the file."""
    return (frame.time or 0.0) - _begin(container)


def _measured(source: bytes | Path, name: str) -> float:
    """Seconds of a video whose header does not tell: the end of its last packet. Nothing is decoded."""
    with _container(source, name, "a video") as container:
        packets = (p for p in container.demux(_stream(container, "video")) if p.pts is not None)
        end = max((float((p.pts + (p.duration or 1)) * p.time_base) for p in packets), default=0.0)
        return end - _begin(container)


def _frames(container: InputContainer, stream: av.stream.Stream, at: float) -> Iterator[Any]:
    """Decoded frames from the last key frame that lies before `at`, in seconds from the start of the file."""
    # Broadcast streams have no index: a seek may land past the key frame, so go further back until one is found.
    for back in (0, 2, 10, 60):
        if at <= back:
            break
        try:
            container.seek(int((_begin(container) + at - back) * av.time_base))
            frames = container.decode(stream)
            first = next(frames, None)
        except av.FFmpegError:  # a file that cannot seek
            first = None
        if first is not None and _time(first, container) <= at:
            yield first
            yield from frames
            return
    if at > 0:
        container.seek(0)
    yield from container.decode(stream)


def _on_show(container: InputContainer, moments: list[float], plan: _Plan) -> list[tuple[float, np.ndarray]]:
    """(time from plan.start, pixels) of the frames on show at the moments, each once. Holds one frame beside those."""
    stream = _stream(container, "video")
    stream.thread_type = "AUTO"
    # The header's size was checked; this binds the decoder too, which goes by what the packets say.
    stream.codec_context.options = {"max_pixels": str(plan.limits.pixels)}
    chosen: list[tuple[float, np.ndarray]] = []
    frames, shown, following = _frames(container, stream, moments[0]), None, None
    for moment in moments:
        if following is not None and moment - _time(following, container) > JUMP:
            frames, shown, following = _frames(container, stream, moment), None, None
        # Within a millisecond is in time: Matroska counts no finer.
        while following is None or _time(following, container) <= moment + 1e-3:
            shown, following = following or shown, next((f for f in frames if f.pts is not None), None)
            if following is None:
                break
        frame = shown or following  # a track that starts late has nothing on show before its first frame
        if frame is None or _time(frame, container) >= (plan.end or LATEST):
            continue
        time = max(0.0, _time(frame, container) - plan.start)
        if not chosen or time > chosen[-1][0]:
            pixels = np.rot90(frame.to_ndarray(format="rgb24"), frame.rotation // 90)
            if chosen and pixels.shape != chosen[0][1].shape:
                pixels = np.asarray(pillow.fromarray(pixels).resize(chosen[0][1].shape[1::-1]))
            chosen.append((time, pixels))
    return chosen


def _sound(container: InputContainer, start: float, end: float, name: str, limits: Limits) -> Samples | None:
    """The sound of [start, end) seconds at RATE, with silence where it begins late; None if there is none."""
    stream = _stream(container, "audio")
    frames = iter(()) if stream is None else _frames(container, stream, start - WARM_UP)
    first = next(frames, None)
    if first is None:
        return None
    need = math.inf if end == math.inf else round((end - start) * RATE)
    at = round((_time(first, container) - start) * RATE)
    most = limits.seconds * RATE + 1
    pieces = [np.zeros(int(max(0, min(at, need, most))), np.float32)]
    for samples in _resampled(itertools.chain([first], frames)):
        low, high = max(0, -at), min(len(samples), max(0, need - at))
        pieces.append(samples[low:high])
        at += len(samples)
        if at >= need:
            break
        if at > most:
            raise BadInput(f"{name} lasts longer than {limits.seconds:g} s; cut it")
    whole = np.concatenate(pieces)
    if not np.isfinite(whole).all():
        raise BadInput(f"{name} has samples that are not finite numbers; make it again")
    return np.clip(whole, -1, 1) if len(whole) else None


def _resampled(frames: Iterator[av.AudioFrame]) -> Iterator[Samples]:
    """Mono sound at RATE. The mean of the channels: FFmpeg's own way to mono makes it louder, up to clipping."""
    for _, alike in itertools.groupby(frames, lambda f: (f.format.name, f.layout.name, f.sample_rate)):
        resampler = av.AudioResampler(format="fltp", rate=RATE)
        for frame in itertools.chain(alike, [None]):
            for out in resampler.resample(frame):
                channels = out.to_ndarray()
                yield channels[0] if len(channels) == 1 else channels.mean(axis=0)
