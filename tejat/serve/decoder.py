"""Decoders of media, each in a process of its own that lives as long as one file takes.

A nursery process, which has the decoders imported and nothing of the server in it, forks a child for each file. The
child gets a limit on its memory, on its processor time, on the time that passes, and on the files that it may write
(none), decodes, sends arrays back and is gone: a file that breaks its decoder breaks nothing else, and sees nothing of
another caller. What comes back is lengths and numbers, never pickles: a child that was taken over can give wrong
pixels, and no more.

    server ──socketpair, passed to──▶ nursery ──fork──▶ child: job in, arrays out
"""

import json
import os
import re
import resource
import signal
import socket
import struct
import subprocess
import sys
import threading
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from tejat.errors import BadInput
from tejat.parts import Audio, Image, Part, Text, Video

Kind = Literal["image", "audio", "video", "text"]
_HEAD = struct.Struct("<II")  # bytes of the JSON that follows, and number of arrays after it
_SIZE = struct.Struct("<Q")
_LONGEST_JSON = 4_000_000
_OPENED = re.compile(r"<_io\.\w+ object at 0x[0-9a-f]+>")


@dataclass(frozen=True)
class Clip:
    """Which frames of a video are wanted: `fps` a second, or `frames` evenly spaced, of [start, end) seconds."""

    fps: float | None = None
    frames: int = 16
    start: float = 0.0
    end: float | None = None


@dataclass(frozen=True)
class Medium:
    """A file not decoded yet. `kind` None: whatever its content shows; `name` is for messages."""

    source: bytes | Path
    kind: Kind | None
    name: str
    clip: Clip = Clip()


@dataclass(frozen=True)
class Bounds:
    """What one file may take. `pixels`, `seconds` and `frames` are checked before decoding."""

    pixels: int = 50_000_000  # of an image or a frame
    seconds: float = 3600.0  # of sound, or of the interval of a video
    frames: int = 512  # read from a video
    decoded: int = 400_000_000  # bytes of all that comes back
    memory: int = 3_000_000_000  # of the child's address space
    time: float = 60.0  # seconds, of its processor and of the clock


class Decoder:
    """Decodes files in children of one nursery, which is started at the first file and again if it dies."""

    def __init__(self, bounds: Bounds | None = None):
        self.bounds = bounds or Bounds()
        self._lock = threading.Lock()
        self._nursery: tuple[subprocess.Popen, socket.socket] | None = None

    def decode(self, medium: Medium) -> Part:
        """The part that a file holds. Blocks; safe from any thread.

        Raises BadInput, naming the medium, for what is damaged, too large, or takes too long.
        """
        mine, theirs = socket.socketpair()
        with mine:
            with theirs:
                self._hand_over(theirs)
            mine.settimeout(self.bounds.time + 5)
            try:
                _send(mine, *self._job(medium))
                answer, arrays = _receive(mine, self.bounds.decoded)
            except (OSError, EOFError, ValueError) as error:
                seconds, memory = self.bounds.time, self.bounds.memory
                raise BadInput(
                    f"{medium.name} cannot be decoded within {seconds:g} s and {memory / 1e9:.1f} GB of memory; "
                    "make it smaller or convert it"
                ) from error
        if "error" in answer:
            raise BadInput(str(answer["error"]))
        return _part(answer, arrays)

    def start(self) -> None:
        """Starts the nursery, so that the first file need not wait for it."""
        self.decode(Medium(b"-", "text", "the first file"))

    def close(self) -> None:
        """Ends the nursery."""
        with self._lock:
            if self._nursery is not None:
                process, channel = self._nursery
                channel.close()
                process.wait()
                self._nursery = None

    def _job(self, medium: Medium) -> tuple[dict, list[np.ndarray]]:
        inline = isinstance(medium.source, bytes)
        job = {
            "kind": medium.kind,
            "name": medium.name,
            "clip": asdict(medium.clip),
            "bounds": asdict(self.bounds),
            "path": None if inline else str(medium.source),
        }
        return job, [np.frombuffer(medium.source, np.uint8)] if isinstance(medium.source, bytes) else []

    def _hand_over(self, channel: socket.socket) -> None:
        """Gives one end of a channel to a new child."""
        with self._lock:
            for _ in range(2):
                if self._nursery is None or self._nursery[0].poll() is not None:
                    self._nursery = _start()
                try:
                    socket.send_fds(self._nursery[1], [b"+"], [channel.fileno()])
                    return
                except OSError:
                    self._nursery[1].close()
                    self._nursery[0].kill()
                    self._nursery[0].wait()
                    self._nursery = None
        raise BadInput("the decoders of media cannot be started; try again")


def _start() -> tuple[subprocess.Popen, socket.socket]:
    mine, theirs = socket.socketpair()
    # No keys of the server's environment come along; one BLAS thread, since the nursery forks.
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH", "LANG", "LD_LIBRARY_PATH") if name in os.environ}
    environment = kept | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-m", "tejat.serve.decoder", str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            env=environment,
            start_new_session=True,  # Ctrl-C goes to the server, which ends this when it is done
        )
    return process, mine


def _nursery(channel: socket.socket) -> None:
    """Forks a child for each descriptor that comes, until the server is gone."""
    import tejat.media  # noqa: F401  # so that children need not

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel buries the children
    while True:
        message, descriptors, _, _ = socket.recv_fds(channel, 1, 1)
        if not message:
            return
        try:
            child = os.fork()
        except OSError:
            child = -1  # too many processes: the caller finds the channel closed
        if child == 0:
            channel.close()
            code = 1
            try:
                with socket.socket(fileno=descriptors[0]) as own:
                    _child(own)
                code = 0
            finally:
                os._exit(code)
        for descriptor in descriptors:
            os.close(descriptor)


