"""Parts inside a page, without a file beside it: pictures and frames as PNG, sounds as WAV, all in base64."""

import base64
import struct
from html import escape

import numpy as np

from tejat.parts import Audio, Image, Part, Text, Video, to_png

LONGEST_SIDE = 384  # pixels of an embedded picture; larger ones are reduced
FRAMES = 6  # of a clip's strip
SECONDS = 30  # of an embedded sound


def html(part: Part) -> str:
    """A part as HTML, everything escaped."""
    match part:
        case Text(text):
            return f'<span class="text" dir="auto">{escape(text)}</span>'
        case Image():
            return picture(part)
        case Audio():
            return _player(part)
        case Video():
            sound = _player(part.audio) if part.audio is not None and np.any(part.audio.samples) else ""
            return _strip(part) + sound


def picture(image: Image, said: str = "picture") -> str:
    """An <img>. Small pictures keep their pixels sharp: what a model drew at 32 x 32 is not smoothed over."""
    image = _reduced(image)
    height, width = image.pixels.shape[:2]
    sharp = " sharp" if max(height, width) <= 64 else ""
    return (
        f'<img class="picture{sharp}" alt="{escape(said)}" width="{width}" height="{height}" '
        f'src="{data_uri("image/png", to_png(image))}">'
    )


def data_uri(kind: str, data: bytes) -> str:
    """The bytes as an address that needs no network."""
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"


def _strip(video: Video) -> str:
    """Frames of a clip side by side, first and last among them, each over its time."""
    count = min(FRAMES, len(video.times))
    chosen = np.unique(np.linspace(0, len(video.times) - 1, count).round().astype(int))
    frames = "".join(
        f"<span>{picture(Image(video.frames[i]), f'frame at {video.times[i]:.1f} s')}"
        f"<small>{video.times[i]:.1f} s</small></span>"
        for i in chosen
    )
    columns = len(chosen) if len(chosen) <= 4 else 3
    return f'<div class="strip" style="--columns: {columns}">{frames}</div>'


def _player(audio: Audio) -> str:
    """Waveform and player. 16-bit samples: no ear and no browser minds, and the page is half the size."""
    samples = audio.samples[: SECONDS * audio.rate]
    data = np.round(samples * 32767).astype("<i2").tobytes()
    head = struct.pack(
        "<4sI4s4sIHHIIHH", b"RIFF", 36 + len(data), b"WAVE", b"fmt ", 16, 1, 1, audio.rate, audio.rate * 2, 2, 16
    )
    uri = data_uri("audio/wav", head + struct.pack("<4sI", b"data", len(data)) + data)
    seconds = f"{audio.seconds:.1f} s" + (f", the first {SECONDS} here" if audio.seconds > SECONDS else "")
    return (
        f'<div class="sound">{_waveform(samples)}<audio controls preload="none" src="{uri}"></audio>'
        f"<small>{seconds}</small></div>"
    )


def _waveform(samples: np.ndarray) -> str:
    """The loudest sample of each sixtieth, up and down, as one filled path."""
    bins = [float(np.abs(piece).max()) if len(piece) else 0.0 for piece in np.array_split(samples, 60)]
    loudest = max(*bins, 1e-3)
    heights = [max(11 * value / loudest, 0.4) for value in bins]
    upper = " ".join(f"{2 * i + 1},{12 - h:.1f}" for i, h in enumerate(heights))
    lower = " ".join(f"{2 * i + 1},{12 + h:.1f}" for i, h in reversed([*enumerate(heights)]))
    return f'<svg class="wave" viewBox="0 0 120 24" aria-hidden="true"><polygon points="{upper} {lower}"/></svg>'


def _reduced(image: Image) -> Image:
    from PIL import Image as pillow

    height, width = image.pixels.shape[:2]
    if max(height, width) <= LONGEST_SIDE:
        return image
    shrink = LONGEST_SIDE / max(height, width)
    size = max(1, round(width * shrink)), max(1, round(height * shrink))
    return Image(np.asarray(pillow.fromarray(image.pixels).resize(size, pillow.Resampling.LANCZOS)))