def _child(channel: socket.socket) -> None:
    job, arrays = _receive(channel, None)
    bounds = Bounds(**job["bounds"])
    _limit(bounds)
    source = Path(job["path"]) if job["path"] is not None else arrays[0].tobytes()
    arrays.clear()
    try:
        part = _read(Medium(source, job["kind"], job["name"], Clip(**job["clip"])), bounds)
        answer, arrays = _described(part)
        if sum(a.nbytes for a in arrays) > bounds.decoded:
            raise BadInput(f"{job['name']} takes over {bounds.decoded:,} bytes when decoded; make it smaller")
    except BadInput as error:
        # The libraries name what they opened: an object in memory, or where the server keeps an upload.
        told = str(error).replace(job["path"], "the file") if job["path"] else str(error)
        answer, arrays = {"error": _OPENED.sub("the file", told)}, []
    except MemoryError:
        gigabytes = bounds.memory / 1e9
        answer, arrays = {"error": f"{job['name']} takes over {gigabytes:.1f} GB to decode; make it smaller"}, []
    _send(channel, answer, arrays)


def _limit(bounds: Bounds) -> None:
    seconds = max(1, round(bounds.time))
    resource.setrlimit(resource.RLIMIT_AS, (bounds.memory, bounds.memory))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # The kernel's own answer to an alarm ends the process, whatever C code it is in.
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(seconds)


def _read(medium: Medium, bounds: Bounds) -> Part:
    from tejat import media

    limits = media.Limits(
        pixels=bounds.pixels, seconds=bounds.seconds, frames=bounds.frames, video_bytes=bounds.decoded
    )
    clip = {k: v for k, v in asdict(medium.clip).items() if v is not None}
    match medium.kind:
        case "image":
            return media.read_image(medium.source, name=medium.name, limits=limits)
        case "audio":
            return media.read_audio(medium.source, name=medium.name, limits=limits)
        case "video":
            return media.read_video(medium.source, name=medium.name, limits=limits, **clip)
        case "text":
            limits = replace(limits, bytes=2_000_000)
            part = media.read(medium.source, name=medium.name, limits=limits)
            if not isinstance(part, Text):
                raise BadInput(f"{medium.name} is said to be text and is none; give its true MIME type")
            return part
    return media.read(medium.source, name=medium.name, limits=limits, **clip)


def _described(part: Part) -> tuple[dict, list[np.ndarray]]:
    match part:
        case Text(text):
            return {"kind": "text"}, [np.frombuffer(text.encode(), np.uint8)]
        case Image(pixels):
            return {"kind": "image"}, [pixels]
        case Audio(samples, rate):
            return {"kind": "audio", "rate": rate}, [samples]
        case Video(frames, times, audio):
            sound = [] if audio is None else [audio.samples]
            return {"kind": "video", "times": times, "rate": audio.rate if audio else None}, [frames, *sound]


def _part(answer: dict, arrays: list[np.ndarray]) -> Part:
    """The part that a child describes. The parts check what they are given; so does whoever gets them."""
    match answer.get("kind"), arrays:
        case "text", [text]:
            return Text(text.tobytes().decode(errors="replace"))
        case "image", [pixels]:
            return Image(pixels)
        case "audio", [samples]:
            return Audio(samples, answer["rate"])
        case "video", [frames]:
            return Video(frames, tuple(answer["times"]))
        case "video", [frames, samples]:
            return Video(frames, tuple(answer["times"]), Audio(samples, answer["rate"]))
    raise BadInput("the decoder gave no part; convert the file")


def _send(channel: socket.socket, header: dict, arrays: list[np.ndarray]) -> None:
    forms = [{"dtype": a.dtype.str, "shape": a.shape} for a in arrays]
    text = json.dumps({**header, "arrays": forms}).encode()
    channel.sendall(_HEAD.pack(len(text), len(arrays)) + text)
    for a in arrays:
        channel.sendall(_SIZE.pack(a.nbytes))
        channel.sendall(np.ascontiguousarray(a).data.cast("B") if a.nbytes else b"")


def _receive(channel: socket.socket, most: int | None) -> tuple[dict[str, Any], list[np.ndarray]]:
    """Raises EOFError where the other side ends early, ValueError for what is no message or over `most` bytes."""
    length, count = _HEAD.unpack(_exactly(channel, _HEAD.size))
    if length > _LONGEST_JSON or count > 2:
        raise ValueError("no message of a decoder")
    header = json.loads(bytes(_exactly(channel, length)))
    arrays = []
    for form in header.pop("arrays")[:count]:
        (size,) = _SIZE.unpack(_exactly(channel, _SIZE.size))
        if most is not None and size > most:
            raise ValueError("a decoder sends too much")
        flat = np.frombuffer(_exactly(channel, size), {"|u1": np.uint8, "<f4": np.float32}[form["dtype"]])
        flat.flags.writeable = False
        arrays.append(flat.reshape([int(side) for side in form["shape"]]))
    return header, arrays


def _exactly(channel: socket.socket, size: int) -> bytearray:
    data = bytearray(size)
    view, at = memoryview(data), 0
    while at < size:
        got = channel.recv_into(view[at:])
        if not got:
            raise EOFError
        at += got
    return data


if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[1])) as _channel:
        _nursery(_channel)
